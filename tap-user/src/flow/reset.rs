//! A reset, and the doubt whether its receiver took it.
//!
//! A reset with the right number ends the connection (RFC 9293, section 3.10.7.4), but only its
//! receiver knows whether it took it: checksums, options and its own defences may speak against
//! it. So it is believed only after a while. Packets that come meanwhile are held. If the
//! receiver acknowledges bytes that were sent behind the reset, the connection lives on, and they
//! go where they belong.

use super::assembler::CHUNK_OVERHEAD;
use super::conversation::{Context, Conversation, Phase, Side, add, count};
use super::packet::{Flags, Packet};
use super::stream::Stream;
use crate::segment::{Close, Time};

/// Packets behind a reset that are held; with one more, it is believed.
const PACKETS_HELD: usize = 16;

/// A reset that nobody contradicted so far.
#[derive(Debug)]
pub(super) struct Doubt {
    /// Who sent it.
    side: Side,
    time: Time,
    /// Position behind everything that its sender had sent by then.
    position: u64,
    /// Position behind what followed from there on.
    sent_to: u64,
    held: Vec<Held>,
    cost: usize,
}

/// A packet behind a reset.
#[derive(Debug)]
struct Held {
    side: Side,
    /// Without its payload.
    packet: Packet<'static>,
    payload: Box<[u8]>,
}

impl Held {
    fn new(side: Side, packet: &Packet<'_>) -> Self {
        let payload = packet.payload.into();
        let Packet { time, source, destination, sequence, acknowledgement, .. } = *packet;
        let Packet { flags, window, cut, interface, .. } = *packet;
        let packet = Packet {
            time,
            source,
            destination,
            sequence,
            acknowledgement,
            flags,
            window,
            payload: &[],
            cut,
            interface,
        };
        Self { side, packet, payload }
    }

    fn packet(&self) -> Packet<'_> {
        Packet { payload: &self.payload, ..self.packet }
    }

    fn cost(&self) -> usize {
        self.payload.len().saturating_add(CHUNK_OVERHEAD)
    }
}

impl Doubt {
    /// Memory that is held back.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// When the reset is believed, in nanoseconds of capture time.
    pub(super) fn deadline(&self, wait_ns: u64) -> u64 {
        self.time.monotonic_ns.saturating_add(wait_ns)
    }

    /// Takes note of what the sender of the reset goes on to send, if it does.
    fn note_sent(&mut self, stream: &Stream, packet: &Packet<'_>) {
        let from = stream.widen(packet.sequence);
        let fin = u64::from(packet.flags.contains(Flags::FIN));
        let to = from.saturating_add(sent(packet)).saturating_add(fin);
        if from <= self.sent_to {
            self.sent_to = self.sent_to.max(to);
        }
    }

    /// Whether the receiver took something that was sent behind the reset.
    fn is_refuted(&self, stream: &Stream, packet: &Packet<'_>) -> bool {
        let acknowledged = stream.widen(packet.acknowledgement);
        packet.flags.contains(Flags::ACK)
            && self.position < acknowledged
            && acknowledged <= self.sent_to
    }

    fn hold(&mut self, held: Held) {
        self.cost = self.cost.saturating_add(held.cost());
        self.held.push(held);
    }
}

impl Conversation {
    /// A reset counts if the receiver accepts it (RFC 9293, section 3.5.3).
    pub(super) fn reset(&mut self, side: Side, packet: &Packet<'_>, context: &mut Context<'_>) {
        // Some explain themselves in a payload (RFC 1122, section 4.2.2.12); it is no part of the stream.
        add(&mut context.counters.stray_bytes, sent(packet));
        let stream = self.stream(side);
        let known = stream.admits_reset(packet.sequence);
        if !known.unwrap_or_else(|| self.is_refusal(side, packet)) {
            return count(&mut context.counters.ignored_resets);
        }
        let position = stream.widen(packet.sequence).max(stream.highest());
        let heard_of = stream.has_begun();
        let (time, held) = (packet.time, Vec::new());
        self.doubt = Some(Doubt { side, time, position, sent_to: position, held, cost: 0 });
        if !heard_of {
            self.believe_reset(context);
        }
    }

    /// The first thing that is heard from a peer is a reset: it must answer what came last.
    fn is_refusal(&self, side: Side, packet: &Packet<'_>) -> bool {
        let other = self.stream(side.other());
        packet.flags.contains(Flags::ACK) && other.widen(packet.acknowledgement) == other.highest()
    }

    /// Takes a packet that comes after a reset.
    pub(super) fn handle_packet_after_reset(
        &mut self,
        mut doubt: Doubt,
        side: Side,
        packet: &Packet<'_>,
        context: &mut Context<'_>,
    ) {
        let stream = self.stream(doubt.side);
        let refuted = side != doubt.side && doubt.is_refuted(stream, packet);
        if side == doubt.side {
            doubt.note_sent(stream, packet);
        }
        doubt.hold(Held::new(side, packet));
        if refuted {
            return self.live_on(&doubt.held, context);
        }
        let full =
            doubt.held.len() > PACKETS_HELD || doubt.cost > context.limits.bytes_per_direction;
        self.doubt = Some(doubt);
        if full {
            self.believe_reset(context);
        }
    }

    /// The receiver of the reset ignored it.
    fn live_on(&mut self, held: &[Held], context: &mut Context<'_>) {
        count(&mut context.counters.ignored_resets);
        for held in held {
            match self.phase {
                Phase::Over => add(&mut context.counters.stray_bytes, sent(&held.packet())),
                _ => self.handle_packet(held.side, &held.packet(), context),
            }
        }
    }

    /// Ends the connection with the reset that was seen, if one was: what came after it belongs
    /// to no stream.
    pub(super) fn believe_reset(&mut self, context: &mut Context<'_>) {
        let Some(doubt) = self.doubt.take() else { return };
        for held in &doubt.held {
            add(&mut context.counters.stray_bytes, sent(&held.packet()));
        }
        self.flush(context);
        count(&mut context.counters.resets);
        let first = self.ended_first.unwrap_or(doubt.side);
        self.close(Close { by: self.closed_by(first), reset: true }, doubt.time, context);
    }
}

/// Payload bytes of a packet, as on the wire.
fn sent(packet: &Packet<'_>) -> u64 {
    (packet.payload.len() as u64).saturating_add(packet.cut.into())
}
