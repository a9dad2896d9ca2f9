//! Where the capture loop posts how it stands, for whoever asks.

use crate::app::totals::Totals;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A loop that has not turned for so long hangs: it waits milliseconds at most, and even a large
/// batch of events takes no seconds.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// The present state of a run.
#[derive(Debug)]
pub(crate) struct Board {
    start: Instant,
    is_attached: AtomicBool,
    /// Milliseconds after `start` at which the loop last turned.
    turned: AtomicU64,
    totals: Mutex<Option<Arc<Totals>>>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            is_attached: AtomicBool::new(false),
            turned: AtomicU64::new(0),
            totals: Mutex::new(None),
        }
    }
}

impl Board {
    /// The source is attached.
    pub(crate) fn attached(&self) {
        self.is_attached.store(true, Relaxed);
    }

    /// The run comes to its end.
    pub(crate) fn ending(&self) {
        self.is_attached.store(false, Relaxed);
    }

    /// The capture loop is alive.
    pub(crate) fn turned(&self) {
        let milliseconds = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.turned.store(milliseconds, Relaxed);
    }

    /// The numbers of this moment.
    pub(crate) fn post(&self, totals: Totals) {
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(totals));
    }

    pub(super) fn is_attached(&self) -> bool {
        self.is_attached.load(Relaxed)
    }

    /// For how long the loop has hung, if it has.
    pub(super) fn stuck_for(&self) -> Option<Duration> {
        let turned = Duration::from_millis(self.turned.load(Relaxed));
        let since = self.start.elapsed().saturating_sub(turned);
        (since > STUCK_AFTER).then_some(since)
    }

    /// The numbers that were posted last.
    pub(super) fn totals(&self) -> Option<Arc<Totals>> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
