//! Sinks: where records go. All have the same shape: a sink knows how to try once to deliver some
//! records ([`attempt::Sink`]); the one [`driver`] owns batching, retry, order and counting for
//! all of them, and a [`backlog`] holds what waits.

mod attempt;
mod backlog;
mod dead_letter;
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

pub use dead_letter::DeadLetterSettings;
pub(super) use failure::{Failure, Rejection};
pub use file::{FileSettings, RotationSettings};
pub use http::{Concurrency, Milliseconds};
pub use retry::{Retry, RetrySettings};
pub use runscope::RunscopeSettings;
pub use specification::{Destination, SinkSettings, SinkSpecification, Stamp};
pub use spool_backlog::SpoolError;
pub(super) use spool_backlog::SpoolOpening;
pub use stdout::StdoutSettings;
pub(super) use tcp::ConnectError;
pub use tcp::{Address, TcpSettings};
pub use traceable::TraceableSettings;

use super::record::{Bodies, Form, Record};
use super::totals::{Counters, SinkTotals};
use crate::document::Problem;
use crate::gateway::Observation;
use crate::http::Outcome;
use crate::policy::{Filter, InvalidFilter, LetThrough};
use backlog::EitherBacklog;
use dead_letter::DeadLetter;
use driver::Driver;
use file::FileSink;
use queue::Intake;
use runscope::RunscopeSink;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use stdout::StdoutSink;
use tcp::TcpSink;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use traceable::TraceableSink;

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
    /// Its filter is impossible.
    #[error(transparent)]
    Filter(#[from] InvalidFilter),
}

/// A sink that takes no records for so long while somebody waits for it is told.
const STANDSTILL: Duration = Duration::from_secs(5);

/// The capture thread's end of a sink.
#[derive(Debug)]
pub(super) struct RunningSink {
    specification: SinkSpecification,
    filter: Filter,
    let_through: LetThrough,
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
    dead_letter: Option<DeadLetter>,
    counters: Arc<Counters>,
    end: watch::Receiver<Option<Instant>>,
}

impl Beginning<'_> {
    fn run(self, sink: impl attempt::Sink) -> JoinHandle<()> {
        let Self { runtime, backlog, retry, dead_letter, counters, end } = self;
        runtime.spawn(Driver::new(sink, backlog, retry, dead_letter, counters).run(end))
    }
}

impl RunningSink {
    /// Opens what must be there from the start, and starts the sink's task. A spool that a sink which
    /// ends still has is waited for.
    pub(super) fn start(
        runtime: &Handle,
        specification: SinkSpecification,
        spool: SpoolOpening,
    ) -> Result<Self, StartError> {
        let counters = Arc::new(Counters::new(specification.name.clone()));
        let filter = Filter::new(&specification.filter)?;
        let (intake, backlog) = queue(&specification, spool, &counters)?;
        let (end, ending) = watch::channel(None);
        let beginning = Beginning {
            runtime,
            backlog,
            retry: specification.retry,
            dead_letter: dead_letter(&specification)?,
            counters: Arc::clone(&counters),
            end: ending,
        };
        let task = start_task(beginning, specification.destination.clone())?;
        let let_through = LetThrough::default();
        Ok(Self { specification, filter, let_through, intake, counters, end, task })
    }

    pub(super) fn specification(&self) -> &SinkSpecification {
        &self.specification
    }

    /// Whether the sink wants that exchange at all.
    pub(super) fn admits(&mut self, observation: &Observation) -> bool {
        if !self.specification.format.carries(observation.connection.leg) {
            return false;
        }
        let Self { filter, let_through, counters, .. } = self;
        let passes = let_through.passes(observation, |observation| filter.passes(observation));
        if !passes && observation.exchange.outcome != Outcome::Ongoing {
            counters.filtered();
        }
        passes
    }

    /// What its records look like.
    pub(super) fn form(&self) -> Form {
        let bodies = if self.specification.log_body { Bodies::Shown } else { Bodies::LeftOut };
        Form { format: self.specification.format, bodies }
    }

    pub(super) fn totals(&self) -> SinkTotals {
        self.counters.totals()
    }

    /// An exchange came of which its format has nothing to show.
    pub(super) fn leave_out(&self) {
        self.counters.left_out();
    }

    /// Queues a record if there is room.
    pub(super) fn offer(&mut self, record: Record) {
        self.intake.offer(record);
    }

    /// Queues a record as soon as there is room; as [`Self::offer`] once `hurry` is set.
    pub(super) fn offer_waiting(&mut self, record: Record, hurry: &AtomicBool) {
        self.intake.offer_waiting(record, hurry);
    }

    /// Takes no more records, and lets the sink deliver what is queued: until `end`, or as long
    /// as it takes.
    pub(super) fn stop(self, end: Option<Instant>) -> EndingSink {
        self.end.send_replace(end);
        let Self { specification, counters, task, end, .. } = self;
        EndingSink { specification, counters, task, end }
    }
}

/// Where records wait: in memory, or on disk if the sink has a spool.
fn queue(
    specification: &SinkSpecification,
    opening: SpoolOpening,
    counters: &Arc<Counters>,
) -> Result<(Intake, EitherBacklog), StartError> {
    let counters = Arc::clone(counters);
    let SinkSpecification { spool, queue_bytes, .. } = specification;
    let Some(settings) = spool else {
        let (intake, backlog) = queue::queue(*queue_bytes, counters);
        return Ok((intake, EitherBacklog::Memory(backlog)));
    };
    let (intake, backlog) = spool_backlog::spooled(settings, opening, *queue_bytes, counters)?;
    Ok((intake, EitherBacklog::Spool(backlog)))
}

/// The file that the settings name must be there; the one beside a spool is kept if it can be.
fn dead_letter(specification: &SinkSpecification) -> Result<Option<DeadLetter>, StartError> {
    let name = &specification.name;
    if let Some(settings) = &specification.dead_letter {
        return open(settings.clone(), name).map(Some);
    }
    let beside = specification.default_dead_letter().map(|settings| open(settings, name));
    Ok(beside.and_then(|opened| {
        opened
            .inspect_err(
                |error| tracing::warn!(sink = name, %error, "rejected records are not kept"),
            )
            .ok()
    }))
}

fn open(settings: DeadLetterSettings, sink: &str) -> Result<DeadLetter, StartError> {
    let path = settings.path.clone();
    DeadLetter::open(settings, sink).map_err(|source| StartError::File { path, source })
}

fn start_task(
    beginning: Beginning<'_>,
    destination: Destination,
) -> Result<JoinHandle<()>, StartError> {
    Ok(match destination {
        Destination::Stdout(_) => beginning.run(StdoutSink::new().map_err(StartError::Stdout)?),
        Destination::File(settings) => {
            let path = settings.path.clone();
            let sink = FileSink::new(settings);
            beginning.run(sink.map_err(|source| StartError::File { path, source })?)
        }
        Destination::Tcp(settings) => {
            let counters = Arc::clone(&beginning.counters);
            let sink = TcpSink::start(beginning.runtime, settings, counters);
            beginning.run(sink)
        }
        Destination::Runscope(settings) => {
            let counters = Arc::clone(&beginning.counters);
            beginning.run(RunscopeSink::new(&settings, counters)?)
        }
        Destination::Traceable(settings) => beginning.run(TraceableSink::new(&settings)?),
    })
}

/// A sink that takes no more records.
#[derive(Debug)]
pub(super) struct EndingSink {
    specification: SinkSpecification,
    counters: Arc<Counters>,
    task: JoinHandle<()>,
    end: watch::Sender<Option<Instant>>,
}

impl EndingSink {
    /// The time until which it may deliver can be set here.
    pub(super) fn end(&self) -> watch::Sender<Option<Instant>> {
        self.end.clone()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    pub(super) fn shares_spool_with(&self, specification: &SinkSpecification) -> bool {
        self.specification.shares_spool_with(specification)
    }

    pub(super) fn totals(&self) -> SinkTotals {
        self.counters.totals()
    }

    /// Waits until it has ended, and says what became of all its records. While nothing moves, it
    /// tells for whom it waits.
    pub(super) async fn ended(mut self) -> SinkTotals {
        let mut before = self.counters.totals();
        loop {
            match tokio::time::timeout(STANDSTILL, &mut self.task).await {
                Ok(Ok(())) => return self.counters.totals(),
                Ok(Err(error)) => {
                    tracing::error!(sink = before.name, %error, "a sink ended abnormally");
                    return self.counters.totals();
                }
                Err(_) => before = self.tell_standstill(&before),
            }
        }
    }

    fn tell_standstill(&self, before: &SinkTotals) -> SinkTotals {
        let now = self.counters.totals();
        if now.delivered_records == before.delivered_records {
            self.counters.waited_for();
        }
        now
    }
}
