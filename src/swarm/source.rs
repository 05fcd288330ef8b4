//! Source: what the swarm knows of one neighbour or local path, and what it asked of it.
//!
//! One record for both directions, because both lean on the same set: what the other side holds decides what we ask of it
//! and how much it is in need of us.
//!
//! Invariant: `fetching` holds at most one request per `asked`; the pair of source and asked chunk names a request.
//!
//! Not here: the counts that depend on other sources or on our own chunks; `board` keeps `gain` and `want` right.

use std::time::Duration;

use crate::bitfield::Bitfield;
use crate::chunk::{ChunkId, Layout};
use crate::swarm::config::Config;
use crate::swarm::event::{Part, Profile, Zone};
use crate::swarm::footprint::list;
use crate::swarm::window::Window;
use crate::units::Time;

/// Bytes asked of a source in another zone at a time from the first request on: sixteen gateways with two such sources each then have 32 MiB
/// under way, the product of 2 Gbit/s and 130 ms.
const FAR_START: u64 = 1 << 20;
/// Chunks of these bytes at most: of a small content much would be asked of one source.
const FAR_START_MAX: u32 = 4;

/// A request of ours that has not ended.
#[derive(Clone, Debug)]
pub(super) struct Fetching {
    pub(super) asked: ChunkId,
    /// What we expect: what we asked for, until the source says that it sends another.
    pub(super) chunk: ChunkId,
    pub(super) part: Part,
    pub(super) exact: bool,
    pub(super) since: Time,
    /// When we last heard of it: its beginning, or that of its answer.
    pub(super) progress: Time,
    pub(super) arriving: bool,
    /// Whether it keeps others from being asked for `chunk`; it does until it is cancelled or too old.
    pub(super) claims: bool,
    pub(super) cancelled: bool,
}

/// What a source says that is not believed.
#[derive(Clone, Debug)]
pub(super) struct Distrust {
    /// `None` for the rest of the run.
    pub(super) until: Option<Time>,
    pub(super) claimed: Bitfield,
}

/// A neighbour or a local path.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) profile: Profile,
    /// It is in another zone. Whoever has no label is near to everybody.
    pub(super) far: bool,
    pub(super) known: Bitfield,
    /// Chunks that we hold and it does not: how deprived it is, as far as we can help.
    pub(super) gain: u32,
    /// Chunks that it holds and that we neither hold nor fetch.
    pub(super) want: u32,
    pub(super) window: Window,
    pub(super) fetching: Vec<Fetching>,
    pub(super) paused_until: Option<Time>,
    /// Its claims proved wrong and do not count.
    pub(super) distrust: Option<Distrust>,
    /// How often they did not.
    pub(super) distrusts: u32,
    pub(super) refusals: u32,
    /// When we last heard of it, by whatever it said or took.
    pub(super) heard: Time,
    /// When it is to be tried again, if it is silent.
    pub(super) silent: Option<Time>,
    /// It is in our zone, and what it holds comes so slowly that it does not count as inside.
    pub(super) thin: bool,
    /// Chunks that it brought of late; see `lag`.
    pub(super) brought: u32,
    pub(super) bad: u32,
    /// Requests of it that wait here.
    pub(super) queued: u32,
    /// Smoothed time from our request to its last byte.
    pub(super) fetch_time: Option<Duration>,
    /// Smoothed time from our first byte of a chunk to the acknowledgement of the last.
    pub(super) upload_time: Option<Duration>,
    /// Shortest time from our request to its last byte.
    pub(super) least_time: Option<Duration>,
}

impl Source {
    pub(super) fn new(layout: Layout, profile: Profile, config: &Config, now: Time) -> Self {
        let labelled = [profile.zone, config.zone].iter().all(|zone| *zone != Zone::default());
        let far = labelled && !profile.local && profile.zone != config.zone;
        let window = if profile.local {
            Window::fixed(config.window_local)
        } else {
            let start = if far { FAR_START / layout.chunk_size() } else { 1 };
            let start = u32::try_from(start).unwrap_or(u32::MAX).min(FAR_START_MAX);
            Window::adaptive(config.window_start.max(start), config.window_max)
        };
        Self {
            far,
            profile,
            known: Bitfield::none(layout),
            gain: 0,
            want: 0,
            window,
            fetching: Vec::new(),
            paused_until: None,
            distrust: None,
            distrusts: 0,
            refusals: 0,
            heard: now,
            silent: None,
            thin: false,
            brought: 0,
            bad: 0,
            queued: 0,
            fetch_time: None,
            upload_time: None,
            least_time: None,
        }
    }

    /// Whether its copies count as copies in the swarm. A publisher's do not: otherwise two publishers that see one another
    /// would take everything for distributed. A local path serves nobody else, nor does who is silent.
    pub(super) const fn spreads(&self) -> bool {
        !self.profile.publisher && !self.profile.local && self.silent.is_none()
    }

    /// Whether what it holds counts as being where it is.
    pub(super) const fn is_relied_on(&self) -> bool {
        self.silent.is_none() && !self.thin
    }

    pub(super) fn outstanding(&self) -> u32 {
        u32::try_from(self.fetching.len()).unwrap_or(u32::MAX)
    }

    /// Whether it may be asked for something more.
    pub(super) fn has_room(&self) -> bool {
        let open = self.paused_until.is_none() && self.silent.is_none();
        open && self.outstanding() < self.window.size() && !self.is_stuck()
    }

    /// Whether it does not answer a request in the time that it usually needs.
    pub(super) fn is_stuck(&self) -> bool {
        self.fetching.iter().any(|f| !f.claims && !f.cancelled)
    }

    pub(super) fn fetching(&mut self, asked: ChunkId) -> Option<&mut Fetching> {
        self.fetching.iter_mut().find(|f| f.asked == asked)
    }

    /// Whether a request of ours to it names or expects `chunk`, so that another one would be confused with it.
    pub(super) fn is_busy_with(&self, chunk: ChunkId) -> bool {
        self.fetching.iter().any(|f| f.asked == chunk || f.chunk == chunk)
    }

    /// Bytes that it has allocated.
    pub(super) fn footprint(&self) -> usize {
        let claimed = self.distrust.as_ref().map_or(0, |distrust| distrust.claimed.footprint());
        self.known.footprint() + claimed + list(&self.fetching)
    }

    pub(super) fn pause(&mut self, until: Time) {
        self.paused_until = Some(self.paused_until.map_or(until, |paused| paused.max(until)));
    }
}

/// Moves a smoothed time an eighth of the way to a new sample, as RFC 9002 section 5.3 does for round trips.
pub(super) fn smooth(smoothed: &mut Option<Duration>, sample: Duration) {
    *smoothed = Some(smoothed.map_or(sample, |old| (7 * old + sample) / 8));
}
