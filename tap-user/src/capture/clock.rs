//! From the kernel's monotonic clock to the wall clock.

use crate::segment::Time;
use std::time::Duration;

/// Difference between both clocks, renewed by whoever runs the pipeline. A step of the wall clock
/// so shows in what is captured after it, and in no duration.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    unix_minus_monotonic_ns: i128,
}

impl Clock {
    /// The difference as it is now.
    #[must_use]
    pub fn now() -> Self {
        let before = read(libc::CLOCK_MONOTONIC);
        let unix = read(libc::CLOCK_REALTIME);
        let after = read(libc::CLOCK_MONOTONIC);
        Self { unix_minus_monotonic_ns: unix - (before + after) / 2 }
    }

    /// Both clocks at a moment of the monotonic one.
    #[must_use]
    pub fn at(self, monotonic_ns: u64) -> Time {
        let unix_ns = i128::from(monotonic_ns) + self.unix_minus_monotonic_ns;
        Time { monotonic_ns, unix_ns: u64::try_from(unix_ns).unwrap_or(0) }
    }

    /// Both clocks at a moment of the wall clock.
    #[must_use]
    pub fn at_unix(self, unix_ns: u64) -> Time {
        let monotonic_ns = i128::from(unix_ns) - self.unix_minus_monotonic_ns;
        Time { monotonic_ns: u64::try_from(monotonic_ns).unwrap_or(0), unix_ns }
    }

    /// The present moment.
    #[must_use]
    pub fn time(self) -> Time {
        self.at(u64::try_from(read(libc::CLOCK_MONOTONIC)).unwrap_or(0))
    }
}

/// Processor time that the calling thread has used.
#[must_use]
pub fn processor_time() -> Duration {
    let used = read(libc::CLOCK_THREAD_CPUTIME_ID);
    Duration::from_nanos(u64::try_from(used).unwrap_or(0))
}

fn read(clock: libc::clockid_t) -> i128 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the result; these clocks exist on every Linux.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}
