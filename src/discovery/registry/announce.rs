//! Telling a registry that this node is there, until it leaves.
//!
//! A registry is a convenience, so nothing about it may end a job: a first announcement that fails is tried again like any other. And it
//! must not lie: nothing is said before the node listens, and a node that leaves says so.
//!
//! Invariant: an announcement is made at most four times a second; between two that succeed less time passes than they hold; who was
//! announced, or may have been, is signed off.
//!
//! Not here: what the user is told of it (`node`).

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::Heartbeat;
use crate::discovery::http::{HttpClient, HttpError, HttpUrl};
use crate::discovery::name::PeerName;
use crate::units::Rng;

/// The first pause after an announcement that failed; it doubles up to the usual pause (250 ms: a fleet that starts beside its registry
/// is a moment too early, not a minute).
const RETRY_FIRST: Duration = Duration::from_millis(250);

/// Where a node announces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Where heartbeats are posted.
    pub url: HttpUrl,
    /// What is announced.
    pub endpoint: SelfEndpoint,
    /// Pause between two heartbeats. Default 5 s, p2pcp's; an announcement holds for twice as long.
    pub interval: Duration,
    /// How long an answer is waited for. Default 3 s, p2pcp's; a node that leaves waits no longer either.
    pub timeout: Duration,
}

/// Under which address others are to reach this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelfEndpoint {
    /// The address from which this machine reaches the registry, with the port that the node listens on.
    Auto,
    /// This one.
    Named(PeerName),
}

impl Registration {
    /// The usual pauses.
    #[must_use]
    pub const fn new(url: HttpUrl, endpoint: SelfEndpoint) -> Self {
        Self { url, endpoint, interval: Duration::from_secs(5), timeout: Duration::from_secs(3) }
    }

    /// Whole seconds that an announcement holds: at least one, whatever the interval is.
    fn holds_seconds(&self) -> u64 {
        let holds = self.interval.saturating_mul(2);
        holds.as_secs() + u64::from(holds.subsec_nanos() > 0)
    }
}

/// What an announcer has to tell.
#[derive(Debug)]
pub enum News {
    /// This address was announced, for the first time or after failures.
    Announced(PeerName),
    /// It could not be, for the first time or after successes.
    Failed(HttpError),
}

/// Announces one node.
pub struct Announcer {
    registration: Registration,
    http: HttpClient,
    /// Where the node listens.
    listen: SocketAddr,
    uuid: String,
}

impl Announcer {
    /// For the node that listens at `listen`; `random` makes the id of this run.
    #[must_use]
    pub fn new(registration: Registration, http: HttpClient, listen: SocketAddr, random: [u8; 16]) -> Self {
        Self { registration, http, listen, uuid: uuid(random) }
    }

    /// Announces the node again and again until `leave` is sent or dropped, then signs it off.
    pub async fn run(self, mut rng: Rng, mut leave: oneshot::Receiver<()>, tell: impl Fn(News)) {
        let (mut failures, mut tried, mut works) = (0_u32, None, None);
        loop {
            let peer = tokio::select! {
                peer = self.endpoint() => peer,
                _ = &mut leave => break,
            };
            let outcome = match peer {
                Ok(peer) => {
                    // From here on the registry may have heard of us, even if no answer comes.
                    tried = Some(peer.clone());
                    tokio::select! {
                        outcome = self.post(&peer, self.registration.holds_seconds()) => outcome.map(|()| peer),
                        _ = &mut leave => break,
                    }
                }
                Err(error) => Err(error),
            };
            let news = works.replace(outcome.is_ok()) != Some(outcome.is_ok());
            failures = if outcome.is_ok() { 0 } else { failures.saturating_add(1) };
            if news {
                tell(outcome.map_or_else(News::Failed, News::Announced));
            }
            tokio::select! {
                () = tokio::time::sleep(self.pause(failures, &mut rng)) => {}
                _ = &mut leave => break,
            }
        }
        if let Some(peer) = tried
            && let Err(error) = self.post(&peer, 0).await
        {
            tracing::info!(%error, "the registry could not be told that this node leaves; its entry expires");
        }
    }

    /// What is to be announced.
    async fn endpoint(&self) -> Result<PeerName, HttpError> {
        let ip = match &self.registration.endpoint {
            SelfEndpoint::Named(peer) => return Ok(peer.clone()),
            SelfEndpoint::Auto if self.listen.ip().is_unspecified() => self.http.facing(&self.registration.url).await?,
            SelfEndpoint::Auto => self.listen.ip(),
        };
        let address = SocketAddr::new(ip.to_canonical(), self.listen.port());
        Ok(PeerName::from_address(address).expect("a socket that is bound has a port"))
    }

    async fn post(&self, peer: &PeerName, expires_in_seconds: u64) -> Result<(), HttpError> {
        let heartbeat = Heartbeat { uuid: self.uuid.clone(), address: peer.to_string(), expires_in_seconds };
        let body = serde_json::to_vec(&heartbeat).expect("texts and a number make JSON");
        self.http.post(&self.registration.url, Bytes::from(body), self.registration.timeout).await
    }

    /// The pause before the next announcement: a tenth up or down, so that a fleet that was started at once spreads.
    fn pause(&self, failures: u32, rng: &mut Rng) -> Duration {
        let usual = self.registration.interval;
        let pause = match failures {
            0 => usual,
            n => RETRY_FIRST.saturating_mul(1 << (n - 1).min(16)).min(usual.max(RETRY_FIRST)),
        };
        pause.mul_f64(0.9 + 0.2 * rng.f64())
    }
}

/// A random UUID (RFC 9562, section 5.4).
fn uuid(mut random: [u8; 16]) -> String {
    random[6] = random[6] & 0x0f | 0x40;
    random[8] = random[8] & 0x3f | 0x80;
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::{HttpSettings, Resolver};

    fn announcer(interval: Duration) -> Announcer {
        let url = "http://127.0.0.1:1/heartbeat".parse().unwrap();
        let registration = Registration { interval, ..Registration::new(url, SelfEndpoint::Auto) };
        let http = HttpClient::new(Resolver::from_system(), &HttpSettings::default()).unwrap();
        Announcer::new(registration, http, "10.0.0.7:4433".parse().unwrap(), [0xff; 16])
    }

    /// p2pcp cut intervals to whole seconds, and panicked below one.
    #[test]
    fn an_announcement_holds_for_two_intervals_and_never_for_none() {
        let holds = |millis| announcer(Duration::from_millis(millis)).registration.holds_seconds();
        assert_eq!((holds(5000), holds(1), holds(500), holds(750)), (10, 1, 1, 2));
    }

    #[test]
    fn failed_announcements_are_repeated_soon_and_then_at_the_usual_pace() {
        let (announcer, mut rng) = (announcer(Duration::from_secs(5)), Rng::with_seed(1));
        let mut pause = |failures| announcer.pause(failures, &mut rng).as_secs_f64();
        for (failures, usual) in [(0, 5.0), (1, 0.25), (2, 0.5), (5, 4.0), (6, 5.0), (1000, 5.0)] {
            let pause: f64 = pause(failures);
            assert!((usual * 0.9..=usual * 1.1).contains(&pause), "{pause} after {failures} failures");
        }
    }

    #[tokio::test]
    async fn a_node_that_listens_at_one_address_announces_that() {
        let peer = announcer(Duration::from_secs(5)).endpoint().await.unwrap();
        assert_eq!(peer.to_string(), "10.0.0.7:4433");
    }

    #[test]
    fn ids_are_random_uuids() {
        assert_eq!(uuid([0; 16]), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
