//! Link layers: from a frame to its IP packet.

use super::view::View;
use super::{Layer, Next, Stop};

/// Numbers of link types in capture files (<https://www.tcpdump.org/linktypes.html>).
mod link_type {
    pub(super) const NULL: u16 = 0;
    pub(super) const ETHERNET: u16 = 1;
    pub(super) const PPP: u16 = 9;
    pub(super) const RAW_ON_LINUX: u16 = 12;
    pub(super) const RAW_ON_OPENBSD: u16 = 14;
    pub(super) const PPP_HDLC: u16 = 50;
    pub(super) const PPPOE: u16 = 51;
    pub(super) const RAW: u16 = 101;
    pub(super) const CISCO_HDLC: u16 = 104;
    pub(super) const IEEE802_11: u16 = 105;
    pub(super) const LOOP: u16 = 108;
    pub(super) const LINUX_COOKED: u16 = 113;
    pub(super) const RADIOTAP: u16 = 127;
    pub(super) const ARCNET: u16 = 129;
    pub(super) const IPV4: u16 = 228;
    pub(super) const IPV6: u16 = 229;
    pub(super) const NFLOG: u16 = 239;
    pub(super) const LINUX_COOKED_2: u16 = 276;
}

/// EtherTypes (IANA ieee-802-numbers).
pub(super) mod ether_type {
    pub(in super::super) const IPV4: u16 = 0x0800;
    pub(in super::super) const IPV6: u16 = 0x86dd;
    pub(in super::super) const BRIDGED_ETHERNET: u16 = 0x6558;
    pub(in super::super) const MPLS: u16 = 0x8847;
    pub(in super::super) const MPLS_UPSTREAM: u16 = 0x8848;
    /// Numbers below this are lengths (IEEE 802.3 3.2.6).
    pub(super) const FIRST: u16 = 0x0600;
    /// Tags of 802.1Q and of QinQ, also before it was standardised.
    pub(super) const VLAN: [u16; 5] = [0x8100, 0x88a8, 0x9100, 0x9200, 0x9300];
    pub(super) const PPPOE_SESSION: u16 = 0x8864;
}

/// Bytes of an Ethernet header before its EtherType.
const ETHERNET_ADDRESSES: usize = 12;
/// LLC header that announces SNAP (IEEE 802.2): both service access points 0xAA, unnumbered.
const SNAP: [u8; 3] = [0xaa, 0xaa, 0x03];
/// Length of the LLC header with its SNAP extension.
const SNAP_LENGTH: usize = 8;
/// Address and control field of PPP in HDLC-like framing (RFC 1662 3.1).
const HDLC_PREFIX: [u8; 2] = [0xff, 0x03];

/// What the first bytes of a frame are.
pub(super) fn link<'a>(number: u16, view: View<'a>) -> Result<Next<'a>, Stop> {
    match number {
        link_type::ETHERNET => ethernet(view),
        link_type::NULL | link_type::LOOP => loopback(view),
        link_type::RAW
        | link_type::RAW_ON_LINUX
        | link_type::RAW_ON_OPENBSD
        | link_type::IPV4
        | link_type::IPV6 => Ok(Next::Layer(Layer::Ip, view)),
        link_type::LINUX_COOKED => typed(view, 14, 16),
        link_type::LINUX_COOKED_2 => typed(view, 0, 20),
        link_type::CISCO_HDLC => typed(view, 2, 4),
        link_type::PPP | link_type::PPP_HDLC => Ok(Next::Layer(Layer::Ppp, view)),
        link_type::PPPOE => pppoe(view),
        link_type::IEEE802_11 => wireless(view),
        link_type::RADIOTAP => radiotap(view),
        link_type::ARCNET => arcnet(view),
        link_type::NFLOG => netfilter_log(view),
        other => Err(Stop::UnsupportedLink(other)),
    }
}

/// What an EtherType announces.
pub(super) fn ether_type<'a>(number: u16, view: View<'a>) -> Result<Next<'a>, Stop> {
    match number {
        ether_type::IPV4 | ether_type::IPV6 => Ok(Next::Layer(Layer::Ip, view)),
        ether_type::BRIDGED_ETHERNET => ethernet(view),
        ether_type::MPLS | ether_type::MPLS_UPSTREAM => mpls(view),
        ether_type::PPPOE_SESSION => pppoe(view),
        tag if ether_type::VLAN.contains(&tag) => typed(view, 2, 4),
        length if length < ether_type::FIRST => snap(view),
        _ => Err(Stop::NotIp),
    }
}

pub(super) fn ethernet(view: View<'_>) -> Result<Next<'_>, Stop> {
    typed(view, ETHERNET_ADDRESSES, ETHERNET_ADDRESSES + 2)
}

/// A header of `length` bytes with an EtherType at `offset`.
fn typed(view: View<'_>, offset: usize, length: usize) -> Result<Next<'_>, Stop> {
    let number = view.number16(offset).ok_or(Stop::Malformed)?;
    Ok(Next::Layer(Layer::EtherType(number), view.skip(length).ok_or(Stop::Malformed)?))
}

/// BSD loopback: the address family in the byte order of whoever captured, or big-endian. Only
/// IP families are looked for, whose numbers differ between systems.
fn loopback(view: View<'_>) -> Result<Next<'_>, Stop> {
    let family = view.number32(0).ok_or(Stop::Malformed)?;
    match family.min(family.swap_bytes()) {
        2 | 10 | 24 | 28 | 30 => Ok(Next::Layer(Layer::Ip, view.skip(4).ok_or(Stop::Malformed)?)),
        _ => Err(Stop::NotIp),
    }
}

/// LLC with SNAP; its organisation 0 means that an EtherType follows (RFC 1042).
fn snap(view: View<'_>) -> Result<Next<'_>, Stop> {
    if view.array(0) != Some(SNAP) || view.array(3) != Some([0; 3]) {
        return Err(Stop::NotIp);
    }
    typed(view, SNAP_LENGTH - 2, SNAP_LENGTH)
}

/// PPP (RFC 1661 2) with or without the HDLC prefix; the protocol may be one byte.
pub(super) fn ppp(view: View<'_>) -> Result<Next<'_>, Stop> {
    let prefix = if view.array(0) == Some(HDLC_PREFIX) { HDLC_PREFIX.len() } else { 0 };
    let view = view.skip(prefix).ok_or(Stop::Malformed)?;
    let first = view.byte(0).ok_or(Stop::Malformed)?;
    let (protocol, length) = match first & 1 {
        1 => (u16::from(first), 1),
        _ => (view.number16(0).ok_or(Stop::Malformed)?, 2),
    };
    let payload = view.skip(length).ok_or(Stop::Malformed)?;
    match protocol {
        0x0021 | 0x0057 => Ok(Next::Layer(Layer::Ip, payload)),
        0x0281 | 0x0283 => mpls(payload),
        _ => Err(Stop::NotIp),
    }
}

/// A session packet of PPPoE (RFC 2516 4): version and type, code 0, session, length.
fn pppoe(view: View<'_>) -> Result<Next<'_>, Stop> {
    let length = usize::from(view.number16(4).ok_or(Stop::Malformed)?);
    if view.byte(1) != Some(0) {
        return Err(Stop::NotIp);
    }
    let payload = view.skip(6).ok_or(Stop::Malformed)?;
    Ok(Next::Layer(Layer::Ppp, payload.with_length(length)))
}

/// A stack of labels (RFC 3032 2.1). Nothing says what is below it: 4 and 6 are the versions of
/// IP, 0 is a control word before Ethernet (RFC 4385 3), all else is Ethernet without one.
pub(super) fn mpls(mut view: View<'_>) -> Result<Next<'_>, Stop> {
    loop {
        let label = view.number32(0).ok_or(Stop::Malformed)?;
        view = view.skip(4).ok_or(Stop::Malformed)?;
        if label & 0x100 != 0 {
            break;
        }
    }
    match view.byte(0).ok_or(Stop::Malformed)? >> 4 {
        4 | 6 => Ok(Next::Layer(Layer::Ip, view)),
        0 if view.array(0) == Some([0; 4]) => ethernet(view.skip(4).ok_or(Stop::Malformed)?),
        _ => ethernet(view),
    }
}

/// The radio's own header, little-endian, before an 802.11 frame (<https://www.radiotap.org>).
fn radiotap(view: View<'_>) -> Result<Next<'_>, Stop> {
    let length = u16::from_le_bytes(view.array(2).ok_or(Stop::Malformed)?);
    wireless(view.skip(usize::from(length)).ok_or(Stop::Malformed)?)
}

/// An 802.11 data frame (IEEE 802.11 9.3.2.1). Encrypted ones are as good as not there.
fn wireless(view: View<'_>) -> Result<Next<'_>, Stop> {
    let [kind, flags] = view.array(0).ok_or(Stop::Malformed)?;
    let (is_data, is_empty, has_quality) =
        (kind & 0x0c == 0x08, kind & 0x40 != 0, kind & 0x80 != 0);
    let (has_fourth_address, is_protected, has_order) =
        (flags & 0x03 == 0x03, flags & 0x40 != 0, flags & 0x80 != 0);
    if !is_data || is_empty || is_protected {
        return Err(Stop::NotIp);
    }
    let mut length = 24;
    length += if has_fourth_address { 6 } else { 0 };
    length += if has_quality { 2 } else { 0 };
    length += if has_quality && has_order { 4 } else { 0 };
    snap(view.skip(length).ok_or(Stop::Malformed)?)
}

/// A message of netfilter's log: a header of 4 bytes, then type-length-value triples in the
/// byte order of whoever captured, padded to 4 bytes. The packet is the one of type 9.
fn netfilter_log(view: View<'_>) -> Result<Next<'_>, Stop> {
    const PAYLOAD: u16 = 9;
    let mut rest = view.skip(4).ok_or(Stop::Malformed)?;
    loop {
        let header: [u8; 4] = rest.array(0).ok_or(Stop::NotIp)?;
        let [length_low, length_high, kind_low, kind_high] = header;
        let (length, kind) = match u16::from_le_bytes([kind_low, kind_high]) {
            // Types are small numbers: a large one is of the other byte order.
            kind if kind <= 0xff => (u16::from_le_bytes([length_low, length_high]), kind),
            kind => (u16::from_be_bytes([length_low, length_high]), kind.swap_bytes()),
        };
        let length = usize::from(length).max(header.len());
        if kind == PAYLOAD {
            let value = rest.with_length(length).skip(header.len()).ok_or(Stop::Malformed)?;
            return Ok(Next::Layer(Layer::Ip, value));
        }
        rest = rest.skip(length.next_multiple_of(4)).ok_or(Stop::Malformed)?;
    }
}

/// ARCNET as Linux captures it: two addresses, two bytes of offset, a protocol; with the newer
/// encapsulation (RFC 1201) a flag and a number follow, with the older one (RFC 1051) nothing.
fn arcnet(view: View<'_>) -> Result<Next<'_>, Stop> {
    const IP: u8 = 0xd4;
    const OLDER_IP: u8 = 0xf0;
    let length = match view.byte(4).ok_or(Stop::Malformed)? {
        IP => 8,
        OLDER_IP => 5,
        _ => return Err(Stop::NotIp),
    };
    Ok(Next::Layer(Layer::Ip, view.skip(length).ok_or(Stop::Malformed)?))
}
