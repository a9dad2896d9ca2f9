//! The end: nothing that could be on disk stays in memory only.

use super::Worker;
use crate::export::record::Record;
use crate::export::sink::spool_backlog::shared::{READY_BYTES, Ready};
use crate::spool::FileSystem;
use std::io;
use std::sync::Arc;

impl<F: FileSystem> Worker<F> {
    /// Everything that is not released stays on disk, or gets there now.
    pub(super) fn end(mut self) {
        self.intake.close();
        self.receive();
        self.acknowledge();
        let kept = self.sort_out();
        self.resume = None;
        self.write_last();
        let result = self.tidy_last();
        self.note(result);
        let waiting = self.spool.waiting();
        let unread = self.spool.unread().saturating_add(kept);
        self.counters.spool.holds(unread, waiting.records, waiting.bytes);
    }

    /// Puts what is only in memory back in front of what is unwritten; says how many of the
    /// records in memory are on disk as well.
    fn sort_out(&mut self) -> u64 {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        let mut unfinished = state.given_up.take().unwrap_or_default().into_iter().peekable();
        let mut in_memory = Vec::new();
        for taken in std::mem::take(&mut state.taken) {
            let is_unfinished = |record: &Record| record.id == taken.id;
            if let Some(record) = unfinished.next_if(is_unfinished) {
                in_memory.push(Ready { record, place: taken.place });
            }
        }
        in_memory.extend(std::mem::take(&mut state.ready));
        let (on_disk, only_here): (Vec<_>, Vec<_>) =
            in_memory.into_iter().partition(|ready| ready.place.is_some());
        for ready in &on_disk {
            self.counters.unqueued(1, ready.record.length());
        }
        for ready in only_here.into_iter().rev() {
            self.unwritten.push_front(ready.record);
        }
        on_disk.len() as u64
    }

    /// One last try; what the disk does not take now is lost.
    fn write_last(&mut self) {
        // So that nothing is passed on any more.
        self.shared.state().ready_bytes = READY_BYTES;
        self.write();
        for record in self.unwritten.drain(..) {
            self.counters.dropped_at_shutdown(record.length());
        }
    }

    fn tidy_last(&mut self) -> io::Result<()> {
        self.spool.store_position()?;
        self.spool.tidy_all()?;
        self.spool.take_unsynced().sync()
    }
}
