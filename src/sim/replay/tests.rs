use std::time::Duration;

use super::*;
use crate::bitfield::Bitfield;
use crate::chunk::Layout;
use crate::swarm::trace::{Beginning, Named, write_header, write_input, write_named, write_output};
use crate::swarm::{Config, Outcome, Profile, RequestId};

/// Chunks of the content.
const COUNT: u32 = 4;
/// Bytes of each.
const CHUNK: u64 = 1024;

fn layout() -> Layout {
    Layout::new(u64::from(COUNT) * CHUNK, CHUNK).unwrap()
}

fn chunk(index: u32) -> ChunkId {
    layout().chunk(index).unwrap()
}

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

/// A node that writes its trace: the machine with the outputs it gave.
struct Node {
    lines: Vec<u8>,
    machine: Swarm,
}

impl Node {
    /// A node that is the peer `peer` and has nothing, or everything.
    fn new(peer: &str, full: bool) -> Self {
        let have = if full { Bitfield::all(layout()) } else { Bitfield::none(layout()) };
        let beginning = Beginning { layout: layout(), have, config: Config::default(), seed: 7 };
        let (mut lines, machine) = (Vec::new(), beginning.swarm());
        let header = Header {
            strew: "0".into(),
            wall: 1_000_000_000,
            begun: at(0),
            peer: peer.into(),
            listen: "here:1".into(),
            zone: String::new(),
            content: "c".into(),
            beginning,
        };
        write_header(&mut lines, &header);
        let mut node = Self { lines, machine };
        node.carry_out(0);
        node
    }

    fn tell(&mut self, millis: u64, input: Input) -> Vec<Output> {
        write_input(&mut self.lines, at(millis), &input);
        self.machine.handle(at(millis), input);
        self.carry_out(millis)
    }

    fn carry_out(&mut self, millis: u64) -> Vec<Output> {
        let outputs: Vec<Output> = std::iter::from_fn(|| self.machine.poll()).collect();
        outputs.iter().for_each(|output| write_output(&mut self.lines, at(millis), output));
        outputs
    }

    fn join(&mut self, millis: u64, source: SourceId, peer: &str, full: bool) {
        let (address, zone) = ("there:2".to_owned(), "east".to_owned());
        write_named(&mut self.lines, &Named { source, address, peer: peer.into(), zone, publisher: false });
        self.tell(millis, Input::Joined { source, profile: Profile::default() });
        let chunks = if full { Bitfield::all(layout()) } else { Bitfield::none(layout()) };
        self.tell(millis, Input::Holds { source, chunks });
    }

    /// Fetches all chunks from one source, each so long after it was asked for, and returns when the last one was verified.
    fn fetch_all(&mut self, source: SourceId, mut millis: u64, takes: u64) -> u64 {
        for _ in 0..COUNT {
            let asked = self.machine.sources().next().unwrap().outstanding;
            assert!(asked > 0, "something is under way");
            let chunk = self.oldest();
            self.tell(millis + 1, Input::Arriving { source, asked: chunk, chunk });
            millis += takes;
            self.tell(millis, Input::Fetched { source, asked: chunk, chunk, waiting: 5 });
            self.tell(millis, Input::Verified { source, chunk });
            self.tell(millis + 5, Input::Tick);
            millis += 5;
        }
        millis - 5
    }

    /// The chunk that was asked for first and has not come.
    fn oldest(&self) -> ChunkId {
        let text = String::from_utf8(self.lines.clone()).unwrap();
        let columns = text.lines().filter_map(|line| serde_json::from_str::<Vec<serde_json::Value>>(line).ok());
        let mut open: Vec<u64> = Vec::new();
        for record in columns {
            match record[1].as_str() {
                Some("fetch") => open.push(record[3].as_u64().unwrap()),
                Some("fetched") => open.retain(|chunk| *chunk != record[4].as_u64().unwrap()),
                _ => {}
            }
        }
        chunk(u32::try_from(open[0]).unwrap())
    }
}

fn only_run(lines: &[u8]) -> Run {
    let mut replayed = replay(lines).unwrap();
    assert_eq!(replayed.runs.len(), 1);
    replayed.runs.remove(0)
}

/// A run in which each chunk takes 20 ms.
fn fetched() -> Run {
    let mut node = Node::new("a", false);
    node.join(100, SourceId(1), "b", true);
    assert_eq!(node.fetch_all(SourceId(1), 100, 20), 195);
    only_run(&node.lines)
}

#[test]
fn a_repeated_run_is_equal_and_shows_when_what_was_there() {
    let run = fetched();
    assert!(run.is_equal() && run.outputs > 4 && run.left_over == 0, "{run}");
    let progress = &run.progress;
    assert_eq!((progress.asked, progress.first(), progress.complete), (Some(at(100)), Some(at(120)), Some(at(195))));
    assert_eq!(
        (progress.reached(25), progress.reached(26), progress.reached(95)),
        (Some(at(120)), Some(at(145)), Some(at(195)))
    );
    assert_eq!(progress.longest_gap(at(120), run.end), (Duration::from_millis(25), at(120)));
    assert_eq!(
        progress.longest_gap(at(150), run.end),
        (Duration::from_millis(25), at(170)),
        "from the moment that is asked for"
    );
    assert_eq!(progress.longest_gap(at(100), at(119)), (Duration::from_millis(19), at(100)), "nothing came at all");
}

#[test]
fn steps_of_a_chunk_are_told_apart() {
    let run = fetched();
    let requests = &run.requests;
    assert_eq!((requests.fetched, requests.duplicates, requests.waiting), (4, 0, [0, 0, 0, 4, 0, 0]));
    assert_eq!((requests.to_fetched.len(), requests.to_fetched.percentile(50)), (4, Duration::from_millis(19)));
    assert_eq!(requests.to_verified.longest(), Duration::ZERO);
    assert!((2..=5).contains(&requests.to_announced.longest().as_millis()), "{}", requests.to_announced);
}

#[test]
fn sources_show_what_they_brought_and_how_long_they_idled() {
    let run = fetched();
    let (source, neighbour) = run.sources.iter().next().unwrap();
    assert_eq!((source, neighbour.address.as_str(), neighbour.zone.as_str()), (SourceId(1), "there:2", "east"));
    assert_eq!((neighbour.received, neighbour.received_bytes), (4, 4 * CHUNK));
    assert_eq!(neighbour.present, Duration::from_millis(100));
    assert!(neighbour.idle_in_vain <= neighbour.idle && neighbour.idle <= Duration::from_millis(25), "{run}");
}

#[test]
fn the_uplink_shows_when_something_was_sent_and_who_waited() {
    let mut node = Node::new("a", true);
    node.join(0, SourceId(1), "b", false);
    for request in 0..2 {
        let (source, chunk) = (SourceId(1), chunk(request));
        node.tell(100, Input::Requested { source, request: RequestId(request.into()), chunk, exact: false });
    }
    node.tell(150, Input::Sent { request: RequestId(0), outcome: Outcome::Delivered });
    node.tell(160, Input::Sent { request: RequestId(1), outcome: Outcome::Aborted });
    let (source, chunk) = (SourceId(1), chunk(2));
    node.tell(200, Input::Requested { source, request: RequestId(2), chunk, exact: false });
    node.tell(200, Input::Sent { request: RequestId(2), outcome: Outcome::Delivered });
    let run = only_run(&node.lines);
    let uplink = &run.uplink;
    node.tell(210, Input::Requested { source, request: RequestId(3), chunk, exact: false });
    node.tell(250, Input::Tick);
    let endless = only_run(&node.lines).uplink;
    assert_eq!(
        (endless.active, endless.span),
        (Duration::from_millis(100), Duration::from_millis(150)),
        "until the end"
    );
    assert_eq!((uplink.requested, uplink.sent, uplink.delivered, uplink.aborted), (3, 3, 2, 1));
    assert_eq!((uplink.active, uplink.span), (Duration::from_millis(60), Duration::from_millis(100)));
    assert_eq!((uplink.stalled, uplink.delivered_bytes), (Duration::ZERO, 2 * CHUNK));
}

#[test]
fn the_first_difference_is_named_and_the_figures_go_on() {
    let mut node = Node::new("a", false);
    node.join(100, SourceId(1), "b", true);
    node.fetch_all(SourceId(1), 100, 20);
    let text = String::from_utf8(node.lines).unwrap();
    let line = text.lines().position(|line| line.contains("\"fetch\"")).unwrap() + 1;
    let other = text.replacen("\"rest\",false", "\"alone\",true", 1);
    let run = only_run(other.as_bytes());
    let difference = run.difference.as_ref().unwrap();
    assert_eq!(difference.line, line);
    assert!(matches!(difference.repeated, Some(Output::Fetch { exact: false, .. })), "{difference}");
    assert_eq!(run.progress.complete, Some(at(195)));
    assert!(run.to_string().contains(&format!("DIFFERENT after 0 outputs, line {line}:")), "{run}");
}

#[test]
fn a_last_line_that_is_cut_off_does_not_count_and_any_other_fault_is_named() {
    let mut node = Node::new("a", false);
    node.join(100, SourceId(1), "b", true);
    let whole = node.lines.clone();
    node.lines.extend_from_slice(b"[200,\"ti");
    let replayed = replay(&node.lines).unwrap();
    assert!(replayed.cut && replayed.runs[0].is_equal());
    assert!(!replay(&whole).unwrap().cut);
    node.lines.push(b'\n');
    let lines = node.lines.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(replay(&node.lines).unwrap_err().line, lines);
}

#[test]
fn haves_are_followed_from_one_node_to_the_other() {
    let mut first = Node::new("a", false);
    first.join(100, SourceId(1), "x", true);
    first.fetch_all(SourceId(1), 100, 20);
    let mut second = Node::new("b", false);
    second.join(100, SourceId(9), "a", false);
    let said = only_run(&first.lines).announced;
    for (when, chunk) in &said {
        let millis = u64::try_from(when.since(Time::ZERO).as_millis()).unwrap();
        second.tell(millis + 3, Input::Haves { source: SourceId(9), chunks: vec![*chunk] });
    }
    let runs = [only_run(&first.lines), only_run(&second.lines)];
    let delay = have_delay(&runs.iter().collect::<Vec<_>>());
    assert_eq!(delay.len(), said.len());
    assert!((3..=4).contains(&delay.percentile(50).as_millis()), "{delay}");
    let text = summary(&runs.iter().collect::<Vec<_>>());
    assert!(text.contains("announced to heard    median") && text.contains("2 runs together"), "{text}");
}
