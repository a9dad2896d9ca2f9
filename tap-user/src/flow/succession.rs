//! Addresses and ports are used again: which connection a packet belongs to.

use super::conversation::{Conversation, Side};
use super::packet::{Flags, Packet};
use crate::segment::Time;

/// Bytes around its end within which a packet still belongs to a closed connection.
const STRAY_DISTANCE: u64 = 16 * 1024 * 1024;
/// Bytes behind a new handshake within which the peer must acknowledge for it to be believed.
const HANDSHAKE_DISTANCE: u32 = 64 * 1024;

/// A SYN that may begin another connection of the same addresses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Handshake {
    pub(super) side: Side,
    pub(super) sequence: u32,
    pub(super) time: Time,
}

/// What a packet is to a connection that has its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belongs {
    /// It belongs to it.
    Here,
    /// It belongs to another one that takes its place.
    Successor,
    /// It comes after the end.
    Nowhere,
}

impl Conversation {
    /// Whether a packet belongs to this connection. A SYN alone never ends an open one
    /// (anybody could send it): its peer must have acknowledged it.
    pub(super) fn belongs(&mut self, side: Side, packet: &Packet<'_>) -> Belongs {
        if self.seems_over() {
            return self.belongs_after_end(side, packet);
        }
        if let Some(handshake) = self.handshake
            && self.confirms(handshake, side, packet)
        {
            return Belongs::Successor;
        }
        let first = packet.sequence.wrapping_add(1);
        if is_request_to_open(packet) && self.stream(side).has_begun() {
            self.handshake = (!self.stream(side).begins_at(first)).then_some(Handshake {
                side,
                sequence: packet.sequence,
                time: packet.time,
            });
        }
        Belongs::Here
    }

    fn belongs_after_end(&self, side: Side, packet: &Packet<'_>) -> Belongs {
        let stream = self.stream(side);
        if packet.flags.contains(Flags::RST) {
            return Belongs::Nowhere;
        }
        if packet.flags.contains(Flags::SYN) {
            return match stream.begins_at(packet.sequence.wrapping_add(1)) {
                true => Belongs::Nowhere,
                false => Belongs::Successor,
            };
        }
        let near = stream.widen(packet.sequence).abs_diff(stream.highest()) <= STRAY_DISTANCE;
        let silent = packet.payload.is_empty() && packet.cut == 0;
        match near || silent || !stream.has_begun() {
            true if self.doubt.is_some() => Belongs::Here,
            true => Belongs::Nowhere,
            false => Belongs::Successor,
        }
    }

    fn confirms(&self, handshake: Handshake, side: Side, packet: &Packet<'_>) -> bool {
        let first = handshake.sequence.wrapping_add(1);
        let acknowledged = packet.acknowledgement.wrapping_sub(first);
        let stream = self.stream(handshake.side);
        let old = stream.widen(packet.acknowledgement);
        side != handshake.side
            && packet.flags.contains(Flags::ACK)
            && !packet.flags.contains(Flags::RST)
            && acknowledged <= HANDSHAKE_DISTANCE
            && (acknowledged == 0 || old.abs_diff(stream.next()) > STRAY_DISTANCE)
    }
}

/// The first packet of a handshake.
pub(super) fn is_request_to_open(packet: &Packet<'_>) -> bool {
    let Flags(bits) = packet.flags;
    bits & (Flags::SYN.0 | Flags::ACK.0 | Flags::RST.0) == Flags::SYN.0
}
