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
use tokio::sync::mpsc;
use worker::Worker;

/// How often a spool that another sink still has is tried.
const HANDOVER_INTERVAL: Duration = Duration::from_millis(50);
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

/// When the folder of a spool is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::export) enum SpoolOpening {
    /// At once; another user of it is an error.
    Now,
    /// When the sink that has it has ended; until then records wait in memory.
    WhenFree,
}

/// Both ends of a queue that is a spool. `memory` bounds the bytes that are not on disk yet.
pub(super) fn spooled(
    settings: &Settings,
    opening: SpoolOpening,
    memory: u64,
    counters: Arc<Counters>,
) -> Result<(Intake, SpoolBacklog), SpoolError> {
    let sync = settings.sync.0;
    if opening == SpoolOpening::WhenFree {
        let settings = settings.clone();
        let (intake, parts) = Parts::new(sync, memory, counters)?;
        let backlog = parts.run(move |parts| match wait_for(&settings, &parts) {
            Some(spool) => Some(parts.worker(spool)),
            None => parts.give_up(),
        })?;
        return Ok((intake, backlog));
    }
    let spool = Spool::open(Folder::open(&settings.path)?, settings.limits())?;
    Ok(start(spool, sync, memory, counters)?)
}

/// The spool as soon as nobody else has it; `None` if there is no need of it any more, or if it
/// cannot be used.
fn wait_for(settings: &Settings, parts: &Parts<Folder>) -> Option<Spool<Folder>> {
    while !parts.is_given_up() {
        let folder = match Folder::open(&settings.path) {
            Err(FolderError::InUse { .. }) => {
                std::thread::sleep(HANDOVER_INTERVAL);
                continue;
            }
            other => other,
        };
        let spool = folder
            .map_err(SpoolError::from)
            .and_then(|folder| Ok(Spool::open(folder, settings.limits())?));
        return spool
            .inspect_err(|error| tracing::error!(%error, "records of a sink are dropped"))
            .ok();
    }
    None
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
    let (intake, parts) = Parts::new(sync, memory, counters)?;
    let (shared, room) = (Arc::clone(&parts.shared), Arc::clone(&parts.room));
    // Here and not on the thread: what was found counts from the start.
    let worker = parts.worker(spool);
    Ok((intake, run(shared, room, move || Some(worker))?))
}

/// What the thread works with, but for the spool itself.
struct Parts<F: FileSystem> {
    shared: Arc<Shared>,
    receiver: mpsc::UnboundedReceiver<Record>,
    room: Arc<Room>,
    counters: Arc<Counters>,
    syncer: Syncer<F>,
}

impl<F: FileSystem + Sync> Parts<F>
where
    F::File: Sync,
{
    fn new(sync: Duration, memory: u64, counters: Arc<Counters>) -> io::Result<(Intake, Self)> {
        let (intake, records) = queue(memory, Arc::clone(&counters));
        let (receiver, room) = records.into_parts();
        let syncer = Syncer::start(sync)?;
        Ok((intake, Self { shared: Arc::default(), receiver, room, counters, syncer }))
    }

    /// Whether there is no need of a spool any more.
    fn is_given_up(&self) -> bool {
        let is_unused = self.receiver.is_closed() && self.receiver.is_empty();
        is_unused || self.shared.state().given_up.is_some()
    }

    fn worker(self, spool: Spool<F>) -> Worker<F> {
        let Self { shared, receiver, room, counters, syncer } = self;
        Worker::new(spool, shared, receiver, room, counters, syncer)
    }

    /// Nothing can be kept: what came is dropped, and nothing more is taken.
    fn give_up<T>(mut self) -> Option<T> {
        self.receiver.close();
        while let Ok(record) = self.receiver.try_recv() {
            self.room.release(record.length());
            self.counters.dropped_at_shutdown(record.length());
        }
        self.shared.state().ended = true;
        self.shared.driver.notify_one();
        None
    }

    fn run(
        self,
        begin: impl FnOnce(Self) -> Option<Worker<F>> + Send + 'static,
    ) -> io::Result<SpoolBacklog> {
        let (shared, room) = (Arc::clone(&self.shared), Arc::clone(&self.room));
        run(shared, room, move || begin(self))
    }
}

/// Starts the thread.
fn run<F: FileSystem + Sync>(
    shared: Arc<Shared>,
    room: Arc<Room>,
    begin: impl FnOnce() -> Option<Worker<F>> + Send + 'static,
) -> io::Result<SpoolBacklog>
where
    F::File: Sync,
{
    let over = Arc::clone(&shared);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let work = move || {
        if let Some(worker) = begin() {
            runtime.block_on(worker.run());
        }
        over.end();
    };
    std::thread::Builder::new().name("gatetap-spool".into()).spawn(work)?;
    Ok(SpoolBacklog { shared, room })
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
