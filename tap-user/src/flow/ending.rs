//! How a connection ends, and what is left of one that nobody wants.

use super::assembler::Arrival;
use super::conversation::{Context, Conversation, Phase, Side, add};
use super::packet::{Flags, Packet};
use crate::segment::{Abandonment, Close, ClosedBy, Happening, Time};

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
            let close = Close { by: self.closed_by(first), reset: false };
            self.close(close, context.now, context);
        }
    }

    pub(super) fn closed_by(&self, side: Side) -> ClosedBy {
        match self.client {
            Some(client) if client == side => ClosedBy::Client,
            Some(_) => ClosedBy::Server,
            None => ClosedBy::Unknown,
        }
    }

    /// Gives the connection up.
    pub(super) fn give_up(&mut self, cause: Abandonment, context: &mut Context<'_>) {
        self.believe_reset(context);
        if !self.is_over() {
            self.flush(context);
            self.end(Happening::Abandoned(cause, context.now), context);
        }
    }

    pub(super) fn close(&mut self, close: Close, time: Time, context: &mut Context<'_>) {
        self.end(Happening::Closed(close, time), context);
    }

    fn end(&mut self, last: Happening<'_>, context: &mut Context<'_>) {
        if matches!(self.phase, Phase::Told | Phase::Ignored) {
            (context.handle)(self.serial, last);
        }
        self.phase = Phase::Over;
        self.sent_by_low.buffer.clear();
        self.sent_by_high.buffer.clear();
    }
}
