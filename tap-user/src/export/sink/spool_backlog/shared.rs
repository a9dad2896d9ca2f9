//! Between the driver's end and the thread that does the file work: a short queue of records
//! that are ready. The lock is never held over file work.

use crate::export::record::Record;
use crate::export::sink::attempt::BatchLimits;
use crate::spool::Place;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Bytes that are ready at most, plus one record.
pub(super) const READY_BYTES: u64 = 4 << 20;

/// What both ends know.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// There is something for the driver.
    pub(super) driver: Notify,
    /// There is something for the thread.
    pub(super) worker: Notify,
    /// The thread has ended.
    over: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Ready to be taken, in order.
    pub(super) ready: VecDeque<Ready>,
    pub(super) ready_bytes: u64,
    /// Taken and not released, in order.
    pub(super) taken: VecDeque<Taken>,
    /// What was released since the thread looked last.
    pub(super) released: Option<Place>,
    /// Nothing will become ready any more.
    pub(super) ended: bool,
    /// The thread has done its last work.
    is_over: bool,
    /// The driver's last word: what it took and is not done with.
    pub(super) given_up: Option<Vec<Record>>,
}

/// A record and where it is on disk, if it is.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) record: Record,
    pub(super) place: Option<Place>,
}

/// What is remembered of a taken record.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) id: Arc<str>,
    pub(super) bytes: u64,
    pub(super) place: Option<Place>,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread has done its last work.
    pub(super) fn end(&self) {
        self.state().is_over = true;
        self.over.notify_all();
    }

    /// Waits until it has, for at most `limit`; whether it has.
    pub(super) fn has_ended(&self, limit: Duration) -> bool {
        let waited = self.over.wait_timeout_while(self.state(), limit, |state| !state.is_over);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_over
    }
}

impl State {
    pub(super) fn push(&mut self, record: Record, place: Option<Place>) {
        self.ready_bytes = self.ready_bytes.saturating_add(record.length());
        self.ready.push_back(Ready { record, place });
    }

    pub(super) fn has_room(&self) -> bool {
        self.ready_bytes < READY_BYTES
    }

    /// Takes what is ready, at least one record if there is any.
    pub(super) fn take(&mut self, limits: BatchLimits) -> Vec<Record> {
        let mut batch = Vec::with_capacity(self.ready.len().min(limits.records));
        let mut bytes = 0_usize;
        while let Some(next) = self.ready.front() {
            bytes = bytes.saturating_add(next.record.bytes.len());
            if !batch.is_empty() && (bytes > limits.bytes || batch.len() >= limits.records) {
                break;
            }
            batch.extend(self.take_one());
        }
        batch
    }

    fn take_one(&mut self) -> Option<Record> {
        let Ready { record, place } = self.ready.pop_front()?;
        self.ready_bytes = self.ready_bytes.saturating_sub(record.length());
        self.taken.push_back(Taken { id: Arc::clone(&record.id), bytes: record.length(), place });
        Some(record)
    }

    /// The oldest `count` taken records are done with; yields the bytes of those that were in
    /// memory only.
    pub(super) fn release(&mut self, count: usize) -> u64 {
        let mut bytes = 0;
        for released in self.taken.drain(..count.min(self.taken.len())) {
            match released.place {
                Some(place) => self.released = Some(place),
                None => bytes += released.bytes,
            }
        }
        bytes
    }

    /// Bytes of records that are in memory only.
    pub(super) fn unplaced_bytes(&self) -> u64 {
        let ready = self.ready.iter().filter(|ready| ready.place.is_none());
        let taken = self.taken.iter().filter(|taken| taken.place.is_none());
        ready.map(|ready| ready.record.length()).sum::<u64>()
            + taken.map(|taken| taken.bytes).sum::<u64>()
    }

    /// Whether all that became ready is done with.
    pub(super) fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.taken.is_empty()
    }
}
