//! How QUIC is set up: windows, streams, timers, acknowledgements, datagram sizes, limits against strangers.
//!
//! quinn's defaults suit many small streams between two machines on the Internet. We move large chunks between ten
//! neighbours within a stated memory budget, so nearly every value differs, and each field of [`TransportSettings`]
//! says why. What a fleet may have to change is a field; what the protocol or its safety depends on is a constant
//! below.
//!
//! Invariant: nothing that a peer can fill is unbounded: streams, windows, handshakes, datagrams.
//!
//! Not here: the choice between a Retry and an accept, made where connections are accepted; the raising of windows on
//! long paths, which the node does within its budget.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{
    AckFrequencyConfig, ClientConfig, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, NoneTokenStore, ServerConfig,
    TransportConfig, VarInt,
};

use super::congestion::CongestionControl;
use super::interfaces::{ETHERNET, JUMBO, largest_payload};
use crate::identity::Credentials;
use crate::units::BytesPerSecond;

/// The settings of a node's connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportSettings {
    /// Bytes of one stream that a peer may send before we read them.
    ///
    /// Default 16 MiB: the largest chunk that is chosen automatically fits whole, so a chunk never waits for a window.
    /// quinn cannot change it on a live connection. Costs nothing by itself: [`receive_window`](Self::receive_window)
    /// bounds the sum.
    pub stream_receive_window: u32,
    /// Bytes of all streams of a connection that a peer may send before we read them.
    ///
    /// Default 16 MiB: ten active neighbours that all send faster than we read hold 160 MiB, which leaves a third of
    /// the budget of 256 MiB. It carries 1 Gbit/s at 134 ms; longer or faster paths are raised at run time.
    pub receive_window: u32,
    /// Bytes of a connection that we hold until the peer has acknowledged them.
    ///
    /// Default 4 MiB: 1 Gbit/s at 33 ms, 10 Gbit/s at 3 ms, and 64 MiB with sixteen neighbours; raised at run time from
    /// the congestion window. Bytes count until their whole buffer is free, so it must exceed the buffers given to the
    /// stream at a time.
    pub send_window: u64,
    /// Chunk requests that a peer may have open at once.
    ///
    /// Default 64: far more than a neighbour with one outstanding chunk needs, also on a long path, and few enough that
    /// their bookkeeping is small beside one chunk. Further ones wait in QUIC's flow control.
    pub request_streams: u32,
    /// One-way streams that a peer may have open at once: one for control, the others for pages of manifests.
    ///
    /// Default 8: pages of 1 MiB are sent a few at a time, and a stream's opening costs nothing to wait for.
    pub one_way_streams: u32,
    /// How often an idle connection is proved to be alive.
    ///
    /// Default 2 s: four proofs may be lost before the idle timeout.
    pub keep_alive: Duration,
    /// How long a silent peer, or one that does not finish its handshake, is kept.
    ///
    /// Default 10 s: a dead neighbour's chunk is fetched elsewhere after that time at the latest, while a few seconds
    /// without a path, as routes change, cost no connection.
    pub idle_timeout: Duration,
    /// Packets that a peer may receive before it acknowledges, unless its acknowledgement delay (25 ms) passes first.
    ///
    /// Default 10: the sender then forms batches of six packets instead of two per system call, at the same goodput
    /// (measured on 200 Mbit/s, 100 ms). 25 saves little more and makes loss detection later.
    pub ack_threshold: u32,
    /// Bytes in flight before the first acknowledgement.
    ///
    /// Default 256 KiB: a small chunk leaves at once on a LAN, where quinn's 12,000 bytes would take five round trips.
    /// On a path that cannot take it, the lost rest is sent again and the window falls, as after any loss.
    pub initial_window: u64,
    /// What decides how much is on the way afterwards.
    ///
    /// Default: chosen automatically. Costs nothing to change for one node of a fleet; each end decides for what it sends.
    pub congestion: CongestionControl,
    /// The round trip assumed before the first measurement.
    ///
    /// Default 100 ms: a lost first packet is sent again after 300 ms instead of quinn's second; on longer paths it
    /// costs one spare packet.
    pub initial_rtt: Duration,
    /// The largest datagram payload that is tried, in bytes.
    ///
    /// Default 1452: Ethernet's 1500 less IPv6 and UDP headers; a node takes what its interfaces take
    /// ([`bound_to`](Self::bound_to)). 8952 fits jumbo frames and costs a third of the processor time; the endpoint's
    /// receive buffer is 2048 times this (3 MB, or 18 MB, of which only what is used occupies memory).
    pub mtu_upper: u16,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            stream_receive_window: 16 << 20,
            receive_window: 16 << 20,
            send_window: 4 << 20,
            request_streams: 64,
            one_way_streams: 8,
            keep_alive: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(10),
            ack_threshold: 10,
            initial_window: 256 << 10,
            congestion: CongestionControl::Auto,
            initial_rtt: Duration::from_millis(100),
            mtu_upper: ETHERNET,
        }
    }
}

impl TransportSettings {
    /// Defaults for a socket bound to `address`: a loopback address can only speak over loopback, which carries large
    /// datagrams; any other one over what this machine's interfaces carry.
    #[must_use]
    pub fn bound_to(address: IpAddr) -> Self {
        let mtu_upper = if address.is_loopback() { JUMBO } else { largest_payload() };
        Self { mtu_upper, ..Self::default() }
    }

    /// The same for a node that reads no more than `limit` from all its neighbours together, if there is one.
    ///
    /// What a window lets in is read later, so windows are short against the rate. Only those of streams: in that of the connection
    /// there must be room for messages while every stream waits to be read.
    #[must_use]
    pub fn reading(self, limit: Option<BytesPerSecond>) -> Self {
        let Some(limit) = limit else { return self };
        let window = limit.bytes_in(READ_AHEAD).clamp(STREAM_WINDOW_MIN, STREAM_WINDOW_MAX);
        Self { stream_receive_window: u32::try_from(window).unwrap_or(u32::MAX), ..self }
    }

    /// Streams of one neighbour that may wait to be read while half of the connection's window stays free.
    #[must_use]
    pub fn waiting_streams(&self) -> u32 {
        (self.receive_window / 2 / self.stream_receive_window.max(1)).max(1)
    }

    /// The settings of a connection in quinn's form.
    #[must_use]
    pub fn transport(&self) -> TransportConfig {
        let mut acknowledgements = AckFrequencyConfig::default();
        acknowledgements.ack_eliciting_threshold(self.ack_threshold.into());
        let mut discovery = MtuDiscoveryConfig::default();
        discovery.upper_bound(self.mtu_upper);
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(self.request_streams.into())
            .max_concurrent_uni_streams(self.one_way_streams.into())
            .stream_receive_window(self.stream_receive_window.into())
            .receive_window(self.receive_window.into())
            .send_window(self.send_window)
            // Chunks leave one after another instead of all at the same late moment, so each is verified and passed on
            // earlier.
            .send_fairness(false)
            .keep_alive_interval(Some(self.keep_alive))
            .max_idle_timeout(Some(idle_timeout(self.idle_timeout)))
            .initial_rtt(self.initial_rtt)
            .ack_frequency_config(Some(acknowledgements))
            .mtu_discovery_config(Some(discovery))
            .congestion_controller_factory(self.congestion.factory(self.initial_window))
            // Nothing of ours travels in datagrams, so a peer's would only fill memory.
            .datagram_receive_buffer_size(None);
        transport
    }

    /// What one socket accepts and announces, whatever the connection.
    #[must_use]
    pub fn endpoint(&self) -> EndpointConfig {
        let mut endpoint = EndpointConfig::default();
        let size = self.mtu_upper.max(ETHERNET);
        endpoint.max_udp_payload_size(size).expect("every size from 1452 on is above QUIC's floor of 1200");
        endpoint
    }

    /// How we dial.
    #[must_use]
    pub fn client(&self, credentials: &Credentials) -> ClientConfig {
        let mut client = ClientConfig::new(credentials.client_crypto());
        client
            .transport_config(Arc::new(self.transport()))
            // quinn files address tokens under the server's name, and all our peers share one name: each would get
            // another's token.
            .token_store(Arc::new(NoneTokenStore));
        client
    }

    /// How we are dialled.
    #[must_use]
    pub fn server(&self, credentials: &Credentials) -> ServerConfig {
        let mut server = ServerConfig::with_crypto(credentials.server_crypto());
        server
            .transport_config(Arc::new(self.transport()))
            // A neighbour that moves dials again; a path that changes silently would be another place to attack.
            .migration(false)
            .max_incoming(INCOMING_MAX)
            .incoming_buffer_size_total(INCOMING_BUFFER_MAX);
        server
    }
}

fn idle_timeout(timeout: Duration) -> IdleTimeout {
    IdleTimeout::try_from(timeout).unwrap_or_else(|_| IdleTimeout::from(VarInt::MAX))
}

/// Time in which a node with a limit reads what one stream may bring ahead (50 ms: longer than most round trips, and ten streams are half a
/// second of the rate).
const READ_AHEAD: Duration = Duration::from_millis(50);
/// The shortest window of a stream (64 KiB: a frame of control has room for the most part, and ten of them are a tenth of a second at 50 Mbit/s).
const STREAM_WINDOW_MIN: u64 = 64 << 10;
/// The longest one of a node with a limit (2 MiB: four of them fill half of a connection's window).
const STREAM_WINDOW_MAX: u64 = 2 << 20;
/// Handshakes that may wait to be accepted: a thousand machines may start at the same moment; quinn's 65,536 would only
/// hold state for strangers.
const INCOMING_MAX: usize = 1024;
/// Bytes that all waiting handshakes may hold together: 8 KiB each, three times a first flight with
/// the post-quantum key exchange.
const INCOMING_BUFFER_MAX: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_neighbours_fit_into_the_memory_budget() {
        const BUDGET: u64 = 256 << 20;
        const ACTIVE: u64 = 10;
        let settings = TransportSettings::default();
        let held = ACTIVE * (u64::from(settings.receive_window) + settings.send_window);
        assert!(held <= BUDGET * 4 / 5, "{held} bytes");
    }

    #[test]
    fn several_keep_alives_may_be_lost_before_a_peer_counts_as_dead() {
        let settings = TransportSettings::default();
        assert!(settings.keep_alive * 4 < settings.idle_timeout);
    }

    #[test]
    fn streams_that_wait_to_be_read_leave_room_for_messages() {
        for rate in [8_000, 1 << 20, 10 << 20, 125_000_000, 10 << 30] {
            let settings = TransportSettings::default().reading(BytesPerSecond::new(rate));
            let waiting = settings.waiting_streams();
            assert!(waiting >= 4, "{rate}: {waiting}");
            assert!(waiting * settings.stream_receive_window <= settings.receive_window / 2, "{rate}");
        }
        assert_eq!(TransportSettings::default().reading(None), TransportSettings::default());
    }

    #[test]
    fn a_loopback_socket_tries_large_datagrams_and_others_what_interfaces_take() {
        let upper = |address: &str| TransportSettings::bound_to(address.parse().unwrap()).mtu_upper;
        assert_eq!([upper("127.0.0.1"), upper("::1")], [8952; 2]);
        assert_eq!([upper("0.0.0.0"), upper("::"), upper("10.0.0.1")], [largest_payload(); 3]);
    }

    #[test]
    fn an_endpoint_takes_what_its_peers_may_try() {
        let jumbo = TransportSettings { mtu_upper: JUMBO, ..TransportSettings::default() };
        assert_eq!(jumbo.endpoint().get_max_udp_payload_size(), 8952);
        assert_eq!(TransportSettings::default().endpoint().get_max_udp_payload_size(), 1452);
    }
}
