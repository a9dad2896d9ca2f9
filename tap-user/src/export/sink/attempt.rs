//! What a destination has to know: to try once to deliver some records, and to say what became
//! of them. Queues, retries, order and counting are not its business.

use super::failure::{Failure, Rejection};
use crate::export::record::Record;
use std::time::Duration;

/// One destination.
pub(super) trait Sink: Send + Sync + 'static {
    /// What one attempt takes at most.
    fn limits(&self) -> BatchLimits;

    /// Attempts under way at once. The driver starts them in the order of the records. With more
    /// than one, a sink that is a stream keeps that order itself (its attempts are polled for the
    /// first time in that order), and after one attempt failed, the later ones of its round fail too
    /// ([`Trouble::Behind`]), so that nothing overtakes.
    fn concurrency(&self) -> usize {
        1
    }

    /// Tries once to deliver the records. Bounds its own time. The driver drops the future when
    /// the time for ending is over. After trouble, the next attempt begins with the record that
    /// met it.
    fn attempt(&self, records: Vec<Record>, round: Round) -> impl Future<Output = Attempt> + Send;

    /// Ends in good order after the last attempt.
    fn close(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Attempts that were begun without knowledge of each other's failures. After a failure the driver
/// lets all of them end, waits, and begins the next round with the first record that is left. So
/// whoever meets an attempt after a failure can tell if it was begun before the driver knew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Round(u64);

impl Round {
    /// The one after it.
    pub(super) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// What one attempt takes at most; always at least one record, however large it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchLimits {
    /// Records.
    pub(super) records: usize,
    /// Bytes of them.
    pub(super) bytes: usize,
}

/// What became of the records of an attempt: the first `delivered` ones are delivered, the next
/// one met `trouble`; those behind it have not been tried, or are tried again.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) delivered: usize,
    pub(super) trouble: Option<Trouble>,
}

impl Attempt {
    /// All of `delivered` records are delivered.
    pub(super) fn delivered(delivered: usize) -> Self {
        Self { delivered, trouble: None }
    }

    /// After `delivered` records the destination failed.
    pub(super) fn failed(delivered: usize, error: Failure) -> Self {
        Self { delivered, trouble: Some(Trouble::Later { error, wait: None }) }
    }
}

/// Why an attempt ended before all records were delivered.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Try again later.
    Later {
        /// What happened.
        error: Failure,
        /// At least that long (`Retry-After`).
        wait: Option<Duration>,
    },
    /// An attempt before this one failed on the same stream: try again after it.
    Behind,
    /// The receiver will never take this record.
    #[allow(dead_code, reason = "for receivers that answer")]
    Rejected {
        /// What it said.
        reason: Rejection,
    },
}
