//! Appending: many entries with one write, a new segment when one is full.

use super::Entry;
use super::file_system::{FileSystem, SpoolFile, append_all};
use super::format::{HEADER_BYTES, SegmentName, encode_entry, encode_header, encoded_length};
use super::segments::{Place, Segment};
use super::store::Spool;
use std::hash::{BuildHasher, RandomState};
use std::io;

/// What became of entries that were to be appended: the first ones are, one for each place.
#[derive(Debug)]
pub struct Appended {
    /// Where each of them ends.
    pub places: Vec<Place>,
    /// Why the next one is not.
    pub error: Option<AppendError>,
}

/// Why an entry is not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The file system does not take it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The quota is used up.
    #[error("the spool is full")]
    Full,
    /// It is larger than the whole spool may be.
    #[error("the record is larger than the spool")]
    TooLarge,
}

/// Entries put together to be written at once.
struct Batch {
    buffer: Vec<u8>,
    /// Where each of them ends in the segment.
    places: Vec<Place>,
}

impl<F: FileSystem> Spool<F> {
    /// Bytes that an entry may take at most on disk, if it had a segment of its own.
    #[must_use]
    pub fn bytes_of(entry: &Entry) -> u64 {
        encoded_length(entry).unwrap_or(u64::MAX).saturating_add(HEADER_BYTES)
    }

    /// Appends entries in order; `time_ns` is the time now, in nanoseconds since 1970. What is
    /// appended is in the kernel: it survives this process.
    pub fn append(&mut self, entries: &[Entry], time_ns: u64) -> Appended {
        let mut places = Vec::with_capacity(entries.len());
        while let Some(rest) = entries.get(places.len()..).filter(|rest| !rest.is_empty()) {
            if let Err(error) = self.append_some(rest, time_ns, &mut places) {
                return Appended { places, error: Some(error) };
            }
        }
        Appended { places, error: None }
    }

    /// Appends as many entries as go into one segment, at least one.
    fn append_some(
        &mut self,
        entries: &[Entry],
        time_ns: u64,
        places: &mut Vec<Place>,
    ) -> Result<(), AppendError> {
        let length = entries.first().and_then(encoded_length).ok_or(AppendError::TooLarge)?;
        if length.saturating_add(HEADER_BYTES) > self.limits.bytes {
            return Err(AppendError::TooLarge);
        }
        self.tidy()?;
        self.leave_full_segment(length);
        let is_new = self.writer.is_none();
        let needed = if is_new { length.saturating_add(HEADER_BYTES) } else { length };
        if needed > self.room() {
            return Err(AppendError::Full);
        }
        let writer = self.writer()?;
        let segment =
            self.segments.newest().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let batch = self.batch(segment, entries, time_ns);
        self.write(&writer, segment, batch, places)
    }

    /// Bytes that the quota leaves. Everything counts that is not removed yet.
    fn room(&self) -> u64 {
        self.limits.bytes.saturating_sub(self.segments.bytes())
    }

    /// Goes on to a new segment if the next entry does not go into this one.
    fn leave_full_segment(&mut self, length: u64) {
        let is_full = self.segments.newest().is_some_and(|newest| {
            newest.bytes > HEADER_BYTES
                && newest.bytes.saturating_add(length) > self.limits.segment_bytes
        });
        if is_full {
            self.writer = None;
        }
    }

    /// The segment that is appended to, a new one if there is none.
    fn writer(&mut self) -> io::Result<F::File> {
        if let Some(writer) = &self.writer {
            return Ok(writer.clone());
        }
        // One without entries would have the same sequence number as the new one.
        if self.segments.newest().is_some_and(|newest| newest.name.first >= self.segments.next) {
            self.segments.retire_newest();
            self.tidy()?;
        }
        let first = self.segments.next;
        let name = SegmentName { first, salt: RandomState::new().hash_one(first) };
        let file = self.files.create(&name.to_string())?;
        if self.segments.is_empty() {
            let start = Place { sequence: first, segment: first, offset: 0 };
            self.cursor = start;
            self.acknowledged = start;
        }
        self.segments.push(Segment { name, bytes: 0 });
        self.unsynced.folder = Some(self.files.clone());
        self.writer = Some(file.clone());
        Ok(file)
    }

    /// Puts together what still goes into the segment and the quota.
    fn batch(&self, segment: Segment, entries: &[Entry], time_ns: u64) -> Batch {
        let mut buffer = Vec::new();
        if segment.bytes == 0 {
            encode_header(&mut buffer, segment.name);
        }
        let limit = self.limits.segment_bytes.min(segment.bytes.saturating_add(self.room()));
        let mut places = Vec::new();
        for (entry, sequence) in entries.iter().zip(self.segments.next..) {
            let length = encoded_length(entry).unwrap_or(u64::MAX);
            let end = segment.bytes.saturating_add(buffer.len() as u64).saturating_add(length);
            if end > limit && !places.is_empty() {
                break;
            }
            if encode_entry(&mut buffer, segment.name.salt, sequence, time_ns, entry).is_none() {
                break;
            }
            let segment = segment.name.first;
            places.push(Place { sequence: sequence + 1, segment, offset: end });
        }
        Batch { buffer, places }
    }

    /// Writes a batch. If the file system takes a part of it, that counts as far as it is whole.
    fn write(
        &mut self,
        writer: &F::File,
        segment: Segment,
        batch: Batch,
        places: &mut Vec<Place>,
    ) -> Result<(), AppendError> {
        self.note_unsynced(writer, segment);
        let (written, result) = append_all(writer, &batch.buffer);
        let end = segment.bytes.saturating_add(written as u64);
        let whole = batch.places.iter().take_while(|place| place.offset <= end).copied();
        let before = places.len();
        places.extend(whole);
        let whole_end = match places.get(before..).and_then(<[Place]>::last) {
            Some(last) => {
                self.segments.next = last.sequence;
                last.offset
            }
            None => segment.bytes,
        };
        let kept = if end > whole_end { self.cut_back(writer, whole_end, end) } else { end };
        if let Some(newest) = self.segments.newest_mut() {
            newest.bytes = kept;
        }
        Ok(result?)
    }

    /// Cuts off an entry that was written in part; says how long the file is then. If that fails
    /// too, the segment is left as it is, and the next entry begins a new one.
    fn cut_back(&mut self, writer: &F::File, whole_end: u64, end: u64) -> u64 {
        if writer.truncate(whole_end).is_ok() {
            return whole_end;
        }
        self.writer = None;
        end
    }

    fn note_unsynced(&mut self, writer: &F::File, segment: Segment) {
        let is_noted = self.unsynced.newest == Some(segment.name);
        if !is_noted {
            self.unsynced.files.push(writer.clone());
            self.unsynced.newest = Some(segment.name);
        }
    }

    /// A sync failed: what was written since the last one may be lost, and the kernel will not
    /// say so again. What comes now goes into a new segment.
    pub fn leave_segment(&mut self) {
        self.writer = None;
    }
}
