//! How many bytes a queue holds, and how its two ends wait for each other without polling: on a
//! single processor core each of them only goes on once the other one sleeps.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;
use tokio::sync::Notify;

/// Bytes that are worth a batch of their own: more need not be waited for.
const PLENTY: u64 = 1 << 20;

/// Longest sleep of a source that waits, so that it sees when it is told to hurry.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);

/// What both ends of a queue share.
#[derive(Debug, Default)]
pub(super) struct Room {
    held: AtomicU64,
    /// The source, while it waits for room.
    source: Mutex<Option<Thread>>,
    plenty: Notify,
}

impl Room {
    /// Bytes that are held, those included that are being delivered.
    pub(super) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// A record came.
    pub(super) fn add(&self, bytes: u64) {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        if before < PLENTY && before.saturating_add(bytes) >= PLENTY {
            self.plenty.notify_one();
        }
    }

    /// Records are done with.
    pub(super) fn release(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(source) = self.source().take() {
            source.unpark();
        }
    }

    /// The source sleeps a while, but not for long when something is released. `is_room` is asked
    /// once more in between, lest that happens just before.
    pub(super) fn wait(&self, is_room: impl FnOnce() -> bool) {
        *self.source() = Some(thread::current());
        self.plenty.notify_one();
        if !is_room() {
            thread::park_timeout(LONGEST_SLEEP);
        }
    }

    /// Ready when there is plenty to take, or when the source waits.
    pub(super) async fn plenty(&self) {
        self.plenty.notified().await;
    }

    fn source(&self) -> MutexGuard<'_, Option<Thread>> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Instant;

    #[test]
    fn a_release_wakes_the_source() {
        let room = Arc::new(Room::default());
        room.add(10);
        let other = Arc::clone(&room);
        let releasing = thread::spawn(move || {
            while other.source().is_none() {
                thread::yield_now();
            }
            other.release(10);
        });
        let deadline = Instant::now() + Duration::from_secs(10);
        while room.held() > 0 && Instant::now() < deadline {
            room.wait(|| room.held() == 0);
        }
        assert_eq!(room.held(), 0);
        releasing.join().unwrap();
    }

    #[tokio::test]
    async fn a_batch_is_plenty_and_less_is_not() {
        let room = Room::default();
        room.add(PLENTY - 1);
        let short = tokio::time::timeout(Duration::from_millis(20), room.plenty()).await;
        assert!(short.is_err());
        room.add(1);
        room.plenty().await;
    }

    #[tokio::test]
    async fn a_source_that_waits_ends_the_wait_for_more() {
        let room = Room::default();
        room.wait(|| true);
        room.plenty().await;
    }
}
