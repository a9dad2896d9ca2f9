//! What all sinks have in common: records are taken from a backlog in batches, tried, tried again
//! after a wait, counted, and released to the backlog in their order.
//!
//! After a failure no attempt begins until all that are under way have ended and the wait is
//! over; then the batches that are not delivered go again, in order. So a sink that keeps the
//! order within its attempts keeps it altogether.

use super::attempt::{Attempt, Round, Sink, Trouble};
use super::backlog::Backlog;
use super::dead_letter::DeadLetter;
use super::failure::{Failure, Rejection};
use super::retry::Retry;
use super::window::Window;
use crate::export::record::Record;
use crate::export::totals::Counters;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
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
    dead_letter: Option<Arc<Mutex<DeadLetter>>>,
    counters: Arc<Counters>,
    window: Window,
    attempts: JoinSet<Attempt>,
    /// Ends when the attempt that was spawned last has begun.
    last_started: Option<oneshot::Receiver<()>>,
    /// Failures in a row.
    failures: u32,
    round: Round,
    /// When attempts begin again after a failure.
    resume: Option<Instant>,
}

type Ended = Result<(Id, Attempt), JoinError>;

impl<S: Sink, B: Backlog> Driver<S, B> {
    pub(super) fn new(
        sink: S,
        backlog: B,
        retry: Retry,
        dead_letter: Option<DeadLetter>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            sink: Arc::new(sink),
            backlog,
            retry,
            dead_letter: dead_letter.map(Mutex::new).map(Arc::new),
            counters,
            window: Window::default(),
            attempts: JoinSet::new(),
            last_started: None,
            failures: 0,
            round: Round::default(),
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
            self.handle(ended).await;
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
                Some(ended) = self.attempts.join_next_with_id() => self.handle(ended).await,
                () = pause(self.resume), if self.attempts.is_empty() && self.resume.is_some() => {
                    self.resume = None;
                    self.round = self.round.next();
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
            let (started, next) = oneshot::channel();
            let previous = self.last_started.replace(next);
            let round = self.round;
            let attempt = async move { sink.attempt(records, round).await };
            turn.begin(self.attempts.spawn(in_turn(previous, started, attempt)).id());
        }
    }

    /// Settles an attempt that has ended, and lets the backlog know.
    async fn handle(&mut self, ended: Ended) {
        if let Some((record, reason)) = self.settle(ended) {
            self.reject(record, reason).await;
        }
        let released = self.window.release();
        self.backlog.release(released);
    }

    /// Notes what became of the records of an attempt; yields the one that was rejected.
    fn settle(&mut self, ended: Ended) -> Option<(Record, Rejection)> {
        let (id, attempt) = match ended {
            Ok((id, attempt)) => (id, attempt),
            Err(error) => (error.id(), Attempt::failed(0, Failure::Aborted)),
        };
        let mut batch = self.window.ended(id)?;
        self.counters.delivered(batch.finish(attempt.delivered));
        match attempt.trouble {
            None => {
                self.failures = 0;
                None
            }
            Some(Trouble::Rejected { reason }) => {
                self.failures = 0;
                batch.finish(1).first().map(|record| (record.clone(), reason))
            }
            Some(Trouble::Later { error, wait }) => {
                batch.fail();
                self.counters.failed(&error);
                self.wait_after(wait);
                None
            }
            Some(Trouble::Behind) => {
                batch.fail();
                self.wait_after(None);
                None
            }
        }
    }

    /// Attempts that fail together count as one failure.
    fn wait_after(&mut self, requested: Option<Duration>) {
        if self.resume.is_none() {
            self.failures = self.failures.saturating_add(1);
        }
        let resume = Instant::now() + self.retry.wait_after(self.failures, requested);
        self.resume = self.resume.max(Some(resume));
    }

    /// Keeps a rejected record, on a thread that may block: other sinks go on meanwhile.
    async fn reject(&self, record: Record, reason: Rejection) {
        self.counters.rejected(record.length(), &reason);
        let Some(dead_letter) = self.dead_letter.clone() else {
            return self.counters.lost_for_dead_letter(0);
        };
        let counters = Arc::clone(&self.counters);
        let keeping = tokio::task::spawn_blocking(move || {
            let mut dead_letter = dead_letter.lock().unwrap_or_else(PoisonError::into_inner);
            match dead_letter.keep(&record, &reason) {
                Ok(kept) if kept.with_bytes => counters.kept_in_dead_letter(kept.discarded),
                Ok(kept) => counters.lost_for_dead_letter(kept.discarded),
                Err(error) => counters.dead_letter_failed(&error),
            }
        });
        // It counts itself, also when the time for ending is over before it is done.
        let _ = keeping.await;
    }
}

/// Begins an attempt after the previous one has begun: tasks may start in any order, and a sink
/// that takes its lock with the first step gets it in the order of the records.
async fn in_turn(
    previous: Option<oneshot::Receiver<()>>,
    started: oneshot::Sender<()>,
    attempt: impl Future<Output = Attempt>,
) -> Attempt {
    if let Some(previous) = previous {
        // Its other end is dropped: that is the sign.
        let _ = previous.await;
    }
    let mut attempt = pin!(attempt);
    let first_step = poll_fn(|context| Poll::Ready(attempt.as_mut().poll(context))).await;
    drop(started);
    match first_step {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => attempt.await,
    }
}

/// Waits for `resume`, for ever if there is none.
async fn pause(resume: Option<Instant>) {
    match resume {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Waits for the time that `end` comes to name; it may come nearer meanwhile.
async fn over(mut end: watch::Receiver<Option<Instant>>) {
    loop {
        let named = *end.borrow_and_update();
        tokio::select! {
            () = pause(named) => return,
            changed = end.changed() => if changed.is_err() {
                // Nobody will name another one. Without one the exporter was dropped without a
                // word: what is queued is still delivered.
                return pause(named).await;
            },
        }
    }
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
