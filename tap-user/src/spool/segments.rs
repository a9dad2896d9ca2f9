//! Which segments there are, how much they hold, and which of them have to go. Pure.

use super::format::{HEADER_BYTES, SegmentName};
use std::collections::VecDeque;

/// A segment on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) name: SegmentName,
    /// Length of the file.
    pub(super) bytes: u64,
}

/// Where an entry ends and the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Sequence number of the next entry.
    pub(super) sequence: u64,
    /// First sequence number of the segment in which the last one is.
    pub(super) segment: u64,
    /// Where it ends there; 0 if nothing is known but the segment.
    pub(super) offset: u64,
}

/// What the quota costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Records that were not read yet.
    pub records: u64,
    /// Bytes of these on disk.
    pub bytes: u64,
}

/// Segments in the order of their entries. Segment by segment the sequence numbers go on.
#[derive(Debug, Default)]
pub(super) struct Segments {
    list: VecDeque<Segment>,
    /// Segments that nobody needs, and that are still on disk.
    doomed: VecDeque<Segment>,
    /// Sequence number of the next entry that is appended.
    pub(super) next: u64,
}

impl Segments {
    pub(super) fn new(list: Vec<Segment>) -> Self {
        Self { list: list.into(), ..Self::default() }
    }

    pub(super) fn oldest(&self) -> Option<Segment> {
        self.list.front().copied()
    }

    pub(super) fn newest(&self) -> Option<Segment> {
        self.list.back().copied()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Segment> {
        self.list.iter().copied()
    }

    pub(super) fn newest_mut(&mut self) -> Option<&mut Segment> {
        self.list.back_mut()
    }

    pub(super) fn push(&mut self, segment: Segment) {
        self.list.push_back(segment);
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether no segment is needed.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether nothing is on disk.
    pub(super) fn are_gone(&self) -> bool {
        self.list.is_empty() && self.doomed.is_empty()
    }

    /// The segment that begins with `first`, and where the one behind it begins.
    pub(super) fn get(&self, first: u64) -> Option<(Segment, u64)> {
        let at = self.list.iter().position(|segment| segment.name.first == first)?;
        Some((*self.list.get(at)?, self.end_of(at)))
    }

    /// Sequence number behind the last one of a segment.
    fn end_of(&self, at: usize) -> u64 {
        self.list.get(at + 1).map_or(self.next, |behind| behind.name.first)
    }

    /// Bytes of all segments that are needed.
    pub(super) fn bytes(&self) -> u64 {
        self.list.iter().map(|segment| segment.bytes).sum()
    }

    /// Bytes of entries behind `place`.
    pub(super) fn bytes_behind(&self, place: Place) -> u64 {
        let entries = |segment: &Segment| match segment.name.first {
            first if first < place.segment => 0,
            first if first == place.segment => {
                segment.bytes.saturating_sub(place.offset.max(HEADER_BYTES))
            }
            _ => segment.bytes.saturating_sub(HEADER_BYTES),
        };
        self.list.iter().map(entries).sum()
    }

    /// Where everything that is needed begins.
    pub(super) fn start(&self) -> Place {
        let first = self.oldest().map_or(self.next, |oldest| oldest.name.first);
        Place { sequence: first, segment: first, offset: 0 }
    }

    /// The oldest segment is needed no more; what `cursor` has not read of it is dropped.
    pub(super) fn drop_oldest(&mut self, cursor: Place) -> Dropped {
        let end = self.end_of(0);
        let Some(oldest) = self.list.pop_front() else { return Dropped::default() };
        self.doomed.push_back(oldest);
        let first = oldest.name.first;
        let records = end.saturating_sub(cursor.sequence.max(first));
        let read = if cursor.segment == first { cursor.offset } else { 0 };
        let bytes = match records {
            0 => 0,
            _ => oldest.bytes.saturating_sub(read.max(HEADER_BYTES)),
        };
        Dropped { records, bytes }
    }

    /// Segments before the newest that hold nothing from `sequence` on are needed no more.
    pub(super) fn retire_before(&mut self, sequence: u64) {
        while self.len() > 1 && self.end_of(0) <= sequence {
            self.doomed.extend(self.list.pop_front());
        }
    }

    /// Segments that begin with the same sequence number as another one.
    pub(super) fn twins(&self) -> Vec<Segment> {
        let begins_alike = |twin: &&Segment| {
            self.list.iter().filter(|other| other.name.first == twin.name.first).count() > 1
        };
        self.list.iter().filter(begins_alike).copied().collect()
    }

    /// A segment is needed no more, if another one begins with the same sequence number.
    pub(super) fn retire_twin(&mut self, twin: Segment) {
        let at = self.list.iter().position(|&segment| segment == twin);
        if self.twins().contains(&twin) {
            self.doomed.extend(at.and_then(|at| self.list.remove(at)));
        }
    }

    /// The newest segment is needed no more.
    pub(super) fn retire_newest(&mut self) {
        self.doomed.extend(self.list.pop_back());
    }

    pub(super) fn doomed(&self) -> Option<Segment> {
        self.doomed.front().copied()
    }

    /// The first of the doomed is gone from the disk.
    pub(super) fn buried(&mut self) {
        self.doomed.pop_front();
    }
}
