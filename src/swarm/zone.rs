//! Zone: each chunk crosses the border of our zone about once.
//!
//! A link between two places is thinner than those within each, and whatever crosses it twice keeps something else from crossing. So
//! each chunk has an owner in each zone, who alone asks for it outside; all others take it inside. Nobody assigns owners: they follow from
//! who the members are (`members`), and where two know different members, a chunk crosses twice and no harm is done.
//!
//! It is a preference, never a wall. When nothing new comes into the zone, the first successor of each owner may ask as well, then the
//! second, and so on. The age of a chunk is no reason: behind a thin link most chunks wait for long, and then all successors would
//! ask for all of them. The same holds for a machine to which nothing comes that others inside are said to hold.
//!
//! Invariant: without a zone, or without sources in other zones, nothing here changes what is asked.
//!
//! Not here: the counts behind it (`border`), and whose request is served (`uploader`).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::chunk::ChunkId;
use crate::swarm::Swarm;
use crate::swarm::border::Levels;
use crate::swarm::event::{Member, Output, SourceId};
use crate::swarm::footprint::set;
use crate::swarm::members::Worth;
use crate::swarm::source::{Source, smooth};
use crate::units::Time;

/// The shortest time without news after which a successor steps in: longer than round trips around the world, and what a dead owner's
/// last chunks cost.
const STALL_MIN: Duration = Duration::from_secs(1);
/// The same in chunk times. A content whose chunks take long is slow and not stalled.
const STALL_CHUNKS: u32 = 16;
/// The same before anything has come, in times of the slowest chunk that is expected: all the first ones share a thin link, and come
/// together.
const FIRST_CHUNKS: u32 = 4;
/// Halvings of that time while one stall follows another: an owner that does not deliver leaves many chunks, and each burst of its
/// successors would end with another second of waiting.
const HASTE_MAX: u32 = 3;
/// Time without a stall, in usual waiting times, after which the next one is taken for the first again.
const CALM: u32 = 2;
/// Time for which news about members are gathered: a hundred messages a second, a tenth of what a neighbour admits, and the news is
/// through a zone of hundreds in a few of these.
const GATHERING: Duration = Duration::from_millis(10);
/// Rate in bytes per second below which nothing is expected to come before anything has been measured (`hedge`).
const SLOWEST_EXPECTED: u64 = 1 << 20;

/// Since when nothing came, and how often something does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    last: Time,
    /// What was counted then.
    count: u64,
    interval: Option<Duration>,
}

impl Pace {
    const fn new() -> Self {
        Self { last: Time::ZERO, count: 0, interval: None }
    }

    /// Takes in how much has come so far; whether it is more. What comes after a stall says nothing about chunk times.
    fn feel(&mut self, now: Time, count: u64, stalled: bool) -> bool {
        let more = count > self.count;
        if more {
            let each = now.since(self.last) / u32::try_from(count - self.count).unwrap_or(u32::MAX);
            if self.count > 0 && !stalled {
                smooth(&mut self.interval, each);
            }
            self.last = now;
        }
        self.count = count;
        more
    }

    /// The time without news that is one step.
    fn step(&self, guess: Duration) -> Duration {
        STALL_MIN.max(self.interval.map_or(FIRST_CHUNKS * guess, |interval| STALL_CHUNKS * interval))
    }
}

/// What the rule remembers.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// Chunks that come into the zone.
    zone: Pace,
    /// Chunks that come to us.
    own: Pace,
    /// Whether anything was offered when we looked last.
    offered: bool,
    haste: u32,
    /// When the last stall ended.
    stalled: Time,
    /// Members of whom there is something new to be told.
    news: BTreeSet<u64>,
    news_due: Option<Time>,
    /// When to see next who is thin, and how often that was seen.
    pub(super) look: Time,
    pub(super) looks: usize,
}

impl Watch {
    pub(super) const fn new() -> Self {
        Self {
            zone: Pace::new(),
            own: Pace::new(),
            offered: false,
            haste: 0,
            stalled: Time::ZERO,
            news: BTreeSet::new(),
            news_due: None,
            look: Time::ZERO,
            looks: 0,
        }
    }
}

impl Watch {
    /// Bytes that it has allocated.
    pub(super) fn footprint(&self) -> usize {
        set(&self.news)
    }
}

impl Swarm {
    /// Whether `source` may be asked for `chunk` as far as zones go.
    pub(super) fn may_cross(&self, source: &Source, chunk: ChunkId) -> bool {
        !source.far || self.board.border().is_none_or(|border| border.open().contains(chunk))
    }

    /// Takes in that a source came.
    pub(super) fn on_member_joined(&mut self, now: Time, id: SourceId) {
        let Some(far) = self.board.source(id).filter(|s| !s.profile.local).map(|s| s.far) else { return };
        let Some(border) = self.board.border_mut() else { return };
        if far {
            if let Some(ours) = border.members.set_reaches(true) {
                self.watch.news.insert(ours.id);
                // We begin to wait now.
                self.watch.zone.last = now;
                self.watch.own.last = now;
            }
        } else {
            let members = border.members.all();
            if !members.is_empty() {
                self.outputs.push_back(Output::Members { source: id, members });
            }
        }
    }

    /// Takes in that a source of this kind went.
    pub(super) fn on_member_left(&mut self, far: bool, member: u64) {
        let alone = !self.board.sources().values().any(|s| s.far);
        let Some(border) = self.board.border_mut() else { return };
        let said = match far {
            true if alone => border.members.set_reaches(false),
            true => None,
            false => border.members.leave(member),
        };
        if !far {
            border.refresh_members();
        }
        self.watch.news.extend(said.map(|member| member.id));
    }

    /// Takes in that a source may have come to be relied upon, or not to be.
    pub(super) fn on_member_relied(&mut self, id: SourceId) {
        let Some(source) = self.board.source(id).filter(|s| !s.far) else { return };
        let (member, relied_on) = (source.profile.order, source.is_relied_on());
        if let Some(border) = self.board.border_mut()
            && border.members.set_apart(member, !relied_on)
        {
            border.refresh_members();
        }
    }

    pub(super) fn on_members(&mut self, id: SourceId, said: &[Member]) {
        if self.board.source(id).is_none_or(|s| s.far || s.profile.local) {
            return; // other zones are none of our business
        }
        let Some(border) = self.board.border_mut() else { return };
        let (mut changed, mut better) = (false, Vec::new());
        for member in said {
            match border.members.learn(*member) {
                Worth::News => {
                    changed = true;
                    self.watch.news.insert(member.id);
                }
                Worth::Outdated(member) => better.push(member),
                Worth::Nothing => {}
            }
        }
        if changed {
            border.refresh_members();
        }
        if !better.is_empty() {
            self.outputs.push_back(Output::Members { source: id, members: better });
        }
    }

    /// Tells all sources of our zone what is new of its members, once enough may have gathered.
    fn tell_members(&mut self, now: Time) {
        if self.watch.news.is_empty() {
            return;
        }
        if now < *self.watch.news_due.get_or_insert(now + GATHERING) {
            return;
        }
        self.watch.news_due = None;
        let news = std::mem::take(&mut self.watch.news);
        let Some(border) = self.board.border() else { return };
        let members: Vec<Member> = news.into_iter().filter_map(|id| border.members.of(id)).collect();
        for (id, _) in self.board.sources().iter().filter(|(_, s)| !s.far && !s.profile.local) {
            self.outputs.push_back(Output::Members { source: *id, members: members.clone() });
        }
    }

    /// Sees whether something new came into the zone and to us, and how far we stand in for others.
    pub(super) fn mind_zone(&mut self, now: Time) {
        self.tell_members(now);
        let held = u64::from(self.board.have().len());
        let Some(border) = self.board.border() else { return };
        let (offered, entered, levels) = (border.offered() > 0, border.entered(), border.levels());
        let guess = self.slowest_chunk();
        let watch = &mut self.watch;
        if watch.zone.feel(now, entered, levels.zone > 0) {
            if levels.zone > 0 {
                watch.haste = (watch.haste + 1).min(HASTE_MAX);
                watch.stalled = now;
            } else if now.since(watch.stalled) > CALM * watch.zone.step(guess) {
                watch.haste = 0;
            }
        } else if offered && !watch.offered {
            watch.zone.last = now; // there was nothing to bring in until now
        }
        watch.offered = offered;
        watch.own.feel(now, held, levels.own > 0);
        let levels = self.levels_at(now);
        if let Some(border) = self.board.border_mut() {
            border.set_levels(levels);
        }
    }

    /// When there is something to be told or a successor steps in.
    pub(super) fn next_zone(&self) -> Option<Time> {
        self.watch.news_due.into_iter().chain(self.next_successor()).chain(self.next_look()).min()
    }

    /// When a successor steps in next, if nothing comes until then.
    fn next_successor(&self) -> Option<Time> {
        let levels = self.board.border()?.levels();
        let (zone, own) = self.steps()?;
        let most = self.levels_most();
        let next = |pace: &Pace, step: Option<Duration>, level: u16, most: u16| {
            step.filter(|_| level < most).map(|step| pace.last + step * (u32::from(level) + 1))
        };
        let zone = next(&self.watch.zone, zone, levels.zone, most.zone);
        zone.into_iter().chain(next(&self.watch.own, own, levels.own, most.own)).min()
    }

    fn levels_at(&self, now: Time) -> Levels {
        let Some((zone, own)) = self.steps() else { return Levels::default() };
        let most = self.levels_most();
        let level = |pace: &Pace, step: Option<Duration>, most: u16| {
            let steps = step.map_or(0, |step| now.since(pace.last).as_nanos() / step.as_nanos().max(1));
            u16::try_from(steps).unwrap_or(u16::MAX).min(most)
        };
        Levels { zone: level(&self.watch.zone, zone, most.zone), own: level(&self.watch.own, own, most.own) }
    }

    /// The times without news that count, while there is something to be brought in and we can.
    fn steps(&self) -> Option<(Option<Duration>, Option<Duration>)> {
        let border = self.board.border().filter(|_| !self.complete)?;
        let wanted = self.board.sources().values().any(|s| s.far && s.want > 0);
        let guess = self.slowest_chunk();
        let zone = (border.offered() > 0).then(|| self.watch.zone.step(guess) / (1 << self.watch.haste));
        let own = wanted.then(|| self.watch.own.step(guess));
        Some((zone, own))
    }

    fn levels_most(&self) -> Levels {
        let members = self.board.border().map_or(0, |border| border.members.count());
        Levels { zone: members, own: members.saturating_add(1) }
    }

    /// The time that a chunk takes at the least rate that is expected of anything.
    fn slowest_chunk(&self) -> Duration {
        Duration::from_millis(1000 * self.board.layout().chunk_size() / SLOWEST_EXPECTED)
    }
}
