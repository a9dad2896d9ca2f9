//! Writing to an open file without holding up the runtime: the calls are made on a thread that
//! may block. A record of which the kernel took only a part goes on where it stopped, so no line
//! is torn and none comes twice.

use super::attempt::{Attempt, BatchLimits};
use super::failure::Failure;
use crate::export::record::Record;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Linux takes no more than 1,024 pieces in one call.
const PIECES_LIMIT: usize = 1_024;

/// What one attempt takes.
pub(super) const LIMITS: BatchLimits = BatchLimits { records: PIECES_LIMIT, bytes: 1 << 20 };

/// What records are written to.
pub(super) trait Output: Send + 'static {
    /// Tries to write all of `records`. Blocks.
    fn write_records(&mut self, records: &[Record]) -> Attempt;
}

/// Tries to write all of `records`.
pub(super) async fn attempt<O: Output>(output: &Arc<Mutex<O>>, records: Vec<Record>) -> Attempt {
    let output = Arc::clone(output);
    let writing = tokio::task::spawn_blocking(move || {
        output.lock().unwrap_or_else(PoisonError::into_inner).write_records(&records)
    });
    writing.await.unwrap_or_else(|_| Attempt::failed(0, Failure::Aborted))
}

/// An open file and how far the record at hand is written.
#[derive(Debug)]
pub(super) struct Descriptor {
    file: File,
    /// Bytes of the next record that are written.
    written: usize,
}

impl Descriptor {
    pub(super) fn new(file: File) -> Self {
        Self { file, written: 0 }
    }

    /// Whether a record is written in part.
    pub(super) fn is_inside_a_record(&self) -> bool {
        self.written > 0
    }

    /// Writes once and says how many bytes the kernel took, at least one.
    fn write(&mut self, records: &[Record]) -> io::Result<usize> {
        let mut slices: Vec<_> =
            records.iter().take(PIECES_LIMIT).map(|record| IoSlice::new(&record.bytes)).collect();
        if let Some(first) = slices.first_mut() {
            first.advance(self.written.min(first.len()));
        }
        loop {
            match self.file.write_vectored(&slices) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Notes that `bytes` more are written; yields how many records this completes.
    fn advance(&mut self, records: &[Record], bytes: usize) -> usize {
        let mut completed = 0;
        self.written = self.written.saturating_add(bytes);
        for record in records {
            let Some(rest) = self.written.checked_sub(record.bytes.len()) else { break };
            self.written = rest;
            completed += 1;
        }
        completed
    }
}

impl Output for Descriptor {
    fn write_records(&mut self, records: &[Record]) -> Attempt {
        let mut done = 0;
        while let Some(rest) = records.get(done..).filter(|rest| !rest.is_empty()) {
            match self.write(rest) {
                Ok(bytes) => done += self.advance(rest, bytes),
                Err(error) => return Attempt::failed(done, Failure::Write(error)),
            }
        }
        Attempt::delivered(done)
    }
}

impl Drop for Descriptor {
    /// A record that is in a file only in part is taken out again: nobody will write its rest.
    fn drop(&mut self) {
        let Ok(metadata) = self.file.metadata() else { return };
        let whole = metadata.len().checked_sub(self.written as u64);
        if let Some(length) = whole.filter(|_| self.written > 0 && metadata.is_file()) {
            // Nothing can be done if this fails; whoever opens the file next ends the line.
            let _ = self.file.set_len(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::io::{Read, pipe};
    use std::os::fd::{AsRawFd, OwnedFd};

    fn record(number: usize) -> Record {
        let bytes = Bytes::from(format!("{number}:{}\n", "x".repeat(50_000)));
        Record { id: number.to_string().into(), duration_ns: None, bytes }
    }

    /// A pipe that takes what it has room for, and no more: as a disk that is full does.
    fn narrow_pipe() -> (io::PipeReader, Descriptor) {
        let (reader, writer) = pipe().unwrap();
        // SAFETY: sets a flag of a descriptor that is open here.
        let set = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        assert_eq!(set, 0);
        (reader, Descriptor::new(File::from(OwnedFd::from(writer))))
    }

    #[test]
    fn a_record_of_which_a_part_was_taken_goes_on_where_it_stopped() {
        let records: Vec<_> = (0..5).map(record).collect();
        let expected: Vec<u8> = records.iter().flat_map(|record| record.bytes.to_vec()).collect();
        let (mut reader, mut descriptor) = narrow_pipe();
        let (mut done, mut received, mut failures) = (0, Vec::new(), 0);
        while let Some(rest) = records.get(done..).filter(|rest| !rest.is_empty()) {
            let attempt = descriptor.write_records(rest);
            done += attempt.delivered;
            failures += usize::from(attempt.trouble.is_some());
            let mut buffer = vec![0; 10_000];
            let length = reader.read(&mut buffer).unwrap();
            received.extend_from_slice(&buffer[..length]);
        }
        drop(descriptor);
        reader.read_to_end(&mut received).unwrap();
        assert!(received == expected, "every byte once and in order");
        assert!(failures > 5, "the pipe was full again and again: {failures}");
    }
}
