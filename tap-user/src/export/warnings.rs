//! Warnings that do not flood the log: the first of a kind is told at once, further ones at most
//! once in an interval, with how many were not told.

use std::sync::{Mutex, PoisonError};
use tokio::time::{Duration, Instant};

/// Least time between two warnings of one kind.
const INTERVAL: Duration = Duration::from_secs(30);

/// Warnings of one kind.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    untold: u64,
}

impl Warnings {
    /// Something happened. Yields how many times it did since it was last told, this time
    /// included, if it is to be told now.
    pub(super) fn happened(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.untold = state.untold.saturating_add(1);
        let now = Instant::now();
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < INTERVAL) {
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_told_once_in_an_interval_with_its_number() {
        let warnings = Warnings::default();
        assert_eq!(warnings.happened(), Some(1));
        for _ in 0..1_000 {
            assert_eq!(warnings.happened(), None);
        }
        tokio::time::advance(INTERVAL).await;
        assert_eq!(warnings.happened(), Some(1_001));
        assert_eq!(warnings.happened(), None);
    }
}
