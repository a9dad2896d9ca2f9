//! How a connection ends, and what is left of one that nobody wants.

use super::assembler::Arrival;
use super::conversation::{Context, Conversation, Phase, Side, add, count};
use super::packet::{Flags, Packet};
use crate::segment::{Close, ClosedBy, Happening};

impl Conversation {
    /// Nobody wants the bytes; only the end of the connection counts.
    pub(super) fn pass(
        &mut self,
        side: Side,
        packet: &Packet<'_>,
        arrival: Arrival,
        context: &mut Context<'_>,
    ) {
        let sent = (packet.payload.len() as u64).saturating_add(packet.cut.into());
        add(&mut context.counters.ignored_bytes, sent);
        let stream = self.stream_mut(side);
        let position = stream.widen(packet.sequence).saturating_add(sent);
        if stream.is_plausible(position) {
            stream.pass(position);
            if packet.flags.contains(Flags::FIN) {
                stream.finish_at(position, arrival);
            }
        }
    }

    /// Streams that nobody reads end when their FIN is seen.
    pub(super) fn end_unread(&mut self, context: &mut Context<'_>) {
        for side in [Side::Low, Side::High] {
            if self.stream(side).is_ending() {
                self.stream_mut(side).end();
                self.note_end(side, context);
            }
        }
    }

    /// That stream has ended; with both, so has the connection.
    pub(super) fn note_end(&mut self, side: Side, context: &mut Context<'_>) {
        let first = *self.ended_first.get_or_insert(side);
        if self.sent_by_low.has_ended() && self.sent_by_high.has_ended() {
            self.close(Close { by: self.closed_by(first), reset: false }, context);
        }
    }

    fn closed_by(&self, side: Side) -> ClosedBy {
        match self.client {
            Some(client) if client == side => ClosedBy::Client,
            Some(_) => ClosedBy::Server,
            None => ClosedBy::Unknown,
        }
    }

    /// A reset counts if the receiver accepts it (RFC 9293, section 3.5.3).
    pub(super) fn reset(&mut self, side: Side, packet: &Packet<'_>, context: &mut Context<'_>) {
        // Some explain themselves in a payload (RFC 1122, section 4.2.2.12); it is no part of the stream.
        let sent = (packet.payload.len() as u64).saturating_add(packet.cut.into());
        add(&mut context.counters.stray_bytes, sent);
        let known = self.stream(side).admits_reset(packet.sequence);
        if !known.unwrap_or_else(|| self.is_refusal(side, packet)) {
            return count(&mut context.counters.ignored_resets);
        }
        self.flush(context);
        count(&mut context.counters.resets);
        let first = self.ended_first.unwrap_or(side);
        self.close(Close { by: self.closed_by(first), reset: true }, context);
    }

    /// The first thing that is heard from a peer is a reset: it must answer what came last.
    fn is_refusal(&self, side: Side, packet: &Packet<'_>) -> bool {
        let other = self.stream(side.other());
        packet.flags.contains(Flags::ACK) && other.widen(packet.acknowledgement) == other.highest()
    }

    /// Gives the connection up.
    pub(super) fn give_up(&mut self, context: &mut Context<'_>) {
        if !self.is_over() {
            self.flush(context);
            self.close(Close { by: ClosedBy::Unknown, reset: false }, context);
        }
    }

    fn close(&mut self, close: Close, context: &mut Context<'_>) {
        if matches!(self.phase, Phase::Told | Phase::Ignored) {
            (context.handle)(self.serial, Happening::Closed(close, context.now));
        }
        self.phase = Phase::Over;
        self.sent_by_low.buffer.clear();
        self.sent_by_high.buffer.clear();
    }
}
