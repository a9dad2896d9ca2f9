//! How fast a new connection is written to after one that may have lost records.
//!
//! A receiver that reads some records and then closes, again and again, resets the connection
//! if more had arrived by then. Nobody but the receiver knows how much of what its kernel
//! acknowledged it had read: so all of it goes again, and if it always came as fast as possible,
//! the receiver would read the same first records for ever. A close without a reset, however,
//! shows that it had read everything (RFC 1122, section 4.2.2.13: closing with unread data
//! resets). So after doubt there is a pause whenever a portion is acknowledged, in which the
//! receiver can close without a reset. Portions begin with one record and double while the
//! connection holds. If even so it ends in doubt, more and more portions of a single record
//! come first.

use std::time::Duration;

/// Pause after a portion; doubled by each connection that ends in doubt.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(64);
/// Portions of a single record after the second doubt in a row; four times as many after each
/// further one.
const FIRST_SINGLES: usize = 16;
/// After a portion of so many records the pace is free.
const LARGEST_PORTION: usize = 4096;

/// Portions of a connection, and what is known from the ones before it.
#[derive(Debug)]
pub(super) struct Pace {
    /// Connections in a row that ended in doubt.
    doubts: u32,
    portion: Portion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Portion {
    /// As much as the kernel takes.
    Free,
    /// That many records; of them `left` are still to be written; `singles` portions of one
    /// record are still to come before they grow.
    Of { records: usize, left: usize, singles: usize },
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { doubts: 0, portion: Portion::Free }
    }

    /// Records that may be written before the next pause.
    pub(super) fn allowance(&self) -> usize {
        match self.portion {
            Portion::Free => usize::MAX,
            Portion::Of { left, .. } => left,
        }
    }

    /// Whether the receiver is still given time to close without a reset.
    pub(super) fn is_careful(&self) -> bool {
        self.portion != Portion::Free
    }

    pub(super) fn wrote(&mut self, records: usize) {
        if let Portion::Of { left, .. } = &mut self.portion {
            *left = left.saturating_sub(records);
        }
    }

    /// The pause that is due once everything written is acknowledged.
    pub(super) fn pause(&self) -> Option<Duration> {
        let doublings = self.doubts.saturating_sub(1).min(16);
        (self.allowance() == 0)
            .then(|| FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE))
    }

    /// The connection survived the pause.
    pub(super) fn resume(&mut self) {
        let Portion::Of { records, singles, .. } = self.portion else { return };
        let next = if singles > 0 { records } else { records.saturating_mul(2) };
        if next > LARGEST_PORTION {
            *self = Self::new();
        } else {
            let singles = singles.saturating_sub(1);
            self.portion = Portion::Of { records: next, left: next, singles };
        }
    }

    /// The connection ended, and its receiver may have lost records.
    pub(super) fn doubt(&mut self) {
        self.doubts = self.doubts.saturating_add(1);
        self.begin();
    }

    /// The connection ended, and its receiver had read everything.
    pub(super) fn trust(&mut self) {
        if self.is_careful() {
            self.begin();
        }
    }

    fn begin(&mut self) {
        let singles = match self.doubts.checked_sub(2) {
            None => 0,
            Some(more) => FIRST_SINGLES.saturating_mul(1 << (2 * more.min(8))),
        };
        self.portion = Portion::Of { records: 1, left: 1, singles };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next portions of the connection.
    fn portions(pace: &mut Pace, count: usize) -> Vec<usize> {
        let portion = |_| {
            let records = pace.allowance();
            pace.wrote(records);
            assert!(pace.pause().is_some() || !pace.is_careful());
            pace.resume();
            records
        };
        (0..count).map(portion).collect()
    }

    #[test]
    fn the_first_connection_is_free() {
        let mut pace = Pace::new();
        assert_eq!((pace.allowance(), pace.pause()), (usize::MAX, None));
        pace.wrote(10);
        pace.trust();
        assert_eq!(pace.allowance(), usize::MAX);
    }

    #[test]
    fn after_doubt_portions_double_until_the_pace_is_free() {
        let mut pace = Pace::new();
        pace.doubt();
        assert_eq!(portions(&mut pace, 4), [1, 2, 4, 8]);
        assert_eq!(portions(&mut pace, 9).last(), Some(&4096));
        assert_eq!(pace.allowance(), usize::MAX);
        pace.doubt();
        assert_eq!(portions(&mut pace, 3), [1, 2, 4], "it is a first doubt again");
    }

    #[test]
    fn a_portion_may_be_written_in_parts() {
        let mut pace = Pace::new();
        pace.doubt();
        portions(&mut pace, 2);
        pace.wrote(3);
        assert_eq!((pace.allowance(), pace.pause()), (1, None));
        pace.wrote(1);
        assert_eq!((pace.allowance(), pace.pause()), (0, Some(FIRST_PAUSE)));
    }

    #[test]
    fn after_more_doubt_single_records_come_first() {
        let mut pace = Pace::new();
        pace.doubt();
        pace.doubt();
        assert_eq!(portions(&mut pace, 19), [vec![1; 17], vec![2, 4]].concat());
        pace.trust();
        assert_eq!(portions(&mut pace, 18), [vec![1; 17], vec![2]].concat());
        (0..100).for_each(|_| pace.doubt());
        assert_eq!(portions(&mut pace, 1000), vec![1; 1000]);
        pace.wrote(1);
        assert_eq!(pace.pause(), Some(LONGEST_PAUSE));
    }
}
