use proptest::prelude::*;

use super::*;
use crate::chunk::ChunkId;
use crate::swarm::{Member, Outcome, Part, Profile, RequestId, Zone};

fn layout() -> Layout {
    Layout::new(70 * 1024, 1024).unwrap()
}

fn chunk(index: u32) -> ChunkId {
    layout().chunk(index).unwrap()
}

fn header() -> Header {
    let mut have = Bitfield::none(layout());
    have.insert(chunk(69));
    Header {
        strew: "1.2.3".into(),
        wall: u64::MAX,
        begun: Time::from_nanos(5),
        peer: "00ff".into(),
        listen: "[::]:10090".into(),
        zone: "\"east\"\n".into(),
        content: "5f1d0c".into(),
        beginning: Beginning { layout: layout(), have, config: Config::default(), seed: u64::MAX },
    }
}

/// One of each, with numbers at their ends.
fn inputs() -> Vec<Input> {
    let (source, request, all) = (SourceId(u32::MAX), RequestId(u64::MAX), Bitfield::all(layout()));
    let profile = Profile { publisher: true, local: false, order: u64::MAX, zone: Zone(7) };
    vec![
        Input::Joined { source, profile },
        Input::Left { source },
        Input::Holds { source, chunks: all.clone() },
        Input::Haves { source, chunks: vec![] },
        Input::Haves { source, chunks: vec![chunk(0), chunk(69)] },
        Input::Members { source, members: vec![Member { id: 9, stamp: 2, reaches: true }] },
        Input::Requested { source, request, chunk: chunk(69), exact: true },
        Input::Withdrawn { request },
        Input::Written { request },
        Input::Sent { request, outcome: Outcome::Delivered },
        Input::Sent { request, outcome: Outcome::Aborted },
        Input::Arriving { source, asked: chunk(1), chunk: chunk(2) },
        Input::Fetched { source, asked: chunk(1), chunk: chunk(2), waiting: 3 },
        Input::Refused { source, asked: chunk(1) },
        Input::Verified { source, chunk: chunk(2) },
        Input::Corrupt { source, chunk: chunk(2) },
        Input::Mixed { chunk: chunk(2) },
        Input::Lost { chunk: chunk(2) },
        Input::Withheld { chunks: Bitfield::none(layout()) },
        Input::Released { chunk: chunk(2) },
        Input::Tick,
    ]
}

fn outputs() -> Vec<Output> {
    let (source, request) = (SourceId(0), RequestId(0));
    let mut outputs = vec![
        Output::Cancel { source, asked: chunk(1) },
        Output::Send { request, chunk: chunk(1), waiting: u32::MAX },
        Output::Reject { request },
        Output::Announce { chunks: vec![chunk(3), chunk(4)] },
        Output::Members { source, members: vec![Member { id: u64::MAX, stamp: 0, reaches: false }] },
        Output::Blame { source, chunk: chunk(1) },
        Output::Ban { source },
        Output::Complete,
    ];
    let parts = [Part::Rest, Part::RestFromEnd, Part::Alone];
    outputs.extend(parts.map(|part| Output::Fetch { source, chunk: chunk(1), part, exact: false }));
    outputs
}

/// The header's line, and a parser that has read it.
fn begun() -> (Vec<u8>, Parser) {
    let (mut lines, mut parser) = (Vec::new(), Parser::default());
    write_header(&mut lines, &header());
    assert_eq!(parser.read(lines.strip_suffix(b"\n").unwrap()), Ok(Line::Begin(Box::new(header()))));
    (lines, parser)
}

/// What is wrong with a second line.
fn fault(line: &str) -> TraceError {
    begun().1.read(line.as_bytes()).expect_err(line)
}

#[test]
fn every_record_is_read_as_it_was_written() {
    let (_, mut parser) = begun();
    let now = Time::from_nanos(1 << 60);
    for input in inputs() {
        let mut line = Vec::new();
        write_input(&mut line, now, &input);
        assert_eq!(parser.read(&line), Ok(Line::Input(now, input)));
    }
    for output in outputs() {
        let mut line = Vec::new();
        write_output(&mut line, now, &output);
        assert_eq!(parser.read(&line), Ok(Line::Output(now, output)));
    }
    let (source, zone) = (SourceId(3), "east".to_owned());
    let named = Named { source, address: "[::1]:7".into(), peer: "0a".into(), zone, publisher: true };
    let mut line = Vec::new();
    write_named(&mut line, &named);
    assert_eq!(parser.read(&line), Ok(Line::Named(named)));
}

#[test]
fn a_record_is_an_array_of_time_kind_and_columns() {
    let mut lines = Vec::new();
    write_input(&mut lines, Time::from_nanos(7), &inputs()[12]);
    write_input(&mut lines, Time::from_nanos(8), &Input::Tick);
    write_output(&mut lines, Time::from_nanos(9), &outputs()[8]);
    let text = "[7,\"fetched\",4294967295,1,2,3]\n[8,\"tick\"]\n[9,\"fetch\",0,1,\"rest\",false]\n";
    assert_eq!(String::from_utf8(lines).unwrap(), text);
}

#[test]
fn faults_name_their_line_and_what_is_wrong() {
    for (line, what) in [
        ("", "no line of a trace"),
        ("[5,\"tick\"", "no line of a trace"),
        ("7", "neither an array nor an object"),
        ("[5,\"tock\"]", "no record \"tock\""),
        ("[5]", "column kind"),
        ("[-5,\"tick\"]", "column time"),
        ("[4,\"tick\"]", "before that of the line above"),
        ("[5,\"tick\",1]", "more columns than \"tick\""),
        ("[5,\"verified\",1]", "column chunk"),
        ("[5,\"verified\",1,70]", "chunk 70 is beyond the last"),
        ("[5,\"haves\",1,[0,70]]", "chunk 70 is beyond the last"),
        ("[5,\"haves\",1,0]", "column chunks"),
        ("[5,\"holds\",1,\"ff\"]", "column set"),
        ("[5,\"holds\",1,\"ffffffffffffffffff\"]", "column set"),
        ("[5,\"sent\",1,\"eaten\"]", "column outcome"),
        ("{\"source\":1}", "a source cannot be used"),
        ("{\"trace\":2}", "trace format 2, this strew knows 1"),
        ("{\"trace\":1}", "the header cannot be used: missing field"),
    ] {
        let text = fault(line).to_string();
        assert!(text.starts_with("line 2: ") && text.contains(what), "{line}: {text}");
    }
    for line in ["[5,\"tick\"]", "{\"source\":1}"] {
        let text = Parser::default().read(line.as_bytes()).unwrap_err().to_string();
        assert!(text.starts_with("line 1: a trace begins with its header"), "{text}");
    }
}

#[test]
fn nobody_joins_twice_before_leaving() {
    let (_, mut parser) = begun();
    let (mut joined, mut left) = (Vec::new(), Vec::new());
    write_input(&mut joined, Time::from_nanos(9), &inputs()[0]);
    write_input(&mut left, Time::from_nanos(9), &inputs()[1]);
    assert!(parser.read(&joined).is_ok());
    assert_eq!(parser.read(&joined).unwrap_err().fault, Fault::Twice(u32::MAX));
    assert!(parser.read(&left).is_ok() && parser.read(&joined).is_ok());
}

#[test]
fn a_second_header_begins_anew() {
    let (lines, mut parser) = begun();
    let late = b"[900,\"tick\"]";
    assert!(parser.read(late).is_ok());
    assert!(parser.read(&lines).is_ok());
    assert_eq!(
        parser.read(b"[5,\"tick\"]"),
        Ok(Line::Input(Time::from_nanos(5), Input::Tick)),
        "its time begins anew too"
    );
    assert_eq!(parser.line(), 4);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(lines in proptest::collection::vec(any::<Vec<u8>>(), 0..8)) {
        let (_, mut parser) = begun();
        lines.iter().for_each(|line| drop(parser.read(line)));
    }

    #[test]
    fn no_damage_to_a_record_makes_it_panic(which in 0usize..30, at in any::<usize>(), byte in any::<u8>()) {
        let (_, mut parser) = begun();
        let mut lines = Vec::new();
        inputs().iter().for_each(|input| write_input(&mut lines, Time::from_nanos(9), input));
        outputs().iter().for_each(|output| write_output(&mut lines, Time::from_nanos(9), output));
        let all: Vec<&[u8]> = lines.split(|byte| *byte == b'\n').collect();
        let mut line = all[which % (all.len() - 1)].to_vec();
        let at = at % line.len();
        line[at] = byte;
        drop(parser.read(&line));
    }
}
