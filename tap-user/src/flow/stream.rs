//! One direction of a connection: from sequence numbers to a stream without overlap, and what is
//! known of the bytes that are missing from it.

use super::assembler::{Arrival, Assembler, part};
use super::counters::FlowCounters;
use super::history::History;
use super::limits::FlowLimits;
use super::sequence;
use crate::segment::{Content, Time};

/// Largest window that a receiver can open (RFC 7323, section 2.3): 65,535 scaled by 2^14.
/// Nothing lies further ahead than this.
const WINDOW_MAXIMUM: u64 = 1 << 30;

/// Bytes that are missing between what was handed on and what can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hole {
    /// Position of the first byte behind it.
    pub(super) to: u64,
    /// Its receiver acknowledged it: the capture alone misses it.
    pub(super) proven: bool,
    /// Number of the packet that showed it, then 1 if that is data behind it.
    pub(super) shown: (u64, u8),
    since: Time,
}

impl Hole {
    /// When it showed.
    pub(super) fn since(&self) -> Time {
        self.since
    }
}

/// How far the peer acknowledged.
#[derive(Debug, Clone, Copy)]
struct Acknowledged {
    position: u64,
    /// How far the first packet did that went beyond what was handed on, and that packet.
    proof: (u64, Moment),
    /// The packet that went furthest.
    last: Moment,
}

/// A packet of the connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moment {
    pub(super) time: Time,
    pub(super) ordinal: u64,
}

/// How it is known where a stream begins.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Beginning {
    /// By the first packet of it: another one may still turn out to lie further in front.
    #[default]
    Seen,
    /// By an acknowledgement without a handshake: the bytes before it were sent, so they may
    /// still come, the capture having mixed the order.
    Acknowledged(Moment),
    /// By the handshake, or it has been handed on: nothing comes before it.
    Fixed,
}

/// The bytes that one peer sends.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Position of offset 0.
    start: Option<u64>,
    beginning: Beginning,
    /// Position of the first byte that was not handed on; `start <= next`.
    next: u64,
    /// Position behind everything that was seen, a FIN included.
    highest: u64,
    acknowledged: Option<Acknowledged>,
    /// Position of the FIN.
    end: Option<(u64, Arrival)>,
    ended: bool,
    pub(super) buffer: Assembler,
    history: History,
    /// The last packet with which the stream grew without waiting.
    in_order: Moment,
    /// The last packet of the connection.
    latest: u64,
    /// The peer said after the hole was seen that it misses the same bytes.
    missed_by_receiver: bool,
    /// Different bytes came for the same place, and nobody was told yet.
    conflict: bool,
}

/// What is new of a run of bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fresh<'a> {
    pub(super) position: u64,
    pub(super) content: Content<'a>,
    pub(super) at_boundary: bool,
}

impl Stream {
    /// The first byte will be the one with this sequence number.
    pub(super) fn begin(&mut self, sequence: u32, beginning: Beginning) {
        let position = self.widen(sequence);
        self.start = Some(position);
        self.beginning = beginning;
        self.next = position;
        self.highest = self.highest.max(position);
        self.renew_proof();
    }

    /// The same peer tries again with another first sequence number.
    pub(super) fn begin_again(&mut self, sequence: u32) {
        *self = Self::default();
        self.begin(sequence, Beginning::Fixed);
    }

    pub(super) fn has_begun(&self) -> bool {
        self.start.is_some()
    }

    pub(super) fn begins_at(&self, sequence: u32) -> bool {
        self.start.is_some_and(|start| start == self.widen(sequence))
    }

    /// From now on, nothing may come before offset 0.
    pub(super) fn fix(&mut self) {
        self.beginning = Beginning::Fixed;
    }

    /// What was sent behind the acknowledged bytes was handed on: they come too late now.
    pub(super) fn fix_acknowledged(&mut self) {
        if self.awaits_beginning() {
            self.fix();
        }
    }

    /// Whether bytes before all that is known may still come, as they were acknowledged.
    pub(super) fn awaits_beginning(&self) -> bool {
        matches!(self.beginning, Beginning::Acknowledged(_))
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    /// Offset in the stream as it is handed on.
    pub(super) fn offset(&self) -> u64 {
        self.next.saturating_sub(self.start.unwrap_or(self.next))
    }

    pub(super) fn widen(&self, sequence: u32) -> u64 {
        match (self.start, self.acknowledged) {
            (Some(_), _) => sequence::widen(sequence, self.next),
            (None, Some(acknowledged)) => sequence::widen(sequence, acknowledged.position),
            (None, None) => sequence::first(sequence),
        }
    }

    /// Whether the sender may have got to that position.
    pub(super) fn is_plausible(&self, position: u64) -> bool {
        self.start.is_none() || position <= self.next.saturating_add(WINDOW_MAXIMUM)
    }

    /// Whether a reset with that sequence number would be accepted: it lies between what the
    /// receiver acknowledged and what the sender has sent. `None`: the stream is not known.
    pub(super) fn admits_reset(&self, sequence: u32) -> Option<bool> {
        let position = self.widen(sequence);
        let acknowledged = self.acknowledged.map(|acknowledged| acknowledged.position);
        let low = acknowledged.or(self.start)?;
        Some(low <= position && position <= self.highest.max(low))
    }

    /// The peer acknowledged everything before that position.
    pub(super) fn acknowledge(&mut self, position: u64, time: Time, ordinal: u64) {
        let now = Moment { time, ordinal };
        match &mut self.acknowledged {
            Some(before) if before.position >= position => {}
            Some(before) if before.position > self.next => {
                *before = Acknowledged { position, last: now, ..*before };
            }
            before => *before = Some(Acknowledged { position, proof: (position, now), last: now }),
        }
        if position <= self.next && !self.buffer.is_empty() {
            self.missed_by_receiver = true;
        }
    }

    /// Ends the stream at that position; `false` if that contradicts what was seen.
    pub(super) fn finish_at(&mut self, position: u64, arrival: Arrival) -> bool {
        if let Some((end, _)) = self.end {
            return position == end;
        }
        if position < self.highest {
            return false;
        }
        self.end = Some((position, arrival));
        self.note_seen(position.saturating_add(1));
        true
    }

    /// Whether its FIN was seen, but not handed on.
    pub(super) fn is_ending(&self) -> bool {
        self.end.is_some() && !self.ended
    }

    fn note_seen(&mut self, position: u64) {
        self.highest = self.highest.max(position);
    }

    /// Bytes that are not wanted are passed over.
    pub(super) fn pass(&mut self, position: u64) {
        self.note_seen(position);
        self.next = self.next.max(position);
    }

    /// What is new of a run of bytes, compared with what was handed on.
    pub(super) fn fresh<'a>(
        &mut self,
        position: u64,
        content: Content<'a>,
        counters: &mut FlowCounters,
    ) -> Option<Fresh<'a>> {
        self.precede(position);
        let sent_to = position.saturating_add(content.length());
        let end = self.end.map_or(sent_to, |(end, _)| sent_to.min(end));
        let behind_end = sent_to.saturating_sub(end.max(position));
        counters.stray_bytes = counters.stray_bytes.saturating_add(behind_end);
        self.note_seen(end);
        let from = position.max(self.next);
        self.count_old(position, end.min(from), counters);
        if let Content::Bytes(bytes) = content
            && from > position
            && self.history.contradicts(position, bytes)
        {
            counters.conflicts = counters.conflicts.saturating_add(1);
            self.note_conflict();
        }
        if from >= end {
            return None;
        }
        let at_boundary = from == position;
        Some(Fresh { position: from, content: part(content, position, from, end), at_boundary })
    }

    /// Different bytes came for a place that was filled already.
    pub(super) fn note_conflict(&mut self) {
        self.conflict = true;
    }

    /// Whether that happened since this was asked last.
    pub(super) fn take_conflict(&mut self) -> bool {
        std::mem::take(&mut self.conflict)
    }

    /// As long as nothing was handed on, offset 0 may turn out to lie further in front.
    fn precede(&mut self, position: u64) {
        if !matches!(self.beginning, Beginning::Fixed) && position < self.next {
            self.beginning = Beginning::Seen;
            self.start = Some(position);
            self.next = position;
        }
    }

    fn count_old(&self, from: u64, to: u64, counters: &mut FlowCounters) {
        let start = self.start.unwrap_or(from);
        let stray = to.min(start).saturating_sub(from);
        let repeated = to.saturating_sub(from.max(start));
        counters.stray_bytes = counters.stray_bytes.saturating_add(stray);
        counters.retransmitted_bytes = counters.retransmitted_bytes.saturating_add(repeated);
    }

    /// Whether that run can be handed on without storing it, as far as this stream is concerned.
    pub(super) fn is_next(&self, fresh: &Fresh<'_>) -> bool {
        let end = fresh.position.saturating_add(fresh.content.length());
        fresh.position == self.next && self.buffer.first().is_none_or(|(start, _)| end <= start)
    }

    /// These bytes, or the hole, were handed on.
    pub(super) fn advance(&mut self, content: Content<'_>) {
        if let Content::Bytes(bytes) = content {
            self.history.remember(self.next, bytes);
        }
        self.fix();
        self.next = self.next.saturating_add(content.length());
        self.missed_by_receiver = false;
        self.renew_proof();
    }

    /// Where the stream has got to the place that was proven first, the next proof is the last.
    fn renew_proof(&mut self) {
        if let Some(Acknowledged { position, proof, last }) = &mut self.acknowledged
            && proof.0 <= self.next
        {
            *proof = (*position, *last);
        }
    }

    /// The stream grows as it should.
    pub(super) fn note_in_order(&mut self, time: Time, ordinal: u64) {
        self.in_order = Moment { time, ordinal };
    }

    /// The FIN was handed on.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.fix();
        self.buffer.clear();
    }

    /// How the item came that stands next in the stream; `None` if there is none.
    pub(super) fn ready(&self) -> Option<Arrival> {
        if self.ended || !self.has_begun() {
            return None;
        }
        match (self.buffer.first(), self.end) {
            (Some((start, chunk)), _) if start == self.next => Some(chunk.arrival),
            (_, Some((end, arrival))) if end == self.next => Some(arrival),
            _ => None,
        }
    }

    /// Whether what was sent after this stream had got to `after` may be handed on.
    pub(super) fn has_reached(&self, after: u64) -> bool {
        let end = self.end.map_or(after, |(end, _)| after.min(end));
        !self.has_begun() || self.next >= end
    }

    /// What is missing at the place that the stream has got to. Where the beginning is awaited,
    /// its length is not known, and the hole is empty.
    pub(super) fn hole(&self) -> Option<Hole> {
        if self.ended || !self.has_begun() {
            return None;
        }
        if let Beginning::Acknowledged(Moment { time, ordinal }) = self.beginning {
            return Some(Hole { to: self.next, proven: true, shown: (ordinal, 0), since: time });
        }
        let shown = self.buffer.first().map(|(start, chunk)| (start, chunk.arrival)).or(self.end);
        let shown = shown.filter(|(to, _)| *to >= self.next);
        match (shown, self.acknowledged_hole()) {
            (Some((to, _)), _) if to == self.next => None,
            (Some((to, arrival)), Some(proof)) => Some(Hole {
                to: proof.to.min(to),
                since: proof.since.min(arrival.time),
                shown: proof.shown.min((arrival.ordinal, 1)),
                ..proof
            }),
            (Some((to, Arrival { time, ordinal, .. })), None) => {
                Some(Hole { to, proven: false, shown: (ordinal, 1), since: time })
            }
            (None, proof) => proof,
        }
    }

    fn acknowledged_hole(&self) -> Option<Hole> {
        let Acknowledged { proof: (position, proof), .. } = self.acknowledged?;
        let to = self.end.map_or(position, |(end, _)| position.min(end));
        let shown = (proof.ordinal, 0);
        (to > self.next).then_some(Hole { to, proven: true, shown, since: proof.time })
    }

    /// A packet of the connection came, of either peer.
    pub(super) fn note_packet(&mut self, ordinal: u64) {
        self.latest = ordinal;
    }

    /// Packets of the connection since it is known that only the capture misses a hole.
    fn packets_since_proof(&self) -> u64 {
        let proof =
            self.acknowledged.map_or(self.latest, |acknowledged| acknowledged.proof.1.ordinal);
        self.latest.saturating_sub(proof.max(self.in_order.ordinal))
    }

    /// When its hole is to be given up, in nanoseconds of capture time.
    pub(super) fn deadline(&self, limits: &FlowLimits) -> Option<u64> {
        let hole = self.hole()?;
        if hole.proven && self.packets_since_proof() >= u64::from(limits.hole_packets) {
            return Some(0);
        }
        let wait = match self.missed_by_receiver && !hole.proven {
            true => limits.loss_wait_ns,
            false => limits.hole_wait_ns,
        };
        Some(hole.since.max(self.in_order.time).monotonic_ns.saturating_add(wait))
    }
}
