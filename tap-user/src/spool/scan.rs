//! The entries of one segment in their order, past whatever is damaged.

use super::file_system::{SpoolFile, read_up_to};
use super::format::{
    Decoded, HEADER_BYTES, Header, SegmentName, Stored, decode_entry, decode_header, find_mark,
};
use bytes::Bytes;
use std::io;

/// Bytes that are read at once, unless one entry is larger.
const READ_BYTES: usize = 256 << 10;

/// What comes next in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Entry(Stored),
    /// So many bytes are no entry.
    Damage(u64),
    End,
}

/// Reads one segment. Memory: the larger of [`READ_BYTES`] and the largest entry.
#[derive(Debug)]
pub(super) struct Scanner<F> {
    file: F,
    name: SegmentName,
    /// Bytes of the file that are looked at.
    end: u64,
    /// Sequence number that the next entry has at least.
    expected: u64,
    /// Sequence number with which the next segment begins.
    limit: u64,
    /// Where the next entry begins. `chunk_start <= offset <= end`.
    offset: u64,
    chunk: Bytes,
    chunk_start: u64,
}

impl<F: SpoolFile> Scanner<F> {
    /// Begins at the beginning of the segment.
    pub(super) fn new(file: F, name: SegmentName, end: u64, limit: u64) -> Self {
        let chunk = Bytes::new();
        Self { file, name, end, expected: name.first, limit, offset: 0, chunk, chunk_start: 0 }
    }

    pub(super) fn name(&self) -> SegmentName {
        self.name
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes to an entry whose place is known.
    pub(super) fn seek(&mut self, offset: u64, sequence: u64) {
        self.offset = offset;
        self.expected = sequence;
        if offset < self.chunk_start {
            self.chunk = Bytes::new();
        }
        if self.chunk.is_empty() {
            self.chunk_start = offset;
        }
    }

    /// The segment has grown.
    pub(super) fn grow(&mut self, end: u64, limit: u64) {
        self.end = end;
        self.limit = limit;
    }

    /// The next entry, or what is in its place.
    pub(super) fn step(&mut self) -> io::Result<Step> {
        if self.offset == 0 && self.end > 0 && self.header()? != Header::Good {
            self.offset = HEADER_BYTES.min(self.end);
            return Ok(Step::Damage(self.offset));
        }
        self.offset = self.offset.max(HEADER_BYTES);
        if self.offset >= self.end {
            return Ok(Step::End);
        }
        let Some(stored) = self.entry()? else {
            return self.skip_to_mark().map(Step::Damage);
        };
        self.offset = self.offset.saturating_add(stored.length);
        self.expected = stored.sequence.saturating_add(1);
        Ok(Step::Entry(stored))
    }

    /// What the segment's beginning says.
    pub(super) fn header(&mut self) -> io::Result<Header> {
        self.offset = 0;
        self.fill(HEADER_BYTES as usize)?;
        Ok(decode_header(&self.chunk, self.name))
    }

    /// The entry that begins here, if there is one.
    fn entry(&mut self) -> io::Result<Option<Stored>> {
        let mut available = 0;
        loop {
            match decode_entry(&self.rest(), self.name.salt) {
                Decoded::Entry(stored) => {
                    let fits = (self.expected..self.limit).contains(&stored.sequence);
                    return Ok(fits.then_some(stored));
                }
                Decoded::Incomplete(needed) if needed > available => {
                    available = needed;
                    if !self.fill(needed)? {
                        return Ok(None);
                    }
                }
                Decoded::Incomplete(_) | Decoded::Damaged => return Ok(None),
            }
        }
    }

    /// What of the chunk is at the offset and behind it.
    fn rest(&self) -> Bytes {
        let from = self.offset.saturating_sub(self.chunk_start);
        let from =
            usize::try_from(from).map_or(self.chunk.len(), |from| from.min(self.chunk.len()));
        self.chunk.slice(from..)
    }

    /// Reads at least `needed` bytes from the offset; `false` if the segment ends before.
    fn fill(&mut self, needed: usize) -> io::Result<bool> {
        let left = self.end.saturating_sub(self.offset);
        if needed as u64 > left {
            return Ok(false);
        }
        let wanted = left.min(needed.max(READ_BYTES) as u64);
        let wanted = usize::try_from(wanted).unwrap_or(needed);
        self.chunk = read_up_to(&self.file, self.offset, wanted)?.into();
        self.chunk_start = self.offset;
        Ok(self.chunk.len() >= needed)
    }

    /// Goes to the next mark or the end; says how far that was.
    fn skip_to_mark(&mut self) -> io::Result<u64> {
        let start = self.offset;
        self.offset += 1;
        while self.offset < self.end {
            if self.rest().is_empty() && !self.fill(1)? {
                self.offset = self.end;
                break;
            }
            let rest = self.rest();
            if let Some(at) = find_mark(&rest) {
                self.offset += at as u64;
                break;
            }
            self.offset += rest.len() as u64;
        }
        Ok(self.offset - start)
    }
}
