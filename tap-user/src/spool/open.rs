//! Opening a spool: what the last process left, be it killed or cut off from power.

use super::file_system::{FileSystem, SpoolFile};
use super::format::{HEADER_BYTES, Header, SegmentName};
use super::position::{self, Stored};
use super::scan::{Scanner, Step};
use super::segments::{Segment, Segments};
use super::settings::Limits;
use super::store::{Damage, Spool, Unsynced};
use std::io;

/// Why a spool cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file cannot be read.
    #[error(
        "cannot read {file} of the spool: {source}; if the disk is broken, move the folder away"
    )]
    Read {
        /// The file.
        file: String,
        /// Why not.
        source: io::Error,
    },
    /// It was written by a later version.
    #[error(
        "{file} of the spool is of version {version}, which a later gatetap wrote: run that one until `gatetap spool` shows nothing, or choose another folder"
    )]
    Version {
        /// The file.
        file: String,
        /// Its version.
        version: u32,
    },
}

impl<F: FileSystem> Spool<F> {
    /// Opens the spool in that folder, and begins one if there is none. Nothing has to be written
    /// for that: a spool on a read-only file system can be read.
    ///
    /// # Errors
    /// Something in it cannot be read, or was written by a later version.
    pub fn open(files: F, limits: Limits) -> Result<Self, OpenError> {
        let segments = Segments::new(list(&files)?);
        let position = position::load(&files).map_err(cannot_read("the acknowledged position"))?;
        let start = segments.start();
        let mut spool = Self {
            files,
            limits,
            segments,
            writer: None,
            reader: None,
            read_failures: 0,
            cursor: start,
            acknowledged: start,
            stored: None,
            unsynced: Unsynced::default(),
            damage: Damage::default(),
        };
        spool.check_versions()?;
        spool.retire_empty_twins()?;
        spool.find_end()?;
        spool.go_to(position)?;
        spool.unsynced.names =
            spool.segments.all().map(|segment| segment.name.to_string()).collect();
        spool.unsynced.folder = Some(spool.files.clone());
        Ok(spool)
    }

    fn check_versions(&self) -> Result<(), OpenError> {
        for segment in self.segments.all() {
            let mut scanner = self.scanner(segment, u64::MAX)?;
            let header = scanner.header().map_err(cannot_read(segment.name))?;
            if let Header::Version(version) = header {
                return Err(OpenError::Version { file: segment.name.to_string(), version });
            }
        }
        Ok(())
    }

    /// A segment without entries whose removal was lost with the power, beside the one that came
    /// in its place.
    fn retire_empty_twins(&mut self) -> Result<(), OpenError> {
        for twin in self.segments.twins() {
            if !self.has_entries(twin)? {
                self.segments.retire_twin(twin);
            }
        }
        Ok(())
    }

    fn has_entries(&self, segment: Segment) -> Result<bool, OpenError> {
        let mut scanner = self.scanner(segment, u64::MAX)?;
        loop {
            match scanner.step().map_err(cannot_read(segment.name))? {
                Step::Entry(_) => return Ok(true),
                Step::Damage(_) => {}
                Step::End => return Ok(false),
            }
        }
    }

    fn scanner(&self, segment: Segment, limit: u64) -> Result<Scanner<F::File>, OpenError> {
        let file = self.files.open(&segment.name.to_string()).map_err(cannot_read(segment.name))?;
        Ok(Scanner::new(file, segment.name, segment.bytes, limit))
    }

    /// Finds the last entry, and cuts off what is behind it: it was being written when the last
    /// process ended, or did not get to the disk before the power went.
    fn find_end(&mut self) -> Result<(), OpenError> {
        let Some(newest) = self.segments.newest() else { return Ok(()) };
        let mut scanner = self.scanner(newest, u64::MAX)?;
        let (mut end, mut next) = (0, newest.name.first);
        loop {
            match scanner.step().map_err(cannot_read(newest.name))? {
                Step::Entry(stored) => {
                    (end, next) = (scanner.offset(), stored.sequence.saturating_add(1));
                }
                Step::Damage(_) => {}
                Step::End => break,
            }
        }
        self.segments.next = next;
        self.cut(newest, end);
        Ok(())
    }

    /// A file system that cannot be written keeps the torn end; nobody looks at it again.
    fn cut(&mut self, newest: Segment, end: u64) {
        let torn = newest.bytes.saturating_sub(end.max(HEADER_BYTES));
        self.damage.torn_bytes = torn;
        self.damage.bytes = torn;
        if end == 0 {
            self.segments.retire_newest();
            return;
        }
        if let Some(newest) = self.segments.newest_mut() {
            newest.bytes = end;
        }
        let file = self.files.open_to_append(&newest.name.to_string());
        let cut = file.and_then(|file| {
            if newest.bytes > end { file.truncate(end).map(|()| file) } else { Ok(file) }
        });
        self.writer = cut.ok();
    }

    /// Goes to the first entry that is not acknowledged.
    fn go_to(&mut self, position: Stored) -> Result<(), OpenError> {
        let acknowledged = match position {
            Stored::Acknowledged(sequence) => {
                self.stored = Some(sequence);
                sequence
            }
            Stored::Nothing => 0,
            Stored::Damaged => {
                self.damage.position = true;
                0
            }
        };
        // The entries that were acknowledged last may have been lost with the power.
        self.segments.next = self.segments.next.max(acknowledged);
        let mut place = self.segments.start();
        place.sequence = place.sequence.max(acknowledged);
        self.segments.retire_before(acknowledged);
        let start = self.segments.start();
        place.segment = start.segment;
        if let Some((segment, limit)) = self.segments.get(start.segment) {
            place.offset = self.offset_of(segment, limit, place.sequence)?;
        }
        self.cursor = place;
        self.acknowledged = place;
        Ok(())
    }

    /// Where in the segment the first entry from `sequence` on begins.
    fn offset_of(&self, segment: Segment, limit: u64, sequence: u64) -> Result<u64, OpenError> {
        let mut scanner = self.scanner(segment, limit)?;
        let mut offset = 0;
        loop {
            match scanner.step().map_err(cannot_read(segment.name))? {
                Step::Entry(stored) if stored.sequence >= sequence => return Ok(offset),
                Step::Entry(_) => offset = scanner.offset(),
                Step::Damage(_) => {}
                Step::End => return Ok(offset),
            }
        }
    }
}

/// All segments in the order of their entries.
fn list(files: &impl FileSystem) -> Result<Vec<Segment>, OpenError> {
    let files = files.list().map_err(cannot_read("the folder"))?;
    let mut segments: Vec<_> = files
        .into_iter()
        .filter_map(|(name, bytes)| Some(Segment { name: SegmentName::parse(&name)?, bytes }))
        .collect();
    segments.sort_unstable_by_key(|segment| segment.name);
    Ok(segments)
}

fn cannot_read(file: impl ToString) -> impl FnOnce(io::Error) -> OpenError {
    move |source| OpenError::Read { file: file.to_string(), source }
}
