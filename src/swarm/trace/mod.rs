//! Trace: what a swarm was told and what it asked for, as lines of text from which the same run happens again.
//!
//! The machine is a function of its [`Beginning`] and its inputs, so these are enough to repeat a run of real machines in the simulator
//! and to ask it anything. The outputs are there too: they show when they were carried out, and that the repeated run is the same.
//!
//! Lines of JSON and no binary form, since any tool can read them and they are cheap enough: fetching 4096 chunks from one source took
//! 1.00 s of processor time with a trace and 0.97 s without (medians of three, 256 MiB, development build), a difference within the
//! spread. A record is an array and names no columns, as the names would be half of the file; `docs/trace.md` names them.
//!
//! Invariant: what is written is read again as the same value, and nothing is read that does not fit the layout of its header.
//!
//! Not here: files (`node`), repeating and looking at a run (`sim`).

mod parse;
#[cfg(test)]
mod tests;
mod write;

pub use parse::{Fault, Parser, TraceError};
pub use write::{write_header, write_input, write_named, write_output};

use serde::{Deserialize, Serialize};

use crate::bitfield::Bitfield;
use crate::chunk::Layout;
use crate::swarm::{Config, Input, Output, SourceId, Swarm};
use crate::units::Time;

/// The version of the format: it changes when a column or a field does.
pub const VERSION: u32 = 1;

/// What a machine is made of. Equal ones give equal outputs to equal inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// How the content is cut.
    pub layout: Layout,
    /// What was here at the beginning.
    pub have: Bitfield,
    /// The knobs.
    pub config: Config,
    /// What its chance comes from.
    pub seed: u64,
}

impl Beginning {
    /// The machine.
    ///
    /// # Panics
    /// When `have` is a set of another layout.
    #[must_use]
    pub fn swarm(&self) -> Swarm {
        Swarm::new(self.layout, self.have.clone(), self.config.clone(), self.seed)
    }
}

/// Who ran a machine, and from when on: the line with which its records begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version of strew that wrote it; another one may decide otherwise.
    pub strew: String,
    /// What a wall clock showed when the clock of the records was zero, in nanoseconds since 1970. This is what makes traces of several
    /// machines comparable, as far as their clocks agree.
    pub wall: u64,
    /// When the content began.
    pub begun: Time,
    /// The node, as its neighbours know it.
    pub peer: String,
    /// Where it listens.
    pub listen: String,
    /// Its zone; empty when it has none.
    pub zone: String,
    /// What is replicated.
    pub content: String,
    /// What the machine is made of.
    pub beginning: Beginning,
}

/// Who is behind the number of a source. Stands before its `Joined`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The number.
    pub source: SourceId,
    /// Where it listens, or `local` for a path on this machine.
    pub address: String,
    /// The peer that it is in this run; empty for a path.
    pub peer: String,
    /// Its zone; empty when it told none.
    pub zone: String,
    /// Whether it publishes.
    pub publisher: bool,
}

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A machine begins; what follows is about it.
    Begin(Box<Header>),
    /// Who a source is.
    Named(Named),
    /// Something was told to the machine.
    Input(Time, Input),
    /// Something that the machine asked for was begun.
    Output(Time, Output),
}
