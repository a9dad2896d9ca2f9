//! Small helps for every test.

use std::fmt::Debug;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Only one live test runs at a time: they share two processors and measure.
pub(crate) fn exclusive() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Polls until `condition` holds; whether it did within `limit`.
pub(crate) fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}

/// The value, or the end of the test with the error.
#[track_caller]
pub(crate) fn attempt<T, E: Debug>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error:?}"))
}

/// Lines of a file that contain `text`.
pub(crate) fn count_lines(path: &Path, text: &str) -> usize {
    let content = attempt(std::fs::read_to_string(path));
    content.lines().filter(|line| line.contains(text)).count()
}
