//! A file of records that begins anew when it is large or old enough.
//!
//! `PATH` is written; with rotation, `PATH.1` is what it was before, `PATH.2` what that was before,
//! and so on up to the number of files to keep; the oldest is deleted. Records are never cut: a file
//! ends with a whole one. If the file at `PATH` is not the one that is open any more (logrotate
//! has moved it, somebody has deleted it), the next record goes to a new one at `PATH`.

use super::settings::RotationSettings;
use crate::export::record::Record;
use crate::export::sink::attempt::Attempt;
use crate::export::sink::descriptor::{Descriptor, Output};
use crate::export::sink::failure::Failure;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Records hold what users send: only the owner may read them. A file that is already there
/// keeps the mode it has.
const MODE: u32 = 0o600;

/// The open file and its place.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    rotation: Option<RotationSettings>,
    descriptor: Descriptor,
    identity: (u64, u64),
    since: SystemTime,
}

impl RotatingFile {
    /// Opens the file, or creates it.
    pub(super) fn open(path: PathBuf, rotation: Option<RotationSettings>) -> io::Result<Self> {
        let (file, metadata) = open(&path)?;
        Ok(Self {
            path,
            rotation,
            descriptor: Descriptor::new(file),
            identity: identity(&metadata),
            since: birth(&metadata),
        })
    }

    /// Sees to it that the open file is the one at the path, and has room for `record`.
    fn prepare(&mut self, record: &Record) -> Result<u64, Failure> {
        let metadata = match std::fs::metadata(&self.path) {
            Ok(metadata) if identity(&metadata) == self.identity => metadata,
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::Write(error));
            }
            _ => return self.reopen().map_err(Failure::Write),
        };
        if metadata.is_file() && self.is_due(metadata.len(), record.length()) {
            self.rotate().map_err(Failure::Rotate)?;
            return self.reopen().map_err(Failure::Write);
        }
        Ok(metadata.len())
    }

    /// Yields the length of the file that is open now.
    fn reopen(&mut self) -> io::Result<u64> {
        let (file, metadata) = open(&self.path)?;
        self.descriptor = Descriptor::new(file);
        self.identity = identity(&metadata);
        self.since = birth(&metadata);
        Ok(metadata.len())
    }

    fn is_due(&self, length: u64, more: u64) -> bool {
        let Some(rotation) = &self.rotation else { return false };
        let is_large = |size: u64| length.saturating_add(more) > size;
        let age = SystemTime::now().duration_since(self.since).unwrap_or(Duration::ZERO);
        length > 0
            && (rotation.size.is_some_and(|size| is_large(size.0))
                || rotation.age.is_some_and(|limit| age >= limit.0))
    }

    /// Moves every file up by one, as far as there are files without a gap: one that a crash has
    /// left behind is filled first.
    fn rotate(&self) -> io::Result<()> {
        let keep = self.rotation.map_or(1, |rotation| rotation.keep.get());
        let free = (1..keep).find(|&number| !self.numbered(number).exists()).unwrap_or(keep);
        for number in (1..free).rev() {
            std::fs::rename(self.numbered(number), self.numbered(number.saturating_add(1)))?;
        }
        std::fs::rename(&self.path, self.numbered(1))
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        name.into()
    }

    /// How many of `records` go into a file of that length, at least one.
    fn fitting(&self, records: &[Record], length: u64) -> usize {
        let Some(size) = self.rotation.and_then(|rotation| rotation.size) else {
            return records.len();
        };
        let mut length = length;
        let fits = |record: &&Record| {
            length = length.saturating_add(record.length());
            length <= size.0
        };
        records.iter().take_while(fits).count().max(1)
    }

    /// Writes what goes into one file.
    fn write_some(&mut self, records: &[Record]) -> Attempt {
        let Some(first) = records.first() else { return Attempt::delivered(0) };
        if self.descriptor.is_inside_a_record() {
            return self.descriptor.write_records(std::slice::from_ref(first));
        }
        match self.prepare(first) {
            Ok(length) => {
                let fitting = self.fitting(records, length);
                self.descriptor.write_records(records.get(..fitting).unwrap_or(records))
            }
            Err(failure) => Attempt::failed(0, failure),
        }
    }
}

impl Output for RotatingFile {
    fn write_records(&mut self, records: &[Record]) -> Attempt {
        let mut done = 0_usize;
        while let Some(rest) = records.get(done..).filter(|rest| !rest.is_empty()) {
            let attempt = self.write_some(rest);
            done = done.saturating_add(attempt.delivered);
            if attempt.trouble.is_some() {
                return Attempt { delivered: done, ..attempt };
            }
        }
        Attempt::delivered(done)
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// When the file came to be, as far as the file system tells.
fn birth(metadata: &Metadata) -> SystemTime {
    metadata.created().or_else(|_| metadata.modified()).unwrap_or_else(|_| SystemTime::now())
}

/// Opens for appending. A last line that a crash left torn is ended, so that it spoils no other.
fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create(true).mode(MODE).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && ends_inside_a_line(path, metadata.len())? {
        file.write_all(b"\n")?;
    }
    Ok((file, metadata))
}

fn ends_inside_a_line(path: &Path, length: u64) -> io::Result<bool> {
    let Some(place) = length.checked_sub(1) else { return Ok(false) };
    let mut last = [0];
    match File::open(path) {
        Ok(file) => file.read_exact_at(&mut last, place)?,
        // One that may be written and not read is left as it is.
        Err(_) => return Ok(false),
    }
    Ok(last != [b'\n'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{ByteSize, Period};
    use bytes::Bytes;
    use std::num::NonZeroU32;
    use std::os::unix::fs::PermissionsExt;

    fn record(number: usize) -> Record {
        let bytes = Bytes::from(format!("{{\"number\":{number:03}}}\n"));
        Record { id: number.to_string().into(), duration_ns: None, bytes }
    }

    /// A line of these takes 15 bytes.
    fn rotation(size: u64, keep: u32) -> RotationSettings {
        let size = Some(ByteSize(size));
        RotationSettings { size, age: None, keep: NonZeroU32::new(keep).unwrap() }
    }

    fn write(file: &mut RotatingFile, numbers: std::ops::Range<usize>) {
        let records: Vec<_> = numbers.map(record).collect();
        assert_eq!(file.write_records(&records).delivered, records.len());
    }

    fn lines(path: &Path) -> Vec<usize> {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.is_empty() || text.ends_with("}\n"), "{text}");
        text.lines().map(|line| line[10..13].parse().unwrap()).collect()
    }

    #[test]
    fn a_file_that_is_large_enough_becomes_number_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        let mut file = RotatingFile::open(path.clone(), Some(rotation(60, 2))).unwrap();
        write(&mut file, 0..6);
        write(&mut file, 6..7);
        write(&mut file, 7..10);
        let numbered = |number| folder.path().join(format!("records.{number}"));
        assert_eq!(lines(&path), [8, 9]);
        assert_eq!(lines(&numbered(1)), [4, 5, 6, 7]);
        assert_eq!(lines(&numbered(2)), [0, 1, 2, 3]);
        write(&mut file, 10..14);
        assert_eq!(lines(&numbered(1)), [8, 9, 10, 11]);
        assert_eq!(lines(&numbered(2)), [4, 5, 6, 7]);
        assert!(!numbered(3).exists());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_record_larger_than_the_size_has_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        let mut file = RotatingFile::open(path.clone(), Some(rotation(5, 9))).unwrap();
        write(&mut file, 0..3);
        assert_eq!(lines(&path), [2]);
        assert_eq!(lines(&folder.path().join("records.2")), [0]);
    }

    #[test]
    fn a_file_that_is_old_enough_becomes_number_one_with_the_next_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        let age = Some(Period(Duration::from_millis(50)));
        let rotation = RotationSettings { size: None, age, keep: NonZeroU32::MIN };
        let mut file = RotatingFile::open(path.clone(), Some(rotation)).unwrap();
        write(&mut file, 0..2);
        std::thread::sleep(Duration::from_millis(60));
        write(&mut file, 2..3);
        assert_eq!(lines(&path), [2]);
        assert_eq!(lines(&folder.path().join("records.1")), [0, 1]);
    }

    #[test]
    fn a_file_that_was_moved_away_is_followed_by_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("records"), folder.path().join("moved"));
        let mut file = RotatingFile::open(path.clone(), None).unwrap();
        write(&mut file, 0..2);
        std::fs::rename(&path, &moved).unwrap();
        write(&mut file, 2..3);
        std::fs::remove_file(&path).unwrap();
        write(&mut file, 3..4);
        assert_eq!((lines(&moved), lines(&path)), (vec![0, 1], vec![3]));
    }

    #[test]
    fn a_gap_that_a_crash_left_is_filled_and_deletes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        let numbered = |number| folder.path().join(format!("records.{number}"));
        std::fs::write(numbered(1), "{\"number\":101}\n").unwrap();
        std::fs::write(numbered(3), "{\"number\":103}\n").unwrap();
        let mut file = RotatingFile::open(path.clone(), Some(rotation(15, 3))).unwrap();
        write(&mut file, 0..2);
        assert_eq!((lines(&numbered(1)), lines(&numbered(2))), (vec![0], vec![101]));
        assert_eq!(lines(&numbered(3)), [103]);
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        std::fs::write(&path, "{\"num").unwrap();
        write(&mut RotatingFile::open(path.clone(), None).unwrap(), 0..1);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"num\n{\"number\":000}\n");
    }
}
