//! How far a long file has been read, for people in front of a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Files that are read within this time show nothing.
const FIRST: Duration = Duration::from_secs(1);
/// Time between two lines.
const INTERVAL: Duration = Duration::from_millis(250);
/// Packets between two looks at the clock.
const PACKETS: u64 = 1_024;

/// One line on standard error that is written again and again.
pub(super) struct Progress {
    name: String,
    size: Option<u64>,
    /// `None` where nobody looks.
    due: Option<Instant>,
    shown: bool,
}

impl Progress {
    pub(super) fn new(name: &str, size: Option<u64>) -> Self {
        let due = std::io::stderr().is_terminal().then(|| Instant::now() + FIRST);
        Self { name: name.to_owned(), size, due, shown: false }
    }

    /// Shows bytes read and exchanges found, if it is time.
    pub(super) fn show(&mut self, packets: u64, state: impl FnOnce() -> (u64, u64)) {
        let Some(due) = self.due else { return };
        if !packets.is_multiple_of(PACKETS) || Instant::now() < due {
            return;
        }
        self.due = Some(Instant::now() + INTERVAL);
        self.shown = true;
        let (bytes, exchanges) = state();
        let mebibytes = bytes >> 20;
        let of = self.size.map_or(String::new(), |size| format!(" of {}", size >> 20));
        write_line(&format!("{}: {mebibytes}{of} MiB, {exchanges} exchanges", self.name));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            write_line("");
        }
    }
}

/// Replaces the line under the cursor; that it cannot be written does not matter.
fn write_line(text: &str) {
    let mut terminal = std::io::stderr();
    let _ = write!(terminal, "\r\x1b[K{text}").and_then(|()| terminal.flush());
}
