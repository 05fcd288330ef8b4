//! Parse: from lines to values, each checked against what stands before it.
//!
//! A trace comes from a disk that may have been full, or from somebody who edited it; the machine asserts what its owner promises.
//! So the promises that it could stumble over are looked at here.
//!
//! Invariant: chunks are of the layout, time does not go backwards, and nobody joins twice; every fault names its line.
//!
//! Not here: whether the inputs make sense beyond that; the machine takes any others.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Beginning, Header, Line, VERSION};
use crate::bitfield::Bitfield;
use crate::chunk::{ChunkId, Layout};
use crate::swarm::{Config, Input, Output, SourceId};
use crate::units::Time;

/// A line that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct TraceError {
    /// Which one; the first is 1.
    pub line: usize,
    /// Why.
    pub fault: Fault,
}

/// Why a line cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No JSON, or neither an array nor an object.
    #[error("this is no line of a trace: {0}")]
    Json(String),
    /// Something stands before the first header.
    #[error("a trace begins with its header; is this a file of strew --trace?")]
    NoHeader,
    /// A header of another format.
    #[error("trace format {0}, this strew knows {VERSION}; replay it with the version that wrote it")]
    Version(u64),
    /// A header that cannot be used.
    #[error("the header cannot be used: {0}")]
    Header(String),
    /// The name of a source that cannot be used.
    #[error("a source cannot be used: {0}")]
    Named(String),
    /// A kind of record that is not known.
    #[error("there is no record {0:?}; another version of strew may have written it")]
    Kind(String),
    /// A column that is missing or is something else.
    #[error("column {0} is missing or is not what it should be")]
    Column(&'static str),
    /// More columns than the record has.
    #[error("there are more columns than {0:?} has")]
    Columns(String),
    /// A chunk that the content does not have.
    #[error("chunk {0} is beyond the last")]
    Chunk(u32),
    /// A moment before that of the line above.
    #[error("its time is before that of the line above")]
    Backwards,
    /// Somebody joins who is there.
    #[error("source {0} joins although it is here")]
    Twice(u32),
}

/// Reads a trace line by line.
#[derive(Debug, Default)]
pub struct Parser {
    line: usize,
    layout: Option<Layout>,
    here: BTreeSet<SourceId>,
    now: Time,
}

impl Parser {
    /// Lines read so far.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// Reads the next line, without its newline.
    ///
    /// # Errors
    /// [`TraceError`] when it cannot be used.
    pub fn read(&mut self, text: &[u8]) -> Result<Line, TraceError> {
        self.line += 1;
        self.read_line(text).map_err(|fault| TraceError { line: self.line, fault })
    }

    fn read_line(&mut self, text: &[u8]) -> Result<Line, Fault> {
        match serde_json::from_slice(text) {
            Ok(Value::Object(fields)) if fields.contains_key("trace") => self.begin(fields.into()),
            Ok(Value::Object(_)) if self.layout.is_none() => Err(Fault::NoHeader),
            Ok(Value::Object(fields)) => {
                serde_json::from_value(fields.into()).map(Line::Named).map_err(|error| Fault::Named(error.to_string()))
            }
            Ok(Value::Array(columns)) => self.record(columns),
            Ok(_) => Err(Fault::Json("neither an array nor an object".into())),
            Err(error) => Err(Fault::Json(error.to_string())),
        }
    }

    fn begin(&mut self, fields: Value) -> Result<Line, Fault> {
        match fields["trace"].as_u64() {
            Some(version) if version == u64::from(VERSION) => {}
            other => return Err(Fault::Version(other.unwrap_or(0))),
        }
        let raw: Fields = serde_json::from_value(fields).map_err(|error| Fault::Header(error.to_string()))?;
        let layout = Layout::new(raw.total, raw.chunk_size).map_err(|error| Fault::Header(error.to_string()))?;
        let have = parse_set(layout, &raw.have).ok_or(Fault::Column("have"))?;
        let begun = Time::from_nanos(raw.begun);
        *self = Self { line: self.line, layout: Some(layout), here: BTreeSet::new(), now: begun };
        Ok(Line::Begin(Box::new(Header {
            strew: raw.strew,
            wall: raw.wall,
            begun,
            peer: raw.peer,
            listen: raw.listen,
            zone: raw.zone,
            content: raw.content,
            beginning: Beginning { layout, have, config: raw.config, seed: raw.seed },
        })))
    }

    fn record(&mut self, columns: Vec<Value>) -> Result<Line, Fault> {
        let layout = self.layout.ok_or(Fault::NoHeader)?;
        let mut columns = Columns { values: columns.into_iter(), layout };
        let now = Time::from_nanos(columns.next("time")?);
        if now < self.now {
            return Err(Fault::Backwards);
        }
        self.now = now;
        let kind: String = columns.next("kind")?;
        let line = match columns.input(&kind)? {
            Some(input) => Line::Input(now, input),
            None => Line::Output(now, columns.output(&kind)?.ok_or_else(|| Fault::Kind(kind.clone()))?),
        };
        if columns.values.next().is_some() {
            return Err(Fault::Columns(kind));
        }
        match &line {
            Line::Input(_, Input::Joined { source, .. }) if !self.here.insert(*source) => Err(Fault::Twice(source.0)),
            Line::Input(_, Input::Left { source }) => {
                self.here.remove(source);
                Ok(line)
            }
            _ => Ok(line),
        }
    }
}

/// The fields of a header as they are read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(rename = "trace")]
    _version: u32,
    strew: String,
    wall: u64,
    begun: u64,
    peer: String,
    listen: String,
    zone: String,
    content: String,
    total: u64,
    chunk_size: u64,
    have: String,
    config: Config,
    seed: u64,
}

/// The columns of a record that are not read yet.
struct Columns {
    values: std::vec::IntoIter<Value>,
    layout: Layout,
}

impl Columns {
    /// The input of this kind; `None` when there is none.
    fn input(&mut self, kind: &str) -> Result<Option<Input>, Fault> {
        Ok(Some(match kind {
            "joined" => Input::Joined { source: self.next("source")?, profile: self.next("profile")? },
            "left" => Input::Left { source: self.next("source")? },
            "holds" => Input::Holds { source: self.next("source")?, chunks: self.set()? },
            "haves" => Input::Haves { source: self.next("source")?, chunks: self.chunks()? },
            "members" => Input::Members { source: self.next("source")?, members: self.next("members")? },
            "requested" => Input::Requested {
                source: self.next("source")?,
                request: self.next("request")?,
                chunk: self.chunk("chunk")?,
                exact: self.next("exact")?,
            },
            "withdrawn" => Input::Withdrawn { request: self.next("request")? },
            "written" => Input::Written { request: self.next("request")? },
            "sent" => Input::Sent { request: self.next("request")?, outcome: self.next("outcome")? },
            "arriving" => Input::Arriving {
                source: self.next("source")?,
                asked: self.chunk("asked")?,
                chunk: self.chunk("chunk")?,
            },
            "fetched" => Input::Fetched {
                source: self.next("source")?,
                asked: self.chunk("asked")?,
                chunk: self.chunk("chunk")?,
                waiting: self.next("waiting")?,
            },
            "refused" => Input::Refused { source: self.next("source")?, asked: self.chunk("asked")? },
            "verified" => Input::Verified { source: self.next("source")?, chunk: self.chunk("chunk")? },
            "corrupt" => Input::Corrupt { source: self.next("source")?, chunk: self.chunk("chunk")? },
            "mixed" => Input::Mixed { chunk: self.chunk("chunk")? },
            "lost" => Input::Lost { chunk: self.chunk("chunk")? },
            "withheld" => Input::Withheld { chunks: self.set()? },
            "released" => Input::Released { chunk: self.chunk("chunk")? },
            "tick" => Input::Tick,
            _ => return Ok(None),
        }))
    }

    /// The output of this kind; `None` when there is none.
    fn output(&mut self, kind: &str) -> Result<Option<Output>, Fault> {
        Ok(Some(match kind {
            "fetch" => Output::Fetch {
                source: self.next("source")?,
                chunk: self.chunk("chunk")?,
                part: self.next("part")?,
                exact: self.next("exact")?,
            },
            "cancel" => Output::Cancel { source: self.next("source")?, asked: self.chunk("asked")? },
            "send" => Output::Send {
                request: self.next("request")?,
                chunk: self.chunk("chunk")?,
                waiting: self.next("waiting")?,
            },
            "reject" => Output::Reject { request: self.next("request")? },
            "announce" => Output::Announce { chunks: self.chunks()? },
            "tell_members" => Output::Members { source: self.next("source")?, members: self.next("members")? },
            "blame" => Output::Blame { source: self.next("source")?, chunk: self.chunk("chunk")? },
            "ban" => Output::Ban { source: self.next("source")? },
            "complete" => Output::Complete,
            _ => return Ok(None),
        }))
    }

    fn next<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<T, Fault> {
        let value = self.values.next().ok_or(Fault::Column(name))?;
        serde_json::from_value(value).map_err(|_| Fault::Column(name))
    }

    fn chunk(&mut self, name: &'static str) -> Result<ChunkId, Fault> {
        let index = self.next(name)?;
        self.layout.chunk(index).ok_or(Fault::Chunk(index))
    }

    fn chunks(&mut self) -> Result<Vec<ChunkId>, Fault> {
        let indices: Vec<u32> = self.next("chunks")?;
        indices.into_iter().map(|index| self.layout.chunk(index).ok_or(Fault::Chunk(index))).collect()
    }

    fn set(&mut self) -> Result<Bitfield, Fault> {
        let text: String = self.next("set")?;
        parse_set(self.layout, &text).ok_or(Fault::Column("set"))
    }
}

fn parse_set(layout: Layout, text: &str) -> Option<Bitfield> {
    Bitfield::from_bytes(layout, &HEXLOWER.decode(text.as_bytes()).ok()?).ok()
}
