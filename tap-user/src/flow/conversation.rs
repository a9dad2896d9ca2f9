//! One connection: how it begins, who its peers are, and what its packets bring.

use super::assembler::Arrival;
use super::counters::FlowCounters;
use super::limits::FlowLimits;
use super::packet::{Flags, Packet};
use super::reset::Doubt;
use super::role::{self, Speaker};
use super::stream::{Beginning, Moment, Stream};
use super::succession::{Handshake, is_request_to_open};
use crate::segment::{Content, GapCause, Happening, Interest, Time};
use std::net::SocketAddr;

/// One of the two peers; which one is told by the order of their addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Low,
    High,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

/// What a connection needs from outside to go on.
pub(super) struct Context<'a> {
    pub(super) limits: &'a FlowLimits,
    pub(super) counters: &'a mut FlowCounters,
    pub(super) now: Time,
    pub(super) handle: &'a mut dyn FnMut(u64, Happening<'_>) -> Interest,
}

/// How far the receiver knows of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing was told.
    Untold,
    /// It was told of.
    Told,
    /// It was told of, and its bytes are not wanted.
    Ignored,
    /// It has ended.
    Over,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) serial: u64,
    pub(super) low: SocketAddr,
    pub(super) high: SocketAddr,
    pub(super) sent_by_low: Stream,
    pub(super) sent_by_high: Stream,
    pub(super) phase: Phase,
    /// The peer that opened it.
    pub(super) client: Option<Side>,
    /// When the handshake began.
    pub(super) opened: Option<Time>,
    /// The peer that sent the first payload before the roles were known, and when.
    pub(super) spoke_first: Option<(Side, Time)>,
    pub(super) ended_first: Option<Side>,
    /// A SYN that may begin its successor.
    pub(super) handshake: Option<Handshake>,
    /// A reset that seems to have ended it.
    pub(super) doubt: Option<Doubt>,
    /// Packets that it was given.
    pub(super) packets: u64,
}

impl Conversation {
    /// `handshake`: the one that its predecessor saw.
    pub(super) fn new(
        serial: u64,
        (low, high): (SocketAddr, SocketAddr),
        handshake: Option<Handshake>,
    ) -> Self {
        let mut conversation = Self {
            serial,
            low,
            high,
            sent_by_low: Stream::default(),
            sent_by_high: Stream::default(),
            phase: Phase::Untold,
            client: None,
            opened: None,
            spoke_first: None,
            ended_first: None,
            handshake: None,
            doubt: None,
            packets: 0,
        };
        if let Some(Handshake { side, sequence, time }) = handshake {
            conversation.begin(side, side, sequence, time);
        }
        conversation
    }

    pub(super) fn stream(&self, side: Side) -> &Stream {
        match side {
            Side::Low => &self.sent_by_low,
            Side::High => &self.sent_by_high,
        }
    }

    pub(super) fn stream_mut(&mut self, side: Side) -> &mut Stream {
        match side {
            Side::Low => &mut self.sent_by_low,
            Side::High => &mut self.sent_by_high,
        }
    }

    pub(super) fn address(&self, side: Side) -> SocketAddr {
        match side {
            Side::Low => self.low,
            Side::High => self.high,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// It has ended, or a reset says so that may yet turn out to have been ignored.
    pub(super) fn seems_over(&self) -> bool {
        self.is_over() || self.doubt.is_some()
    }

    /// Memory that is held back.
    pub(super) fn cost(&self) -> usize {
        let held = self.doubt.as_ref().map_or(0, Doubt::cost);
        let stored = [&self.sent_by_low, &self.sent_by_high].map(|stream| stream.buffer.cost());
        stored.into_iter().fold(held, usize::saturating_add)
    }

    /// Takes a packet that belongs here.
    pub(super) fn handle_packet(
        &mut self,
        side: Side,
        packet: &Packet<'_>,
        context: &mut Context<'_>,
    ) {
        if let Some(doubt) = self.doubt.take() {
            return self.handle_packet_after_reset(doubt, side, packet, context);
        }
        self.packets = self.packets.saturating_add(1);
        if packet.flags.contains(Flags::RST) {
            return self.reset(side, packet, context);
        }
        if packet.flags.contains(Flags::SYN) {
            self.synchronise(side, packet, context);
        }
        let after = self.acknowledge(side, packet, context);
        let arrival = Arrival { time: packet.time, ordinal: self.packets, after };
        if self.phase == Phase::Ignored {
            self.pass(side, packet, arrival, context);
        } else {
            self.receive(side, packet, arrival, context);
            self.go_on(context);
        }
        if self.phase == Phase::Ignored {
            self.end_unread(context);
        }
    }

    fn synchronise(&mut self, side: Side, packet: &Packet<'_>, context: &mut Context<'_>) {
        let client = match packet.flags.contains(Flags::ACK) {
            true => side.other(),
            false => side,
        };
        let first = packet.sequence.wrapping_add(1);
        let unanswered = self.opened.is_some() && !self.stream(side.other()).has_begun();
        if !self.stream(side).has_begun() || self.stream(side).begins_at(first) {
            self.begin(side, client, packet.sequence, packet.time);
        } else if is_request_to_open(packet) && unanswered && self.phase == Phase::Untold {
            self.handshake = None;
            self.opened = Some(packet.time);
            let stream = self.stream_mut(side);
            add(&mut context.counters.stray_bytes, stream.buffer.length());
            stream.begin_again(first);
        }
    }

    /// That peer's stream begins behind its SYN.
    fn begin(&mut self, side: Side, client: Side, sequence: u32, time: Time) {
        if self.phase == Phase::Untold && self.client.is_none() {
            self.client = Some(client);
            self.opened = Some(time);
        }
        let stream = self.stream_mut(side);
        match stream.has_begun() {
            true => stream.fix(),
            false => stream.begin(sequence.wrapping_add(1), Beginning::Fixed),
        }
    }

    /// Takes note of the acknowledgement number; the position that it stands for, or 0.
    fn acknowledge(&mut self, side: Side, packet: &Packet<'_>, context: &mut Context<'_>) -> u64 {
        if !packet.flags.contains(Flags::ACK) {
            return 0;
        }
        let ordinal = self.packets;
        let opened = self.opened.is_some();
        let begins = !packet.payload.is_empty() || opened;
        let other = self.stream_mut(side.other());
        if begins && !other.has_begun() {
            let acknowledged = Beginning::Acknowledged(Moment { time: packet.time, ordinal });
            let beginning = if opened { Beginning::Fixed } else { acknowledged };
            other.begin(packet.acknowledgement, beginning);
        }
        let position = other.widen(packet.acknowledgement);
        if !other.is_plausible(position) {
            count(&mut context.counters.implausible);
            return 0;
        }
        other.acknowledge(position, packet.time, ordinal);
        position
    }

    /// Takes the payload and the FIN.
    fn receive(
        &mut self,
        side: Side,
        packet: &Packet<'_>,
        arrival: Arrival,
        context: &mut Context<'_>,
    ) {
        let length = packet.payload.len() as u64;
        let sent = length.saturating_add(u64::from(packet.cut));
        let fin = packet.flags.contains(Flags::FIN);
        let Some(position) = self.place(side, packet, sent, fin, context) else { return };
        if sent > 0 {
            self.find_role(side, packet);
        }
        if length > 0 {
            self.take(side, position, Content::Bytes(packet.payload), arrival, context);
        }
        if packet.cut > 0 {
            let gap = Content::Gap { length: packet.cut.into(), cause: GapCause::SnapLength };
            self.take(side, position.saturating_add(length), gap, arrival, context);
        }
        if fin && !self.stream_mut(side).finish_at(position.saturating_add(sent), arrival) {
            count(&mut context.counters.implausible);
        }
    }

    /// Position of the first byte of a packet; `None` if it brings nothing.
    fn place(
        &mut self,
        side: Side,
        packet: &Packet<'_>,
        sent: u64,
        fin: bool,
        context: &mut Context<'_>,
    ) -> Option<u64> {
        let stream = self.stream_mut(side);
        let first = packet.sequence.wrapping_add(u32::from(packet.flags.contains(Flags::SYN)));
        let probe = sent <= 1 && !fin && packet.payload.iter().all(|byte| *byte == 0);
        if !stream.has_begun() {
            if probe {
                add(&mut context.counters.stray_bytes, sent);
                return None;
            }
            stream.begin(first, Beginning::Seen);
        }
        let position = stream.widen(first);
        let behind = position.saturating_add(1);
        if sent <= 1 && !fin && (behind == stream.next() || behind == stream.highest()) {
            count(&mut context.counters.keep_alives);
            add(&mut context.counters.retransmitted_bytes, sent);
            return None;
        }
        if !stream.is_plausible(position) {
            count(&mut context.counters.implausible);
            add(&mut context.counters.stray_bytes, sent);
            return None;
        }
        (sent > 0 || fin).then_some(position)
    }

    fn find_role(&mut self, side: Side, packet: &Packet<'_>) {
        if self.client.is_some() {
            return;
        }
        self.spoke_first.get_or_insert((side, packet.time));
        self.client = match role::speaker(packet.payload) {
            Some(Speaker::Client) => Some(side),
            Some(Speaker::Server) => Some(side.other()),
            None => None,
        };
    }
}

/// One more.
pub(super) fn count(counter: &mut u64) {
    add(counter, 1);
}

/// As many more.
pub(super) fn add(counter: &mut u64, number: u64) {
    *counter = counter.saturating_add(number);
}
