//! Sinks: where records go. All have the same shape: a sink knows how to try once to deliver some
//! records ([`attempt::Sink`]); the one [`driver`] owns batching, retry, order and counting for
//! all of them, and a [`backlog`] holds what waits.

mod attempt;
mod backlog;
mod descriptor;
mod driver;
mod failure;
mod file;
mod queue;
mod retry;
mod specification;
mod stdout;
mod tcp;
mod window;

pub(super) use failure::{Failure, FailureKind, Rejection};
pub use retry::Retry;
pub use specification::{InvalidSink, SinkSpecification, Target};

use super::format::Format;
use super::record::Record;
use super::totals::{Counters, SinkTotals};
use driver::Driver;
use file::FileSink;
use queue::{Intake, MemoryBacklog};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use stdout::StdoutSink;
use tcp::TcpSink;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

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

/// The capture thread's end of a sink.
#[derive(Debug)]
pub(super) struct RunningSink {
    format: Format,
    intake: Intake,
    counters: Arc<Counters>,
    end: watch::Sender<Option<Instant>>,
    task: JoinHandle<()>,
}

/// What every sink's task starts with.
struct Beginning<'a> {
    runtime: &'a Handle,
    backlog: MemoryBacklog,
    retry: Retry,
    counters: Arc<Counters>,
    end: watch::Receiver<Option<Instant>>,
}

impl Beginning<'_> {
    fn run(self, sink: impl attempt::Sink) -> JoinHandle<()> {
        let Self { runtime, backlog, retry, counters, end } = self;
        runtime.spawn(Driver::new(sink, backlog, retry, counters).run(end))
    }
}

impl RunningSink {
    /// Opens what must be there from the start, and starts the sink's task.
    pub(super) fn start(
        runtime: &Handle,
        specification: SinkSpecification,
    ) -> Result<Self, StartError> {
        let SinkSpecification { target, format, queue_bytes } = specification;
        let counters = Arc::new(Counters::new(target.to_string()));
        let (intake, backlog) = queue::queue(queue_bytes, Arc::clone(&counters));
        let (end, ending) = watch::channel(None);
        let beginning = Beginning {
            runtime,
            backlog,
            retry: Retry::default(),
            counters: Arc::clone(&counters),
            end: ending,
        };
        let task = start_task(beginning, target)?;
        Ok(Self { format, intake, counters, end, task })
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn totals(&self) -> SinkTotals {
        self.counters.totals()
    }

    /// Queues a record if there is room.
    pub(super) fn offer(&mut self, record: &Record) {
        self.intake.offer(record);
    }

    /// Queues a record as soon as there is room; as [`Self::offer`] once `hurry` is set.
    pub(super) fn offer_waiting(&mut self, record: &Record, hurry: &AtomicBool) {
        self.intake.offer_waiting(record, hurry);
    }

    /// Lets the sink deliver what is queued until `end`.
    pub(super) fn stop(self, end: Instant) -> EndingSink {
        self.end.send_replace(Some(end));
        EndingSink { counters: self.counters, task: self.task, _end: self.end }
    }
}

fn start_task(beginning: Beginning<'_>, target: Target) -> Result<JoinHandle<()>, StartError> {
    Ok(match target {
        Target::Stdout => beginning.run(StdoutSink::new().map_err(StartError::Stdout)?),
        Target::File { path } => {
            beginning.run(FileSink::new(&path).map_err(|source| StartError::File { path, source })?)
        }
        Target::Tcp { host, port, timeout } => {
            let counters = Arc::clone(&beginning.counters);
            beginning.run(TcpSink::new(host, port, timeout, counters))
        }
    })
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
