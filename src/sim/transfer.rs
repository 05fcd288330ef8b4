//! Transfer: one request and its answer, as both ends see it.
//!
//! Both ends end it on their own: the client when it has the chunk or gives up, the server when everything is acknowledged or
//! it learns of that. The record lives until both have.
//!
//! Invariant: a [`Key`] finds a transfer only while the record is that transfer's.
//!
//! Not here: links (`link`).

use std::collections::VecDeque;

use crate::chunk::ChunkId;
use crate::sim::queue::Key;
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
    /// What is sent, once that is decided.
    pub(super) chunk: ChunkId,
    pub(super) waiting: u32,
    pub(super) client_open: bool,
    pub(super) serving: Serving,
    /// Bytes of the chunk that have left the server.
    pub(super) left: u64,
    /// When the last few packet runs are acknowledged: the transport's window.
    pub(super) acknowledged: VecDeque<Time>,
}

/// All transfers that have not ended at both sides.
#[derive(Default)]
pub(super) struct Transfers {
    places: Vec<Transfer>,
    free: Vec<u32>,
    serial: u32,
}

impl Transfers {
    pub(super) fn begin(&mut self, connection: u32, client: u8, asked: ChunkId, exact: bool) -> Key {
        self.serial += 1;
        let mut transfer = Transfer {
            serial: self.serial,
            connection,
            client,
            asked,
            exact,
            chunk: asked,
            waiting: 0,
            client_open: true,
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
