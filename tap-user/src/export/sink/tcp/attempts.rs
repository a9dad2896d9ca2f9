//! The attempts under way: each waits until its records are acknowledged, or learns why not.

use super::failure::TcpFailure;
use crate::export::sink::attempt::Round;
use bytes::Bytes;
use std::collections::VecDeque;
use tokio::sync::oneshot;

/// What became of an attempt.
#[derive(Debug)]
pub(super) struct Outcome {
    /// So many of its records are acknowledged, the first ones.
    pub(super) delivered: usize,
    /// Why not all.
    pub(super) failure: Option<TcpFailure>,
}

/// An attempt on its way to its turn.
#[derive(Debug)]
pub(super) struct Job {
    records: Vec<Bytes>,
    round: Round,
    done: oneshot::Sender<Outcome>,
}

impl Job {
    pub(super) fn new(records: Vec<Bytes>, round: Round) -> (Self, oneshot::Receiver<Outcome>) {
        let (done, outcome) = oneshot::channel();
        (Self { records, round, done }, outcome)
    }
}

/// One that had its turn.
#[derive(Debug)]
struct UnderWay {
    records: usize,
    delivered: usize,
    round: Round,
    done: oneshot::Sender<Outcome>,
}

impl UnderWay {
    /// Whoever waited may have given up: then nobody is to be told.
    fn end(self, failure: Option<TcpFailure>) {
        let _ = self.done.send(Outcome { delivered: self.delivered, failure });
    }
}

/// Attempts in the order of their records.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    under_way: VecDeque<UnderWay>,
    /// The last round in which an attempt failed. Whatever else of it comes to its turn fails too, or its
    /// records would overtake those of that attempt.
    failed: Option<Round>,
}

impl Attempts {
    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Gives an attempt its turn: its records are to be sent.
    pub(super) fn begin(&mut self, job: Job) -> Vec<Bytes> {
        let Job { records, round, done } = job;
        let attempt = UnderWay { records: records.len(), delivered: 0, round, done };
        if self.failed >= Some(round) {
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
        let mut failure = Some(failure);
        for attempt in self.under_way.drain(..) {
            self.failed = self.failed.max(Some(attempt.round));
            attempt.end(Some(failure.take().unwrap_or(TcpFailure::Behind)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether an attempt has its turn, and its outcome.
    fn begin(
        attempts: &mut Attempts,
        round: Round,
        records: usize,
    ) -> (bool, oneshot::Receiver<Outcome>) {
        let (job, outcome) = Job::new(vec![Bytes::from_static(b"x"); records], round);
        (attempts.begin(job).len() == records, outcome)
    }

    fn ended(outcome: &mut oneshot::Receiver<Outcome>) -> Option<(usize, bool)> {
        outcome.try_recv().ok().map(|outcome| (outcome.delivered, outcome.failure.is_none()))
    }

    #[test]
    fn attempts_are_completed_in_their_order() {
        let mut attempts = Attempts::default();
        let mut outcomes =
            [3, 2, 4].map(|records| begin(&mut attempts, Round::default(), records).1);
        attempts.delivered(2);
        assert_eq!(ended(&mut outcomes[0]), None);
        attempts.delivered(4);
        assert_eq!(ended(&mut outcomes[0]), Some((3, true)));
        assert_eq!(ended(&mut outcomes[1]), Some((2, true)));
        attempts.fail(TcpFailure::Behind);
        assert_eq!(ended(&mut outcomes[2]), Some((1, false)));
        assert!(attempts.is_empty());
    }

    /// Neither what began before the failure, nor what began after it and before the driver knew.
    #[test]
    fn nothing_overtakes_an_attempt_that_failed() {
        let round = Round::default();
        let mut attempts = Attempts::default();
        let (_, mut failed) = begin(&mut attempts, round, 1);
        attempts.fail(TcpFailure::Behind);
        assert_eq!(ended(&mut failed), Some((0, false)));
        let (has_turn, mut late) = begin(&mut attempts, round, 1);
        assert_eq!((has_turn, ended(&mut late)), (false, Some((0, false))));
        assert!(begin(&mut attempts, round.next(), 1).0);
    }

    #[test]
    fn a_connection_that_ends_while_nothing_is_under_way_fails_nothing() {
        let mut attempts = Attempts::default();
        attempts.fail(TcpFailure::Behind);
        assert!(begin(&mut attempts, Round::default(), 1).0);
    }
}
