//! How long to wait after a failure.

use crate::document::Problem;
use crate::units::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Longest wait that a receiver may ask for (`Retry-After`): one that names tomorrow is asked
/// again after this time all the same.
const LONGEST_REQUESTED_WAIT: Duration = Duration::from_secs(5 * 60);

/// How long to wait after a failed attempt: at random between half of the wait and all of it, and
/// at least what the receiver asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetrySettings {
    /// Wait after the first failure; doubled by each further one.
    pub first_wait: Period,
    /// Longest wait.
    pub longest_wait: Period,
}

impl Default for RetrySettings {
    fn default() -> Self {
        let Retry { first_wait, longest_wait } = Retry::default();
        Self { first_wait: Period(first_wait), longest_wait: Period(longest_wait) }
    }
}

impl RetrySettings {
    /// Checks whether the waits fit each other.
    pub(super) fn resolve(self) -> Result<Retry, Problem> {
        let Self { first_wait, longest_wait } = self;
        if longest_wait < first_wait {
            let message = format!("{longest_wait} is below first_wait; use at least {first_wait}");
            return Err(Problem::at("longest_wait", message));
        }
        Ok(Retry { first_wait: first_wait.0, longest_wait: longest_wait.0 })
    }
}

/// The waits between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Wait after the first failure; doubled by each further one.
    pub first_wait: Duration,
    /// Longest wait.
    pub longest_wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { first_wait: Duration::from_millis(100), longest_wait: Duration::from_secs(10) }
    }
}

impl Retry {
    /// Exponential, between half and all of the nominal time at random, so that many taps do not
    /// come back to a receiver in step. Never below what the receiver asked for.
    pub(super) fn wait_after(&self, failures: u32, requested: Option<Duration>) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let nominal = self.first_wait.saturating_mul(1 << doublings).min(self.longest_wait);
        let random = RandomState::new().hash_one(failures) as u32;
        let wait = nominal.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX));
        wait.max(requested.unwrap_or_default().min(LONGEST_REQUESTED_WAIT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_a_tenth_of_a_second_to_ten_seconds() {
        for (failures, longest) in [(1, 100), (2, 200), (4, 800), (8, 10_000), (1_000, 10_000)] {
            for _ in 0..100 {
                let wait = Retry::default().wait_after(failures, None).as_millis();
                assert!((longest / 2..=longest).contains(&wait), "{failures}: {wait}");
            }
        }
    }

    #[test]
    fn waits_differ() {
        let waits: std::collections::HashSet<_> =
            (0..20).map(|_| Retry::default().wait_after(5, None)).collect();
        assert!(waits.len() > 10);
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_but_not_for_ever() {
        let wait = |seconds| Retry::default().wait_after(1, Some(Duration::from_secs(seconds)));
        assert_eq!(wait(30), Duration::from_secs(30));
        assert_eq!(wait(u64::MAX), Duration::from_secs(300));
        assert!(wait(0) >= Duration::from_millis(50));
    }
}
