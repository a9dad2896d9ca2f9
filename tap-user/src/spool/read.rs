//! Reading from the cursor on, past whatever is damaged.

use super::Entry;
use super::file_system::FileSystem;
use super::scan::{Scanner, Step};
use super::segments::{Place, Segment};
use super::store::Spool;
use std::io;

/// After so many failures in a row the rest of a segment is taken for lost.
const READ_FAILURES: u32 = 3;

/// An entry that was read, and where it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The entry.
    pub entry: Entry,
    /// What to acknowledge once it is delivered.
    pub place: Place,
}

impl<F: FileSystem> Spool<F> {
    /// Reads the next entries: at most so many, and no more once they have `bytes` together.
    /// Empty if all are read. What is damaged is skipped and counted.
    ///
    /// # Errors
    /// A segment cannot be read. It is tried again with the next call; after the third failure in
    /// a row its rest is skipped and counted.
    pub fn read(&mut self, records: usize, bytes: usize) -> io::Result<Vec<Read>> {
        let mut found = Vec::new();
        let mut found_bytes = 0;
        while found.len() < records && found_bytes < bytes {
            match self.read_one() {
                Ok(Some(read)) => {
                    found_bytes += read.entry.bytes.len();
                    found.push(read);
                }
                Ok(None) => break,
                Err(_) if !found.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    fn read_one(&mut self) -> io::Result<Option<Read>> {
        while self.cursor.sequence < self.segments.next {
            match self.step() {
                // Its segment was given up, and is readable after all.
                Ok(Step::Entry(stored)) if stored.sequence < self.cursor.sequence => {}
                Ok(Step::Entry(stored)) => {
                    self.read_failures = 0;
                    self.note_missing_before(stored.sequence);
                    self.cursor.sequence = stored.sequence.saturating_add(1);
                    self.cursor.offset = self.reader.as_ref().map_or(0, Scanner::offset);
                    return Ok(Some(Read { entry: stored.entry, place: self.cursor }));
                }
                Ok(Step::Damage(bytes)) => self.damage.bytes += bytes,
                Ok(Step::End) => self.leave_read_segment(),
                Err(error) => self.note_failure(error)?,
            }
        }
        Ok(None)
    }

    fn step(&mut self) -> io::Result<Step> {
        let Some((segment, limit)) = self.segments.get(self.cursor.segment) else {
            return Ok(Step::End);
        };
        let mut reader = match self.reader.take() {
            Some(reader) if reader.name() == segment.name => reader,
            _ => self.reader_at_cursor(segment)?,
        };
        reader.grow(segment.bytes, limit);
        let step = reader.step();
        self.reader = Some(reader);
        step
    }

    fn reader_at_cursor(&self, segment: Segment) -> io::Result<Scanner<F::File>> {
        let file = self.files.open(&segment.name.to_string())?;
        let mut reader = Scanner::new(file, segment.name, segment.bytes, segment.name.first);
        if self.cursor.offset > 0 {
            reader.seek(self.cursor.offset, self.cursor.sequence);
        }
        Ok(reader)
    }

    /// Goes on to the segment behind the one that is read.
    fn leave_read_segment(&mut self) {
        let end = match self.segments.get(self.cursor.segment) {
            Some((_, end)) => end,
            None => self.segments.next,
        };
        self.note_missing_before(end);
        self.cursor.sequence = self.cursor.sequence.max(end);
        if end < self.segments.next {
            self.cursor.segment = end;
            self.cursor.offset = 0;
            self.reader = None;
        }
    }

    /// Entries between the cursor and this one are nowhere.
    fn note_missing_before(&mut self, sequence: u64) {
        self.damage.records += sequence.saturating_sub(self.cursor.sequence);
    }

    fn note_failure(&mut self, error: io::Error) -> io::Result<()> {
        self.reader = None;
        self.read_failures += 1;
        if self.read_failures < READ_FAILURES && error.kind() != io::ErrorKind::NotFound {
            return Err(error);
        }
        self.read_failures = 0;
        if let Some((segment, _)) = self.segments.get(self.cursor.segment) {
            self.damage.bytes += segment.bytes.saturating_sub(self.cursor.offset);
        }
        self.leave_read_segment();
        Ok(())
    }
}
