//! Record: what single machines of a run were told, to be told to the same machines once more, alone.
//!
//! In a run thousands of machines share one processor's caches, and most of the time goes into links and queues. What a decision costs a
//! real node shows when one machine is told the same things again with nothing else around; with what clock that is measured is up to
//! whoever repeats it.
//!
//! Invariant: a repeated machine ends as it ended in the run; a machine that died and came back is recorded from its last beginning on.
//!
//! Not here: traces of real nodes (`replay`), whose inputs come from a file.

use std::hint::black_box;

use crate::sim::world::World;
use crate::swarm::trace::Beginning;
use crate::swarm::{Input, Swarm};
use crate::units::{Bytes, Time};

/// What one machine was told, from its beginning to the end of the run.
#[derive(Clone, Debug)]
pub struct Recording {
    beginning: Beginning,
    inputs: Vec<(Time, Input)>,
}

impl Recording {
    /// Number of inputs.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// Tells it all to a new machine, and asks it what to do and when to go on after each input, as an owner does. Takes the recording, so
    /// that nothing has to be copied meanwhile.
    #[must_use]
    pub fn repeat(self) -> Swarm {
        self.repeat_with(|_| {})
    }

    /// The most bytes that the machine occupied after an input.
    #[must_use]
    pub fn peak(self) -> Bytes {
        let mut most = Bytes(0);
        self.repeat_with(|swarm| most = most.max(swarm.footprint()));
        most
    }

    /// The most sources that it had at a time: what the work for an input grows with.
    #[must_use]
    pub fn neighbours(self) -> usize {
        let mut most = 0;
        self.repeat_with(|swarm| most = most.max(swarm.sources().count()));
        most
    }

    fn repeat_with(self, mut look: impl FnMut(&Swarm)) -> Swarm {
        let mut swarm = self.beginning.swarm();
        for (now, input) in self.inputs {
            swarm.handle(now, input);
            look(&swarm);
            while let Some(output) = swarm.poll() {
                black_box(output);
            }
            black_box(swarm.deadline());
        }
        swarm
    }
}

impl World<'_> {
    /// A new machine; one that is to be recorded is so from now on.
    pub(super) fn begin_machine(&mut self, host: usize, beginning: Beginning) -> Swarm {
        let swarm = beginning.swarm();
        if self.recorded.contains(&host) {
            self.recordings.insert(host, Recording { beginning, inputs: Vec::new() });
        }
        swarm
    }

    /// Takes down what `host` is told.
    pub(super) fn note_input(&mut self, host: usize, input: &Input) {
        if let Some(recording) = self.recordings.get_mut(&host) {
            recording.inputs.push((self.queue.now(), input.clone()));
        }
    }
}
