//! The attempts under way: each waits until its records are acknowledged, or learns why not.

use super::failure::TcpFailure;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::oneshot;

/// What became of an attempt.
#[derive(Debug)]
pub(super) struct Outcome {
    /// So many of its records are acknowledged, the first ones.
    pub(super) delivered: usize,
    /// Why not all.
    pub(super) failure: Option<TcpFailure>,
}

/// Counts the failures. An attempt that began before one and comes to its turn after it fails
/// too, or its records would overtake those of the attempt that failed.
#[derive(Debug, Clone, Default)]
pub(super) struct Epoch(Arc<AtomicU64>);

impl Epoch {
    fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// An attempt on its way to its turn.
#[derive(Debug)]
pub(super) struct Job {
    records: Vec<Bytes>,
    epoch: u64,
    done: oneshot::Sender<Outcome>,
}

impl Job {
    pub(super) fn new(records: Vec<Bytes>, epoch: &Epoch) -> (Self, oneshot::Receiver<Outcome>) {
        let (done, outcome) = oneshot::channel();
        (Self { records, epoch: epoch.now(), done }, outcome)
    }
}

/// One that had its turn.
#[derive(Debug)]
struct UnderWay {
    records: usize,
    delivered: usize,
    done: oneshot::Sender<Outcome>,
}

impl UnderWay {
    /// Whoever waited may have given up: then nobody is to be told.
    fn end(self, failure: Option<TcpFailure>) {
        let _ = self.done.send(Outcome { delivered: self.delivered, failure });
    }
}

/// Attempts in the order of their records.
#[derive(Debug)]
pub(super) struct Attempts {
    under_way: VecDeque<UnderWay>,
    epoch: Epoch,
}

impl Attempts {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self { under_way: VecDeque::new(), epoch }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Gives an attempt its turn: its records are to be sent.
    pub(super) fn begin(&mut self, job: Job) -> Vec<Bytes> {
        let Job { records, epoch, done } = job;
        let attempt = UnderWay { records: records.len(), delivered: 0, done };
        if epoch != self.epoch.now() {
            attempt.end(Some(TcpFailure::Behind));
            return Vec::new();
        }
        if records.is_empty() {
            attempt.end(None);
        } else {
            self.under_way.push_back(attempt);
        }
        records
    }

    /// That many more records are acknowledged.
    pub(super) fn delivered(&mut self, mut records: usize) {
        while let Some(first) = self.under_way.front_mut() {
            let missing = first.records.saturating_sub(first.delivered);
            let share = records.min(missing);
            first.delivered = first.delivered.saturating_add(share);
            records = records.saturating_sub(share);
            if share < missing {
                return;
            }
            if let Some(first) = self.under_way.pop_front() {
                first.end(None);
            }
        }
    }

    /// No attempt under way will be completed.
    pub(super) fn fail(&mut self, failure: TcpFailure) {
        self.epoch.0.fetch_add(1, Ordering::Release);
        let mut failure = Some(failure);
        for attempt in self.under_way.drain(..) {
            attempt.end(Some(failure.take().unwrap_or(TcpFailure::Behind)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(attempts: &mut Attempts, epoch: &Epoch, records: usize) -> oneshot::Receiver<Outcome> {
        let (job, outcome) = Job::new(vec![Bytes::from_static(b"x"); records], epoch);
        attempts.begin(job);
        outcome
    }

    fn ended(outcome: &mut oneshot::Receiver<Outcome>) -> Option<(usize, bool)> {
        outcome.try_recv().ok().map(|outcome| (outcome.delivered, outcome.failure.is_none()))
    }

    #[test]
    fn attempts_are_completed_in_their_order() {
        let epoch = Epoch::default();
        let mut attempts = Attempts::new(epoch.clone());
        let mut outcomes = [3, 2, 4].map(|records| begin(&mut attempts, &epoch, records));
        attempts.delivered(2);
        assert_eq!(ended(&mut outcomes[0]), None);
        attempts.delivered(4);
        assert_eq!(ended(&mut outcomes[0]), Some((3, true)));
        assert_eq!(ended(&mut outcomes[1]), Some((2, true)));
        attempts.fail(TcpFailure::Behind);
        assert_eq!(ended(&mut outcomes[2]), Some((1, false)));
        assert!(attempts.is_empty());
    }

    #[test]
    fn nothing_overtakes_an_attempt_that_failed() {
        let epoch = Epoch::default();
        let mut attempts = Attempts::new(epoch.clone());
        let (late, mut outcome) = Job::new(vec![Bytes::from_static(b"x")], &epoch);
        attempts.fail(TcpFailure::Behind);
        assert!(attempts.begin(late).is_empty());
        assert_eq!(ended(&mut outcome), Some((0, false)));
        let (next, _outcome) = Job::new(vec![Bytes::from_static(b"x")], &epoch);
        assert_eq!(attempts.begin(next).len(), 1);
    }
}
