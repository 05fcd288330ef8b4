//! Record: everything that one run showed, as a line of JSON.
//!
//! Figures that were computed stand beside those that they were computed from, so that whoever doubts one can compute it again.
//!
//! Invariant: a run that went wrong has a record too, with the reason, and no efficiency.
//!
//! Not here: what several runs have in common (`table`).

use serde::Serialize;

/// A processor share above which the machine and not the links may have been the limit.
pub(crate) const BUSY_MAX: f64 = 0.8;

/// One run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Record {
    /// Version of this form: changes when a field goes away or changes its meaning.
    pub(crate) v: u32,
    pub(crate) scenario: String,
    /// Whether the scenario's faults were left out, for comparison.
    pub(crate) calm: bool,
    pub(crate) data: &'static str,
    pub(crate) contender: String,
    pub(crate) run: usize,
    /// Seconds since 1970-01-01 UTC.
    pub(crate) began: u64,
    /// Bytes of the data set.
    pub(crate) bytes: u64,
    /// Judged peers of all waves.
    pub(crate) judged: usize,
    /// Share of a full frame that is payload, and how that was computed.
    pub(crate) payload_share: f64,
    pub(crate) payload_formula: String,
    /// Why the run does not count; absent in a good one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// Each wave; the last one gives the figures below.
    pub(crate) waves: Vec<Wave>,
    /// Copies that the seeder sent, from the packets that left its link and, where the program tells, from its own totals.
    pub(crate) copies_counted: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) copies_told: Option<f64>,
    /// Copies that crossed into zones without the seeder, for each such zone; counted and told in the same way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) crossings_counted: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) crossings_told: Option<f64>,
    /// Chunk bytes that came in vain, as a share of all; where the program tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repeated: Option<f64>,
    /// Seconds of processors of all machines for each GB that judged peers received.
    pub(crate) cpu_per_gb: f64,
    /// What it cost on each side.
    pub(crate) cost: Cost,
    /// The largest peak of memory of any machine, in bytes.
    pub(crate) memory: u64,
    /// What judged peers received on the wire beyond full frames of the data, as a share of the data on the wire: acknowledgements,
    /// announcements, requests, proofs, and what came twice.
    pub(crate) control: f64,
    /// Packets that found a queue full or were lost, as a share of those that arrived.
    pub(crate) dropped: f64,
    /// Share of the machine's processors that was busy between the first start and the last completion.
    pub(crate) busy: f64,
    pub(crate) cpu_bound: bool,
    /// Share of the packets that the emulator delivered more than a millisecond too late; absent on the kernel's queues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) late: Option<f64>,
    pub(crate) hosts: Vec<HostRecord>,
}

/// What moving the data cost.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Cost {
    /// Gbit/s that all judged peers received together, until the slowest of them was complete.
    pub(crate) gbit: f64,
    /// Seconds of processors of the seeder for each GB that it sent.
    pub(crate) seeder: f64,
    /// Seconds of processors of judged peers for each GB that they received.
    pub(crate) peers: f64,
    /// The most memory of the seeder, in bytes.
    pub(crate) seeder_memory: u64,
    /// System calls of all machines for each MB that judged peers received, where they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) calls_per_mb: Option<f64>,
}

/// A share of late packets above which a run did not have the links that it asked for.
pub(crate) const LATE_MAX: f64 = 0.01;

/// What became of one wave.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Wave {
    /// The bound on the rate of the wire, in seconds.
    pub(crate) bound: f64,
    /// From the start of its last peer to the completion of its last judged peer, in seconds; absent if that did not happen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) makespan: Option<f64>,
    /// Bound over makespan, on the rate of the wire and on that of its payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) efficiency_wire: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) efficiency: Option<f64>,
    /// Seconds that judged peers needed from their own start: the first, the one in the middle, the last.
    pub(crate) peers: [f64; 3],
    /// How much later than the first judged peer the last one was complete, as a share of the makespan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spread: Option<f64>,
}

/// One machine.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HostRecord {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) zone: Option<String>,
    pub(crate) wave: usize,
    pub(crate) judged: bool,
    /// Seconds since the start of the first peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) started: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) complete: Option<f64>,
    /// Whether its copy equals the source; absent where there is none to compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verified: Option<bool>,
    /// Bytes on the wire.
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) cpu: f64,
    pub(crate) memory: u64,
    /// System calls, where they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) calls: Option<u64>,
}

impl Record {
    /// The last wave, which gives the figures of a run.
    pub(crate) fn last(&self) -> Option<&Wave> {
        self.waves.last()
    }

    /// Copies that the seeder sent, as exactly as they are known.
    pub(crate) fn copies(&self) -> f64 {
        self.copies_told.unwrap_or(self.copies_counted)
    }

    /// Copies that crossed between zones, as exactly as they are known.
    pub(crate) fn crossings(&self) -> Option<f64> {
        self.crossings_told.or(self.crossings_counted)
    }
}
