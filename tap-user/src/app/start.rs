//! What every source needs: signals, sinks and the pipeline between.

use super::Failure;
use super::pipeline::{Patience, Pipeline};
use super::settings::RecordSettings;
use super::totals::Sink;
use crate::export::{Destination, Exporter, SinkSpecification};
use crate::gateway::Correlator;
use crate::http::MemoryBudget;
use crate::policy::Policy;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long sinks may take after a signal. Without one they take as long as they need: a file is
/// read to be delivered. The log tells which sink is waited for.
pub(super) const HURRIED_DEADLINE: Duration = Duration::from_secs(5);

/// `gatetap read FILE | head` ends when `head` does, as other programs in a pipe.
pub(super) fn end_with_the_reader_of(sinks: &[SinkSpecification]) {
    let is_stdout = |sink: &SinkSpecification| matches!(sink.destination, Destination::Stdout(_));
    if sinks.iter().any(is_stdout) {
        // SAFETY: sets how one signal is handled, to what it was when the program started.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    }
}

/// Set when the process is asked to end.
pub(super) fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // A second signal ends the process at once, should the sinks hang.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// Gives this thread, and those it will start, their priority in the processor scheduler. Without it a
/// tap still works; but where all processors are busy it loses more.
pub(super) fn take_priority(nice: i8) {
    // SAFETY: takes numbers and returns one; 0 is the calling thread.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice.into()) };
    if result != 0 {
        let error = std::io::Error::last_os_error();
        eprintln!(
            "gatetap: warning: priority (nice {nice}) was refused: {error}; needs CAP_SYS_NICE"
        );
    }
}

/// The threads on which sinks run.
pub(super) fn sink_threads() -> Result<Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(1).thread_name("gatetap-sinks").enable_all().build()?)
}

/// The pipeline with its sinks on `runtime`; `run` marks its records.
pub(super) fn pipeline(
    runtime: &Runtime,
    settings: &RecordSettings,
    run: u64,
    patience: Patience,
) -> Result<Pipeline, Failure> {
    let exporter = Exporter::start(runtime.handle(), settings.sinks.clone())?;
    let correlator = Correlator::new(settings.generator, settings.correlation_header.clone(), run);
    let budget = MemoryBudget::new(settings.memory_bytes);
    let (limits, policy) = (settings.limits.clone(), Policy::new(settings.policy.clone()));
    let legs = settings.wanted_legs();
    Ok(Pipeline::new(limits, budget, correlator, policy, exporter, patience, legs))
}

/// Delivers what is queued for at most `deadline`, and says what became of all records.
pub(super) fn deliver(runtime: Runtime, pipeline: Pipeline, deadline: Duration) -> Vec<Sink> {
    let sinks = runtime.block_on(pipeline.into_exporter().shutdown(deadline));
    runtime.shutdown_background();
    sinks.into_iter().map(Into::into).collect()
}

/// The same without a deadline until `stop` is set.
pub(super) fn deliver_waiting(
    runtime: Runtime,
    pipeline: Pipeline,
    stop: &AtomicBool,
    deadline: Duration,
) -> Vec<Sink> {
    deliver_all(runtime, pipeline.into_exporter(), stop, deadline)
}

/// The same for whoever has no pipeline.
pub(super) fn deliver_all(
    runtime: Runtime,
    exporter: Exporter,
    stop: &AtomicBool,
    deadline: Duration,
) -> Vec<Sink> {
    let sinks = runtime.block_on(exporter.shutdown_waiting(stop, deadline));
    runtime.shutdown_background();
    sinks.into_iter().map(Into::into).collect()
}
