//! Requests to open a connection, each at the moment when the kernel has it: beside the ring, whose
//! blocks come when they are full or some milliseconds old. Who wants to know something of a
//! connection that lives for a millisecond has to hurry.

use super::{InterfaceError, InterfaceSettings, open_within, refused, system};
use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Room for the headers: 40 bytes of IPv6 or 60 of IPv4, and 60 of TCP.
const HEADERS: usize = 128;

/// A request to open a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// Who asks.
    pub client: SocketAddr,
    /// Who is asked.
    pub server: SocketAddr,
    /// The client's first sequence number, which tells two connections of the same addresses
    /// apart.
    pub sequence: u32,
}

/// A packet socket that only takes requests to open. What does not fit into its buffer is missed.
pub struct Openings(OwnedFd);

impl Openings {
    /// Begins to take those that belong to a capture with these settings.
    pub fn open(settings: &InterfaceSettings) -> Result<Self, InterfaceError> {
        let filter = settings.filter.of_openings().map_err(io::Error::other);
        let filter = filter.map_err(refused("composing a filter"))?;
        open_within(settings, &filter, |_| Ok(())).map(Self)
    }

    /// The next one, if there is one. Never waits.
    pub fn poll(&self) -> Option<Opening> {
        loop {
            let mut buffer = [0; HEADERS];
            let packet = system::receive(&self.0, &mut buffer)?;
            if let Some(opening) = read(packet) {
                return Some(opening);
            }
        }
    }

    /// Whether some did not fit since the last call. If that cannot be known, some did not.
    pub fn have_missed(&self) -> bool {
        system::take_counts(&self.0).map_or(true, |counts| counts.dropped > 0)
    }
}

impl AsFd for Openings {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A packet from its network header on, as far as it was taken.
fn read(packet: &[u8]) -> Option<Opening> {
    let packet = LaxSlicedPacket::from_ip(packet).ok()?;
    let (source, destination): (IpAddr, IpAddr) = match packet.net? {
        LaxNetSlice::Ipv4(ip) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        LaxNetSlice::Ipv6(ip) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        LaxNetSlice::Arp(_) => return None,
    };
    let Some(TransportSlice::Tcp(tcp)) = packet.transport else { return None };
    Some(Opening {
        client: SocketAddr::new(source.to_canonical(), tcp.source_port()),
        server: SocketAddr::new(destination.to_canonical(), tcp.destination_port()),
        sequence: tcp.sequence_number(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;

    #[test]
    fn addresses_and_sequence_number_are_read() {
        let mut v4 = Vec::new();
        let packet = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
        packet.tcp(40_000, 80, 7, 1_000).syn().write(&mut v4, b"").unwrap();
        let opening = read(&v4).unwrap();
        assert_eq!(opening.client, "10.0.0.1:40000".parse().unwrap());
        assert_eq!((opening.server, opening.sequence), ("10.0.0.2:80".parse().unwrap(), 7));
        let mut v6 = Vec::new();
        let packet = PacketBuilder::ipv6([1; 16], [2; 16], 64);
        packet.tcp(40_000, 80, 8, 1_000).syn().write(&mut v6, b"").unwrap();
        assert_eq!(
            read(&v6).unwrap().server,
            "[202:202:202:202:202:202:202:202]:80".parse().unwrap()
        );
        for end in 0..v6.len() {
            assert_eq!(read(&v6[..end]), None, "the first {end} bytes");
        }
        assert_eq!(read(&[0x45; 128]), None);
    }
}
