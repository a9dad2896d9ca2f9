//! To disk: what has come is appended, and passed on to the driver from memory where that is possible.

use super::{BATCH_RECORDS, Worker};
use crate::export::record::Record;
use crate::spool::{AppendError, Entry, FileSystem, Place, Spool};
use std::io;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Bytes that are appended at once at most, plus one record.
const BATCH_BYTES: u64 = 1 << 20;
/// Bytes that are passed on at once while they are not on disk, plus one record.
const PASSED_ON_BYTES: u64 = 256 << 10;

impl<F: FileSystem> Worker<F> {
    /// Appends what has come.
    pub(super) fn write(&mut self) {
        if self.resume.is_some_and(|resume| Instant::now() < resume) {
            return;
        }
        while !self.unwritten.is_empty() {
            if let Err(error) = self.write_batch() {
                self.note(Err(error));
                return;
            }
            self.note(Ok(()));
        }
    }

    fn write_batch(&mut self) -> io::Result<()> {
        self.last_record = Instant::now();
        let (entries, bytes) = self.next_batch();
        let dropped = self.spool.make_room(bytes);
        self.counters.spool.full(dropped.records, dropped.bytes);
        let was_read = self.spool.is_read();
        let appended = self.spool.append(&entries, now_ns());
        let written = appended.places.len();
        let records: Vec<_> = self.unwritten.drain(..written.min(self.unwritten.len())).collect();
        let passed_on = self.pass_on(records, &appended.places, was_read);
        if let Some(place) = passed_on.checked_sub(1).and_then(|last| appended.places.get(last)) {
            self.spool.skip_to(*place);
        }
        match appended.error {
            None => Ok(()),
            Some(AppendError::Io(error)) => Err(error),
            Some(AppendError::Full | AppendError::TooLarge) => {
                self.refuse();
                Ok(())
            }
        }
    }

    /// The next records, and how much room they need.
    fn next_batch(&self) -> (Vec<Entry>, u64) {
        let limit = BATCH_BYTES.min(self.spool.segment_bytes());
        let (mut entries, mut bytes) = (Vec::new(), 0_u64);
        for record in self.unwritten.iter().take(BATCH_RECORDS) {
            let entry = entry(record);
            let length = Spool::<F>::bytes_of(&entry);
            if !entries.is_empty() && bytes.saturating_add(length) > limit {
                break;
            }
            bytes = bytes.saturating_add(length);
            entries.push(entry);
        }
        (entries, bytes)
    }

    /// Makes records ready that are on disk now, as long as nothing older waits there and there
    /// is room; says how many. The others are forgotten until their turn.
    fn pass_on(&self, records: Vec<Record>, places: &[Place], was_read: bool) -> usize {
        let mut state = self.shared.state();
        let mut passed_on = 0;
        let mut goes_on = was_read;
        for (record, &place) in records.into_iter().zip(places) {
            self.room.release(record.length());
            self.counters.spool.written(record.length());
            goes_on = goes_on && state.has_room();
            if goes_on {
                state.push(record, Some(place));
                passed_on += 1;
            } else {
                self.counters.unqueued(1, record.length());
            }
        }
        drop(state);
        self.shared.driver.notify_one();
        passed_on
    }

    /// The first record finds no room.
    fn refuse(&mut self) {
        if let Some(record) = self.unwritten.pop_front() {
            self.room.release(record.length());
            self.counters.unqueued(1, record.length());
            self.counters.spool.full(1, record.length());
        }
    }

    /// While the disk takes nothing, records are delivered from memory: few at once, those included
    /// that the driver has taken already, so that the others get to the disk when it takes them again.
    pub(super) fn pass_on_unwritten(&mut self) {
        let mut state = self.shared.state();
        if self.resume.is_none() || !self.spool.is_read() || !state.ready.is_empty() {
            return;
        }
        let mut bytes = state.unplaced_bytes();
        while bytes < PASSED_ON_BYTES
            && let Some(record) = self.unwritten.pop_front()
        {
            bytes = bytes.saturating_add(record.length());
            state.push(record, None);
        }
        drop(state);
        self.shared.driver.notify_one();
    }
}

fn entry(record: &Record) -> Entry {
    let Record { id, duration_ns, bytes } = record.clone();
    Entry { id, duration_ns, bytes }
}

/// The time now, in nanoseconds since 1970.
fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
