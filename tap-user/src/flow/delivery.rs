//! What of a connection is handed on, and when.
//!
//! Each direction goes on in its own order. Between the two, what a peer sent goes after what it
//! had acknowledged by then: no response before its request, however the capture mixed them.

use super::assembler::Arrival;
use super::conversation::{Context, Conversation, Phase, Side, add, count};
use super::role;
use super::stream::Fresh;
use crate::segment::{
    Connection, Content, Direction, GapCause, Happening, Interest, Leg, Listener, Segment, Time,
};
use std::sync::Arc;

const SIDES: [Side; 2] = [Side::Low, Side::High];

impl Conversation {
    /// Takes a run of bytes: hands it on at once if nothing stands before it, or stores it.
    pub(super) fn take(
        &mut self,
        side: Side,
        position: u64,
        content: Content<'_>,
        arrival: Arrival,
        context: &mut Context<'_>,
    ) {
        if self.phase == Phase::Ignored {
            return add(&mut context.counters.ignored_bytes, content.length());
        }
        let stream = self.stream_mut(side);
        let Some(fresh) = stream.fresh(position, content, context.counters) else { return };
        let packet_start = fresh.at_boundary && matches!(content, Content::Bytes(_));
        let fresh = Fresh { at_boundary: packet_start, ..fresh };
        if fresh.position == stream.next() {
            stream.note_in_order(arrival.time, arrival.ordinal);
        } else {
            count(&mut context.counters.out_of_order);
        }
        let next = stream.is_next(&fresh);
        if next && self.client.is_some() && self.is_allowed(side, arrival) {
            self.hand_on(side, &fresh, arrival.time, context);
        } else {
            self.store(side, &fresh, arrival, context);
        }
    }

    fn store(
        &mut self,
        side: Side,
        fresh: &Fresh<'_>,
        arrival: Arrival,
        context: &mut Context<'_>,
    ) {
        let buffer = &mut self.stream_mut(side).buffer;
        let inserted = buffer.insert(fresh.position, fresh.content, arrival, fresh.at_boundary);
        add(&mut context.counters.retransmitted_bytes, inserted.repeated);
        if inserted.conflicting {
            count(&mut context.counters.conflicts);
            self.stream_mut(side).note_conflict();
        }
    }

    /// Whether the other direction has got to where the sender had seen it. On a connection
    /// joined mid-stream, what a server sends answers a request, which may come late; what a
    /// client sends needs nothing that came before it.
    fn is_allowed(&self, side: Side, arrival: Arrival) -> bool {
        let other = self.stream(side.other());
        let answers = self.client == Some(side.other());
        other.has_reached(arrival.after) && !(answers && other.awaits_beginning())
    }

    /// After each packet: hands on what can be, gives up what must be.
    pub(super) fn go_on(&mut self, context: &mut Context<'_>) {
        self.sent_by_low.note_packet(self.packets);
        self.sent_by_high.note_packet(self.packets);
        self.drain(context);
        self.tell_established(context);
        self.tell_conflicts(context);
        self.handle_timeout(context);
        while self.is_too_large(context) && self.force(context) {}
    }

    /// A connection with its whole handshake is told of before its first bytes.
    fn tell_established(&mut self, context: &mut Context<'_>) {
        let begun = self.sent_by_low.has_begun() && self.sent_by_high.has_begun();
        if self.phase == Phase::Untold && begun && self.opened.is_some() {
            self.tell_opened(context);
        }
    }

    /// Told as soon as the roles are known and the connection is.
    fn tell_conflicts(&mut self, context: &mut Context<'_>) {
        for side in SIDES {
            if self.phase == Phase::Told && self.stream_mut(side).take_conflict() {
                self.tell(Happening::Conflict(self.direction(side)), context);
            }
        }
    }

    fn is_too_large(&self, context: &Context<'_>) -> bool {
        let limit = match self.client {
            Some(_) => context.limits.bytes_per_direction,
            None => context.limits.role_bytes.min(context.limits.bytes_per_direction),
        };
        SIDES.iter().any(|side| self.stream(*side).buffer.cost() > limit)
    }

    /// When something is to be given up, in nanoseconds of capture time.
    pub(super) fn deadline(&self, context: &Context<'_>) -> Option<u64> {
        if let Some(doubt) = &self.doubt {
            return Some(doubt.deadline(context.limits.reset_wait_ns));
        }
        if matches!(self.phase, Phase::Ignored | Phase::Over) {
            return None;
        }
        if self.client.is_none() {
            let (_, since) = self.spoke_first?;
            return Some(since.monotonic_ns.saturating_add(context.limits.hole_wait_ns));
        }
        SIDES.iter().filter_map(|side| self.stream(*side).deadline(context.limits)).min()
    }

    /// Gives up what has been waited for long enough.
    pub(super) fn handle_timeout(&mut self, context: &mut Context<'_>) {
        let now = context.now.monotonic_ns;
        while self.deadline(context).is_some_and(|deadline| deadline <= now) {
            if self.doubt.is_some() {
                return self.believe_reset(context);
            }
            let due = |side: &Side| {
                let deadline = self.stream(*side).deadline(context.limits);
                deadline.is_some_and(|deadline| deadline <= now)
            };
            match self.client {
                None => self.guess_roles(context),
                Some(_) => {
                    let Some(side) = self.first_hole(due) else { return };
                    self.give_up_hole(side, context);
                }
            }
            self.drain(context);
        }
    }

    /// Hands on everything that is here, whatever is missing.
    pub(super) fn flush(&mut self, context: &mut Context<'_>) {
        self.believe_reset(context);
        if matches!(self.phase, Phase::Told | Phase::Untold) {
            self.drain(context);
            while self.force(context) {}
        }
    }

    /// Gives up one thing that is waited for; `false` if there is none.
    pub(super) fn force(&mut self, context: &mut Context<'_>) -> bool {
        if matches!(self.phase, Phase::Ignored | Phase::Over) {
            return false;
        }
        if self.client.is_none() {
            if self.spoke_first.is_none() {
                return false;
            }
            self.guess_roles(context);
        } else {
            let Some(side) = self.first_hole(|_| true) else { return false };
            self.give_up_hole(side, context);
        }
        self.drain(context);
        true
    }

    fn guess_roles(&mut self, context: &mut Context<'_>) {
        let Some((speaker, _)) = self.spoke_first else { return };
        let speaks_first = role::guess(self.address(speaker), self.address(speaker.other()));
        self.client = Some(if speaks_first { speaker } else { speaker.other() });
        count(&mut context.counters.roles_guessed);
    }

    /// The side whose hole showed first.
    fn first_hole(&self, wanted: impl Fn(&Side) -> bool) -> Option<Side> {
        let holes = SIDES.into_iter().filter(wanted).filter_map(|side| {
            let hole = self.stream(side).hole()?;
            Some((hole.shown, side))
        });
        holes.min_by_key(|(shown, _)| *shown).map(|(_, side)| side)
    }

    fn give_up_hole(&mut self, side: Side, context: &mut Context<'_>) {
        let stream = self.stream(side);
        let Some(hole) = stream.hole() else { return };
        let length = hole.to.saturating_sub(stream.next());
        if length == 0 {
            return self.stream_mut(side).fix();
        }
        let content = Content::Gap { length, cause: GapCause::PacketMissing };
        let fresh = Fresh { position: stream.next(), content, at_boundary: false };
        self.hand_on(side, &fresh, hole.since(), context);
    }

    /// Hands on everything that nothing stands before.
    fn drain(&mut self, context: &mut Context<'_>) {
        while let Some(side) = self.next_side() {
            self.hand_on_stored(side, context);
        }
    }

    /// The side that goes on. What came first goes first, but nothing before what its sender had
    /// seen. Where each waits for the other (a packet that was sent again acknowledges more than
    /// its first copy did), the order of the capture decides.
    fn next_side(&self) -> Option<Side> {
        if self.client.is_none() || matches!(self.phase, Phase::Ignored | Phase::Over) {
            return None;
        }
        let item = |side: Side| Some((self.stream(side).ready()?, side));
        let (low, high) = (item(Side::Low), item(Side::High));
        let items = low.into_iter().chain(high);
        let allowed = items.clone().filter(|(arrival, side)| self.is_allowed(*side, *arrival));
        let first = |(arrival, _): &(Arrival, Side)| arrival.ordinal;
        let stuck = || low.and(high).and(items.clone().min_by_key(first));
        allowed.min_by_key(first).or_else(stuck).map(|(_, side)| side)
    }

    fn hand_on_stored(&mut self, side: Side, context: &mut Context<'_>) {
        let stream = self.stream_mut(side);
        match stream.buffer.first() {
            Some((position, _)) if position == stream.next() => {
                let Some((position, chunk)) = stream.buffer.pop_first() else { return };
                let (content, at_boundary) = (chunk.content(), chunk.at_boundary);
                let fresh = Fresh { position, content, at_boundary };
                self.hand_on(side, &fresh, chunk.arrival.time, context);
            }
            _ => self.hand_on_end(side, context),
        }
    }

    fn hand_on_end(&mut self, side: Side, context: &mut Context<'_>) {
        let stream = self.stream_mut(side);
        let time = stream.ready().map_or(context.now, |arrival| arrival.time);
        stream.end();
        self.tell(Happening::Ended(self.direction(side), time), context);
        self.note_end(side, context);
    }

    fn hand_on(&mut self, side: Side, fresh: &Fresh<'_>, time: Time, context: &mut Context<'_>) {
        let stream = self.stream_mut(side);
        let offset = stream.offset();
        stream.advance(fresh.content);
        self.stream_mut(side.other()).fix_acknowledged();
        let counters = &mut context.counters;
        match fresh.content {
            Content::Bytes(bytes) => add(&mut counters.delivered_bytes, bytes.len() as u64),
            Content::Gap { length, cause: GapCause::SnapLength } => {
                add(&mut counters.cut_bytes, length);
            }
            Content::Gap { length, .. } => {
                count(&mut counters.holes);
                add(&mut counters.hole_bytes, length);
            }
        }
        let segment = Segment {
            direction: self.direction(side),
            offset,
            time,
            at_boundary: fresh.at_boundary,
            content: fresh.content,
        };
        self.tell(Happening::Segment(segment), context);
    }

    fn direction(&self, side: Side) -> Direction {
        match self.client == Some(side) {
            true => Direction::ToServer,
            false => Direction::ToClient,
        }
    }

    fn tell(&mut self, happening: Happening<'_>, context: &mut Context<'_>) {
        if self.phase == Phase::Untold {
            self.tell_opened(context);
        }
        if self.phase == Phase::Told && (context.handle)(self.serial, happening) == Interest::Ignore
        {
            self.ignore(context);
        }
    }

    fn ignore(&mut self, context: &mut Context<'_>) {
        self.phase = Phase::Ignored;
        for side in SIDES {
            let buffer = &mut self.stream_mut(side).buffer;
            add(&mut context.counters.ignored_bytes, buffer.length());
            buffer.clear();
        }
    }

    fn tell_opened(&mut self, context: &mut Context<'_>) {
        let Some(client) = self.client else { return };
        let server = self.address(client.other());
        let connection = Connection {
            serial: self.serial,
            leg: Leg::Client,
            client: self.address(client),
            server,
            process: None,
            listener: Listener::Port(server.port()),
            network_namespace: None,
            control_group: None,
            opened: self.opened,
        };
        count(&mut context.counters.opened);
        if connection.joined_mid_stream() {
            count(&mut context.counters.opened_mid_stream);
        }
        self.phase = Phase::Told;
        let opened = Happening::Opened(Arc::new(connection));
        if (context.handle)(self.serial, opened) == Interest::Ignore {
            self.ignore(context);
        }
    }
}
