//! Sinks: where records go. All have the same shape: a sink knows how to open its destination
//! and how to write one batch ([`Sink`]); the one [`driver`] owns queue, batching, retry and
//! counting for all of them.

mod batch;
mod descriptor;
mod driver;
mod file;
mod specification;
mod stdout;
mod tcp;

pub use file::FileSettings;
pub use specification::{Destination, SinkSettings, SinkSpecification};
pub use stdout::StdoutSettings;
pub use tcp::TcpSettings;

use super::format::Format;
use super::totals::{Counters, SinkTotals};
use bytes::Bytes;
use driver::Driver;
use file::FileSink;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stdout::StdoutSink;
use tcp::TcpSink;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How often a source that waits looks whether a queue has room.
const ROOM_INTERVAL: Duration = Duration::from_millis(1);

/// Bytes that a source that waits lets queue up at most: more would cost memory and gain nothing.
const WAITING_QUEUE_LIMIT: u64 = 8 << 20;

/// Why an exporter cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file of a sink cannot be opened or created.
    #[error("cannot open {path} to write records: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Standard output is closed.
    #[error("cannot write records to standard output: {0}")]
    Stdout(io::Error),
}

/// A destination of bytes.
trait Sink: Send + 'static {
    /// Whether a write after a failed one goes on in the same stream. If not, a new stream
    /// begins, and with it the record that was not completely written.
    const CONTINUES: bool;

    /// Gets ready to write: before the first write, and again after each failed one.
    fn open(&mut self) -> impl Future<Output = io::Result<()>> + Send;

    /// Writes once and says how many bytes the kernel took, at least one.
    fn write(&mut self, pieces: Vec<Bytes>) -> impl Future<Output = io::Result<usize>> + Send;

    /// Ends the stream in good order after the last write.
    fn close(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// The capture thread's end of a sink.
#[derive(Debug)]
pub(super) struct RunningSink {
    format: Format,
    queue_limit: u64,
    queue: mpsc::UnboundedSender<Bytes>,
    /// Records were dropped, and the queue has not been half empty since: one warning is enough.
    full: bool,
    counters: Arc<Counters>,
    end: watch::Sender<Option<Instant>>,
    task: JoinHandle<()>,
}

impl RunningSink {
    /// Opens what must be there from the start, and starts the sink's task.
    pub(super) fn start(
        runtime: &Handle,
        specification: SinkSpecification,
    ) -> Result<Self, StartError> {
        let SinkSpecification { name, destination, format, queue_bytes } = specification;
        let counters = Arc::new(Counters::new(name));
        let (queue, records) = mpsc::unbounded_channel();
        let (end, ending) = watch::channel(None);
        let shared = Arc::clone(&counters);
        let task = match destination {
            Destination::Stdout(_) => {
                let sink = StdoutSink::new().map_err(StartError::Stdout)?;
                runtime.spawn(Driver::new(sink, records, shared).run(ending))
            }
            Destination::File(FileSettings { path }) => {
                let sink =
                    FileSink::new(&path).map_err(|source| StartError::File { path, source })?;
                runtime.spawn(Driver::new(sink, records, shared).run(ending))
            }
            Destination::Tcp(settings) => {
                let sink = TcpSink::new(settings);
                runtime.spawn(Driver::new(sink, records, shared).run(ending))
            }
        };
        Ok(Self { format, queue_limit: queue_bytes, queue, full: false, counters, end, task })
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn totals(&self) -> SinkTotals {
        self.counters.totals()
    }

    /// Queues a record if there is room. Only this end adds to the queue, so between the look
    /// and the addition there can only become more room.
    pub(super) fn offer(&mut self, record: &Bytes) {
        let bytes = record.len() as u64;
        let queued = self.counters.queued_bytes();
        if queued.saturating_add(bytes) > self.queue_limit {
            self.counters.dropped_at_full_queue(!self.full);
            self.full = true;
            return;
        }
        self.full = self.full && queued > self.queue_limit / 2;
        self.queue(record);
    }

    /// Queues a record as soon as there is room, or nothing else in the queue. Once `hurry` is
    /// set it is as [`Self::offer`].
    pub(super) fn offer_waiting(&mut self, record: &Bytes, hurry: &AtomicBool) {
        while !self.has_room_for(record) && !hurry.load(Ordering::Relaxed) {
            if self.task.is_finished() {
                break;
            }
            std::thread::sleep(ROOM_INTERVAL);
        }
        if self.counters.queued_bytes() == 0 {
            self.queue(record);
        } else {
            self.offer(record);
        }
    }

    fn has_room_for(&self, record: &Bytes) -> bool {
        let queued = self.counters.queued_bytes();
        let limit = self.queue_limit.min(WAITING_QUEUE_LIMIT);
        queued == 0 || queued.saturating_add(record.len() as u64) <= limit
    }

    fn queue(&self, record: &Bytes) {
        let bytes = record.len() as u64;
        self.counters.queued(bytes);
        if self.queue.send(record.clone()).is_err() {
            // Only if the sink's task is gone, that is, its runtime.
            self.counters.dropped_at_shutdown(bytes);
        }
    }

    /// Lets the sink deliver what is queued until `end`.
    pub(super) fn stop(self, end: Instant) -> EndingSink {
        self.end.send_replace(Some(end));
        EndingSink { counters: self.counters, task: self.task, _end: self.end }
    }
}

/// A sink that takes no more records.
pub(super) struct EndingSink {
    counters: Arc<Counters>,
    task: JoinHandle<()>,
    _end: watch::Sender<Option<Instant>>,
}

impl EndingSink {
    /// Waits until it has ended, and says what became of all its records.
    pub(super) async fn ended(self) -> SinkTotals {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a sink ended abnormally");
        }
        self.counters.totals()
    }
}
