//! IP: from a packet of version 4 or 6 to what it carries.

use super::fragments::{Fragment, Key};
use super::link::mpls;
use super::tunnel::{gre, udp};
use super::view::View;
use super::{Layer, Next, Stop, tcp};
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};
use std::net::IpAddr;

/// Protocol numbers (IANA protocol-numbers).
mod protocol {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const IPV4: u8 = 4;
    pub(super) const TCP: u8 = 6;
    pub(super) const UDP: u8 = 17;
    pub(super) const IPV6: u8 = 41;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const GRE: u8 = 47;
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const DESTINATION_OPTIONS: u8 = 60;
    pub(super) const MOBILITY: u8 = 135;
    pub(super) const MPLS: u8 = 137;
    pub(super) const HOST_IDENTITY: u8 = 139;
    pub(super) const SHIM6: u8 = 140;
}

/// Length of an IPv6 header, and of its fragment header.
const IPV6_HEADER: usize = 40;
const FRAGMENT_HEADER: usize = 8;

/// Who sends to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Addresses {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
}

pub(super) fn ip(view: View<'_>) -> Result<Next<'_>, Stop> {
    match view.byte(0).ok_or(Stop::Malformed)? >> 4 {
        4 => ipv4(view),
        6 => ipv6(view),
        _ => Err(Stop::NotIp),
    }
}

/// RFC 791. A total length of 0 comes from a network card that cuts segments itself: then the
/// frame says how long the packet is.
fn ipv4(view: View<'_>) -> Result<Next<'_>, Stop> {
    let header = Ipv4HeaderSlice::from_slice(view.bytes()).map_err(|_| Stop::Malformed)?;
    let total = match header.total_len() {
        0 => view.length(),
        length => usize::from(length),
    };
    let payload = view.with_length(total).skip(header.slice().len()).ok_or(Stop::Malformed)?;
    let addresses = Addresses {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
    };
    let protocol = header.protocol().0;
    if !header.is_fragmenting_payload() {
        return Ok(Next::Layer(Layer::Inside(addresses, protocol), payload));
    }
    Ok(Next::Fragment(Fragment {
        key: Key { addresses, protocol, identification: u32::from(header.identification()) },
        protocol,
        offset: u32::from(header.fragments_offset().value()).saturating_mul(8),
        more: header.more_fragments(),
        payload,
    }))
}

/// RFC 8200. A payload length of 0 is either a jumbogram or, far more often, a segment that the
/// network card will cut: the frame says how long it is.
fn ipv6(view: View<'_>) -> Result<Next<'_>, Stop> {
    let header = Ipv6HeaderSlice::from_slice(view.bytes()).map_err(|_| Stop::Malformed)?;
    let rest = view.skip(IPV6_HEADER).ok_or(Stop::Malformed)?;
    let payload = match header.payload_length() {
        0 => rest,
        length => rest.with_length(usize::from(length)),
    };
    let addresses = Addresses {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
    };
    Ok(Next::Layer(Layer::Inside(addresses, header.next_header().0), payload))
}

/// What an IP packet carries: a header that extends IP, a tunnel, or TCP at last.
pub(super) fn inside<'a>(
    addresses: Addresses,
    number: u8,
    view: View<'a>,
) -> Result<Next<'a>, Stop> {
    match number {
        protocol::TCP => tcp::segment(addresses, view),
        protocol::UDP => udp(view),
        protocol::GRE => gre(view),
        protocol::IPV4 | protocol::IPV6 => Ok(Next::Layer(Layer::Ip, view)),
        protocol::MPLS => mpls(view),
        protocol::FRAGMENT => fragment(addresses, view),
        protocol::HOP_BY_HOP
        | protocol::ROUTING
        | protocol::DESTINATION_OPTIONS
        | protocol::MOBILITY
        | protocol::HOST_IDENTITY
        | protocol::SHIM6 => extension(addresses, view, 8, 8),
        protocol::AUTHENTICATION => extension(addresses, view, 4, 8),
        _ => Err(Stop::NotTcp),
    }
}

/// An extension header: the protocol behind it, then its length in `unit`s beyond `first` bytes
/// (RFC 8200 4.3; the authentication header counts otherwise, RFC 4302 2.2).
fn extension(
    addresses: Addresses,
    view: View<'_>,
    unit: usize,
    first: usize,
) -> Result<Next<'_>, Stop> {
    let [next, units] = view.array(0).ok_or(Stop::Malformed)?;
    let rest = view.skip(first + unit * usize::from(units)).ok_or(Stop::Malformed)?;
    Ok(Next::Layer(Layer::Inside(addresses, next), rest))
}

/// The fragment header (RFC 8200 4.5). One that is first and last at once is no fragment
/// (RFC 6946).
fn fragment(addresses: Addresses, view: View<'_>) -> Result<Next<'_>, Stop> {
    let protocol = view.byte(0).ok_or(Stop::Malformed)?;
    let place = view.number16(2).ok_or(Stop::Malformed)?;
    let identification = view.number32(4).ok_or(Stop::Malformed)?;
    let payload = view.skip(FRAGMENT_HEADER).ok_or(Stop::Malformed)?;
    let (offset, more) = (u32::from(place & !7), place & 1 == 1);
    if offset == 0 && !more {
        return Ok(Next::Layer(Layer::Inside(addresses, protocol), payload));
    }
    // The protocol of later fragments may differ and does not count, so it is not in the key.
    let key = Key { addresses, protocol: protocol::FRAGMENT, identification };
    Ok(Next::Fragment(Fragment { key, protocol, offset, more, payload }))
}
