//! Table: what a demonstration showed, in figures and in a few sentences for somebody who sees strew for the first time.
//!
//! The figures are those of the processes' own summaries; the sentences say what they mean, and what they do not: five processes
//! on one machine share its processors and its disk, so the times say little about a network.
//!
//! Invariant: every figure that is compared stands in the table.
//!
//! Not here: whether the copies are equal (`compare`).

use std::time::Duration;

use super::story::{folded, together};
use crate::cli::statistics::elapsed;
use crate::units::Bytes;

/// What one peer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// From its start until every byte was there, durable and under its final name.
    pub(super) elapsed: Duration,
    /// Bytes that came.
    pub(super) received: Bytes,
    /// Bytes that it gave to others.
    pub(super) sent: Bytes,
}

/// What all of them did.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    /// Bytes of the content.
    pub(super) bytes: Bytes,
    /// The peers, in order.
    pub(super) peers: Vec<Share>,
    /// Bytes that the seeder sent.
    pub(super) seeder_sent: Bytes,
    /// The same in copies of the content.
    pub(super) copies: f64,
}

impl Outcome {
    /// The table, with a newline after each line.
    pub(super) fn table(&self) -> String {
        let head = ["", "time", "rate", "received", "sent", "copy"].map(str::to_owned);
        let mut rows = vec![head];
        for (at, peer) in self.peers.iter().enumerate() {
            let rate = format!("{}/s", per_second(peer.received, peer.elapsed));
            let figures = [elapsed(peer.elapsed), rate, peer.received.to_string(), peer.sent.to_string()];
            let [time, rate, received, sent] = figures;
            rows.push([format!("peer {}", at + 1), time, rate, received, sent, "equal".to_owned()]);
        }
        let sent = self.seeder_sent.to_string();
        rows.push(["seeder".to_owned(), String::new(), String::new(), String::new(), sent, "source".to_owned()]);
        let widths: [usize; 6] =
            std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
        let mut text = String::new();
        for row in rows {
            let mut line = format!("  {:<1$}", row[0], widths[0]);
            for (cell, width) in row.iter().zip(widths).skip(1) {
                line.push_str(&format!("   {cell:>width$}"));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// What the figures mean, in lines of at most `width` characters.
    pub(super) fn meaning(&self, width: usize) -> String {
        let peers = self.peers.len();
        let (bytes, sent, copies) = (together(self.bytes), together(self.seeder_sent), self.copies);
        #[allow(clippy::cast_precision_loss)] // a handful of peers
        let plain = peers as f64;
        let all = together(Bytes(self.bytes.0.saturating_mul(u64::try_from(peers).unwrap_or(u64::MAX))));
        let less = if copies > 0.0 { plain / copies } else { 1.0 };
        let rest = (plain - copies).max(0.0);
        let gain = if less >= WORTH_TELLING {
            format!("{less:.1} times less. The other {rest:.2} copies the peers gave each other.")
        } else {
            "no less, because so little data is sent before the peers have anything to give each other.".to_owned()
        };
        let compared = format!(
            "Copied to each peer in turn, {bytes} would leave the source {peers} times: {all}. Here the seeder sent {sent}, \
             which is {copies:.2} copies: {gain}"
        );
        let limits = "All processes shared the processors and the disk of this machine, so the times say little about a network.";
        format!("{}\n{}\n", folded("", &compared, width), folded("", limits, width))
    }
}

/// A smaller gain is not worth a sentence, and would be told as "1.0 times less".
const WORTH_TELLING: f64 = 1.1;

fn per_second(bytes: Bytes, time: Duration) -> Bytes {
    let per_second = u128::from(bytes.0) * 1000 / time.as_millis().max(1);
    Bytes(u64::try_from(per_second).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(copies: f64) -> Outcome {
        let share = |millis, received: u64, sent: u64| Share {
            elapsed: Duration::from_millis(millis),
            received: Bytes(received << 20),
            sent: Bytes(sent << 20),
        };
        Outcome {
            bytes: Bytes(320 << 20),
            peers: vec![share(12_900, 321, 205), share(13_100, 320, 200), share(9_000, 320, 70), share(64_000, 320, 9)],
            seeder_sent: Bytes(400 << 20),
            copies,
        }
    }

    #[test]
    fn every_peer_has_a_row_of_aligned_figures() {
        let expected = "            time         rate    received        sent     copy
  peer 1   12.9s   24.9 MiB/s   321.0 MiB   205.0 MiB    equal
  peer 2   13.1s   24.4 MiB/s   320.0 MiB   200.0 MiB    equal
  peer 3    9.0s   35.6 MiB/s   320.0 MiB    70.0 MiB    equal
  peer 4   1m04s    5.0 MiB/s   320.0 MiB     9.0 MiB    equal
  seeder                                    400.0 MiB   source
";
        assert_eq!(outcome(1.25).table(), expected);
    }

    #[test]
    fn the_meaning_compares_with_copying_one_by_one() {
        let expected = "Copied to each peer in turn, 320.0 MiB would leave the source 4 times: 1.2 GiB.
Here the seeder sent 400.0 MiB, which is 1.25 copies: 3.2 times less. The other
2.75 copies the peers gave each other.
";
        let meaning = outcome(1.25).meaning(79);
        assert!(meaning.starts_with(expected), "{meaning}");
    }

    #[test]
    fn nothing_is_praised_that_was_not_gained() {
        assert!(outcome(4.0).meaning(200).contains("no less"));
        assert!(outcome(0.0).meaning(200).contains("no less"));
    }
}
