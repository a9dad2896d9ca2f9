//! How long to look away from the ring: nobody wakes userspace up, because a wake-up per event would
//! cost the gateway more than everything else.
//!
//! Each look costs a change of tasks and some 20 µs of an idle processor, so there should be few; but what
//! arrives meanwhile must find room, and is best handled while it is in the processor's cache.

use std::time::Duration;

/// The ring is expected to fill no faster than this, in bytes per second for each processor: half of what
/// one can copy.
const FASTEST: u64 = 800_000_000;
/// Bounds of the pause while the ring is quiet.
const LONGEST: Duration = Duration::from_millis(10);
const QUIET: Duration = Duration::from_millis(2);
/// The least one while it is busy.
const SHORTEST: Duration = Duration::from_millis(1);
/// Shares of the ring (one in so many) beyond which a pause was too long, and below which it was too short.
const MUCH: u64 = 8;
const LITTLE: u64 = 32;

/// The pause between two looks, by what the last one found.
#[derive(Debug)]
pub(super) struct Pause {
    ring_bytes: u64,
    longest: Duration,
    current: Duration,
    /// Bytes taken out of the ring since the last pause.
    taken: u64,
}

impl Pause {
    /// A burst out of silence may fill the ring in one pause, but hardly sooner.
    pub(super) fn new(ring_bytes: u32, processors: usize) -> Self {
        let ring_bytes = u64::from(ring_bytes);
        let fastest = FASTEST.saturating_mul(processors.max(1) as u64);
        let filled = Duration::from_micros(ring_bytes * 1_000_000 / fastest);
        let longest = filled.clamp(QUIET, LONGEST);
        Self { ring_bytes, longest, current: longest, taken: 0 }
    }

    /// Notes that so many bytes were taken out of the ring.
    pub(super) fn took(&mut self, bytes: usize) {
        self.taken += bytes as u64;
    }

    /// How long to look away now that the ring is empty.
    pub(super) fn next(&mut self) -> Duration {
        let taken = std::mem::take(&mut self.taken);
        if taken > self.ring_bytes / MUCH {
            self.current = (self.current / 2).max(SHORTEST);
        } else if taken < self.ring_bytes / LITTLE {
            self.current = (self.current * 2).min(self.longest);
        }
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING: u32 = 16 << 20;

    #[test]
    fn a_quiet_ring_is_looked_at_seldom_and_a_busy_one_often() {
        let mut pause = Pause::new(RING, 2);
        assert_eq!(pause.next(), LONGEST);
        let mut busy = || {
            pause.took(RING as usize / 4);
            pause.next()
        };
        assert_eq!([busy(), busy()], [LONGEST / 2, LONGEST / 4]);
        assert_eq!([busy(), busy()], [LONGEST / 8, SHORTEST]);
        pause.took(RING as usize / 16);
        assert_eq!(pause.next(), SHORTEST, "neither much nor little");
        assert_eq!([pause.next(), pause.next()], [SHORTEST * 2, SHORTEST * 4]);
    }

    #[test]
    fn a_ring_that_may_fill_soon_is_looked_at_often() {
        let quiet = |ring_bytes, processors| Pause::new(ring_bytes, processors).next();
        assert_eq!(quiet(256 << 10, 2), QUIET);
        assert_eq!(quiet(1 << 30, 2), LONGEST);
        assert_eq!(quiet(RING, 4).as_micros(), 5_242);
        assert_eq!(quiet(RING, usize::MAX), QUIET);
    }
}
