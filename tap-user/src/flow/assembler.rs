//! The packets of one direction that cannot be handed on yet, by position. Where they overlap,
//! the first copy wins.

use crate::segment::{Content, GapCause, Time};
use std::collections::BTreeMap;

/// What a stored chunk costs beside its bytes, about.
pub(super) const CHUNK_OVERHEAD: usize = 128;

/// How a packet came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) time: Time,
    /// Number of the packet within its connection.
    pub(super) ordinal: u64,
    /// What its sender had seen of the other stream: the position that it acknowledged; 0 if
    /// that is not known.
    pub(super) after: u64,
}

/// A run of bytes in waiting.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) arrival: Arrival,
    pub(super) at_boundary: bool,
    stored: Stored,
}

#[derive(Debug)]
enum Stored {
    Bytes(Box<[u8]>),
    Gap { length: u64, cause: GapCause },
}

impl Chunk {
    pub(super) fn content(&self) -> Content<'_> {
        match &self.stored {
            Stored::Bytes(bytes) => Content::Bytes(bytes),
            Stored::Gap { length, cause } => Content::Gap { length: *length, cause: *cause },
        }
    }

    fn end(&self, start: u64) -> u64 {
        start.saturating_add(self.content().length())
    }

    fn cost(&self) -> usize {
        let bytes = match &self.stored {
            Stored::Bytes(bytes) => bytes.len(),
            Stored::Gap { .. } => 0,
        };
        bytes.saturating_add(CHUNK_OVERHEAD)
    }
}

/// What became of a run of bytes that was inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Inserted {
    /// Bytes that were there already.
    pub(super) repeated: u64,
    /// Some of these were others.
    pub(super) conflicting: bool,
}

/// Disjoint chunks by the position of their first byte.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    chunks: BTreeMap<u64, Chunk>,
    cost: usize,
}

impl Assembler {
    /// Stores what is new of `content`.
    pub(super) fn insert(
        &mut self,
        start: u64,
        content: Content<'_>,
        arrival: Arrival,
        at_boundary: bool,
    ) -> Inserted {
        let end = start.saturating_add(content.length());
        let mut inserted = Inserted::default();
        let mut cursor = start;
        while cursor < end {
            let occupied = self.occupied(cursor, end);
            let (from, to) = occupied.unwrap_or((end, end));
            if cursor < from {
                let fresh = part(content, start, cursor, from);
                self.store(cursor, fresh, arrival, at_boundary && cursor == start);
            }
            inserted.repeated = inserted.repeated.saturating_add(to.saturating_sub(from));
            inserted.conflicting |= self.differs(from, part(content, start, from, to));
            cursor = to;
        }
        inserted
    }

    /// The first stretch at or behind `cursor`, before `end`, that is there already.
    fn occupied(&self, cursor: u64, end: u64) -> Option<(u64, u64)> {
        let reaches = |(start, chunk): (&u64, &Chunk)| {
            let to = chunk.end(*start).min(end);
            (to > cursor).then_some(((*start).max(cursor), to))
        };
        let before = self.chunks.range(..=cursor).next_back().and_then(reaches);
        before.or_else(|| self.chunks.range(cursor..end).next().and_then(reaches))
    }

    /// Whether the chunk around `from` has other bytes there; where one of both is cut off,
    /// nobody can tell.
    fn differs(&self, from: u64, copy: Content<'_>) -> bool {
        let Some((start, chunk)) = self.chunks.range(..=from).next_back() else { return false };
        let to = from.saturating_add(copy.length());
        match (part(chunk.content(), *start, from, to), copy) {
            (Content::Bytes(first), Content::Bytes(copy)) => first != copy,
            _ => false,
        }
    }

    fn store(&mut self, start: u64, content: Content<'_>, arrival: Arrival, at_boundary: bool) {
        let stored = match content {
            Content::Bytes(bytes) => Stored::Bytes(bytes.into()),
            Content::Gap { length, cause } => Stored::Gap { length, cause },
        };
        let chunk = Chunk { arrival, at_boundary, stored };
        self.cost = self.cost.saturating_add(chunk.cost());
        self.chunks.insert(start, chunk);
    }

    /// The chunk with the lowest position.
    pub(super) fn first(&self) -> Option<(u64, &Chunk)> {
        self.chunks.first_key_value().map(|(start, chunk)| (*start, chunk))
    }

    pub(super) fn pop_first(&mut self) -> Option<(u64, Chunk)> {
        let (start, chunk) = self.chunks.pop_first()?;
        self.cost = self.cost.saturating_sub(chunk.cost());
        Some((start, chunk))
    }

    /// Memory that the chunks take, about.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// Bytes of the stream that the chunks cover.
    pub(super) fn length(&self) -> u64 {
        self.chunks.values().map(|chunk| chunk.content().length()).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.chunks.clear();
        self.cost = 0;
    }
}

/// What of `content`, whose first byte lies at `start`, lies in `from..to`.
pub(super) fn part(content: Content<'_>, start: u64, from: u64, to: u64) -> Content<'_> {
    let skip = from.saturating_sub(start);
    let end = to.saturating_sub(start).min(content.length()).max(skip);
    match content {
        Content::Bytes(bytes) => {
            let index = |at: u64| usize::try_from(at).unwrap_or(bytes.len());
            Content::Bytes(bytes.get(index(skip)..index(end)).unwrap_or_default())
        }
        Content::Gap { cause, .. } => Content::Gap { length: end.saturating_sub(skip), cause },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARRIVAL: Arrival =
        Arrival { time: Time { monotonic_ns: 0, unix_ns: 0 }, ordinal: 0, after: 0 };

    fn insert(assembler: &mut Assembler, start: u64, bytes: &[u8]) -> (u64, bool) {
        let inserted = assembler.insert(start, Content::Bytes(bytes), ARRIVAL, true);
        (inserted.repeated, inserted.conflicting)
    }

    fn drain(assembler: &mut Assembler) -> Vec<(u64, Vec<u8>, bool)> {
        let chunks = std::iter::from_fn(|| assembler.pop_first());
        chunks
            .map(|(start, chunk)| match chunk.content() {
                Content::Bytes(bytes) => (start, bytes.to_vec(), chunk.at_boundary),
                Content::Gap { .. } => panic!("no gap was inserted"),
            })
            .collect()
    }

    #[test]
    fn the_first_copy_wins() {
        let mut assembler = Assembler::default();
        assert_eq!(insert(&mut assembler, 10, b"klm"), (0, false));
        assert_eq!(insert(&mut assembler, 15, b"pq"), (0, false));
        assert_eq!(insert(&mut assembler, 8, b"ijKlmno"), (3, true));
        assert_eq!(insert(&mut assembler, 9, b"jklmnopqr"), (8, false));
        assert_eq!(insert(&mut assembler, 11, b"l"), (1, false));
        let expected = [(8, "ij", true), (10, "klm", true), (13, "no", false)];
        let expected = expected.into_iter().chain([(15, "pq", true), (17, "r", false)]);
        let expected: Vec<_> =
            expected.map(|(start, bytes, b)| (start, bytes.as_bytes().to_vec(), b)).collect();
        assert_eq!(drain(&mut assembler), expected);
        assert_eq!(assembler.cost(), 0);
    }

    #[test]
    fn cut_bytes_conflict_with_nothing() {
        let mut assembler = Assembler::default();
        let gap = Content::Gap { length: 5, cause: GapCause::SnapLength };
        assembler.insert(10, gap, ARRIVAL, false);
        assert_eq!(insert(&mut assembler, 8, b"abcdefghi"), (5, false));
        let lengths: Vec<_> = std::iter::from_fn(|| assembler.pop_first())
            .map(|(start, chunk)| (start, chunk.content().length()))
            .collect();
        assert_eq!(lengths, [(8, 2), (10, 5), (15, 2)]);
    }
}
