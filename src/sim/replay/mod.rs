//! Replay: repeats what a node's swarm did, from its trace, and finds out where the time went.
//!
//! The inputs of the trace go into the very machine that took them in the node. Its outputs must be those of the trace, or what is
//! simulated is not what ran. What they show is gathered on the way by one observer for each question.
//!
//! Invariant: equal traces give equal findings; the figures need only the records, so they go on where the machines have parted,
//! except that windows are known to the machine alone.
//!
//! Not here: reading files (`examples/simulate.rs`), the form of a line (`swarm::trace`).

mod fleet;
mod progress;
mod requests;
mod sources;
mod spans;
#[cfg(test)]
mod tests;
mod text;
mod uplink;
mod windows;

pub use fleet::{have_delay, summary};
pub use progress::Progress;
pub use requests::Requests;
pub use sources::{Neighbour, Sources};
pub use spans::Spans;
pub use uplink::Uplink;
pub use windows::Windows;

use crate::chunk::ChunkId;
use crate::swarm::trace::{Header, Line, Parser, TraceError};
use crate::swarm::{Input, Output, SourceId, Swarm};
use crate::units::Time;

/// What a trace shows.
#[derive(Debug)]
pub struct Replayed {
    /// One for each content that the node took part in, in order.
    pub runs: Vec<Run>,
    /// Whether the last line was cut off, as a full disk or a kill leaves it. It does not count.
    pub cut: bool,
}

/// Where the machine and the trace part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The line of the trace.
    pub line: usize,
    /// What the node carried out there.
    pub recorded: Output,
    /// What the machine asks for here.
    pub repeated: Option<Output>,
}

/// One run of one machine.
#[derive(Debug)]
pub struct Run {
    /// Who ran it.
    pub header: Header,
    /// Inputs of the trace.
    pub inputs: u64,
    /// Outputs of the trace that the repeated machine asked for too.
    pub outputs: u64,
    /// Outputs that the machine asked for at the end and the node did not begin: whoever leaves carries out nothing more.
    pub left_over: usize,
    /// The first difference; nothing after it is compared.
    pub difference: Option<Difference>,
    /// The moment of the last record.
    pub end: Time,
    /// When what was there.
    pub progress: Progress,
    /// Our requests.
    pub requests: Requests,
    /// Whom they went to.
    pub sources: Sources,
    /// What others asked of us.
    pub uplink: Uplink,
    /// How many chunks were asked of a source at a time.
    pub windows: Windows,
    /// When which chunk was announced.
    pub announced: Vec<(Time, ChunkId)>,
    /// When which source said in a have that it holds which chunk.
    pub heard: Vec<(Time, SourceId, ChunkId)>,
    /// `None` after the first difference.
    machine: Option<Swarm>,
}

/// Repeats every run of a trace.
///
/// # Errors
/// [`TraceError`] names the first line that cannot be used; a last line without its newline is left out.
pub fn replay(trace: &[u8]) -> Result<Replayed, TraceError> {
    let (mut parser, mut runs, mut cut) = (Parser::default(), Vec::<Run>::new(), false);
    for line in trace.split_inclusive(|byte| *byte == b'\n') {
        let Some(line) = line.strip_suffix(b"\n") else {
            cut = true;
            break;
        };
        match (parser.read(line)?, runs.last_mut()) {
            (Line::Begin(header), _) => runs.push(Run::new(*header)),
            (Line::Named(named), Some(run)) => run.sources.name(named),
            (Line::Input(now, input), Some(run)) => run.on_input(now, input),
            (Line::Output(now, output), Some(run)) => run.on_output(parser.line(), now, output),
            // The parser refuses what stands before a header.
            (_, None) => {}
        }
    }
    runs.iter_mut().for_each(Run::close);
    Ok(Replayed { runs, cut })
}

impl Run {
    fn new(header: Header) -> Self {
        let beginning = &header.beginning;
        Self {
            inputs: 0,
            outputs: 0,
            left_over: 0,
            difference: None,
            end: header.begun,
            progress: Progress::new(&beginning.have, header.begun),
            requests: Requests::new(&beginning.have),
            sources: Sources::new(&beginning.have, header.begun),
            uplink: Uplink::new(beginning.layout),
            windows: Windows::default(),
            announced: Vec::new(),
            heard: Vec::new(),
            machine: Some(beginning.swarm()),
            header,
        }
    }

    /// Whether the repeated machine did what the node did.
    #[must_use]
    pub const fn is_equal(&self) -> bool {
        self.difference.is_none()
    }

    fn on_input(&mut self, now: Time, input: Input) {
        self.inputs += 1;
        self.end = now;
        self.progress.on_input(now, &input);
        self.requests.on_input(now, &input);
        self.sources.on_input(now, &input);
        self.uplink.on_input(now, &input);
        // A bitfield is not news: it says what was announced to others long ago.
        if let Input::Haves { source, chunks } = &input {
            self.heard.extend(chunks.iter().map(|chunk| (now, *source, *chunk)));
        }
        let fetched_from = match &input {
            Input::Fetched { source, .. } => Some(*source),
            _ => None,
        };
        let Some(machine) = &mut self.machine else { return };
        machine.handle(now, input);
        if let Some(from) = fetched_from
            && let Some(source) = machine.sources().find(|source| source.id == from && !source.profile.local)
        {
            self.windows.add(now, source.window);
        }
    }

    fn on_output(&mut self, line: usize, now: Time, output: Output) {
        self.end = now;
        self.progress.on_output(now, &output);
        self.requests.on_output(now, &output);
        self.sources.on_output(now, &output);
        self.uplink.on_output(now, &output);
        if let Output::Announce { chunks } = &output {
            self.announced.extend(chunks.iter().map(|chunk| (now, *chunk)));
        }
        let Some(machine) = &mut self.machine else { return };
        let repeated = machine.poll();
        if repeated.as_ref() == Some(&output) {
            self.outputs += 1;
        } else {
            self.difference = Some(Difference { line, recorded: output, repeated });
            self.machine = None;
        }
    }

    fn close(&mut self) {
        self.sources.advance(self.end);
        self.uplink.advance(self.end);
        while self.machine.as_mut().is_some_and(|machine| machine.poll().is_some()) {
            self.left_over += 1;
        }
    }
}
