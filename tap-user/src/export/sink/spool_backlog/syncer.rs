//! Syncing on a thread of its own: a slow disk may take seconds for it, and appending goes on
//! meanwhile.

use crate::spool::{FileSystem, Unsynced};
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Hands over what is to be synced, one at a time.
#[derive(Debug)]
pub(super) struct Syncer<F: FileSystem> {
    work: SyncSender<Unsynced<F>>,
    results: Receiver<io::Result<()>>,
    is_busy: bool,
    interval: Duration,
    last: Instant,
}

impl<F: FileSystem> Syncer<F> {
    /// Starts the thread. It ends with this value.
    pub(super) fn start(interval: Duration) -> io::Result<Self> {
        let (work, to_do) = sync_channel::<Unsynced<F>>(1);
        let (done, results) = sync_channel(1);
        let sync_all = move || {
            for unsynced in to_do {
                if done.send(unsynced.sync()).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("gatetap-sync".into()).spawn(sync_all)?;
        Ok(Self { work, results, is_busy: false, interval, last: Instant::now() })
    }

    /// Whether the next sync may begin.
    pub(super) fn is_due(&self) -> bool {
        !self.is_busy && self.last.elapsed() >= self.interval
    }

    pub(super) fn begin(&mut self, unsynced: Unsynced<F>) {
        self.last = Instant::now();
        self.is_busy = !unsynced.is_empty() && self.work.try_send(unsynced).is_ok();
    }

    /// The result of the sync under way, once there is one.
    pub(super) fn result(&mut self) -> Option<io::Result<()>> {
        let result = self.results.try_recv().ok()?;
        self.is_busy = false;
        Some(result)
    }
}
