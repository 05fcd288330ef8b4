//! The knobs of the swarm, each with the reason for its value.
//!
//! A plain struct: the command line and the simulator fill it in, the machine only reads it. Values come from the simulated
//! table of A* unless a field says otherwise; `cargo run --release --example simulate` measures them again.
//!
//! Invariant: `Default` is what a node uses when nobody asked for anything else.
//!
//! Not here: timeouts of connections (`net`) and the number of neighbours (`discovery`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::swarm::event::Zone;
use crate::units::BytesPerSecond;

/// How one swarm behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether this machine publishes the content: it then sends no second copy of anything before everything has left once.
    ///
    /// Default false. A complete copy that does not publish serves without such a first pass.
    pub publisher: bool,

    /// Where this machine stands among the publishers of this content and the members of its zone, as the others are told in its
    /// `Profile`.
    ///
    /// Default 0, which will do for a publisher that is alone.
    pub order: u64,

    /// Where this machine is.
    ///
    /// Default none: every source counts as near.
    pub zone: Zone,

    /// Chunks asked of one source at a time before its path is known to need more.
    ///
    /// Default 1: more costs 2-5 % of the makespan on a LAN mesh (simulated), because requests then wait where they cannot
    /// be steered any more. A long path raises it by itself.
    pub window_start: u32,

    /// Most chunks ever asked of one source at a time.
    ///
    /// Default 32: eight mebibytes at 256 KiB, the product of 1 Gbit/s and 67 ms. The owner allows more of smaller chunks. Worst-case memory is
    /// `window_max × chunk size × sources`; the owner caps it to its budget.
    pub window_max: u32,

    /// Chunks read at a time from a path on this machine.
    ///
    /// Default 4: enough to keep a disk and a digest busy at once; more only holds memory.
    pub window_local: u32,

    /// Chunks being sent at once, over all neighbours.
    ///
    /// Default 5. With fewer, all of them may be held up by receivers that are busy with others, and the uplink idles: on equal
    /// links three lose 7 points of the makespan at 1 MiB chunks and four lose 3. With more, the order of service means less: when
    /// a tenth of the uplinks is slow, six lose 7 points and eight 17 (simulated, 32 peers).
    pub uploads_at_once: usize,

    /// Requests of one neighbour that may wait here; more are rejected.
    ///
    /// Default 64: the number of request streams that a connection admits.
    pub queue_per_neighbour: u32,

    /// Later requests that may be served before the oldest one, before that one has its turn.
    ///
    /// Default 64: several rounds of a full neighbourhood, so that it works only against starvation.
    pub overtakes_max: u32,

    /// Longest time for which a verified chunk waits for others to be announced with it.
    ///
    /// Default 5 ms: 20 ms costs half a point of the makespan and 100 ms three and a half (simulated).
    pub announce_delay_max: Duration,

    /// Shortest such time; between the two, it is the mean time between our own chunks.
    ///
    /// Default 2 ms: at most 500 announcements per second, half of what a neighbour admits.
    pub announce_delay_min: Duration,

    /// A request is asked elsewhere as well when it is older than this and than `hedge_factor` usual times.
    ///
    /// Default 500 ms: longer than any pause of a healthy path.
    pub hedge_after: Duration,

    /// See `hedge_after`.
    ///
    /// Default 8: a queue that is eight times as long as usual is not a queue.
    pub hedge_factor: u32,

    /// Time without a word after which a source that owes us something is not relied upon, and then tried again.
    ///
    /// Default 500 ms: whoever takes part says something several times a second, and nothing is lost when it was only slow.
    pub silence: Duration,

    /// Refused or late requests in a row after which a source's claims are not believed.
    ///
    /// Default 3: one may be a race, two a coincidence.
    pub refusals_max: u32,

    /// Time for which a source that refused a request is left alone.
    ///
    /// Default 200 ms: a refusal costs a round trip, so this keeps the price of a confused source below five requests a second.
    pub refusal_pause: Duration,

    /// Time for which claims that proved wrong are not believed; it doubles with every further time.
    ///
    /// Default 10 s: then a source that only claims costs a request in three seconds at first, and one in a minute and a half at last.
    pub distrust: Duration,

    /// Time for which the sender of a first bad chunk is not asked; the second one bans it.
    ///
    /// Default 60 s: one bad chunk may be a bad disk or memory cell, and the rest of the swarm fills in meanwhile.
    pub quarantine: Duration,

    /// What this machine sends at most, over all neighbours.
    ///
    /// Default none. The owner holds bytes back; the swarm only knows how long uploads then take (see `allowance`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_limit: Option<BytesPerSecond>,

    /// What this machine takes at most, over all neighbours.
    ///
    /// Default none, as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_limit: Option<BytesPerSecond>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            publisher: false,
            order: 0,
            zone: Zone(0),
            window_start: 1,
            window_max: 32,
            window_local: 4,
            uploads_at_once: 5,
            queue_per_neighbour: 64,
            overtakes_max: 64,
            announce_delay_max: Duration::from_millis(5),
            announce_delay_min: Duration::from_millis(2),
            hedge_after: Duration::from_millis(500),
            hedge_factor: 8,
            silence: Duration::from_millis(500),
            refusals_max: 3,
            refusal_pause: Duration::from_millis(200),
            distrust: Duration::from_secs(10),
            quarantine: Duration::from_secs(60),
            upload_limit: None,
            download_limit: None,
        }
    }
}
