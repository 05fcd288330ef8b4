//! Transfer: one request and its answer, as both ends see it, and what several of them brought of one chunk.
//!
//! Both ends end it on their own: the client when it has the chunk or gives up, the server when everything is acknowledged or
//! it learns of that. The record lives until both have.
//!
//! Invariant: a [`Key`] finds a transfer only while the record is that transfer's.
//!
//! Not here: links (`link`).

use std::collections::VecDeque;

use crate::chunk::ChunkId;
use crate::sim::queue::{Key, Verdict};
use crate::units::Time;

/// Where the server's end stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serving {
    /// The request has not arrived.
    Coming,
    Waiting,
    Sending,
    Ended,
}

#[derive(Clone, Debug)]
pub(super) struct Transfer {
    serial: u32,
    pub(super) connection: u32,
    /// The client's end of the connection; the other is the server's.
    pub(super) client: u8,
    pub(super) asked: ChunkId,
    pub(super) exact: bool,
    /// The packet runs that were asked for.
    pub(super) runs: Runs,
    /// What is sent, once that is decided.
    pub(super) chunk: ChunkId,
    pub(super) waiting: u32,
    pub(super) client_open: bool,
    /// The client has given up, and what still comes is thrown away.
    pub(super) cancelled: bool,
    /// Whether the client has taken in a packet run.
    pub(super) arriving: bool,
    pub(super) serving: Serving,
    /// Bytes of the chunk that have left the server.
    pub(super) left: u64,
    /// When the last few packet runs are acknowledged: the transport's window.
    pub(super) acknowledged: VecDeque<Time>,
}

/// Packet runs of a chunk, in the order in which they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Runs {
    /// A bit for each run; there are few (`link`).
    set: u64,
    from_end: bool,
}

impl Runs {
    /// All `count` of them, from the front.
    pub(super) const fn all(count: u32) -> Self {
        Self { set: u64::MAX >> (64 - count), from_end: false }
    }

    pub(super) const fn len(self) -> u32 {
        self.set.count_ones()
    }

    /// The run that is sent after `sent` others.
    pub(super) fn nth(self, sent: u32) -> u32 {
        let skip = if self.from_end { self.len() - 1 - sent } else { sent };
        let rest = (0..skip).fold(self.set, |set, _| set & (set - 1));
        rest.trailing_zeros()
    }
}

/// What came of a chunk that is not whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Assembly {
    came: u64,
    /// The connections that brought something.
    senders: Vec<u32>,
    bad: bool,
}

impl Assembly {
    /// What is missing of `count` runs.
    pub(super) const fn missing(&self, count: u32, from_end: bool) -> Runs {
        Runs { set: Runs::all(count).set & !self.came, from_end }
    }

    /// Takes in a run; the verdict, once all `count` are there.
    pub(super) fn add(&mut self, run: u32, sender: u32, bad: bool, count: u32) -> Option<Verdict> {
        if self.came >> run & 1 == 0 {
            self.came |= 1 << run;
            self.bad |= bad;
            if !self.senders.contains(&sender) {
                self.senders.push(sender);
            }
        }
        let verdict = match (self.bad, self.senders.len()) {
            (false, _) => Verdict::Good,
            (true, 1) => Verdict::Bad,
            (true, _) => Verdict::Mixed,
        };
        (self.came == Runs::all(count).set).then_some(verdict)
    }
}

/// All transfers that have not ended at both sides.
#[derive(Default)]
pub(super) struct Transfers {
    places: Vec<Transfer>,
    free: Vec<u32>,
    serial: u32,
}

impl Transfers {
    pub(super) fn begin(&mut self, connection: u32, client: u8, asked: ChunkId, exact: bool, runs: Runs) -> Key {
        self.serial += 1;
        let mut transfer = Transfer {
            serial: self.serial,
            connection,
            client,
            asked,
            exact,
            runs,
            chunk: asked,
            waiting: 0,
            client_open: true,
            cancelled: false,
            arriving: false,
            serving: Serving::Coming,
            left: 0,
            acknowledged: VecDeque::new(),
        };
        let place = match self.free.pop() {
            Some(place) => {
                // The old queue's memory is used again.
                std::mem::swap(&mut transfer.acknowledged, &mut self.places[place as usize].acknowledged);
                transfer.acknowledged.clear();
                self.places[place as usize] = transfer;
                place
            }
            None => {
                self.places.push(transfer);
                u32::try_from(self.places.len() - 1).expect("fewer transfers at a time than 2^32")
            }
        };
        Key { place, serial: self.serial }
    }

    pub(super) fn find(&mut self, key: Key) -> Option<&mut Transfer> {
        self.places.get_mut(key.place as usize).filter(|t| t.serial == key.serial)
    }

    pub(super) fn end_client(&mut self, key: Key) {
        if let Some(transfer) = self.find(key) {
            transfer.client_open = false;
            self.release(key);
        }
    }

    pub(super) fn end_server(&mut self, key: Key) {
        if let Some(transfer) = self.find(key) {
            transfer.serving = Serving::Ended;
            self.release(key);
        }
    }

    fn release(&mut self, key: Key) {
        let transfer = &mut self.places[key.place as usize];
        if !transfer.client_open && transfer.serving == Serving::Ended {
            transfer.serial = 0; // serial numbers begin at one
            self.free.push(key.place);
        }
    }
}
