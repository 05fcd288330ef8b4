//! Text: what a run showed, in lines for people.
//!
//! Not here: several runs together (`fleet`).

use std::fmt;
use std::time::Duration;

use super::requests::WAITING;
use super::spans::{millis, secs};
use super::{Difference, Run};
use crate::units::{Bytes, Time};

/// The last part of a run, in which little is left to be chosen: the end game begins in it.
const END_GAME: [u32; 2] = [95, 99];

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_machine(f)?;
        self.write_progress(f)?;
        self.write_requests(f)?;
        self.write_windows(f)?;
        self.write_sources(f)?;
        self.write_uplink(f)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: the trace has {:?}, the machine ", self.line, self.recorded)?;
        match &self.repeated {
            Some(output) => write!(f, "asks for {output:?}"),
            None => f.write_str("asks for nothing"),
        }
    }
}

impl Run {
    fn write_machine(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (header, layout) = (&self.header, self.header.beginning.layout);
        let zone = if header.zone.is_empty() { String::new() } else { format!(", zone {}", header.zone) };
        let (size, chunk_size) = (Bytes(layout.total()), Bytes(layout.chunk_size()));
        writeln!(f, "{} (strew {}{zone}), content {}", header.listen, header.strew, header.content)?;
        writeln!(f, "  {size} in {} chunks of {chunk_size}, {} here at the start", layout.count(), self.progress.kept)?;
        match &self.difference {
            None => {
                write!(f, "  repeated: {} inputs, {} outputs, all equal", self.inputs, self.outputs)?;
                if self.left_over > 0 {
                    write!(f, "; {} more were not begun before the end", self.left_over)?;
                }
                writeln!(f)
            }
            Some(difference) => writeln!(f, "  DIFFERENT after {} outputs, {difference}", self.outputs),
        }
    }

    fn write_progress(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let progress = &self.progress;
        let at = |moment: Option<Time>| moment.map_or_else(|| "never".to_owned(), |at| secs(at.since(Time::ZERO)));
        writeln!(f, "  since the start of the node:")?;
        writeln!(
            f,
            "    content known {}, first neighbour {}, first request {}, first chunk {} and verified {}",
            at(Some(progress.begun)),
            at(progress.joined),
            at(progress.asked),
            at(progress.came),
            at(progress.first()),
        )?;
        writeln!(f, "    complete {} ({} of {} chunks)", at(progress.complete), progress.held(), progress.count)?;
        let Some(first) = progress.first() else { return Ok(()) };
        let (gap, since) = progress.longest_gap(first, self.end);
        writeln!(f, "    longest time without a verified chunk: {} after {}", millis(gap), at(Some(since)))?;
        for percent in END_GAME {
            if let (Some(reached), Some(complete)) = (progress.reached(percent), progress.complete) {
                writeln!(f, "    from {percent} % to the end: {}", secs(complete.since(reached)))?;
            }
        }
        Ok(())
    }

    fn write_requests(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = &self.requests;
        writeln!(f, "  a chunk's way:")?;
        writeln!(f, "    asked to arriving     {}", requests.to_arriving)?;
        writeln!(f, "    arriving to fetched   {}", requests.to_fetched)?;
        writeln!(f, "    fetched to verified   {}", requests.to_verified)?;
        writeln!(f, "    verified to announced {}", requests.to_announced)?;
        writeln!(
            f,
            "  requests: {} made, {} chunks came, {} of them in vain; {} redirected, {} given up, {} refused, {} bad",
            requests.asked,
            requests.fetched,
            requests.duplicates,
            requests.redirected,
            requests.cancelled,
            requests.refused,
            requests.bad,
        )?;
        writeln!(f, "  asked twice: {} as too old, {} at the end", requests.hedges, requests.doubled)?;
        let bars: Vec<String> = (WAITING.iter().enumerate())
            .map(|(bar, least)| {
                let upto = WAITING.get(bar + 1).map(|next| next - 1);
                let name = match upto {
                    Some(upto) if upto == *least => least.to_string(),
                    Some(upto) => format!("{least}-{upto}"),
                    None => format!("{least}+"),
                };
                format!("{name}: {}", requests.waiting[bar])
            })
            .collect();
        writeln!(f, "  requests that waited at the source, by chunks: {}", bars.join(", "))
    }

    fn write_windows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let course: Vec<String> = (self.windows.course().into_iter())
            .map(|part| part.map_or_else(|| "-".to_owned(), |(mean, most)| format!("{mean:.1}/{most}")))
            .collect();
        if course.is_empty() {
            return Ok(());
        }
        writeln!(f, "  window, mean/most in each tenth of the time: {}", course.join(" "))
    }

    fn write_sources(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  sources:            received  chunks    sent   present      idle  idle although it had something"
        )?;
        for (source, neighbour) in self.sources.iter() {
            let unnamed = format!("source {}", source.0);
            let name = if neighbour.address.is_empty() { &unnamed } else { &neighbour.address };
            let mark = if neighbour.publisher { "*" } else { "" };
            let zone = if neighbour.zone.is_empty() { String::new() } else { format!("  {}", neighbour.zone) };
            writeln!(
                f,
                "    {:<17} {:>10} {:>7} {:>7} {:>9} {:>9} {:>9}{zone}",
                format!("{name}{mark}"),
                Bytes(neighbour.received_bytes).to_string(),
                neighbour.received,
                neighbour.sent,
                secs(neighbour.present),
                secs(neighbour.idle),
                secs(neighbour.idle_in_vain),
            )?;
        }
        Ok(())
    }

    fn write_uplink(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uplink = &self.uplink;
        if uplink.requested == 0 {
            return writeln!(f, "  uplink: nobody asked");
        }
        writeln!(
            f,
            "  uplink: {} requests in {}; {} sent ({} redirected), {} delivered ({}), {} broken off, {} rejected, {} taken back",
            uplink.requested,
            secs(uplink.span),
            uplink.sent,
            uplink.redirected,
            uplink.delivered,
            Bytes(uplink.delivered_bytes),
            uplink.aborted,
            uplink.rejected,
            uplink.withdrawn,
        )?;
        writeln!(
            f,
            "    sending {:.1} % of the time; {} somebody waited and nothing was sent; queue {:.1} on average, {} at most",
            percent(uplink.active, uplink.span),
            millis(uplink.stalled),
            uplink.queue_mean(),
            uplink.queue_most,
        )
    }
}

/// `part` of `whole` in percent.
pub(super) fn percent(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() { 0.0 } else { 100.0 * part.as_secs_f64() / whole.as_secs_f64() }
}
