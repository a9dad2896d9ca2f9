//! Asks the kernel for the socket at one end of a connection (sock_diag(7)): one look into its
//! hash table, however many sockets there are.

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{
    AF_INET, AF_INET6, IPPROTO_TCP, TCP_CLOSE_WAIT, TCP_ESTABLISHED, TCP_LISTEN, TCP_SYN_RECV,
};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr as NetlinkAddress};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

/// "Whatever its cookie": the connection's addresses are enough.
const NO_COOKIE: [u8; 8] = [0xff; 8];
/// A connection that is about to be established, before it has a socket of its own.
const TCP_NEW_SYN_RECV: u8 = 12;
/// Room for one answer; it has some 100 bytes.
const ANSWER_BYTES: usize = 4_096;

/// What the kernel knows of one end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A socket that a process has open, by its inode number.
    Open(u64),
    /// A socket that no process has yet: it is not accepted.
    Ownerless,
    /// No socket that anybody will have: the end is on another machine, or was closed.
    Nothing,
}

/// A connection to the kernel's table of sockets in one network namespace.
pub(super) struct SocketTable(Socket);

impl SocketTable {
    /// The table of the calling thread's namespace.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        socket.connect(&NetlinkAddress::new(0, 0))?;
        Ok(Self(socket))
    }

    /// Looks for the socket at `local` whose peer is `remote`.
    pub(super) fn find(&self, local: SocketAddr, remote: SocketAddr) -> io::Result<Found> {
        self.0.send(&request(local, remote), 0)?;
        let mut buffer = Vec::with_capacity(ANSWER_BYTES);
        self.0.recv(&mut buffer, 0)?;
        let answer = <NetlinkMessage<SockDiagMessage>>::deserialize(&buffer);
        match answer.map_err(io::Error::other)?.payload {
            NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                let header = &response.header;
                Ok(match (header.state, header.inode) {
                    // Asked for a connection that it does not know, the kernel names who would
                    // accept it.
                    (TCP_LISTEN, _) => Found::Nothing,
                    (TCP_ESTABLISHED | TCP_SYN_RECV | TCP_CLOSE_WAIT | TCP_NEW_SYN_RECV, 0) => {
                        Found::Ownerless
                    }
                    // In all other states its owner has closed it.
                    (_, 0) => Found::Nothing,
                    (_, inode) => Found::Open(u64::from(inode)),
                })
            }
            NetlinkPayload::Error(error) if error.raw_code() == -libc::ENOENT => Ok(Found::Nothing),
            NetlinkPayload::Error(error) => Err(error.to_io()),
            _ => Ok(Found::Nothing),
        }
    }
}

/// Whether the kernel finds a connection of this process with itself. Without its modules for that it
/// knows of no connection at all.
pub fn finds_connections() -> io::Result<bool> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let found = SocketTable::open()?.find(client.local_addr()?, client.peer_addr()?)?;
    Ok(matches!(found, Found::Open(_)))
}

fn request(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let request = InetRequest {
        family: if local.is_ipv4() { AF_INET } else { AF_INET6 },
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: SocketId {
            source_port: local.port(),
            destination_port: remote.port(),
            source_address: local.ip(),
            destination_address: remote.ip(),
            interface_id: 0,
            cookie: NO_COOKIE,
        },
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;

    /// The inode number of a descriptor of ours, as `/proc` tells it.
    fn inode(descriptor: &impl AsRawFd) -> u64 {
        let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
        std::fs::metadata(path).unwrap().ino()
    }

    fn ends_of_a_connection_are_found(address: &str) {
        let listener = TcpListener::bind(address).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (here, there) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        let table = SocketTable::open().unwrap();
        assert_eq!(table.find(there, here).unwrap(), Found::Ownerless, "not accepted yet");
        let (server, _) = listener.accept().unwrap();
        assert_eq!(table.find(here, there).unwrap(), Found::Open(inode(&client)));
        assert_eq!(table.find(there, here).unwrap(), Found::Open(inode(&server)));
        let stranger = SocketAddr::new(here.ip(), 1);
        assert_eq!(table.find(there, stranger).unwrap(), Found::Nothing, "only a listener");
        assert_eq!(table.find(stranger, there).unwrap(), Found::Nothing);
        drop(client);
        assert_eq!(table.find(here, there).unwrap(), Found::Nothing, "closed");
        assert_eq!(table.find(there, here).unwrap(), Found::Open(inode(&server)), "half closed");
    }

    #[test]
    fn ends_of_an_ipv4_connection_are_found() {
        ends_of_a_connection_are_found("127.0.0.1:0");
    }

    #[test]
    fn ends_of_an_ipv6_connection_are_found() {
        ends_of_a_connection_are_found("[::1]:0");
    }

    #[test]
    fn an_ipv4_client_of_a_listener_for_both_is_found() {
        let listener = TcpListener::bind("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (server, _) = listener.accept().unwrap();
        let (here, there) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        let table = SocketTable::open().unwrap();
        assert_eq!(table.find(there, here).unwrap(), Found::Open(inode(&server)));
    }
}
