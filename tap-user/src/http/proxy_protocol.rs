//! The PROXY protocol header, versions 1 (text) and 2 (binary), that may precede everything else
//! on a connection. It is read and passed over; its bytes count for no request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const TEXT_PREFIX: &[u8] = b"PROXY ";
/// Longest version 1 header with its line end (the specification's own number).
const TEXT_MAXIMUM: usize = 107;
const BINARY_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const BINARY_FIXED: usize = 16;
/// No header needs more bytes than this to be read.
pub(super) const BYTES_NEEDED: usize = TEXT_MAXIMUM;
const COMMAND_PROXY: u8 = 1;
const FAMILY_TCP4: u8 = 0x11;
const FAMILY_TCP6: u8 = 0x21;

/// Source and destination of the connection as the proxy saw it: (client, server).
pub(super) type Addresses = (SocketAddr, SocketAddr);

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// No PROXY protocol header.
    Absent,
    /// More bytes are needed to tell.
    Incomplete,
    /// A header of so many bytes (possibly more than were given: the rest is to be passed over).
    Header {
        /// Its length in bytes.
        length: usize,
        /// What it says; `None` for `UNKNOWN`, `LOCAL` and families that are not TCP over IP.
        addresses: Option<Addresses>,
    },
}

/// Reads the first bytes that a client sent.
pub(super) fn read(first: &[u8]) -> Opening {
    if shares_prefix(first, TEXT_PREFIX) {
        read_text(first)
    } else if shares_prefix(first, BINARY_SIGNATURE) {
        read_binary(first)
    } else {
        Opening::Absent
    }
}

fn shares_prefix(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes.iter().zip(prefix).all(|(a, b)| a == b)
}

fn read_text(first: &[u8]) -> Opening {
    let Some(feed) = first.iter().take(TEXT_MAXIMUM).position(|&byte| byte == b'\n') else {
        return if first.len() < TEXT_MAXIMUM { Opening::Incomplete } else { Opening::Absent };
    };
    let line = first.get(..feed).unwrap_or_default().trim_ascii_end();
    let Ok(line) = std::str::from_utf8(line) else { return Opening::Absent };
    let mut words = line.split(' ').skip(1);
    let addresses = match words.next() {
        Some("UNKNOWN") => None,
        Some("TCP4" | "TCP6") => match text_addresses(words) {
            None => return Opening::Absent,
            addresses => addresses,
        },
        _ => return Opening::Absent,
    };
    Opening::Header { length: feed + 1, addresses }
}

fn text_addresses<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Addresses> {
    let client: IpAddr = words.next()?.parse().ok()?;
    let server: IpAddr = words.next()?.parse().ok()?;
    let client_port = words.next()?.parse().ok()?;
    let server_port = words.next()?.parse().ok()?;
    Some((SocketAddr::new(client, client_port), SocketAddr::new(server, server_port)))
}

fn read_binary(first: &[u8]) -> Opening {
    let Some(&[command, family, high, low]) = first.get(BINARY_SIGNATURE.len()..BINARY_FIXED)
    else {
        return Opening::Incomplete;
    };
    if command >> 4 != 2 {
        return Opening::Absent;
    }
    let rest = usize::from(u16::from_be_bytes([high, low]));
    let length = BINARY_FIXED + rest;
    let address_length = match family {
        FAMILY_TCP4 => 12,
        FAMILY_TCP6 => 36,
        _ => 0,
    };
    if command & 0xf != COMMAND_PROXY || address_length == 0 || rest < address_length {
        return Opening::Header { length, addresses: None };
    }
    match first.get(BINARY_FIXED..BINARY_FIXED + address_length) {
        None => Opening::Incomplete,
        Some(block) => Opening::Header { length, addresses: binary_addresses(block) },
    }
}

/// Source address, destination address, source port, destination port.
fn binary_addresses(block: &[u8]) -> Option<Addresses> {
    let (addresses, ports) = block.split_at_checked(block.len().checked_sub(4)?)?;
    let (client, server) = addresses.split_at_checked(addresses.len() / 2)?;
    let (client_port, server_port) = ports.split_at_checked(2)?;
    Some((
        SocketAddr::new(ip(client)?, u16::from_be_bytes(client_port.try_into().ok()?)),
        SocketAddr::new(ip(server)?, u16::from_be_bytes(server_port.try_into().ok()?)),
    ))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        _ => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(length: usize, addresses: Option<(&str, &str)>) -> Opening {
        let addresses = addresses.map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap()));
        Opening::Header { length, addresses }
    }

    #[test]
    fn reads_version_1() {
        let line = b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\n";
        assert_eq!(read(line), header(47, Some(("192.168.0.1:56324", "192.168.0.11:443"))));
        assert_eq!(read(&line[..46]), Opening::Incomplete);
        assert_eq!(
            read(b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n"),
            header(32, Some(("[2001:db8::1]:1", "[::1]:2")))
        );
        assert_eq!(read(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), header(35, None));
    }

    #[test]
    fn what_only_looks_like_it_is_absent() {
        assert_eq!(read(b"P"), Opening::Incomplete);
        assert_eq!(read(b"POST / HTTP/1.1\r\n"), Opening::Absent);
        assert_eq!(read(b"PROXY / HTTP/1.1\r\n"), Opening::Absent);
        assert_eq!(read(&[&b"PROXY "[..], &[b'x'; 120]].concat()), Opening::Absent);
        assert_eq!(read(b"\r\nGET / HTTP/1.1\r\n"), Opening::Absent);
    }

    #[test]
    fn reads_version_2() {
        let mut wire = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0f".to_vec();
        wire.extend_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2, 0x1f, 0x90, 0, 80]);
        assert_eq!(read(&wire[..27]), Opening::Incomplete);
        // Three bytes of type-length-value follow that were not given.
        assert_eq!(read(&wire), header(31, Some(("10.0.0.1:8080", "10.0.0.2:80"))));

        let mut wire = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24".to_vec();
        wire.extend_from_slice(&[0; 15]);
        wire.push(1);
        wire.extend_from_slice(&[0; 15]);
        wire.push(2);
        wire.extend_from_slice(&[0, 1, 0, 2]);
        assert_eq!(read(&wire), header(52, Some(("[::1]:1", "[::2]:2"))));
    }

    #[test]
    fn local_connections_say_nothing() {
        assert_eq!(read(b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"), header(16, None));
        assert_eq!(read(b"\r\n\r\n\0\r\nQUIT\n\x21\x31\x00\xd8"), header(16 + 216, None));
        assert_eq!(read(b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x0c"), Opening::Absent);
    }
}
