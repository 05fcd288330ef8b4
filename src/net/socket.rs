//! A UDP socket that never asks the kernel for a batch larger than the kernel takes.
//!
//! quinn sends up to ten datagrams in one system call (GSO), whatever their size. Above 6500 bytes each, ten of them
//! exceed the 65,535 bytes of an IP packet; the kernel refuses, the refusal looks like loss, and quinn's search for the
//! largest datagram concludes that only 1200 bytes pass. Capping the count keeps both the large datagrams and the
//! batches.
//!
//! Invariant: `max_transmit_segments × largest datagram ≤ 65,000`. Everything else is the wrapped socket's.
//!
//! Not here: the size of a datagram, which quinn discovers up to the bound given at the start.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

/// A socket whose batches fit into one IP packet even when each datagram is of the largest size.
#[derive(Debug)]
pub(super) struct CappedSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    segments_max: usize,
}

impl CappedSocket {
    /// Wraps `inner` for datagrams of at most `mtu_upper` bytes.
    pub(super) fn new(inner: Arc<dyn AsyncUdpSocket>, mtu_upper: u16) -> Self {
        Self { inner, segments_max: segments_max(mtu_upper) }
    }
}

impl AsyncUdpSocket for CappedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(context, buffers, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        // Asked each time: the wrapped socket gives up batches when the network card refuses them.
        self.inner.max_transmit_segments().min(self.segments_max)
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

fn segments_max(mtu_upper: u16) -> usize {
    (BATCH_LEN_MAX / usize::from(mtu_upper).max(1)).max(1)
}

/// An IP packet has at most 65,535 bytes; headers and their options take part of it.
const BATCH_LEN_MAX: usize = 65_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_fits_into_one_ip_packet_whatever_the_datagram_size() {
        for mtu in [1200, 1452, 6500, 6501, 8952, 16_384, 65_000] {
            assert!(segments_max(mtu) * usize::from(mtu) <= BATCH_LEN_MAX, "{mtu}");
        }
        assert_eq!([1452, 8952, u16::MAX].map(segments_max), [44, 7, 1]);
    }
}
