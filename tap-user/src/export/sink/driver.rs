//! What all sinks have in common: records are taken from a backlog in batches, tried, tried again
//! after a wait, counted, and released to the backlog in their order.
//!
//! After a failure no attempt begins until all that are under way have ended and the wait is
//! over; then the batches that are not delivered go again, in order. So a sink that keeps the
//! order within its attempts keeps it altogether.

use super::attempt::{Attempt, Sink, Trouble};
use super::backlog::Backlog;
use super::failure::{Failure, Rejection};
use super::retry::Retry;
use super::window::Window;
use crate::export::record::Record;
use crate::export::totals::Counters;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Batches in the window for each attempt that may be under way: so one that fails does not at
/// once hold up those whose attempts succeed.
const BATCHES_PER_ATTEMPT: usize = 2;

/// Moves records from a backlog to a sink.
pub(super) struct Driver<S, B> {
    sink: Arc<S>,
    backlog: B,
    retry: Retry,
    counters: Arc<Counters>,
    window: Window,
    attempts: JoinSet<Attempt>,
    /// Failures in a row.
    failures: u32,
    /// When attempts begin again after a failure.
    resume: Option<Instant>,
}

type Ended = Result<(Id, Attempt), JoinError>;

impl<S: Sink, B: Backlog> Driver<S, B> {
    pub(super) fn new(sink: S, backlog: B, retry: Retry, counters: Arc<Counters>) -> Self {
        Self {
            sink: Arc::new(sink),
            backlog,
            retry,
            counters,
            window: Window::default(),
            attempts: JoinSet::new(),
            failures: 0,
            resume: None,
        }
    }

    /// Delivers until the backlog is closed and empty, or until the time that `end` names.
    pub(super) async fn run(mut self, end: watch::Receiver<Option<Instant>>) {
        tokio::select! {
            () = self.deliver_all() => {}
            () = over(end) => {}
        }
        while let Some(ended) = self.attempts.try_join_next_with_id() {
            self.settle(ended);
        }
        self.attempts.abort_all();
        self.backlog.give_up(self.window.into_unfinished());
    }

    async fn deliver_all(&mut self) {
        let limits = self.sink.limits();
        let mut is_open = true;
        while is_open || !self.window.is_empty() {
            self.start_attempts();
            let may_take = is_open && self.has_room();
            tokio::select! {
                Some(ended) = self.attempts.join_next_with_id() => self.settle(ended),
                () = pause(self.resume), if self.attempts.is_empty() && self.resume.is_some() => {
                    self.resume = None;
                }
                taken = self.backlog.take(limits), if may_take => match taken {
                    Some(records) => self.window.push(records),
                    None => is_open = false,
                },
                else => break,
            }
        }
        self.sink.close().await;
    }

    /// Whether an attempt could begin at once with what the backlog has.
    fn has_room(&self) -> bool {
        let concurrency = self.sink.concurrency().max(1);
        self.resume.is_none()
            && self.attempts.len() < concurrency
            && self.window.len() < concurrency.saturating_mul(BATCHES_PER_ATTEMPT)
            && !self.window.has_waiting()
    }

    fn start_attempts(&mut self) {
        let concurrency = self.sink.concurrency().max(1);
        while self.resume.is_none() && self.attempts.len() < concurrency {
            let Some(turn) = self.window.next() else { return };
            if turn.is_retry() {
                self.counters.retried();
            }
            let (sink, records) = (Arc::clone(&self.sink), turn.records());
            let attempt = self.attempts.spawn(async move { sink.attempt(records).await });
            turn.begin(attempt.id());
        }
    }

    /// Notes what became of the records of an attempt.
    fn settle(&mut self, ended: Ended) {
        let (id, attempt) = match ended {
            Ok((id, attempt)) => (id, attempt),
            Err(error) => (error.id(), Attempt::failed(0, Failure::Aborted)),
        };
        let Some(mut batch) = self.window.ended(id) else { return };
        let delivered = batch.finish(attempt.delivered);
        self.counters.delivered(delivered);
        match attempt.trouble {
            None => self.failures = 0,
            Some(Trouble::Rejected { reason }) => {
                let rejected = batch.finish(1).first().cloned();
                self.failures = 0;
                rejected.iter().for_each(|record| self.reject(record, &reason));
            }
            Some(Trouble::Later { error, wait }) => {
                batch.fail();
                self.wait_after(&error, wait);
            }
        }
        let released = self.window.release();
        self.backlog.release(released);
    }

    /// Attempts that fail together count as one failure.
    fn wait_after(&mut self, error: &Failure, requested: Option<Duration>) {
        self.counters.failed(error);
        if self.resume.is_none() {
            self.failures = self.failures.saturating_add(1);
        }
        let resume = Instant::now() + self.retry.wait_after(self.failures, requested);
        self.resume = self.resume.max(Some(resume));
    }

    fn reject(&mut self, record: &Record, reason: &Rejection) {
        self.counters.rejected(record.length(), reason);
    }
}

/// Waits for `resume`, for ever if there is none.
async fn pause(resume: Option<Instant>) {
    match resume {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Waits for the time that `end` comes to name.
async fn over(mut end: watch::Receiver<Option<Instant>>) {
    let named = end.wait_for(Option::is_some).await.ok().and_then(|named| *named);
    // Without one the exporter was dropped without a word: what is queued is still delivered.
    pause(named).await;
}
