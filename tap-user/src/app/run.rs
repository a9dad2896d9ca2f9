//! A run: a source at one end, sinks at the other, and the loop between them.

use super::Failure;
use super::pipeline::Pipeline;
use super::settings::Settings;
use super::source::{self, Source};
use super::totals::Totals;
use crate::export::Exporter;
use crate::gateway::Correlator;
use crate::http::MemoryBudget;
use crate::policy::Redaction;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// How often exchanges are looked at for their age.
const TIMER_INTERVAL: Duration = Duration::from_millis(100);
/// How long sinks may take at the end.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(5);

/// Watches until a signal arrives.
pub(super) fn run(settings: Settings) -> Result<(), Failure> {
    let stop = stop_on_signals()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("gatetap-sinks")
        .enable_all()
        .build()?;
    let redaction = if settings.redact { Redaction::standard() } else { Redaction::none() };
    let exporter = Exporter::start(runtime.handle(), settings.sinks.clone(), redaction)?;
    let correlator = Correlator::new(
        settings.generator,
        settings.correlation_header.clone(),
        uuid::Uuid::new_v4().as_u64_pair().0,
    );
    let budget = MemoryBudget::new(settings.memory_bytes);
    let mut pipeline = Pipeline::new(settings.limits.clone(), budget, correlator, exporter);
    let mut source = source::start(&settings)?;
    watch(&mut *source, &mut pipeline, &stop)?;
    finish(&settings, source, pipeline, runtime)
}

/// Set when the process is asked to end.
fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // A second signal ends the process at once, should the sinks hang.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// The loop: happenings first, everything else when it is due.
fn watch(
    source: &mut dyn Source,
    pipeline: &mut Pipeline,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let mut timers_due = Instant::now() + TIMER_INTERVAL;
    while !stop.load(Ordering::Relaxed) {
        if source.poll(pipeline) == 0 {
            source.wait();
        }
        if Instant::now() >= timers_due {
            timers_due = Instant::now() + TIMER_INTERVAL;
            source.handle_timeout(pipeline)?;
            pipeline.handle_timeout(source.now());
        }
    }
    Ok(())
}

/// Takes in what is still under way, delivers it, and tells the totals.
fn finish(
    settings: &Settings,
    mut source: Box<dyn Source>,
    mut pipeline: Pipeline,
    runtime: Runtime,
) -> Result<(), Failure> {
    source.finish(&mut pipeline)?;
    pipeline.abandon(source.now());

    let exchanges = pipeline.exchanges().clone();
    let connections = pipeline.protocols().clone();
    let seen = source.totals()?;
    drop(source);
    let sinks = runtime.block_on(pipeline.into_exporter().shutdown(SHUTDOWN_DEADLINE));
    runtime.shutdown_background();

    let sinks = sinks.into_iter().map(Into::into).collect();
    let totals = Totals { exchanges, seen, connections, sinks };
    eprintln!("{totals}");
    if let Some(path) = &settings.totals_file {
        std::fs::write(path, serde_json::to_vec_pretty(&totals)?)
            .map_err(|error| format!("totals file {}: {error}", path.display()))?;
    }
    Ok(())
}
