//! The spool itself: what it holds, what is acknowledged, and what goes.

use super::file_system::{FileSystem, SpoolFile};
use super::folder::Folder;
use super::format::SegmentName;
use super::position::{self, Durability};
use super::scan::Scanner;
use super::segments::{Dropped, Place, Segments};
use super::settings::{Limits, WhenFull};
use std::io;

/// A queue of entries in a folder.
#[derive(Debug)]
pub struct Spool<F: FileSystem = Folder> {
    pub(super) files: F,
    pub(super) limits: Limits,
    pub(super) segments: Segments,
    /// The newest segment, if it can be appended to.
    pub(super) writer: Option<F::File>,
    /// The segment in which the cursor is, if it is open.
    pub(super) reader: Option<Scanner<F::File>>,
    /// How often in a row reading at the cursor failed.
    pub(super) read_failures: u32,
    /// Entries before it are read.
    pub(super) cursor: Place,
    /// Entries before it are acknowledged.
    pub(super) acknowledged: Place,
    /// The acknowledged sequence number that is on disk.
    pub(super) stored: Option<u64>,
    pub(super) unsynced: Unsynced<F>,
    pub(super) damage: Damage,
}

/// What was found damaged since the spool was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Damage {
    /// Records that are missing between others.
    pub records: u64,
    /// Bytes that are no entry, those of the torn end among them.
    pub bytes: u64,
    /// Bytes behind the last entry when the spool was opened: it was being written.
    pub torn_bytes: u64,
    /// The acknowledged position was unreadable: everything comes again.
    pub position: bool,
}

/// What waits in a spool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Records that are not acknowledged.
    pub records: u64,
    /// Bytes of these on disk.
    pub bytes: u64,
}

/// What a power cut might cost yet. To be synced away from the spool, which goes on meanwhile.
#[derive(Debug, Clone)]
pub struct Unsynced<F: FileSystem = Folder> {
    pub(super) files: Vec<F::File>,
    /// Files that the last process wrote, and may not have synced when it was killed. Not open,
    /// since they may be many.
    pub(super) names: Vec<String>,
    /// The segment that is the last of `files`.
    pub(super) newest: Option<SegmentName>,
    /// The folder, if files were made in it or removed.
    pub(super) folder: Option<F>,
}

impl<F: FileSystem> Default for Unsynced<F> {
    fn default() -> Self {
        Self { files: Vec::new(), names: Vec::new(), newest: None, folder: None }
    }
}

impl<F: FileSystem> Unsynced<F> {
    /// Whether there is nothing to sync.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.folder.is_none()
    }

    /// Waits until the disk has it.
    ///
    /// # Errors
    /// It may not.
    pub fn sync(&self) -> io::Result<()> {
        self.files.iter().try_for_each(SpoolFile::sync)?;
        let Some(folder) = &self.folder else { return Ok(()) };
        self.names.iter().try_for_each(|name| sync_if_there(folder, name))?;
        folder.sync_folder()
    }
}

fn sync_if_there(folder: &impl FileSystem, name: &str) -> io::Result<()> {
    match folder.open(name) {
        Ok(file) => file.sync(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

impl<F: FileSystem> Spool<F> {
    /// What is not acknowledged. Records in damaged places that were not come to yet count too.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        let records = self.segments.next.saturating_sub(self.acknowledged.sequence);
        let bytes = if records == 0 { 0 } else { self.segments.bytes_behind(self.acknowledged) };
        Waiting { records, bytes }
    }

    /// Whether all entries are read.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.cursor.sequence >= self.segments.next
    }

    /// Entries that are not read, damaged ones included.
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.segments.next.saturating_sub(self.cursor.sequence)
    }

    /// Bytes after which a new segment begins.
    #[must_use]
    pub fn segment_bytes(&self) -> u64 {
        self.limits.segment_bytes
    }

    /// Whether the disk holds nothing, and knows everything.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.segments.are_gone()
            && self.unsynced.is_empty()
            && self.stored.unwrap_or(0) == self.acknowledged.sequence
    }

    /// Whether anything can be written now.
    ///
    /// # Errors
    /// Nothing can.
    pub fn check_writable(&self) -> io::Result<()> {
        let sequence = self.acknowledged.sequence;
        position::store(&self.files, sequence, Durability::Kernel)
    }

    /// Where reading goes on.
    #[must_use]
    pub fn cursor(&self) -> Place {
        self.cursor
    }

    /// What was found damaged.
    #[must_use]
    pub fn damage(&self) -> Damage {
        self.damage
    }

    /// Entries before `place` need not be read: they are known already.
    pub fn skip_to(&mut self, place: Place) {
        if place.sequence > self.cursor.sequence {
            self.cursor = place;
            self.reader = None;
            self.read_failures = 0;
        }
    }

    /// Entries before `place` are not needed any more. Segments that hold nothing else go with
    /// the next [`Self::tidy`].
    pub fn acknowledge(&mut self, place: Place) {
        if place.sequence > self.acknowledged.sequence {
            self.acknowledged = place;
            self.skip_to(place);
            self.segments.retire_before(place.sequence);
            self.mend_places();
        }
    }

    /// Takes segments away, beginning with the oldest, until `bytes` more have room, if that is
    /// the policy. Only decides: the files go with the next [`Self::tidy`].
    pub fn make_room(&mut self, bytes: u64) -> Dropped {
        let mut dropped = Dropped::default();
        if self.limits.when_full == WhenFull::DropNewest || bytes > self.limits.bytes {
            return dropped;
        }
        while !self.segments.is_empty()
            && self.segments.bytes().saturating_add(bytes) > self.limits.bytes
        {
            if self.segments.len() == 1 {
                self.writer = None;
            }
            let Dropped { records, bytes } = self.segments.drop_oldest(self.cursor);
            dropped.records += records;
            dropped.bytes += bytes;
            self.mend_places();
        }
        dropped
    }

    /// Places in segments that are gone move on to what is still there.
    pub(super) fn mend_places(&mut self) {
        let start = self.segments.start();
        if self.cursor.segment < start.segment {
            let sequence = self.cursor.sequence.max(start.sequence);
            self.cursor = Place { sequence, ..start };
            self.reader = None;
        }
        if self.acknowledged.segment < start.segment {
            let sequence = self.acknowledged.sequence.max(start.sequence);
            self.acknowledged = Place { sequence, ..start };
        }
    }

    /// Removes the files of segments that are not needed.
    ///
    /// # Errors
    /// One cannot be removed; it takes its share of the quota until it can.
    pub fn tidy(&mut self) -> io::Result<()> {
        while let Some(segment) = self.segments.doomed() {
            match self.files.remove(&segment.name.to_string()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.segments.buried(),
            }
            self.unsynced.folder = Some(self.files.clone());
        }
        Ok(())
    }

    /// Removes also the newest segment, if all of it is acknowledged. Meant for quiet times.
    ///
    /// The position goes to the disk first: sequence numbers never go back, or a power cut that
    /// brings an old segment back could make new entries pass for old ones.
    ///
    /// # Errors
    /// The disk does not take the position, or the file cannot be removed.
    pub fn tidy_all(&mut self) -> io::Result<()> {
        let all = self.acknowledged.sequence >= self.segments.next;
        if all && !self.segments.is_empty() {
            position::store(&self.files, self.segments.next, Durability::Disk)?;
            self.stored = Some(self.segments.next);
            self.writer = None;
            while !self.segments.is_empty() {
                self.segments.retire_newest();
            }
            self.mend_places();
        }
        self.tidy()
    }

    /// Puts the acknowledged position on disk, if it is another one than there.
    ///
    /// # Errors
    /// The old one may still be there.
    pub fn store_position(&mut self) -> io::Result<()> {
        let sequence = self.acknowledged.sequence;
        if self.stored != Some(sequence) {
            position::store(&self.files, sequence, Durability::Kernel)?;
            self.stored = Some(sequence);
        }
        Ok(())
    }

    /// What has come since this was last called, to be synced.
    pub fn take_unsynced(&mut self) -> Unsynced<F> {
        std::mem::take(&mut self.unsynced)
    }
}
