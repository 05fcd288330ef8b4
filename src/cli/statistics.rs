//! The totals of a run, as text for people (`--statistics`).
//!
//! They are made from the very summary that programs get, so that the two cannot differ.
//!
//! Invariant: one figure a line with its unit, in a fixed order; what is zero is shown as well, because its absence would have
//! to be interpreted.
//!
//! Not here: counting (`node`), and what happened when (the log).

use std::fmt::Write;
use std::time::Duration;

use super::event::{SourceTotals, Summary};
use super::progress::duration;
use crate::units::Bytes;

/// The totals, a line each, without a newline at the end.
#[must_use]
pub fn text(summary: &Summary) -> String {
    let came = Bytes(summary.counters.received.saturating_add(summary.counters.copied));
    let mut text = "statistics".to_owned();
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {name:<16} {value}");
    };
    line("elapsed", elapsed(Duration::from_millis(summary.elapsed_ms)));
    line("content", format!("{} of {}", Bytes(summary.counters.bytes_done), Bytes(summary.counters.bytes_total)));
    line("kept", Bytes(summary.counters.bytes_kept).to_string());
    line("received", with_rate(Bytes(summary.counters.received), summary.elapsed_ms));
    line("copied locally", with_rate(Bytes(summary.counters.copied), summary.elapsed_ms));
    line("received in all", with_rate(came, summary.elapsed_ms));
    let sent = with_rate(Bytes(summary.counters.uploaded), summary.elapsed_ms);
    line("sent", format!("{sent} in {}", chunks(summary.counters.chunks_uploaded)));
    let (came, went) = (Bytes(summary.counters.wire_received), Bytes(summary.counters.wire_uploaded));
    line("as it travelled", format!("{came} received, {went} sent"));
    if let Some(copies) = summary.counters.publisher_copies {
        line("copies sent", format!("{copies:.2}"));
    }
    line("bad chunks", summary.counters.chunks_bad.to_string());
    line("peers", summary.counters.peers_seen.to_string());
    for source in &summary.sources {
        line(&format!("[{}]", source.name), source_line(source));
    }
    text
}

fn source_line(source: &SourceTotals) -> String {
    format!(
        "received {} in {}, sent {} in {}",
        Bytes(source.received),
        chunks(source.chunks_received),
        Bytes(source.uploaded),
        chunks(source.chunks_uploaded)
    )
}

fn chunks(count: u64) -> String {
    if count == 1 { "1 chunk".to_owned() } else { format!("{count} chunks") }
}

fn with_rate(bytes: Bytes, elapsed_ms: u64) -> String {
    let per_second = u128::from(bytes.0) * 1000 / u128::from(elapsed_ms.max(1));
    format!("{bytes} ({}/s)", Bytes(u64::try_from(per_second).unwrap_or(u64::MAX)))
}

/// Tenths of a second where they matter.
pub(super) fn elapsed(time: Duration) -> String {
    if time < Duration::from_secs(60) { format!("{:.1}s", time.as_secs_f64()) } else { duration(time) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ExitCode;
    use crate::node::Snapshot;

    #[test]
    fn every_total_has_its_line() {
        let totals = Snapshot {
            bytes_total: Bytes(4 << 30),
            bytes_done: Bytes(4 << 30),
            bytes_kept: Bytes(1 << 30),
            received: Bytes(3 << 30),
            uploaded: Bytes(6 << 30),
            wire_received: Bytes(1 << 30),
            wire_uploaded: Bytes(2 << 30),
            chunks_total: 4096,
            chunks_uploaded: 6144,
            peers_seen: 8,
            publisher: true,
            ..Snapshot::default()
        };
        let source = SourceTotals {
            name: "10.0.0.5:10090".into(),
            received: 1 << 20,
            chunks_received: 1,
            uploaded: 0,
            chunks_uploaded: 0,
        };
        let shown = text(&Summary::new(ExitCode::Complete, 3000, &totals, vec![source]));
        let expected = "statistics
  elapsed          3.0s
  content          4.0 GiB of 4.0 GiB
  kept             1.0 GiB
  received         3.0 GiB (1.0 GiB/s)
  copied locally   0 B (0 B/s)
  received in all  3.0 GiB (1.0 GiB/s)
  sent             6.0 GiB (2.0 GiB/s) in 6144 chunks
  as it travelled  1.0 GiB received, 2.0 GiB sent
  copies sent      1.50
  bad chunks       0
  peers            8
  [10.0.0.5:10090] received 1.0 MiB in 1 chunk, sent 0 B in 0 chunks";
        assert_eq!(shown, expected);
    }
}
