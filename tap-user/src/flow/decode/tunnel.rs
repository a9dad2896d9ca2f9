//! Tunnels: packets inside packets, as traffic mirrors and overlays make them.

use super::link::ethernet;
use super::view::View;
use super::{Layer, Next, Stop};

/// Destination ports of tunnels over UDP.
mod port {
    pub(super) const GTP_USER: u16 = 2_152;
    pub(super) const TEREDO: u16 = 3_544;
    pub(super) const VXLAN: u16 = 4_789;
    /// Linux before it was standardised, and some overlays still.
    pub(super) const VXLAN_OF_LINUX: u16 = 8_472;
    pub(super) const VXLAN_EXTENDED: u16 = 4_790;
    pub(super) const AYIYA: u16 = 5_072;
    pub(super) const GENEVE: u16 = 6_081;
}

/// Protocols inside GRE that are no EtherTypes of a link.
mod gre_protocol {
    pub(super) const ERSPAN: u16 = 0x88be;
    pub(super) const ERSPAN_3: u16 = 0x22eb;
    pub(super) const PPP: u16 = 0x880b;
}

/// Generic Routing Encapsulation (RFC 2784, 2890; version 1: RFC 2637 4.1).
pub(super) fn gre(view: View<'_>) -> Result<Next<'_>, Stop> {
    let flags = view.number16(0).ok_or(Stop::Malformed)?;
    let protocol = view.number16(2).ok_or(Stop::Malformed)?;
    let field = |bit: u16| if flags & bit == 0 { 0 } else { 4 };
    let (checksum, key, sequence) = (field(0x8000), field(0x2000), field(0x1000));
    if flags & 0x4000 != 0 {
        return Err(Stop::NotTcp); // Source routes were never used; RFC 2784 removed them.
    }
    let is_point_to_point = flags & 0x0007 == 1;
    let acknowledgement = if is_point_to_point { field(0x0080) } else { 0 };
    let length = 4 + checksum + key + sequence + acknowledgement;
    let payload = view.skip(length).ok_or(Stop::Malformed)?;
    match protocol {
        gre_protocol::PPP if is_point_to_point => Ok(Next::Layer(Layer::Ppp, payload)),
        gre_protocol::ERSPAN if sequence == 0 => ethernet(payload),
        gre_protocol::ERSPAN => ethernet(payload.skip(8).ok_or(Stop::Malformed)?),
        gre_protocol::ERSPAN_3 => erspan_3(payload),
        other => Ok(Next::Layer(Layer::EtherType(other), payload)),
    }
}

/// ERSPAN type III (draft-foschiano-erspan-03 4.3): 12 bytes, and 8 more if the last bit is set.
fn erspan_3(view: View<'_>) -> Result<Next<'_>, Stop> {
    let [kind, options] = view.array(10).ok_or(Stop::Malformed)?;
    let length = if options & 1 == 0 { 12 } else { 20 };
    let payload = view.skip(length).ok_or(Stop::Malformed)?;
    match kind >> 2 & 0x1f {
        0 => ethernet(payload),
        2 => Ok(Next::Layer(Layer::Ip, payload)),
        _ => Err(Stop::NotTcp),
    }
}

/// What a datagram carries, by its destination port.
pub(super) fn udp(view: View<'_>) -> Result<Next<'_>, Stop> {
    let source = view.number16(0).ok_or(Stop::Malformed)?;
    let destination = view.number16(2).ok_or(Stop::Malformed)?;
    let payload = view.skip(8).ok_or(Stop::Malformed)?;
    match destination {
        port::VXLAN | port::VXLAN_OF_LINUX => vxlan(payload),
        port::VXLAN_EXTENDED => vxlan_extended(payload),
        port::GENEVE => geneve(payload),
        port::GTP_USER => gtp(payload),
        port::TEREDO => teredo(payload),
        port::AYIYA => ayiya(payload),
        _ if source == port::TEREDO => teredo(payload),
        _ if source == port::AYIYA => ayiya(payload),
        _ => Err(Stop::NotTcp),
    }
}

/// VXLAN (RFC 7348 5): the flag I must be set.
fn vxlan(view: View<'_>) -> Result<Next<'_>, Stop> {
    if view.byte(0).ok_or(Stop::Malformed)? & 0x08 == 0 {
        return Err(Stop::NotTcp);
    }
    ethernet(view.skip(8).ok_or(Stop::Malformed)?)
}

/// VXLAN with a protocol number (draft-ietf-nvo3-vxlan-gpe 3.2).
fn vxlan_extended(view: View<'_>) -> Result<Next<'_>, Stop> {
    let has_protocol = view.byte(0).ok_or(Stop::Malformed)? & 0x04 != 0;
    let payload = view.skip(8).ok_or(Stop::Malformed)?;
    match view.byte(3) {
        Some(1 | 2) if has_protocol => Ok(Next::Layer(Layer::Ip, payload)),
        Some(3) if has_protocol => ethernet(payload),
        _ => Err(Stop::NotTcp),
    }
}

/// Geneve (RFC 8926 3.4): version 0, options in units of 4 bytes, an EtherType.
fn geneve(view: View<'_>) -> Result<Next<'_>, Stop> {
    let first = view.byte(0).ok_or(Stop::Malformed)?;
    let protocol = view.number16(2).ok_or(Stop::Malformed)?;
    if first >> 6 != 0 {
        return Err(Stop::NotTcp);
    }
    let payload = view.skip(8 + 4 * usize::from(first & 0x3f)).ok_or(Stop::Malformed)?;
    Ok(Next::Layer(Layer::EtherType(protocol), payload))
}

/// A user packet of GTP version 1 (3GPP TS 29.281 5.1). With any of the flags E, S and PN all
/// three optional fields are there; extension headers form a chain in units of 4 bytes.
fn gtp(view: View<'_>) -> Result<Next<'_>, Stop> {
    const USER_PACKET: u8 = 0xff;
    let [flags, kind] = view.array(0).ok_or(Stop::Malformed)?;
    if flags >> 4 != 0x3 || kind != USER_PACKET {
        return Err(Stop::NotTcp);
    }
    let mut rest = view.skip(8).ok_or(Stop::Malformed)?;
    if flags & 0x07 != 0 {
        let mut next = rest.byte(3).ok_or(Stop::Malformed)?;
        rest = rest.skip(4).ok_or(Stop::Malformed)?;
        while flags & 0x04 != 0 && next != 0 {
            let length = 4 * usize::from(rest.byte(0).ok_or(Stop::Malformed)?);
            let last = length.checked_sub(1).ok_or(Stop::Malformed)?;
            next = rest.byte(last).ok_or(Stop::Malformed)?;
            rest = rest.skip(length).ok_or(Stop::Malformed)?;
        }
    }
    Ok(Next::Layer(Layer::Ip, rest))
}

/// Teredo (RFC 4380 5.1.1): IPv6, possibly behind an authentication or an origin indication.
fn teredo(view: View<'_>) -> Result<Next<'_>, Stop> {
    let mut rest = view;
    if rest.array(0) == Some([0, 1]) {
        let [identifier, value]: [u8; 2] = rest.array(2).ok_or(Stop::Malformed)?;
        let length = 13 + usize::from(identifier) + usize::from(value);
        rest = rest.skip(length).ok_or(Stop::Malformed)?;
    }
    if rest.array(0) == Some([0, 0]) {
        rest = rest.skip(8).ok_or(Stop::Malformed)?;
    }
    match rest.byte(0) {
        Some(first) if first >> 4 == 6 => Ok(Next::Layer(Layer::Ip, rest)),
        _ => Err(Stop::NotTcp),
    }
}

/// AYIYA (draft-massar-v6ops-ayiya-02 3): lengths of identity and signature, a protocol number of
/// IP, the time, then identity and signature themselves. Only IPv6 was ever carried.
fn ayiya(view: View<'_>) -> Result<Next<'_>, Stop> {
    const FORWARD: u8 = 1;
    const IPV6: u8 = 41;
    let [identity, signature, operation, next] = view.array(0).ok_or(Stop::Malformed)?;
    if operation & 0x0f != FORWARD || next != IPV6 {
        return Err(Stop::NotTcp);
    }
    let length = 8 + (1_usize << (identity >> 4)) + 4 * usize::from(signature >> 4);
    Ok(Next::Layer(Layer::Ip, view.skip(length).ok_or(Stop::Malformed)?))
}
