//! So many records a second and no more: a bucket of tokens on the clock of the capture.

use crate::segment::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

const NANOSECONDS_PER_SECOND: u128 = 1_000_000_000;

/// How many records leave at most; those beyond it are dropped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimitSettings {
    /// Records a second in the long run, at least 1.
    #[schemars(example = 500)]
    pub records_per_second: NonZeroU32,
    /// Records at once after a pause; as many as in a second if it is not there.
    #[serde(default)]
    pub burst: Option<NonZeroU32>,
}

/// A bucket of tokens, one for each record.
#[derive(Debug, Clone)]
pub struct RateLimit {
    per_second: u128,
    /// Thousand-millionths of a token: a nanosecond brings as many as there are tokens a second.
    capacity: u128,
    level: u128,
    /// The latest time seen.
    now_ns: Option<u64>,
}

impl RateLimit {
    /// A full bucket.
    #[must_use]
    pub fn new(settings: RateLimitSettings) -> Self {
        let burst = settings.burst.unwrap_or(settings.records_per_second);
        let capacity = u128::from(burst.get()) * NANOSECONDS_PER_SECOND;
        let per_second = u128::from(settings.records_per_second.get());
        Self { per_second, capacity, level: capacity, now_ns: None }
    }

    /// Takes a token for a record at `now`; a time before the latest one counts as that.
    pub fn take(&mut self, now: Time) -> bool {
        let before = self.now_ns.unwrap_or(now.monotonic_ns);
        let passed = u128::from(now.monotonic_ns.saturating_sub(before));
        self.now_ns = Some(before.max(now.monotonic_ns));
        let filled = self.level.saturating_add(passed.saturating_mul(self.per_second));
        self.level = filled.min(self.capacity);
        let rest = self.level.checked_sub(NANOSECONDS_PER_SECOND);
        self.level = rest.unwrap_or(self.level);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(records_per_second: u32, burst: Option<u32>) -> RateLimit {
        let number = |number| NonZeroU32::new(number).unwrap();
        let (records_per_second, burst) = (number(records_per_second), burst.map(number));
        RateLimit::new(RateLimitSettings { records_per_second, burst })
    }

    fn at(milliseconds: u64) -> Time {
        Time { monotonic_ns: milliseconds * 1_000_000, unix_ns: 0 }
    }

    #[test]
    fn a_burst_and_then_so_many_a_second() {
        let mut limit = limit(10, Some(5));
        let taken = |limit: &mut RateLimit, time| (0..20).filter(|_| limit.take(at(time))).count();
        assert_eq!(taken(&mut limit, 1_000), 5);
        assert_eq!(taken(&mut limit, 1_000), 0);
        assert_eq!(taken(&mut limit, 1_099), 0);
        assert_eq!(taken(&mut limit, 1_100), 1);
        assert_eq!(taken(&mut limit, 1_050), 0);
        assert_eq!(taken(&mut limit, 1_400), 3);
        assert_eq!(taken(&mut limit, 1_000_000_000), 5);
    }

    #[test]
    fn in_the_long_run_the_rate_is_exact() {
        let mut limit = limit(7, None);
        let taken = (0..100_000).filter(|millisecond| limit.take(at(*millisecond))).count();
        assert_eq!(taken, 7 + 699);
    }

    #[test]
    fn no_time_is_too_late() {
        let mut limit = limit(u32::MAX, None);
        assert!(limit.take(at(0)));
        assert!(limit.take(Time { monotonic_ns: u64::MAX, unix_ns: 0 }));
    }
}
