//! Reach: why none of the listed peers answers, as far as it can be found out, in words that say what to do.
//!
//! "No answer" has causes with different remedies: a firewall on the way, a firewall here, a machine without strew, a wrong address.
//! A node that has met nobody after half of its patience asks the network about a few of its peers, with sockets of their own, while
//! it goes on dialling.
//!
//! Invariant: asks once in a run, and only when no neighbour was ever met.
//!
//! Not here: the asking itself (`net::probe`), giving up (`lifecycle`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::Node;
use super::event::Event;
use crate::net::{Echo, probe};

/// Addresses that are asked about (16: enough to see whether all are alike, few enough to be no scan).
const ASKED_MAX: usize = 16;
/// Addresses that a message names; the rest is counted.
const NAMED_MAX: usize = 3;
/// The most that one answer is waited for (5 s: routers report an unreachable host after three).
const PATIENCE_MAX: Duration = Duration::from_secs(5);

/// What was found out.
#[derive(Debug, Default)]
pub(super) struct Reach {
    asked: bool,
    echoes: BTreeMap<SocketAddr, Echo>,
}

impl Node {
    /// Asks the network about listed peers that do not answer, for at most `patience`.
    pub(super) fn ask_about_peers(&mut self, patience: Duration) {
        if self.reach.asked || self.peers_seen > 0 {
            return;
        }
        self.reach.asked = true;
        for address in self.candidates.unanswered().take(ASKED_MAX) {
            // Silence until something is heard.
            self.reach.echoes.insert(address, Echo::Silent);
            let (events, patience) = (self.events.clone(), patience.min(PATIENCE_MAX));
            self.events.spawn(async move {
                let echo = probe(address, patience).await;
                events.send(Event::Probed { address, echo });
            });
        }
    }

    /// Something is known about an address.
    pub(super) fn on_probed(&mut self, address: SocketAddr, echo: Echo) {
        tracing::info!(%address, ?echo, "a listed peer that does not answer was probed");
        self.reach.echoes.insert(address, echo);
    }

    /// Why nobody was reached, to follow a message about it; empty when nothing is known.
    pub(super) fn why_nobody(&self) -> String {
        let last = self.last_failure.as_ref().map(|text| format!(" (last failure: {text})")).unwrap_or_default();
        if self.peers_seen > 0 { last } else { explain(&self.reach.echoes).unwrap_or(last) }
    }
}

/// What the echoes mean; `None` when there is none that says more than a failed attempt does.
fn explain(echoes: &BTreeMap<SocketAddr, Echo>) -> Option<String> {
    let of = |kind: Echo| -> Vec<SocketAddr> {
        echoes.iter().filter(|(_, echo)| **echo == kind).map(|(address, _)| *address).collect()
    };
    if echoes.is_empty() || !of(Echo::Answered).is_empty() {
        return None;
    }
    let silent = of(Echo::Silent);
    let mut parts = Vec::new();
    if let Some(first) = silent.first() {
        let port = first.port();
        parts.push(format!(
            "no answer at all from {} over UDP: a firewall may drop UDP port {port}, or nothing runs there; open UDP port {port} \
             in both directions, and look on that machine with `ss -uln` whether strew listens and with `tcpdump udp port {port}` \
             whether packets arrive",
            named(&silent)
        ));
    }
    let refused = of(Echo::Refused);
    if !refused.is_empty() {
        parts.push(format!(
            "no program listens on UDP {}, although that machine answers; start strew there",
            named(&refused)
        ));
    }
    let forbidden = of(Echo::Forbidden);
    if !forbidden.is_empty() {
        parts.push(format!("the firewall of this machine lets no UDP out to {}", named(&forbidden)));
    }
    let far = of(Echo::NoRoute);
    if !far.is_empty() {
        parts.push(format!("there is no route to {}", named(&far)));
    }
    Some(format!(": {}", parts.join("; ")))
}

/// A few addresses, and how many more.
fn named(addresses: &[SocketAddr]) -> String {
    let names: Vec<String> = addresses.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = addresses.len() - names.len();
    if more == 0 { names.join(", ") } else { format!("{} and {more} more", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echoes(list: &[(u8, Echo)]) -> BTreeMap<SocketAddr, Echo> {
        list.iter().map(|(host, echo)| (SocketAddr::from(([10, 0, 0, *host], 10090)), *echo)).collect()
    }

    #[test]
    fn each_cause_has_its_own_words() {
        for (echo, words) in [
            (Echo::Silent, "no answer at all from 10.0.0.1:10090 over UDP: a firewall may drop UDP port 10090"),
            (Echo::Refused, "no program listens on UDP 10.0.0.1:10090"),
            (Echo::Forbidden, "the firewall of this machine lets no UDP out to 10.0.0.1:10090"),
            (Echo::NoRoute, "there is no route to 10.0.0.1:10090"),
        ] {
            let text = explain(&echoes(&[(1, echo)])).unwrap();
            assert!(text.starts_with(": ") && text.contains(words), "{text}");
        }
    }

    #[test]
    fn an_answer_says_that_the_network_is_not_the_cause() {
        assert_eq!(explain(&echoes(&[(1, Echo::Silent), (2, Echo::Answered)])), None);
        assert_eq!(explain(&echoes(&[])), None);
    }

    #[test]
    fn a_long_list_is_cut_short() {
        let all: Vec<(u8, Echo)> = (1..=9).map(|host| (host, Echo::Silent)).collect();
        let text = explain(&echoes(&all)).unwrap();
        assert!(text.contains("10.0.0.3:10090 and 6 more over UDP") && !text.contains("10.0.0.4"), "{text}");
    }
}
