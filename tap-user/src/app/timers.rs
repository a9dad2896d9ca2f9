//! When to come back to which connection: however many there are, only those that are due are
//! looked at.
//!
//! A connection is noted at most once. Its time mostly moves into the future with each segment;
//! that is not noted but found out when the noted time comes.

use std::collections::BTreeSet;

/// Times of connections, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// Nanoseconds of the monotonic clock, and serial number of a connection.
    queue: BTreeSet<(u64, u64)>,
}

/// The time that is noted for a connection, if one is.
#[derive(Debug, Default)]
pub(super) struct Noted(Option<u64>);

impl Timers {
    /// A connection is to be looked at when it is `due`, or earlier.
    pub(super) fn note(&mut self, serial: u64, noted: &mut Noted, due: Option<u64>) {
        let Some(due) = due else { return };
        if noted.0.is_some_and(|noted| noted <= due) {
            return;
        }
        self.forget(serial, noted);
        self.queue.insert((due, serial));
        noted.0 = Some(due);
    }

    /// A connection need not be looked at any more.
    pub(super) fn forget(&mut self, serial: u64, noted: &mut Noted) {
        if let Some(due) = noted.0.take() {
            self.queue.remove(&(due, serial));
        }
    }

    /// Connections whose time has come, by ascending serial number: so the order does not depend
    /// on what happened to be noted. Nothing is noted for them any more.
    pub(super) fn take_due(&mut self, now_ns: u64) -> Vec<u64> {
        let mut due = Vec::new();
        while let Some((at, serial)) = self.queue.pop_first() {
            if at > now_ns {
                self.queue.insert((at, serial));
                break;
            }
            due.push(serial);
        }
        due.sort_unstable();
        due
    }
}

impl Noted {
    /// What was noted has been taken.
    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_the_order_of_the_connections() {
        let mut timers = Timers::default();
        for (serial, due) in [(7, 10), (3, 20), (5, 30)] {
            timers.note(serial, &mut Noted::default(), Some(due));
        }
        assert!(timers.take_due(9).is_empty());
        assert_eq!(timers.take_due(20), [3, 7]);
        assert!(timers.take_due(20).is_empty());
        assert_eq!(timers.take_due(30), [5]);
    }

    #[test]
    fn a_connection_is_noted_once_with_its_earliest_time() {
        let (mut timers, mut noted) = (Timers::default(), Noted::default());
        for due in [Some(50), Some(60), None, Some(40), Some(45)] {
            timers.note(1, &mut noted, due);
            assert_eq!(timers.queue.len(), 1);
        }
        assert!(timers.take_due(39).is_empty());
        assert_eq!(timers.take_due(40), [1]);
        noted.clear();
        timers.note(1, &mut noted, Some(45));
        timers.forget(1, &mut noted);
        assert!(timers.take_due(u64::MAX).is_empty());
    }
}
