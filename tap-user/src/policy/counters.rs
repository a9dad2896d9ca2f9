//! What policy kept back and replaced. Each event is counted here, once.

use crate::gateway::Redacted;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// Why an exchange does not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DropReason {
    /// The filter does not let it pass.
    Filter,
    /// Sampling did not choose it.
    Sampling,
    /// There were too many records.
    RateLimit,
}

impl DropReason {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::Filter, Self::Sampling, Self::RateLimit];

    /// Stable name, as totals and metrics carry it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Sampling => "sampling",
            Self::RateLimit => "rate_limit",
        }
    }
}

/// Live numbers, for whoever shows them.
#[derive(Debug, Default)]
pub struct Counters {
    dropped: [AtomicU64; DropReason::ALL.len()],
    dropped_early: AtomicU64,
    /// Values replaced, by rule: as many entries as rules were ever configured in this run.
    redacted: Mutex<BTreeMap<Arc<str>, u64>>,
}

/// The numbers at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyTotals {
    /// Exchanges that did not leave, by reason; all reasons are there.
    pub dropped: BTreeMap<DropReason, u64>,
    /// Records of unfinished exchanges that did not leave for any of these reasons; they are decided
    /// upon again when they end.
    pub dropped_early: u64,
    /// Values replaced, by rule; all rules are there.
    pub redacted: BTreeMap<Arc<str>, u64>,
}

impl Counters {
    /// An exchange does not leave.
    pub(super) fn dropped(&self, reason: DropReason) {
        let place = DropReason::ALL.iter().position(|it| *it == reason);
        if let Some(counter) = place.and_then(|place| self.dropped.get(place)) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// The record of an unfinished exchange does not leave.
    pub(super) fn dropped_early(&self) {
        self.dropped_early.fetch_add(1, Relaxed);
    }

    /// There are such rules.
    pub(super) fn know(&self, rules: impl IntoIterator<Item = Arc<str>>) {
        let mut counts = self.redacted.lock().unwrap_or_else(PoisonError::into_inner);
        for rule in rules {
            counts.entry(rule).or_default();
        }
    }

    /// Values were replaced.
    pub(super) fn redacted(&self, redacted: &Redacted) {
        let mut counts = self.redacted.lock().unwrap_or_else(PoisonError::into_inner);
        for (rule, times) in &redacted.rules {
            // Known since the rule was configured; so no more names than there are rules.
            if let Some(count) = counts.get_mut(rule) {
                *count = count.saturating_add(*times);
            }
        }
    }

    /// The numbers now.
    #[must_use]
    pub fn totals(&self) -> PolicyTotals {
        let dropped = DropReason::ALL.into_iter().zip(&self.dropped);
        PolicyTotals {
            dropped: dropped.map(|(reason, count)| (reason, count.load(Relaxed))).collect(),
            dropped_early: self.dropped_early.load(Relaxed),
            redacted: self.redacted.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
