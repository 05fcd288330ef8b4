//! Write: from values to lines.
//!
//! Appends to a buffer that its caller passes on when it likes, so that nothing here waits.
//!
//! Invariant: every line is whole and ends with a newline, so a file that is cut anywhere lacks at most its last line.
//!
//! Not here: reading (`parse`), which has an arm for each arm here.

use data_encoding::HEXLOWER;
use serde::Serialize;

use super::{Header, Named, VERSION};
use crate::bitfield::Bitfield;
use crate::swarm::{Config, Input, Output};
use crate::units::Time;

/// The fields of a [`Header`] as they are written.
#[derive(Serialize)]
struct Fields<'a> {
    trace: u32,
    strew: &'a str,
    wall: u64,
    begun: u64,
    peer: &'a str,
    listen: &'a str,
    zone: &'a str,
    content: &'a str,
    total: u64,
    chunk_size: u64,
    have: String,
    config: &'a Config,
    seed: u64,
}

/// Appends the line with which a machine begins.
pub fn write_header(lines: &mut Vec<u8>, header: &Header) {
    let beginning = &header.beginning;
    let fields = Fields {
        trace: VERSION,
        strew: &header.strew,
        wall: header.wall,
        begun: header.begun.as_nanos(),
        peer: &header.peer,
        listen: &header.listen,
        zone: &header.zone,
        content: &header.content,
        total: beginning.layout.total(),
        chunk_size: beginning.layout.chunk_size(),
        have: hex(&beginning.have),
        config: &beginning.config,
        seed: beginning.seed,
    };
    write(lines, &fields);
}

/// Appends the line that says who a source is.
pub fn write_named(lines: &mut Vec<u8>, named: &Named) {
    write(lines, named);
}

/// Appends the line of an input.
pub fn write_input(lines: &mut Vec<u8>, now: Time, input: &Input) {
    let t = now.as_nanos();
    match input {
        Input::Joined { source, profile } => write(lines, &(t, "joined", source, profile)),
        Input::Left { source } => write(lines, &(t, "left", source)),
        Input::Holds { source, chunks } => write(lines, &(t, "holds", source, hex(chunks))),
        Input::Haves { source, chunks } => write(lines, &(t, "haves", source, chunks)),
        Input::Members { source, members } => write(lines, &(t, "members", source, members)),
        Input::Requested { source, request, chunk, exact } => {
            write(lines, &(t, "requested", source, request, chunk, exact));
        }
        Input::Withdrawn { request } => write(lines, &(t, "withdrawn", request)),
        Input::Written { request } => write(lines, &(t, "written", request)),
        Input::Sent { request, outcome } => write(lines, &(t, "sent", request, outcome)),
        Input::Arriving { source, asked, chunk } => write(lines, &(t, "arriving", source, asked, chunk)),
        Input::Fetched { source, asked, chunk, waiting } => {
            write(lines, &(t, "fetched", source, asked, chunk, waiting));
        }
        Input::Refused { source, asked } => write(lines, &(t, "refused", source, asked)),
        Input::Verified { source, chunk } => write(lines, &(t, "verified", source, chunk)),
        Input::Corrupt { source, chunk } => write(lines, &(t, "corrupt", source, chunk)),
        Input::Mixed { chunk } => write(lines, &(t, "mixed", chunk)),
        Input::Lost { chunk } => write(lines, &(t, "lost", chunk)),
        Input::Withheld { chunks } => write(lines, &(t, "withheld", hex(chunks))),
        Input::Released { chunk } => write(lines, &(t, "released", chunk)),
        Input::Tick => write(lines, &(t, "tick")),
    }
}

/// Appends the line of an output.
pub fn write_output(lines: &mut Vec<u8>, now: Time, output: &Output) {
    let t = now.as_nanos();
    match output {
        Output::Fetch { source, chunk, part, exact } => write(lines, &(t, "fetch", source, chunk, part, exact)),
        Output::Cancel { source, asked } => write(lines, &(t, "cancel", source, asked)),
        Output::Send { request, chunk, waiting } => write(lines, &(t, "send", request, chunk, waiting)),
        Output::Reject { request } => write(lines, &(t, "reject", request)),
        Output::Announce { chunks } => write(lines, &(t, "announce", chunks)),
        Output::Members { source, members } => write(lines, &(t, "tell_members", source, members)),
        Output::Blame { source, chunk } => write(lines, &(t, "blame", source, chunk)),
        Output::Ban { source } => write(lines, &(t, "ban", source)),
        Output::Complete => write(lines, &(t, "complete")),
    }
}

fn hex(set: &Bitfield) -> String {
    HEXLOWER.encode(&set.to_bytes())
}

fn write(lines: &mut Vec<u8>, line: &impl Serialize) {
    serde_json::to_writer(&mut *lines, line).expect("memory takes every byte, and every key is text");
    lines.push(b'\n');
}
