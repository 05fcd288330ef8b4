//! Lists at a URL and in a file.
//!
//! Not here: name servers (`dns.rs`), registries (`registry.rs`).

use std::fs;
use std::net::{SocketAddr, UdpSocket};

use crate::common::Stage;
use crate::fleet::{Fleet, PEERS, lists, warned, warnings};
use crate::web::{Say, Web};

/// Asks often, so that no test waits for the usual pause.
const OFTEN: [&str; 2] = ["--peer-list-poll-interval", "100ms"];

fn words(url: &str) -> Vec<&str> {
    [&["--peer-list-url", url][..], &OFTEN].concat()
}

#[test]
fn twelve_peers_find_each_other_by_a_list_on_which_peers_come_and_go() {
    let web = Web::saying(Say::Body(String::new()));
    let url = web.url();
    // The seeder reads the same list: everybody is on it, oneself included.
    let mut fleet = Fleet::seeding(1, &words(&url));
    for _ in 0..PEERS {
        fleet.join(&[], &words(&url));
    }
    let all = fleet.addresses();
    web.list(&all[..3]);
    fleet.peers.iter().for_each(|peer| drop(lists(peer, 3)));
    web.list(&all);
    fleet.peers.iter().chain([&fleet.seeder]).for_each(|node| drop(lists(node, PEERS + 1)));
    web.list(&all[..3]);
    for peer in &fleet.peers {
        let gone = peer.until("peers gone from the list", |event| event["removed"].as_array()?.first().cloned());
        assert!(all[3..].iter().any(|address| gone == address.to_string()), "{gone}");
    }
    for end in fleet.complete() {
        assert!(warnings(&end, "").is_empty(), "{:?}", warnings(&end, ""));
    }
}

/// p2pcp threw the whole answer away for one entry that it could not read, and said so in its debug log alone.
#[test]
fn one_bad_entry_of_a_list_costs_no_other_and_is_told_once_with_its_place() {
    let web = Web::saying(Say::Body(String::new()));
    let url = web.url();
    let mut fleet = Fleet::seeding(2, &[]);
    web.say(Say::Body(format!("no such:port,{}\n", fleet.seeder.address())));
    fleet.join(&[], &words(&url));
    lists(&fleet.peers[0], 1);
    fleet.peers[0].event("complete");
    web.until_asked_again(3);
    let end = fleet.complete().remove(0);
    let told = warnings(&end, "line 1, entry 1");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("\"no such:port\"") && told[0].contains(&url), "{told:?}");
}

#[test]
fn answers_that_are_no_list_change_nothing_of_what_is_known() {
    let web = Web::saying(Say::Body(String::new()));
    let url = web.url();
    let mut fleet = Fleet::seeding(3, &[]);
    let seeder = fleet.seeder.address();
    let nobody: SocketAddr = "127.0.0.1:9".parse().unwrap();
    web.list(&[nobody]);
    fleet.join(&[], &words(&url));
    lists(&fleet.peers[0], 1);
    for (answer, words) in [
        (Say::Status(500), "the answer is 500 Internal Server Error"),
        (Say::Body("<html>it\ndid not work</html>".into()), "it holds no peer"),
        (Say::Much(3 << 20), "the answer is longer than 1048576 bytes"),
    ] {
        web.say(answer);
        warned(&fleet.peers[0], words);
        // A list that works ends the silence about failures.
        web.list(&[nobody]);
        web.until_asked_again(2);
    }
    web.say(Say::Body(format!("{nobody},{seeder}")));
    let change = lists(&fleet.peers[0], 2);
    assert_eq!(change["removed"].as_array().unwrap().len(), 0, "the failures removed nobody: {change}");
    for end in fleet.complete() {
        let lists: Vec<u64> = end.events.iter().filter_map(|event| event["listed"].as_u64()).collect();
        assert_eq!(lists, [1, 2], "the list was another one after a failure");
    }
}

#[test]
fn a_list_that_never_comes_delays_nobody_who_is_named_on_the_command_line() {
    let web = Web::saying(Say::Nothing);
    let url = web.url();
    let mut fleet = Fleet::seeding(4, &[]);
    let seeder = fleet.seeder.address();
    fleet.join(&[seeder], &words(&url));
    web.until("the list", |asked| (!asked.is_empty()).then_some(()));
    fleet.complete();
}

#[test]
fn a_run_that_had_no_list_says_why_at_its_end() {
    let web = Web::saying(Say::Status(500));
    let url = web.url();
    let stage = Stage::new();
    let words = [&words(&url)[..], &["--peer-wait-timeout", "1s"]].concat();
    let end = stage.pull(&stage.path("copy"), &[], &words).ends();
    end.failed(4, &["cannot get the peer list", &url, "500 Internal Server Error"]);
}

#[test]
fn a_list_in_a_file_is_read_again_when_it_is_rewritten() {
    let mut fleet = Fleet::seeding(5, &[]);
    let path = fleet.stage.path("peers.csv");
    let url = format!("file:{}", path.display());
    fleet.join(&[], &words(&url));
    warned(&fleet.peers[0], "cannot read the peer list");
    let first = fleet.peers[0].address();
    fs::write(&path, format!("# this machine alone\n{first}\n")).unwrap();
    lists(&fleet.peers[0], 1);
    fs::write(&path, format!("{first}\n{}\n", fleet.seeder.address())).unwrap();
    lists(&fleet.peers[0], 2);
    let end = fleet.complete().remove(0);
    assert_eq!(warnings(&end, "cannot read the peer list").len(), 1);
}

#[test]
fn a_dead_seeder_on_the_list_keeps_nobody_from_completing() {
    let web = Web::saying(Say::Body(String::new()));
    let url = web.url();
    let mut fleet = Fleet::seeding(6, &[]);
    // Nobody answers there, and nobody else can listen there.
    let silent = UdpSocket::bind("127.0.0.9:0").unwrap();
    let dead = [silent.local_addr().unwrap(), "127.0.0.9:9".parse().unwrap()];
    web.list(&[&dead[..], &[fleet.seeder.address()]].concat());
    for _ in 0..4 {
        fleet.join(&[], &words(&url));
    }
    fleet.complete();
}

#[test]
fn a_neighbour_that_is_not_listed_any_more_stays_a_neighbour() {
    let web = Web::saying(Say::Body(String::new()));
    let url = web.url();
    let mut fleet = Fleet::seeding(7, &[]);
    let seeder = fleet.seeder.address();
    web.list(&[seeder]);
    fleet.join(&[], &words(&url));
    fleet.peers[0].connected_to(seeder);
    web.list(&[]);
    lists(&fleet.peers[0], 0);
    web.until_asked_again(2);
    for end in fleet.complete() {
        assert!(!end.events.iter().any(|event| event["state"] == "disconnected"), "{:?}", end.events);
    }
}
