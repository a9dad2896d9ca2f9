//! What all sinks have in common: records wait in a queue, are taken from it in batches, and are
//! tried again until the kernel has them.

use super::Sink;
use super::batch::{Batch, RECORDS_LIMIT};
use crate::export::totals::Counters;
use bytes::Bytes;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// After the first record came, that long more may come before the batch is written: so the
/// capture thread wakes the sink's task at most once in this time, not once per record.
const LINGER: Duration = Duration::from_millis(5);
/// Wait after the first failure; doubled by each further one.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A stream that held for less time than this counts as one more failure when it ends, so that
/// a collector that accepts and closes at once is not called again and again without pause.
const STABLE_AFTER: Duration = Duration::from_secs(1);

/// Moves records from a queue to a sink.
pub(super) struct Driver<S> {
    sink: S,
    queue: mpsc::UnboundedReceiver<Bytes>,
    counters: Arc<Counters>,
    batch: Batch,
    /// When the sink was last opened; `None` while it is not open.
    opened: Option<Instant>,
    failures: u32,
}

impl<S: Sink> Driver<S> {
    pub(super) fn new(
        sink: S,
        queue: mpsc::UnboundedReceiver<Bytes>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { sink, queue, counters, batch: Batch::default(), opened: None, failures: 0 }
    }

    /// Delivers until the queue is closed and empty, or until the time that `end` names.
    pub(super) async fn run(mut self, end: watch::Receiver<Option<Instant>>) {
        tokio::select! {
            () = self.deliver_all() => {}
            () = over(end) => {}
        }
        self.give_up();
    }

    async fn deliver_all(&mut self) {
        while self.fill().await {
            while !self.batch.is_empty() {
                if let Err((what, error)) = self.attempt().await {
                    self.fail(what, &error);
                    sleep(wait_after(self.failures)).await;
                }
            }
        }
        self.sink.close().await;
    }

    /// Takes the next batch from the queue; `false` once the queue is closed and empty.
    async fn fill(&mut self) -> bool {
        let Some(first) = self.queue.recv().await else { return false };
        self.batch.extend([first]);
        if self.queue.len() < RECORDS_LIMIT && !self.queue.is_closed() {
            sleep(LINGER).await;
        }
        self.batch
            .extend(std::iter::from_fn(|| self.queue.try_recv().ok()).take(RECORDS_LIMIT - 1));
        true
    }

    /// Opens the sink if need be, and writes once.
    async fn attempt(&mut self) -> Result<(), (&'static str, io::Error)> {
        if self.opened.is_none() {
            self.sink.open().await.map_err(|error| ("connect", error))?;
            self.opened = Some(Instant::now());
            self.counters.opened();
        }
        let bytes = self.sink.write(self.batch.pieces()).await.map_err(|error| ("write", error))?;
        self.batch.advance(bytes, |record| self.counters.delivered(record));
        Ok(())
    }

    fn fail(&mut self, what: &'static str, error: &io::Error) {
        let was_stable = self.opened.take().is_some_and(|opened| opened.elapsed() >= STABLE_AFTER);
        self.failures = if was_stable { 1 } else { self.failures.saturating_add(1) };
        if !S::CONTINUES {
            self.batch.rewind();
        }
        self.counters.failed(what, error);
    }

    fn give_up(&mut self) {
        let Self { queue, batch, counters, .. } = self;
        queue.close();
        let queued = std::iter::from_fn(|| queue.try_recv().ok());
        for record in batch.drain().chain(queued) {
            counters.dropped_at_shutdown(record.len() as u64);
        }
    }
}

/// Waits for the time that `end` comes to name.
async fn over(mut end: watch::Receiver<Option<Instant>>) {
    let named = end.wait_for(Option::is_some).await.ok().and_then(|named| *named);
    match named {
        Some(time) => sleep_until(time).await,
        // The exporter was dropped without a word: what is queued is still delivered.
        None => std::future::pending().await,
    }
}

/// Exponential, between half and all of the nominal time at random, so that many taps do not
/// come back to a collector in step.
fn wait_after(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let nominal = FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT);
    let random = RandomState::new().hash_one(failures) as u32;
    nominal.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_a_tenth_of_a_second_to_ten_seconds() {
        for (failures, longest) in [(1, 100), (2, 200), (4, 800), (8, 10_000), (1_000, 10_000)] {
            for _ in 0..100 {
                let wait = wait_after(failures).as_millis();
                assert!((longest / 2..=longest).contains(&wait), "{failures}: {wait}");
            }
        }
    }

    #[test]
    fn waits_differ() {
        let waits: std::collections::HashSet<_> = (0..20).map(|_| wait_after(5)).collect();
        assert!(waits.len() > 10);
    }
}
