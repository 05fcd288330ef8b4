//! Queues: what the kernel's queues have sent and dropped, read over netlink.
//!
//! The counters of a device are not enough: it counts a batch that the kernel cuts up later as one packet with one header. A queue
//! counts every packet with its headers, as the shaper does. `tc -s` shows the same figures, but a bench asks ten times a second for every
//! host, and starting a process for each would take the machine away from what is measured. One message and its answer take microseconds.
//!
//! Invariant: a socket stays in the namespace in which it was opened, whichever thread uses it.
//!
//! Not here: making queues, and everything else that netlink can do.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

use super::{LabError, Traffic, system};

/// `RTM_GETQDISC` of rtnetlink(7).
const ASK_QUEUES: u16 = 38;
/// `RTM_NEWQDISC`.
const QUEUE: u16 = 36;
/// `NLMSG_ERROR`.
const ERROR: u16 = 2;
/// `NLMSG_DONE`.
const DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP` of netlink(7): all of them.
const ALL: u16 = 0x301;
/// Length of `struct nlmsghdr`: length, type, flags, sequence, port.
const HEADER: usize = 16;
/// Length of `struct tcmsg`: family, padding, device, handle, parent, info.
const QUEUE_HEADER: usize = 20;
/// `TC_H_ROOT`: the parent of the outermost queue of a device.
const ROOT: u32 = u32::MAX;
/// `TCA_STATS`: bytes (64 bit), packets, drops (32 bit each), and more.
const STATISTICS: u16 = 3;
/// The kernel fills at most this much at a time.
const ANSWER_MAX: usize = 32 << 10;

/// A way to ask for the queues of a namespace.
pub(crate) struct Queues {
    namespace: String,
    socket: OwnedFd,
}

/// What the outermost queue of a device did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Queue {
    /// The index of its device.
    pub(crate) device: u32,
    /// What it sent.
    pub(crate) sent: Traffic,
    /// Packets that found no room.
    pub(crate) dropped: u64,
}

impl Queues {
    /// Those of this namespace.
    pub(crate) fn of(namespace: &str) -> Result<Self, LabError> {
        let opened = system::inside(namespace, || {
            // No protocol is protocol 0, and that is `NETLINK_ROUTE`.
            let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
            // The kernel answers at once or never.
            set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_secs(2)))?;
            Ok(socket)
        })?;
        let socket = opened.map_err(|source| LabError::Counters { name: namespace.to_owned(), source })?;
        Ok(Self { namespace: namespace.to_owned(), socket })
    }

    /// The outermost queue of every device that has one.
    pub(crate) fn read(&self) -> Result<Vec<Queue>, LabError> {
        self.ask().map_err(|source| LabError::Counters { name: self.namespace.clone(), source })
    }

    fn ask(&self) -> io::Result<Vec<Queue>> {
        send(&self.socket, &question(), SendFlags::empty())?;
        let mut found = Vec::new();
        let mut buffer = vec![0; ANSWER_MAX];
        loop {
            let (_, length) = recv(&self.socket, buffer.as_mut_slice(), RecvFlags::empty())?;
            if answer(&buffer[..length.min(ANSWER_MAX)], &mut found)? {
                return Ok(found);
            }
        }
    }
}

fn question() -> Vec<u8> {
    let length = u32::try_from(HEADER + QUEUE_HEADER).expect("two small numbers");
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(ASK_QUEUES.to_ne_bytes());
    message.extend(ALL.to_ne_bytes());
    message.resize(HEADER + QUEUE_HEADER, 0);
    message
}

/// Adds the queues of one answer; whether it was the last.
fn answer(mut bytes: &[u8], found: &mut Vec<Queue>) -> io::Result<bool> {
    while let Some(length) = u32_at(bytes, 0).map(|length| length as usize) {
        let kind = u16_at(bytes, 4);
        let Some(message) = bytes.get(HEADER..length) else { break };
        match kind {
            Some(DONE) => return Ok(true),
            Some(ERROR) => {
                // A negative error number.
                let number = u32_at(message, 0).map_or(0, |number| number.wrapping_neg());
                return Err(Errno::from_raw_os_error(i32::try_from(number).unwrap_or(0)).into());
            }
            Some(QUEUE) => found.extend(queue(message)),
            _ => {}
        }
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
    }
    Ok(false)
}

fn queue(message: &[u8]) -> Option<Queue> {
    let device = u32_at(message, 4)?;
    let outermost = u32_at(message, 12)? == ROOT;
    let mut rest = message.get(QUEUE_HEADER..).filter(|_| outermost)?;
    while let (Some(length), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let content = rest.get(4..usize::from(length))?;
        if kind == STATISTICS {
            let bytes = u64::from_ne_bytes(content.get(..8)?.try_into().ok()?);
            let packets = u32_at(content, 8)?.into();
            return Some(Queue { device, sent: Traffic { bytes, packets }, dropped: u32_at(content, 12)?.into() });
        }
        rest = rest.get(aligned(length.into())..)?;
    }
    None
}

/// Everything in netlink begins at a multiple of four bytes.
const fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of the kernel about the queue of a device.
    fn message(device: u32, parent: u32, bytes: u64, packets: u32, dropped: u32) -> Vec<u8> {
        let mut body = vec![0; 4];
        for number in [device, 0x1_0000, parent, 2] {
            body.extend(number.to_ne_bytes());
        }
        // The kind comes first: "tbf" with its zero, then the statistics.
        body.extend([8u16, 1].map(u16::to_ne_bytes).concat());
        body.extend(b"tbf\0");
        body.extend([4 + 36u16, STATISTICS].map(u16::to_ne_bytes).concat());
        body.extend(bytes.to_ne_bytes());
        body.extend([packets, dropped, 0, 0, 0, 0, 0].map(u32::to_ne_bytes).concat());
        let mut whole = u32::try_from(HEADER + body.len()).unwrap().to_ne_bytes().to_vec();
        whole.extend([QUEUE, 2].map(u16::to_ne_bytes).concat());
        whole.resize(HEADER, 0);
        whole.extend(body);
        whole
    }

    #[test]
    fn outermost_queues_are_read_and_inner_ones_are_not() {
        let bytes =
            [message(7, ROOT, 1 << 40, 5, 2), message(7, 0x1_0000, 9, 9, 9), message(8, ROOT, 3, 1, 0)].concat();
        let mut found = Vec::new();
        assert!(!answer(&bytes, &mut found).unwrap());
        let sent = Traffic { bytes: 1 << 40, packets: 5 };
        assert_eq!(found[0], Queue { device: 7, sent, dropped: 2 });
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].device, 8);
    }

    #[test]
    fn no_answer_is_read_beyond_its_end() {
        let whole = message(7, ROOT, 1, 2, 3);
        for length in 0..whole.len() {
            let mut found = Vec::new();
            let _ = answer(&whole[..length], &mut found);
            assert!(found.is_empty(), "{length} bytes");
        }
    }

    #[test]
    fn a_refusal_is_an_error() {
        let mut refusal = message(0, 0, 0, 0, 0);
        refusal[4..6].copy_from_slice(&ERROR.to_ne_bytes());
        refusal[HEADER..HEADER + 4].copy_from_slice(&(-1i32).to_ne_bytes());
        assert_eq!(answer(&refusal, &mut Vec::new()).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
