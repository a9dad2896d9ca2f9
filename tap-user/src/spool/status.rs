//! Looking at a spool without touching it, also while a process writes it.

use super::file_system::FileSystem;
use super::folder::{Folder, FolderError};
use super::format::{SegmentName, Stored};
use super::position;
use super::scan::{Scanner, Step};
use serde::Serialize;
use std::io;
use std::path::Path;

/// What a spool holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Examined {
    /// Segments in the folder.
    pub segments: u64,
    /// Bytes of these files.
    pub file_bytes: u64,
    /// Records that are not acknowledged.
    pub records: u64,
    /// Bytes of these, as they will be delivered.
    pub bytes: u64,
    /// When the oldest of them was appended, in nanoseconds since 1970.
    pub oldest_ns: Option<u64>,
    /// When the newest of them was appended.
    pub newest_ns: Option<u64>,
    /// Sequence number of the first record that is not acknowledged; absent if none ever was.
    pub acknowledged: Option<u64>,
    /// The acknowledged position is unreadable: everything will be delivered again.
    pub position_damaged: bool,
    /// Records that are missing between others.
    pub missing_records: u64,
    /// Bytes that are no record.
    pub damaged_bytes: u64,
    /// Bytes behind the last record: it is being written, or its writing was interrupted.
    pub unfinished_bytes: u64,
}

/// Looks at the spool in a folder.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn examine(path: &Path) -> Result<Examined, FolderError> {
    let folder = Folder::open_shared(path)?;
    examine_files(&folder).map_err(|source| FolderError::Read { path: path.into(), source })
}

pub(super) fn examine_files(files: &impl FileSystem) -> io::Result<Examined> {
    let mut segments: Vec<_> = files
        .list()?
        .into_iter()
        .filter_map(|(name, bytes)| Some((SegmentName::parse(&name)?, bytes)))
        .collect();
    segments.sort_unstable();
    // After the list: what is acknowledged meanwhile shows as acknowledged, not as missing.
    let mut found = Examined {
        segments: segments.len() as u64,
        file_bytes: segments.iter().map(|(_, bytes)| bytes).sum(),
        ..Examined::default()
    };
    match position::load(files)? {
        position::Stored::Nothing => {}
        position::Stored::Acknowledged(sequence) => found.acknowledged = Some(sequence),
        position::Stored::Damaged => found.position_damaged = true,
    }
    let mut expected = found.acknowledged.unwrap_or(0);
    for (at, &(name, bytes)) in segments.iter().enumerate() {
        let next = segments.get(at + 1).map(|(next, _)| next.first);
        expected = found.look_into(files, name, bytes, next, expected)?;
    }
    Ok(found)
}

impl Examined {
    /// Adds what a segment holds; says which sequence number comes next.
    fn look_into<F: FileSystem>(
        &mut self,
        files: &F,
        name: SegmentName,
        bytes: u64,
        next: Option<u64>,
        expected: u64,
    ) -> io::Result<u64> {
        let expected = expected.max(name.first);
        if next.is_some_and(|next| next <= expected) {
            return Ok(expected);
        }
        let file = match files.open(&name.to_string()) {
            Ok(file) => file,
            // Delivered meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(next.unwrap_or(expected));
            }
            Err(error) => return Err(error),
        };
        let scanner = Scanner::new(file, name, bytes, next.unwrap_or(u64::MAX));
        self.read_through(scanner, next, expected)
    }

    fn read_through<F: super::SpoolFile>(
        &mut self,
        mut scanner: Scanner<F>,
        next: Option<u64>,
        mut expected: u64,
    ) -> io::Result<u64> {
        let mut damaged = 0;
        loop {
            match scanner.step()? {
                Step::Entry(stored) => {
                    self.damaged_bytes += std::mem::take(&mut damaged);
                    if stored.sequence >= expected {
                        self.missing_records += stored.sequence - expected;
                        expected = stored.sequence.saturating_add(1);
                        self.add(&stored);
                    }
                }
                Step::Damage(bytes) => damaged += bytes,
                Step::End => break,
            }
        }
        match next {
            Some(next) => {
                self.damaged_bytes += damaged;
                self.missing_records += next.saturating_sub(expected);
                Ok(next.max(expected))
            }
            None => {
                self.unfinished_bytes = damaged;
                Ok(expected)
            }
        }
    }

    fn add(&mut self, stored: &Stored) {
        self.records += 1;
        self.bytes += stored.entry.bytes.len() as u64;
        self.oldest_ns = Some(self.oldest_ns.map_or(stored.time_ns, |ns| ns.min(stored.time_ns)));
        self.newest_ns = Some(self.newest_ns.map_or(stored.time_ns, |ns| ns.max(stored.time_ns)));
    }
}
