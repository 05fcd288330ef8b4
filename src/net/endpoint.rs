//! The node's one UDP socket with QUIC on it, for dialling and being dialled.
//!
//! One socket for both, so that a peer can be reached at the address that it dials from. The default `[::]` is opened
//! for IPv4 as well; on machines without IPv6 the same port of `0.0.0.0` takes its place. The kernel's usual socket
//! buffers of 208 KiB hold fewer than 150 full packets and lose thousands per GiB even on loopback, so large ones are
//! asked for and what was granted is said.
//!
//! Invariant: an endpoint from here authenticates both ways and has every limit of [`TransportSettings`].
//!
//! Not here: whom to dial and whom to accept (`node`).

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use quinn::{ConnectError, Connecting, Connection, Endpoint, TokioRuntime};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::reset;
use super::socket::NodeSocket;
use super::transport::TransportSettings;
use crate::identity::{Credentials, NODE_NAME};
use crate::units::Bytes;

/// Why the node has no socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program, often another node, has the port.
    #[error("another program already listens on UDP {address}; stop it, or choose another --listen-addr")]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// Ports below 1024 take a privilege.
    #[error("not permitted to listen on {address}; ports below 1024 need a privilege, choose another --listen-addr")]
    Permission {
        /// The address.
        address: SocketAddr,
    },
    /// No interface of this machine has the address.
    #[error("{address} is not an address of this machine; choose another --listen-addr")]
    NotOurs {
        /// The address.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot open a UDP socket on {address}")]
    Socket {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Opens the node's endpoint on `address`; port 0 takes any free one. Must be called within a tokio runtime.
///
/// # Errors
/// [`BindError`] when the address cannot be had.
pub fn bind(
    address: SocketAddr,
    credentials: &Credentials,
    settings: &TransportSettings,
) -> Result<Endpoint, BindError> {
    let socket = open(address)?;
    let failed = |source| BindError::Socket { address, source };
    let mut config = settings.endpoint();
    reset::set_up(&mut config, credentials, socket.local_addr().map_err(failed)?.port());
    let buffer = SockRef::from(&socket).recv_buffer_size().map_err(failed)? / BOOKKEEPING;
    let socket = Arc::new(NodeSocket::new(socket, buffer).map_err(failed)?);
    let server = settings.server(credentials);
    let mut endpoint =
        Endpoint::new_with_abstract_socket(config, Some(server), socket, Arc::new(TokioRuntime)).map_err(failed)?;
    endpoint.set_default_client_config(settings.client(credentials));
    Ok(endpoint)
}

/// Lets all connections from now on use these credentials; those that exist stay as they are.
pub fn renew(endpoint: &mut Endpoint, credentials: &Credentials, settings: &TransportSettings) {
    endpoint.set_server_config(Some(settings.server(credentials)));
    endpoint.set_default_client_config(settings.client(credentials));
}

/// Begins to dial the peer at `address`.
///
/// A success of the handshake is not yet an acceptance: in TLS 1.3 the peer looks at our certificate only after our
/// side is complete, so a refused node sees its connection end a moment later. Only an answer on a stream proves a
/// neighbour.
///
/// # Errors
/// [`ConnectError`] when the address cannot be dialled from this socket.
pub fn dial(endpoint: &Endpoint, address: SocketAddr) -> Result<Connecting, ConnectError> {
    endpoint.connect(address, NODE_NAME)
}

/// Where the peer of this connection is, in the form in which users and peer lists write it.
///
/// A socket that serves both families reports an IPv4 peer as `::ffff:10.0.0.1`; the same machine must not count as two. The interface
/// of a link-local address stays, since such an address is nowhere without it.
#[must_use]
pub fn remote_address(connection: &Connection) -> SocketAddr {
    let address = connection.remote_address();
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::new(v4.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

fn open(address: SocketAddr) -> Result<UdpSocket, BindError> {
    match open_exactly(address) {
        Ok(socket) => Ok(socket),
        Err(error) => match ipv4_instead(address, &error) {
            Some(instead) => {
                tracing::info!("this machine has no IPv6: listening on {instead} instead of {address}");
                open_exactly(instead).map_err(|error| explain(instead, error))
            }
            None => Err(explain(address, error)),
        },
    }
}

fn open_exactly(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // Where the system forbids it, the socket still serves IPv6; IPv4 peers then fail one by one with their own
        // error.
        if let Err(error) = socket.set_only_v6(false) {
            tracing::info!("the socket on {address} serves IPv6 only: {error}");
        }
    }
    enlarge_buffers(&socket)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Asks for large socket buffers; a kernel that grants less is no error, but costs speed and is therefore said.
fn enlarge_buffers(socket: &Socket) -> io::Result<()> {
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    let granted = [socket.recv_buffer_size()? / BOOKKEEPING, socket.send_buffer_size()? / BOOKKEEPING];
    let shown = granted.map(|size| Bytes(size as u64));
    if granted.iter().any(|size| *size < SOCKET_BUFFER) {
        tracing::info!(
            "the kernel grants socket buffers of {} to receive and {} to send; for full speed run: \
             sysctl -w net.core.rmem_max={SOCKET_BUFFER} net.core.wmem_max={SOCKET_BUFFER}",
            shown[0],
            shown[1],
        );
    } else {
        tracing::debug!("socket buffers: {} to receive, {} to send", shown[0], shown[1]);
    }
    Ok(())
}

/// The IPv4 address to try when `error` says that a machine without IPv6 was asked for any address.
fn ipv4_instead(address: SocketAddr, error: &io::Error) -> Option<SocketAddr> {
    let code = rustix::io::Errno::from_io_error(error)?;
    let without_ipv6 = matches!(code, rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL);
    let any = address.is_ipv6() && address.ip().is_unspecified();
    (any && without_ipv6).then(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
}

fn explain(address: SocketAddr, source: io::Error) -> BindError {
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address },
        io::ErrorKind::PermissionDenied => BindError::Permission { address },
        io::ErrorKind::AddrNotAvailable => BindError::NotOurs { address },
        _ => BindError::Socket { address, source },
    }
}

/// 8 MiB hold 6.7 ms at 10 Gbit/s, longer than a busy machine keeps a task waiting.
const SOCKET_BUFFER: usize = 8 << 20;
/// Linux doubles the size for its own bookkeeping and reports the double (socket(7), SO_RCVBUF).
const BOOKKEEPING: usize = 2;

#[cfg(test)]
mod tests;
