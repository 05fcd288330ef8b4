//! The resolver against a name server of its own, on a loopback port.

use std::io::Write;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::Record;
use hickory_resolver::proto::rr::rdata::SRV;
use tokio::net::UdpSocket;

use super::*;

/// Answers every question from `zone` until the test ends; names that are not in it do not exist.
async fn name_server(zone: &'static [(&'static str, &'static str)]) -> ResolverConfig {
    serve(move |question| answer(question, zone)).await
}

/// A name server that says this to every question.
async fn serve(say: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> ResolverConfig {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (len, from) = socket.recv_from(&mut buffer).await.unwrap();
            let answer = say(&buffer[..len]);
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    let mut connection = ConnectionConfig::udp();
    connection.port = address.port();
    let mut server = NameServerConfig::udp(address.ip());
    server.connections = vec![connection];
    ResolverConfig::from_parts(None, vec![Name::from_ascii("fleet.example.").unwrap()], vec![server])
}

/// The same for services, each at a port of a host.
async fn services(zone: &'static [(&'static str, u16, &'static str)]) -> ResolverConfig {
    serve(move |question| {
        let mut message = Message::from_vec(question).unwrap().into_response();
        let query = message.queries[0].clone();
        let of_name = |&&(name, ..): &&(&str, u16, &str)| Name::from_ascii(name).unwrap() == *query.name();
        let found: Vec<_> = zone.iter().filter(of_name).collect();
        if found.is_empty() {
            message.metadata.response_code = ResponseCode::NXDomain;
        }
        for (priority, (_, port, host)) in (0..).zip(found) {
            let data = RData::SRV(SRV::new(priority, 1, *port, Name::from_ascii(host).unwrap()));
            message.add_answer(Record::from_rdata(query.name().clone(), 60, data));
        }
        message.to_vec().unwrap()
    })
    .await
}

fn answer(question: &[u8], zone: &[(&str, &str)]) -> Vec<u8> {
    let mut message = Message::from_vec(question).unwrap().into_response();
    let query = message.queries[0].clone();
    let known = |&&(name, _): &&(&str, &str)| Name::from_ascii(name).unwrap() == *query.name();
    if zone.iter().find(known).is_none() {
        message.metadata.response_code = ResponseCode::NXDomain;
    }
    for (_, address) in zone.iter().filter(known) {
        let data = RData::from(address.parse::<IpAddr>().unwrap());
        if data.record_type() == query.query_type() {
            message.add_answer(Record::from_rdata(query.name().clone(), 60, data));
        }
    }
    message.to_vec().unwrap()
}

fn hosts(lines: &str) -> Hosts {
    let mut hosts = Hosts::default();
    hosts.read_hosts_conf(lines.as_bytes()).unwrap();
    hosts
}

async fn resolve(resolver: &Resolver, peer: &str) -> Result<Vec<String>, String> {
    let found = resolver.resolve(&peer.parse().unwrap()).await;
    found.map(|all| all.iter().map(ToString::to_string).collect()).map_err(|e| e.to_string())
}

/// A resolver from files with these contents; `None` is a file that does not exist.
fn from_files(resolv_conf: Option<&str>, hosts: Option<&str>) -> Resolver {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: Option<&str>| {
        let path = dir.path().join(name);
        if let Some(text) = text {
            File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        }
        path
    };
    Resolver::from_files(&write("resolv.conf", resolv_conf), &write("hosts", hosts))
}

#[tokio::test]
async fn addresses_are_their_own_answer() {
    let resolver = from_files(None, None);
    assert_eq!(resolve(&resolver, "10.0.0.5").await, Ok(vec!["10.0.0.5:10090".into()]));
    assert_eq!(resolve(&resolver, "[fd00::5]:7").await, Ok(vec!["[fd00::5]:7".into()]));
}

#[tokio::test]
async fn name_servers_are_asked_with_the_search_list() {
    let config = name_server(&[
        ("seed.fleet.example.", "10.0.0.1"),
        ("seed.fleet.example.", "10.0.0.2"),
        ("six.fleet.example.", "fd00::6"),
    ])
    .await;
    let resolver = Resolver::with_servers(config, ResolverOpts::default(), Hosts::default()).unwrap();
    let mut found = resolve(&resolver, "seed:4433").await.unwrap();
    found.sort();
    assert_eq!(found, ["10.0.0.1:4433", "10.0.0.2:4433"]);
    assert_eq!(resolve(&resolver, "six.fleet.example").await, Ok(vec!["[fd00::6]:10090".into()]));
}

#[tokio::test]
async fn a_service_is_at_its_targets_whatever_their_priority() {
    let config =
        services(&[("_strew._udp.fleet.example.", 7, "a.example."), ("_strew._udp.fleet.example.", 8, "B.example.")])
            .await;
    let resolver = Resolver::with_servers(config, ResolverOpts::default(), Hosts::default()).unwrap();
    let mut found = resolver.services(&"_strew._udp".parse().unwrap()).await.unwrap();
    found.sort();
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a.example.:7", "b.example.:8"]);
    let nobody = resolver.services(&"_other._udp.example.".parse().unwrap()).await.unwrap();
    assert_eq!(nobody, [], "a service that does not exist is at no host");
    let gone = services(&[("_strew._udp.example.", 7, ".")]).await;
    let resolver = Resolver::with_servers(gone, ResolverOpts::default(), Hosts::default()).unwrap();
    assert_eq!(resolver.services(&"_strew._udp.example.".parse().unwrap()).await.unwrap(), []);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_told() {
    let config = name_server(&[]).await;
    let resolver = Resolver::with_servers(config, ResolverOpts::default(), Hosts::default()).unwrap();
    let error = resolve(&resolver, "nobody").await.unwrap_err();
    assert_eq!(error, "cannot look up nobody:10090: there is no such host");
}

#[tokio::test]
async fn the_hosts_file_answers_before_the_name_servers() {
    let config = name_server(&[("seed.", "10.0.0.1")]).await;
    let hosts = hosts("10.9.9.9 Seed # the old one\nfd00::9 seed\n");
    let resolver = Resolver::with_servers(config, ResolverOpts::default(), hosts).unwrap();
    assert_eq!(resolve(&resolver, "seed").await, Ok(vec!["10.9.9.9:10090".into(), "[fd00::9]:10090".into()]));
}

#[tokio::test]
async fn localhost_works_without_any_file() {
    let resolver = from_files(None, None);
    let both = Ok(vec!["127.0.0.1:10090".into(), "[::1]:10090".into()]);
    assert_eq!(resolve(&resolver, "localhost").await, both);
    assert_eq!(resolve(&resolver, "node1.localhost.").await, both);
}

#[tokio::test]
async fn the_hosts_file_works_without_resolv_conf() {
    let resolver = from_files(None, Some("10.1.1.1 seed\n"));
    assert_eq!(resolve(&resolver, "seed").await, Ok(vec!["10.1.1.1:10090".into()]));
    let error = resolve(&resolver, "other").await.unwrap_err();
    assert!(error.contains("cannot look up other:10090") && error.contains("resolv.conf: No such file"), "{error}");
    assert!(error.contains("/etc/hosts"), "the remedy is missing: {error}");
}

#[tokio::test]
async fn a_resolv_conf_without_servers_says_so() {
    let resolver = from_files(Some("search example.com\n"), None);
    let error = resolve(&resolver, "seed").await.unwrap_err();
    assert!(error.contains("no nameservers found"), "{error}");
}

#[tokio::test]
async fn a_silent_name_server_is_given_up_when_the_patience_ends() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut connection = ConnectionConfig::udp();
    connection.port = socket.local_addr().unwrap().port();
    let mut server = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
    server.connections = vec![connection];
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let mut resolver = Resolver::with_servers(config, ResolverOpts::default(), Hosts::default()).unwrap();
    resolver.patience = Duration::from_millis(50);
    let error = resolve(&resolver, "seed.example.").await.unwrap_err();
    assert_eq!(error, "cannot look up seed.example.:10090: no name server answered within 50ms");
}
