//! The dead-letter file: records that a receiver will never take, one JSON object a line:
//!
//! ```json
//! {"time":"2026-11-22T00:40:00Z","sink":"runscope","id":"…","reason":"…","record":"…"}
//! ```
//!
//! `record` holds the record with its terminator as a string, `record_base64` if it is not UTF-8;
//! neither where it alone would be larger than the file may be. The file is only the owner's. At
//! its bound it becomes `PATH.1`, and the `PATH.1` before it is deleted; its records are counted.

use super::failure::Rejection;
use crate::document::Problem;
use crate::export::record::Record;
use crate::units::ByteSize;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Records hold what users send.
const MODE: u32 = 0o600;

/// Bound of the file unless set.
const DEFAULT_SIZE: ByteSize = ByteSize(16 << 20);

/// Where records are kept that the receiver will never take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterSettings {
    /// The file; created with mode 0600.
    #[schemars(example = "/var/spool/gatetap/dead-letter.ndjson")]
    pub path: PathBuf,
    /// Its bound in bytes; as much again is kept in `PATH.1`.
    #[serde(default = "default_size")]
    pub size: ByteSize,
}

fn default_size() -> ByteSize {
    DEFAULT_SIZE
}

impl DeadLetterSettings {
    /// A file with the usual bound.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { path, size: DEFAULT_SIZE }
    }

    /// Checks whether the values are possible.
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.path.as_os_str().is_empty() {
            let message = "the path is empty; use one as /var/spool/gatetap/dead-letter.ndjson";
            return Err(Problem::at("path", message));
        }
        Ok(())
    }
}

/// What became of a rejected record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    /// Its bytes are in the file, not only its id and the reason.
    pub(super) with_bytes: bool,
    /// Earlier records that went with the oldest file.
    pub(super) discarded: u64,
}

/// The open file.
#[derive(Debug)]
pub(super) struct DeadLetter {
    settings: DeadLetterSettings,
    sink: String,
    file: File,
    length: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    sink: &'a str,
    id: &'a str,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_base64: Option<String>,
}

impl DeadLetter {
    /// Opens the file, or creates it; `sink` is the name that its lines carry.
    pub(super) fn open(settings: DeadLetterSettings, sink: &str) -> io::Result<Self> {
        let (file, length) = open(&settings.path)?;
        Ok(Self { settings, sink: sink.to_owned(), file, length })
    }

    /// Appends a record with the reason. Blocks as long as the disk does.
    pub(super) fn keep(&mut self, record: &Record, reason: &Rejection) -> io::Result<Kept> {
        let whole = self.line(record, reason, true)?;
        let with_bytes = whole.len() as u64 <= self.settings.size.0;
        let line = if with_bytes { whole } else { self.line(record, reason, false)? };
        let discarded = self.make_room(line.len() as u64)?;
        self.append(&line)?;
        Ok(Kept { with_bytes, discarded })
    }

    fn line(&self, record: &Record, reason: &Rejection, with_bytes: bool) -> io::Result<Vec<u8>> {
        let text = str::from_utf8(&record.bytes).ok();
        let base64 = || STANDARD.encode(&record.bytes);
        let line = Line {
            time: jiff::Timestamp::now().to_string(),
            sink: &self.sink,
            id: &record.id,
            reason: reason.to_string(),
            record: text.filter(|_| with_bytes),
            record_base64: (with_bytes && text.is_none()).then(base64),
        };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Begins a new file if this one has no room for `bytes` more; yields how many records went
    /// with the oldest one.
    fn make_room(&mut self, bytes: u64) -> io::Result<u64> {
        if self.length == 0 || self.length.saturating_add(bytes) <= self.settings.size.0 {
            return Ok(0);
        }
        let previous = previous(&self.settings.path);
        let discarded = count_lines(&previous)?;
        std::fs::rename(&self.settings.path, &previous)?;
        (self.file, self.length) = open(&self.settings.path)?;
        Ok(discarded)
    }

    /// Appends all of `line`, or nothing.
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(line) {
            // The write is what has to be told; a line left torn is mended when it is opened.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length = self.length.saturating_add(line.len() as u64);
        Ok(())
    }
}

fn previous(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// Opens for appending; a last line that was torn by a crash is ended.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new().append(true).read(true).create(true).mode(MODE).open(path)?;
    let mut length = file.metadata()?.len();
    let mut last = [b'\n'];
    if let Some(place) = length.checked_sub(1) {
        file.read_exact_at(&mut last, place)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
        length = length.saturating_add(1);
    }
    Ok((file, length))
}

fn count_lines(path: &Path) -> io::Result<u64> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut reader = BufReader::new(file);
    let mut lines = 0_u64;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(lines);
        }
        lines = lines.saturating_add(buffer.iter().filter(|&&byte| byte == b'\n').count() as u64);
        let length = buffer.len();
        reader.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use serde_json::Value;
    use std::os::unix::fs::PermissionsExt;

    fn record(id: &str, bytes: &'static [u8]) -> Record {
        Record { id: id.into(), duration_ns: None, bytes: Bytes::from_static(bytes) }
    }

    fn dead_letter(folder: &Path, size: u64) -> DeadLetter {
        let settings = DeadLetterSettings { path: folder.join("dead"), size: ByteSize(size) };
        DeadLetter::open(settings, "collector").unwrap()
    }

    fn lines(path: PathBuf) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_tells_what_was_rejected_when_by_whom_and_why() {
        let folder = tempfile::tempdir().unwrap();
        let mut letters = dead_letter(folder.path(), 1 << 20);
        letters.keep(&record("a", b"{\"x\":1}\n"), &Rejection::Status(403)).unwrap();
        letters.keep(&record("b", b"\xff\n"), &Rejection::Status(400)).unwrap();
        let lines = lines(folder.path().join("dead"));
        assert_eq!(lines[0]["id"], "a");
        assert_eq!(lines[0]["sink"], "collector");
        assert_eq!(lines[0]["record"], "{\"x\":1}\n");
        assert!(lines[0]["reason"].as_str().unwrap().contains("403"));
        assert!(lines[0]["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        assert_eq!(lines[1]["record_base64"], "/wo=");
        let mode = folder.path().join("dead").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn it_is_bounded_and_what_goes_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut letters = dead_letter(folder.path(), 1_000);
        let mut discarded = 0;
        for _ in 0..100 {
            discarded +=
                letters.keep(&record("a", b"{}\n"), &Rejection::Status(403)).unwrap().discarded;
        }
        let (dead, older) = (folder.path().join("dead"), folder.path().join("dead.1"));
        assert!(
            dead.metadata().unwrap().len() <= 1_000 && older.metadata().unwrap().len() <= 1_000
        );
        assert_eq!((lines(dead).len() + lines(older).len()) as u64 + discarded, 100);
        assert!(discarded > 0);
    }

    #[test]
    fn a_record_larger_than_the_file_leaves_its_id_and_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let mut letters = dead_letter(folder.path(), 200);
        let kept = letters.keep(&record("large", &[b'x'; 500]), &Rejection::Status(413)).unwrap();
        assert!(!kept.with_bytes);
        let lines = lines(folder.path().join("dead"));
        assert_eq!(lines[0]["id"], "large");
        assert!(lines[0].get("record").is_none());
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("dead"), b"{\"torn").unwrap();
        let mut letters = dead_letter(folder.path(), 1_000);
        letters.keep(&record("a", b"{}\n"), &Rejection::Status(403)).unwrap();
        let text = std::fs::read_to_string(folder.path().join("dead")).unwrap();
        assert!(text.starts_with("{\"torn\n{\"time\""), "{text}");
    }
}
