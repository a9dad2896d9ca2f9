//! A run: a source at one end, sinks at the other, and the loop between them.

use super::Failure;
use super::admin::{self, Board};
use super::pipeline::{Patience, Pipeline};
use super::reload::{ReadSettings, Reload};
use super::settings::Settings;
use super::source::{self, Source};
use super::start;
use super::totals::Totals;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// How often exchanges are looked at for their age.
const TIMER_INTERVAL: Duration = Duration::from_millis(100);
/// How often the numbers are posted for whoever asks for metrics.
const POST_INTERVAL: Duration = Duration::from_secs(1);
/// How much sooner the capture thread has its turn than those of the sinks: records can wait, the ring cannot.
const CAPTURE_AHEAD: i8 = 5;
/// How long sinks may take at the end.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(5);

/// Watches until a signal arrives.
pub(super) fn run(read: ReadSettings) -> Result<(), Failure> {
    let settings = read()?;
    let stop = start::stop_on_signals()?;
    start::take_priority(settings.nice);
    let runtime = start::sink_threads()?;
    start::take_priority(settings.nice.saturating_sub(CAPTURE_AHEAD).max(-20));
    let run = uuid::Uuid::new_v4().as_u64_pair().0;
    let mut pipeline = start::pipeline(&runtime, &settings.records, run, Patience::None)?;
    let board = Arc::new(Board::default());
    admin::start(runtime.handle(), settings.admin, &board)?;
    let mut source = source::start(&settings)?;
    let mut reload = Reload::on_signal(read, &settings, Arc::clone(&stop))?;
    board.attached();
    watch(&mut *source, &mut pipeline, &mut reload, &board, &stop)?;
    board.ending();
    finish(&settings, source, pipeline, runtime)
}

/// The loop: happenings first, everything else when it is due.
fn watch(
    source: &mut dyn Source,
    pipeline: &mut Pipeline,
    reload: &mut Reload,
    board: &Board,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let mut timers_due = Instant::now();
    let mut post_due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        if source.poll(pipeline) == 0 {
            source.wait();
        }
        if Instant::now() >= timers_due {
            timers_due = Instant::now() + TIMER_INTERVAL;
            source.handle_timeout(pipeline)?;
            pipeline.handle_timeout(source.now());
            reload.apply_if_asked(source, pipeline);
            board.turned();
        }
        if Instant::now() >= post_due {
            post_due = Instant::now() + POST_INTERVAL;
            board.post(count(source, pipeline)?);
        }
    }
    Ok(())
}

/// What is counted so far.
fn count(source: &dyn Source, pipeline: &Pipeline) -> Result<Totals, Failure> {
    Ok(Totals {
        exchanges: pipeline.exchanges().clone(),
        connections: pipeline.protocols().clone(),
        policy: pipeline.policy().into(),
        source: source.totals()?,
        sinks: pipeline.sinks(),
    })
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

    let counted = count(&*source, &pipeline)?;
    drop(source);
    let sinks = start::deliver(runtime, pipeline, SHUTDOWN_DEADLINE);
    let totals = Totals { sinks, ..counted };
    totals.tell(settings.records.totals_file.as_deref())
}
