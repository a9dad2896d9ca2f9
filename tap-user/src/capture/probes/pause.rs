//! How long to look away from the ring: nobody wakes userspace up, because a wake-up per event would
//! cost the gateway more than everything else.
//!
//! Each look costs a change of tasks and some 20 µs of an idle processor, so there should be few; but what
//! arrives meanwhile must find room, and is best handled while it is in the processor's cache.

use std::time::Duration;

/// The ring is expected to fill no faster than this, in bytes per second: what one core copies.
const FASTEST: u64 = 1_600_000_000;
const LONGEST: Duration = Duration::from_millis(10);
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
    /// The ring may fill up in one pause, but in no more than that.
    pub(super) fn new(ring_bytes: u32) -> Self {
        let ring_bytes = u64::from(ring_bytes);
        let filled = Duration::from_micros(ring_bytes * 1_000_000 / FASTEST);
        let longest = filled.clamp(SHORTEST, LONGEST);
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
        let mut pause = Pause::new(RING);
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
    fn a_small_ring_is_looked_at_often() {
        assert_eq!(Pause::new(256 << 10).next(), SHORTEST);
        assert_eq!(Pause::new(1 << 30).next(), LONGEST);
    }
}
