//! Lists that are records of a name server.
//!
//! Not here: the search list and the system's own configuration, which a test must not change.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use hickory_resolver::proto::rr::{Name, RData, RecordType};

use crate::fleet::{Fleet, PEERS, lists, warnings};
use crate::names::{Names, name, service};

const SERVICE: &str = "_strew._udp.fleet.test";

/// Names for all of these addresses, and SRV records that lead to some of them. A name that was once there stays, as whoever reads a record
/// asks for its target a moment later.
fn services(all: &[SocketAddr], listed: Range<usize>) -> Vec<(Name, RData)> {
    let host = |n: usize| name(&format!("node{n}.fleet.test"));
    let hosts = all.iter().enumerate().map(|(n, address)| (host(n), RData::from(address.ip())));
    let targets = listed.map(|n| (name(SERVICE), service(all[n].port(), &host(n))));
    hosts.chain(targets).collect()
}

/// p2pcp gave up the whole answer when one of its targets could not be looked up.
#[test]
fn one_failing_target_of_a_service_keeps_no_other_from_being_found() {
    let names = Names::start(0);
    let server = names.server();
    let words = ["--peer-list-srv", SERVICE, "--peer-list-dns-server", &server, "--peer-list-poll-interval", "100ms"];
    let mut fleet = Fleet::seeding(11, &[]);
    let mut records = vec![(name(SERVICE), service(7, &name("gone.fleet.test")))];
    records.extend(services(&[fleet.seeder.address()], 0..1));
    names.set(records);
    fleet.join(&[], &words);
    lists(&fleet.peers[0], 2);
    let end = fleet.complete().remove(0);
    assert_eq!(warnings(&end, "gone.fleet.test").len(), 1, "{:?}", warnings(&end, ""));
}

#[test]
fn twelve_peers_find_each_other_by_a_service_whose_records_change_while_they_start() {
    let names = Names::start(0);
    let server = names.server();
    let words = ["--peer-list-srv", SERVICE, "--peer-list-dns-server", &server, "--peer-list-poll-interval", "100ms"];
    let mut fleet = Fleet::seeding(12, &words);
    // The name does not exist when the first ones ask; the seeder is on the command line of half of them.
    let seeder = fleet.seeder.address();
    for n in 0..PEERS {
        fleet.join(if n % 2 == 0 { &[] } else { std::slice::from_ref(&seeder) }, &words);
        // Always the last three of those that have started.
        let all = fleet.addresses();
        names.set(services(&all, n.saturating_sub(1)..all.len()));
    }
    names.set(services(&fleet.addresses(), 0..PEERS + 1));
    fleet.peers.iter().for_each(|peer| drop(lists(peer, PEERS + 1)));
    names.set(services(&fleet.addresses(), 1..4));
    fleet.peers.iter().for_each(|peer| drop(lists(peer, 3)));
    for end in fleet.complete() {
        assert!(warnings(&end, "").is_empty(), "{:?}", warnings(&end, ""));
    }
}

#[test]
fn all_addresses_of_a_name_are_peers_at_one_port_and_its_ttl_is_kept_to() {
    let names = Names::start(3600);
    let (server, host) = (names.server(), name("fleet.test"));
    let mut fleet = Fleet::seeding_at("127.0.0.2:0", 13, &[]);
    let seeder = fleet.seeder.address();
    let records = ["127.0.0.2", "127.0.0.3"].map(|ip| (host.clone(), RData::from(ip.parse::<IpAddr>().unwrap())));
    names.set(records.to_vec());
    let list = format!("fleet.test:{}", seeder.port());
    let listen = format!("127.0.0.3:{}", seeder.port());
    let words = ["--peer-list-a", &list, "--peer-list-dns-server", &server, "--peer-list-poll-interval", "100ms"];
    let first = fleet.join_at(&listen, &words);
    assert_eq!(first.to_string(), listen, "it stands in its own list");
    let read = lists(&fleet.peers[0], 2);
    assert_eq!(read["added"], serde_json::json!([seeder.to_string(), listen]));
    fleet.complete();
    // Again after a lost datagram at most, and not with every one of the questions in between.
    assert!((1..=2).contains(&names.asked(&host, RecordType::A)), "{}", names.asked(&host, RecordType::A));
}
