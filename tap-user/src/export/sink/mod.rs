//! Sinks: where records go. All have the same shape: a sink knows how to try once to deliver some
//! records ([`attempt::Sink`]); the one [`driver`] owns batching, retry, order and counting for
//! all of them, and a [`backlog`] holds what waits.

mod attempt;
mod backlog;
mod descriptor;
mod driver;
mod failure;
mod file;
mod http;
mod queue;
mod retry;
mod room;
mod runscope;
mod specification;
mod spool_backlog;
mod stdout;
mod tcp;
mod traceable;
mod window;

pub(super) use failure::{Failure, FailureKind, Rejection};
pub use file::FileSettings;
pub use http::Milliseconds;
pub use retry::{Retry, RetrySettings};
pub use runscope::RunscopeSettings;
pub use specification::{Destination, SinkSettings, SinkSpecification};
pub use spool_backlog::SpoolError;
pub use stdout::StdoutSettings;
pub use tcp::TcpSettings;
pub use traceable::TraceableSettings;

use super::format::Format;
use super::record::Record;
use super::totals::{Counters, SinkTotals};
use crate::document::Problem;
use crate::spool;
use backlog::EitherBacklog;
use driver::Driver;
use file::FileSink;
use queue::Intake;
use runscope::RunscopeSink;
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
use traceable::TraceableSink;

/// Requests under way at once of a sink over HTTP.
const HTTP_CONCURRENCY: usize = 4;

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
    /// The spool of a sink cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// A sink cannot work with its settings.
    #[error(transparent)]
    Settings(#[from] Problem),
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
    backlog: EitherBacklog,
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
        let SinkSpecification { name, destination, format, queue_bytes, retry, spool } =
            specification;
        let counters = Arc::new(Counters::new(name));
        let (intake, backlog) = queue(spool.as_ref(), queue_bytes, &counters)?;
        let (end, ending) = watch::channel(None);
        let beginning =
            Beginning { runtime, backlog, retry, counters: Arc::clone(&counters), end: ending };
        let task = start_task(beginning, destination)?;
        Ok(Self { format, intake, counters, end, task })
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn totals(&self) -> SinkTotals {
        self.counters.totals()
    }

    /// An exchange came of which its format has nothing to show.
    pub(super) fn leave_out(&self) {
        self.counters.left_out();
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

/// Where records wait: in memory, or on disk if the sink has a spool.
fn queue(
    spool: Option<&spool::Settings>,
    queue_bytes: u64,
    counters: &Arc<Counters>,
) -> Result<(Intake, EitherBacklog), StartError> {
    let counters = Arc::clone(counters);
    let Some(settings) = spool else {
        let (intake, backlog) = queue::queue(queue_bytes, counters);
        return Ok((intake, EitherBacklog::Memory(backlog)));
    };
    let (intake, backlog) = spool_backlog::spooled(settings, queue_bytes, counters)?;
    Ok((intake, EitherBacklog::Spool(backlog)))
}

fn start_task(
    beginning: Beginning<'_>,
    destination: Destination,
) -> Result<JoinHandle<()>, StartError> {
    Ok(match destination {
        Destination::Stdout(_) => beginning.run(StdoutSink::new().map_err(StartError::Stdout)?),
        Destination::File(FileSettings { path }) => {
            beginning.run(FileSink::new(&path).map_err(|source| StartError::File { path, source })?)
        }
        Destination::Tcp(settings) => {
            let counters = Arc::clone(&beginning.counters);
            beginning.run(TcpSink::new(settings, counters))
        }
        Destination::Runscope(settings) => {
            let counters = Arc::clone(&beginning.counters);
            beginning.run(RunscopeSink::new(&settings, HTTP_CONCURRENCY, counters)?)
        }
        Destination::Traceable(settings) => {
            beginning.run(TraceableSink::new(&settings, HTTP_CONCURRENCY)?)
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
