//! Where the driver's records come from: a queue in memory, or a spool on disk.

use super::attempt::BatchLimits;
use super::queue::MemoryBacklog;
use super::spool_backlog::SpoolBacklog;
use crate::export::record::Record;

/// Records that wait for delivery, in order.
pub(super) trait Backlog: Send + 'static {
    /// Waits for records and takes the next ones in order; `None` once it is closed and nothing
    /// is left. A future that is dropped before it is ready has taken nothing: what it had in
    /// hand comes with the next call.
    fn take(&mut self, limits: BatchLimits) -> impl Future<Output = Option<Vec<Record>>> + Send;

    /// The oldest `count` taken records are done with: delivered, or in the dead-letter file.
    fn release(&mut self, count: usize);

    /// The time for ending is over. `unfinished` are those taken records that are not done with;
    /// behind the first of them some may be that are, and that were not released for that reason.
    /// Memory gives them up, with all that still waits, and counts them; a spool keeps on disk
    /// what was not released.
    fn give_up(self, unfinished: Vec<Record>);
}

/// One of the two, so that the driver is built once for each destination.
#[derive(Debug)]
pub(super) enum EitherBacklog {
    Memory(MemoryBacklog),
    Spool(SpoolBacklog),
}

impl Backlog for EitherBacklog {
    async fn take(&mut self, limits: BatchLimits) -> Option<Vec<Record>> {
        match self {
            Self::Memory(backlog) => backlog.take(limits).await,
            Self::Spool(backlog) => backlog.take(limits).await,
        }
    }

    fn release(&mut self, count: usize) {
        match self {
            Self::Memory(backlog) => backlog.release(count),
            Self::Spool(backlog) => backlog.release(count),
        }
    }

    fn give_up(self, unfinished: Vec<Record>) {
        match self {
            Self::Memory(backlog) => backlog.give_up(unfinished),
            Self::Spool(backlog) => backlog.give_up(unfinished),
        }
    }
}
