//! Fragments of IP datagrams wait here until their datagram is whole (RFC 791 3.2, RFC 8200 4.5).
//!
//! Where fragments overlap, the first copy of a byte wins. All memory is bounded: what waits too
//! long expires, and when there is no room the oldest datagram gives way.

use super::internet::Addresses;
use super::view::View;
use crate::segment::Time;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Largest payload of a datagram in bytes.
const DATAGRAM_LIMIT: u32 = 65_535;
/// Every fragment but the last one carries a multiple of so many bytes.
const UNIT: u32 = 8;

/// Bounds of what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FragmentLimits {
    /// Datagrams that wait; with one more the oldest is given up.
    pub datagrams: usize,
    /// Pieces of one datagram; with one more it is given up.
    pub pieces: usize,
    /// Bytes of all of them; beyond it the oldest datagrams are given up.
    pub bytes: usize,
    /// Nanoseconds after which a datagram is given up.
    pub age_ns: u64,
}

impl Default for FragmentLimits {
    fn default() -> Self {
        Self { datagrams: 1_024, pieces: 512, bytes: 4 << 20, age_ns: 30_000_000_000 }
    }
}

/// What became of fragments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FragmentCounters {
    /// Fragments seen.
    pub seen: u64,
    /// Datagrams that became whole.
    pub reassembled: u64,
    /// Datagrams given up because they waited too long.
    pub expired: u64,
    /// Datagrams given up because there was no room.
    pub evicted: u64,
    /// Fragments that repeat bytes which another one brought.
    pub overlapping: u64,
    /// Fragments that cannot be part of a datagram.
    pub malformed: u64,
}

/// Which fragments belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) addresses: Addresses,
    pub(super) protocol: u8,
    pub(super) identification: u32,
}

/// A part of a datagram.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fragment<'a> {
    pub(super) key: Key,
    /// Protocol of the datagram; counts in the first fragment only.
    pub(super) protocol: u8,
    /// Place of the payload in the datagram, in bytes.
    pub(super) offset: u32,
    /// Whether more follow behind it.
    pub(super) more: bool,
    pub(super) payload: View<'a>,
}

/// A whole datagram.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) addresses: Addresses,
    pub(super) protocol: u8,
    /// The bytes up to the first one that a capture cut off.
    pub(super) bytes: Vec<u8>,
    /// Length on the wire.
    pub(super) length: u32,
}

/// All datagrams that wait.
#[derive(Debug)]
pub(super) struct Fragments {
    limits: FragmentLimits,
    waiting: HashMap<Key, Waiting>,
    /// Oldest first; a key may stand here longer than its datagram waits.
    order: VecDeque<(Key, u64)>,
    bytes: usize,
    next_number: u64,
    counters: FragmentCounters,
}

impl Fragments {
    pub(super) fn new(limits: FragmentLimits) -> Self {
        Self {
            limits,
            waiting: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            next_number: 0,
            counters: FragmentCounters::default(),
        }
    }

    pub(super) fn counters(&self) -> FragmentCounters {
        self.counters
    }

    /// Datagrams that wait now.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a fragment in; yields its datagram if that is whole now.
    pub(super) fn insert(&mut self, fragment: &Fragment<'_>, now: Time) -> Option<Datagram> {
        self.counters.seen += 1;
        self.expire(now);
        let Some(span) = Span::of(fragment) else {
            self.counters.malformed += 1;
            return None;
        };
        self.enter(fragment.key, now);
        let waiting = self.waiting.get_mut(&fragment.key)?;
        let (added, overlaps) = waiting.add(fragment, span);
        self.counters.overlapping += u64::from(overlaps);
        self.bytes = self.bytes.saturating_add(added);
        if waiting.is_whole() {
            self.counters.reassembled += 1;
            return self.remove(&fragment.key).map(|waiting| waiting.join(fragment.key.addresses));
        }
        if waiting.pieces.len() > self.limits.pieces {
            self.counters.evicted += 1;
            self.remove(&fragment.key);
        }
        self.make_room();
        None
    }

    fn enter(&mut self, key: Key, now: Time) {
        if !self.waiting.contains_key(&key) {
            let number = self.next_number;
            self.next_number += 1;
            self.waiting.insert(key, Waiting::new(number, now));
            self.order.push_back((key, number));
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Waiting> {
        let waiting = self.waiting.remove(key)?;
        self.bytes = self.bytes.saturating_sub(waiting.bytes());
        self.forget_settled();
        Some(waiting)
    }

    /// Keys at the head of the order whose datagrams do not wait any more.
    fn forget_settled(&mut self) {
        while let Some((key, number)) = self.order.front() {
            if self.waiting.get(key).is_some_and(|waiting| waiting.number == *number) {
                return;
            }
            self.order.pop_front();
        }
    }

    fn expire(&mut self, now: Time) {
        while let Some((key, _)) = self.order.front().copied() {
            let Some(waiting) = self.waiting.get(&key) else { return };
            if now.since(waiting.since) <= self.limits.age_ns {
                return;
            }
            self.counters.expired += 1;
            self.remove(&key);
        }
    }

    fn make_room(&mut self) {
        let orders = self.limits.datagrams.saturating_mul(2);
        while self.waiting.len() > self.limits.datagrams
            || self.bytes > self.limits.bytes
            || self.order.len() > orders
        {
            let Some((key, _)) = self.order.front().copied() else { return };
            self.counters.evicted += 1;
            self.remove(&key);
        }
    }
}

/// Where a fragment's payload belongs.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn of(fragment: &Fragment<'_>) -> Option<Self> {
        let length = u32::try_from(fragment.payload.length()).ok()?;
        let end = fragment.offset.checked_add(length)?;
        let is_possible = length > 0 && end <= DATAGRAM_LIMIT;
        let is_aligned = !fragment.more || length.is_multiple_of(UNIT);
        (is_possible && is_aligned).then_some(Self { start: fragment.offset, end })
    }
}

/// A datagram that is not whole.
#[derive(Debug)]
struct Waiting {
    number: u64,
    since: Time,
    protocol: u8,
    /// Length of the datagram, once its last fragment came.
    total: Option<u32>,
    /// By place, without overlap.
    pieces: BTreeMap<u32, Piece>,
}

#[derive(Debug)]
struct Piece {
    /// Fewer than `length` if the capture cut them.
    bytes: Vec<u8>,
    length: u32,
}

impl Waiting {
    fn new(number: u64, since: Time) -> Self {
        Self { number, since, protocol: 0, total: None, pieces: BTreeMap::new() }
    }

    fn bytes(&self) -> usize {
        self.pieces.values().map(|piece| piece.bytes.len()).sum()
    }

    /// Keeps what is new; yields how many bytes that were, and whether some were not new.
    fn add(&mut self, fragment: &Fragment<'_>, span: Span) -> (usize, bool) {
        if span.start == 0 && !self.pieces.contains_key(&0) {
            self.protocol = fragment.protocol;
        }
        if !fragment.more && self.total.is_none() {
            self.total = Some(span.end);
        }
        let holes = self.holes(span);
        let fresh: u32 = holes.iter().map(|hole| hole.end - hole.start).sum();
        let mut added = 0;
        for hole in holes {
            let piece = Piece::cut_out(fragment, hole);
            added += piece.bytes.len();
            self.pieces.insert(hole.start, piece);
        }
        (added, fresh < span.end - span.start)
    }

    /// The parts of `span` that nothing covers.
    fn holes(&self, span: Span) -> Vec<Span> {
        let mut holes = Vec::new();
        let mut start = span.start;
        let before = self.pieces.range(..span.start).next_back();
        for (&place, piece) in before.into_iter().chain(self.pieces.range(span.start..span.end)) {
            if place > start {
                holes.push(Span { start, end: place });
            }
            start = start.max(place.saturating_add(piece.length));
        }
        if start < span.end {
            holes.push(Span { start, end: span.end });
        }
        holes
    }

    fn is_whole(&self) -> bool {
        let Some(total) = self.total else { return false };
        let covered: u32 =
            self.pieces.range(..total).map(|(_, piece)| piece.length).fold(0, u32::saturating_add);
        covered >= total
    }

    fn join(self, addresses: Addresses) -> Datagram {
        let length = self.total.unwrap_or_default();
        let mut bytes = Vec::new();
        for piece in self.pieces.values() {
            bytes.extend_from_slice(&piece.bytes);
            if piece.bytes.len() < piece.length as usize {
                break;
            }
        }
        bytes.truncate(length as usize);
        Datagram { addresses, protocol: self.protocol, bytes, length }
    }
}

impl Piece {
    fn cut_out(fragment: &Fragment<'_>, hole: Span) -> Self {
        let start = hole.start.saturating_sub(fragment.offset) as usize;
        let length = hole.end.saturating_sub(hole.start);
        let captured = fragment.payload.bytes().get(start..).unwrap_or_default();
        let bytes = captured.get(..length as usize).unwrap_or(captured).to_vec();
        Self { bytes, length }
    }
}
