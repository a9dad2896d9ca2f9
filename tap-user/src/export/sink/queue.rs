//! Records that wait in memory, bounded by their bytes: one end stands on the capture thread,
//! the other one gives them to the driver (or to a spool).

use super::attempt::BatchLimits;
use super::backlog::Backlog;
use super::room::Room;
use crate::export::record::Record;
use crate::export::totals::Counters;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// After the first record came, that long more may come before a batch is taken: so the capture
/// thread wakes the sink's task at most once in this time, not once per record.
const LINGER: Duration = Duration::from_millis(5);

/// A source that waits so long for one record tells it.
const STANDSTILL: Duration = Duration::from_secs(5);

/// Bytes that a source that waits lets queue up at most: more would cost memory, and records that
/// have left the processor's cache before they are written.
const WAITING_LIMIT: u64 = 4 << 20;

/// Records beyond so many bytes will wait: they are taken apart from those written beside them, lest the
/// queue holds more memory than it counts.
const SHARED_LIMIT: u64 = 1 << 20;

/// Both ends of a queue that holds at most `limit` bytes, those included that are being delivered.
pub(super) fn queue(limit: u64, counters: Arc<Counters>) -> (Intake, MemoryBacklog) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let room = Arc::new(Room::default());
    let intake = Intake { limit, sender, room: Arc::clone(&room), counters: Arc::clone(&counters) };
    let backlog = MemoryBacklog { receiver, first: None, taken: VecDeque::new(), room, counters };
    (intake, backlog)
}

/// The capture thread's end.
#[derive(Debug)]
pub(super) struct Intake {
    limit: u64,
    sender: mpsc::UnboundedSender<Record>,
    /// Bytes in memory. Only this end adds to them, so between a look and an addition there can
    /// only become more room.
    room: Arc<Room>,
    counters: Arc<Counters>,
}

impl Intake {
    /// Queues a record if there is room.
    pub(super) fn offer(&mut self, record: Record) {
        self.counters.given();
        self.offer_given(record);
    }

    /// Queues a record as soon as there is room, or nothing else in the queue. Once `hurry` is
    /// set it is as [`Self::offer`].
    pub(super) fn offer_waiting(&mut self, record: Record, hurry: &AtomicBool) {
        self.counters.given();
        let mut waiting = Instant::now();
        while !self.has_room_for(&record) && !hurry.load(Ordering::Relaxed) {
            if self.sender.is_closed() {
                break;
            }
            self.room.wait(|| self.has_room_for(&record));
            if waiting.elapsed() >= STANDSTILL {
                self.counters.waited_for();
                waiting = Instant::now();
            }
        }
        if self.held_bytes() == 0 {
            self.push(record);
        } else {
            self.offer_given(record);
        }
    }

    fn offer_given(&mut self, record: Record) {
        let held = self.held_bytes();
        if held.saturating_add(record.length()) > self.limit {
            self.counters.dropped_at_full_queue();
            return;
        }
        self.push(record);
    }

    fn has_room_for(&self, record: &Record) -> bool {
        let held = self.held_bytes();
        held == 0 || held.saturating_add(record.length()) <= self.limit.min(WAITING_LIMIT)
    }

    fn held_bytes(&self) -> u64 {
        self.room.held()
    }

    fn push(&self, record: Record) {
        let waits_long = self.held_bytes() > SHARED_LIMIT;
        let taken = if waits_long { record.apart() } else { record };
        let length = taken.length();
        self.counters.queued(length);
        self.room.add(length);
        if self.sender.send(taken).is_err() {
            // Only if the sink's task is gone, that is, its runtime.
            self.counters.dropped_at_shutdown(length);
        }
    }
}

/// The driver's end.
#[derive(Debug)]
pub(super) struct MemoryBacklog {
    receiver: mpsc::UnboundedReceiver<Record>,
    /// Received, and not taken yet.
    first: Option<Record>,
    /// Lengths of the records that are taken and not released, in order.
    taken: VecDeque<u64>,
    room: Arc<Room>,
    counters: Arc<Counters>,
}

impl MemoryBacklog {
    /// What comes from the intake, and the bytes in memory, for a backlog of another kind.
    pub(super) fn into_parts(self) -> (mpsc::UnboundedReceiver<Record>, Arc<Room>) {
        (self.receiver, self.room)
    }

    /// Whether more may come for which it is worth waiting.
    fn is_short_of(&self, limits: BatchLimits) -> bool {
        self.receiver.len().saturating_add(1) < limits.records
            && self.room.held() < limits.bytes as u64
            && !self.receiver.is_closed()
    }

    fn next(&mut self) -> Option<Record> {
        self.first.take().or_else(|| self.receiver.try_recv().ok())
    }

    fn batch(&mut self, limits: BatchLimits) -> Vec<Record> {
        let mut batch =
            Vec::with_capacity(self.receiver.len().saturating_add(1).min(limits.records));
        let mut bytes = 0_usize;
        while let Some(record) = self.next() {
            bytes = bytes.saturating_add(record.bytes.len());
            if !batch.is_empty() && (bytes > limits.bytes || batch.len() >= limits.records) {
                self.first = Some(record);
                break;
            }
            self.taken.push_back(record.length());
            batch.push(record);
        }
        batch
    }
}

impl Backlog for MemoryBacklog {
    async fn take(&mut self, limits: BatchLimits) -> Option<Vec<Record>> {
        if self.first.is_none() {
            self.first = Some(self.receiver.recv().await?);
        }
        if self.is_short_of(limits) {
            // Over before, if there is enough for a batch or the source waits.
            let _ = timeout(LINGER, self.room.plenty()).await;
        }
        Some(self.batch(limits))
    }

    fn release(&mut self, count: usize) {
        let bytes = self.taken.drain(..count.min(self.taken.len())).sum();
        self.room.release(bytes);
    }

    fn give_up(mut self, unfinished: Vec<Record>) {
        self.receiver.close();
        let counters = Arc::clone(&self.counters);
        let waiting = std::iter::from_fn(|| self.next());
        let dropped = unfinished.into_iter().chain(waiting);
        dropped.for_each(|record| counters.dropped_at_shutdown(record.length()));
    }
}
