//! What strew tells of itself in its last event: exact where devices can only be counted.
//!
//! Invariant: an event that is not there or lacks a field gives no figure, never a zero.
//!
//! Not here: what the fields mean (docs/events.md).

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use super::process::Line;

/// The totals of one process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// Bytes of chunks that came.
    pub(crate) received: u64,
    /// Those of them that came in vain.
    pub(crate) repeated: u64,
    /// Bytes of chunks that went.
    pub(crate) uploaded: u64,
    /// What came from each address.
    pub(crate) from: Vec<(IpAddr, u64)>,
}

/// The totals that a process printed, if it did.
pub(crate) fn totals(lines: &[Line]) -> Option<Totals> {
    let summary = lines.iter().rev().filter_map(|line| serde_json::from_str::<Value>(&line.text).ok());
    let summary = summary.into_iter().find(|event| event["event"] == "summary")?;
    let from = summary["sources"].as_array().into_iter().flatten().filter_map(|source| {
        let address: SocketAddr = source["name"].as_str()?.parse().ok()?;
        Some((address.ip().to_canonical(), source["received"].as_u64()?))
    });
    Some(Totals {
        received: summary["received"].as_u64()?,
        repeated: summary["repeated"].as_u64()?,
        uploaded: summary["uploaded"].as_u64()?,
        from: from.collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn lines(texts: &[&str]) -> Vec<Line> {
        texts.iter().map(|text| Line { at: Instant::now(), text: (*text).to_owned() }).collect()
    }

    #[test]
    fn the_totals_are_those_of_the_summary() {
        let summary = r#"{"event":"summary","received":10,"repeated":1,"uploaded":7,
            "sources":[{"name":"[::ffff:10.0.0.5]:10090","received":9},{"name":"local","received":1}]}"#;
        let totals =
            totals(&lines(&["warning: something", r#"{"event":"start"}"#, &summary.replace('\n', "")])).unwrap();
        assert_eq!((totals.received, totals.repeated, totals.uploaded), (10, 1, 7));
        assert_eq!(totals.from, [("10.0.0.5".parse().unwrap(), 9)]);
    }

    #[test]
    fn a_process_without_a_summary_has_no_totals() {
        assert!(totals(&lines(&[r#"{"event":"start"}"#, "killed"])).is_none());
        assert!(totals(&lines(&[r#"{"event":"summary","received":10}"#])).is_none());
    }
}
