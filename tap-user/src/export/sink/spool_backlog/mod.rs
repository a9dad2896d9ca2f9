//! A backlog on disk: every record is appended to a spool first, whatever its destination does,
//! and stays there until it is released.
//!
//! ```text
//! intake ──▶ worker thread ──▶ ready ──▶ driver
//!               │  ▲                       │
//!               ▼  │      acknowledged ◀───┘
//!              spool
//! ```
//!
//! The worker does all file work. What it has just appended it passes on from memory, as long as
//! the driver keeps up; otherwise it forgets it, and reads it back when its turn comes. While
//! the disk takes nothing, records wait in memory within the queue's bound, and are delivered
//! from there.

mod shared;
mod syncer;
#[cfg(test)]
mod tests;
mod worker;

use super::attempt::BatchLimits;
use super::backlog::Backlog;
use super::queue::{Intake, queue};
use super::room::Room;
use crate::export::record::Record;
use crate::export::totals::Counters;
use crate::spool::{FileSystem, Folder, FolderError, OpenError, Settings, Spool};
use shared::Shared;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use syncer::Syncer;
use worker::Worker;

/// How long the end waits for the disk.
const END_LIMIT: Duration = Duration::from_secs(2);

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Its folder cannot.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// What is in it cannot.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There are no threads for it.
    #[error("cannot start a thread for the spool: {0}")]
    Thread(#[from] io::Error),
}

/// Both ends of a queue that is a spool. `memory` bounds the bytes that are not on disk yet.
pub(super) fn spooled(
    settings: &Settings,
    memory: u64,
    counters: Arc<Counters>,
) -> Result<(Intake, SpoolBacklog), SpoolError> {
    let spool = Spool::open(Folder::open(&settings.path)?, settings.limits())?;
    Ok(start(spool, settings.sync.0, memory, counters)?)
}

fn start<F: FileSystem + Sync>(
    spool: Spool<F>,
    sync: Duration,
    memory: u64,
    counters: Arc<Counters>,
) -> io::Result<(Intake, SpoolBacklog)>
where
    F::File: Sync,
{
    let (intake, records) = queue(memory, Arc::clone(&counters));
    let (receiver, room) = records.into_parts();
    let shared = Arc::new(Shared::default());
    let worker = Worker::new(
        spool,
        Arc::clone(&shared),
        receiver,
        Arc::clone(&room),
        counters,
        Syncer::start(sync)?,
    );
    let over = Arc::clone(&shared);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let run = move || {
        runtime.block_on(worker.run());
        over.end();
    };
    std::thread::Builder::new().name("gatetap-spool".into()).spawn(run)?;
    Ok((intake, SpoolBacklog { shared, room }))
}

/// The driver's end.
#[derive(Debug)]
pub(super) struct SpoolBacklog {
    shared: Arc<Shared>,
    /// Bytes that are in memory only.
    room: Arc<Room>,
}

impl Backlog for SpoolBacklog {
    async fn take(&mut self, limits: BatchLimits) -> Option<Vec<Record>> {
        loop {
            let (batch, ended) = {
                let mut state = self.shared.state();
                (state.take(limits), state.ended)
            };
            if !batch.is_empty() {
                self.shared.worker.notify_one();
                return Some(batch);
            }
            if ended {
                return None;
            }
            self.shared.driver.notified().await;
        }
    }

    fn release(&mut self, count: usize) {
        let bytes = self.shared.state().release(count);
        self.room.release(bytes);
    }

    fn give_up(self, unfinished: Vec<Record>) {
        self.shared.state().given_up = Some(unfinished);
        self.shared.worker.notify_one();
        if !self.shared.has_ended(END_LIMIT) {
            tracing::error!("the spool's disk does not answer: what it has not got may be lost");
        }
    }
}
