//! A run: probes at one end, sinks at the other, and the loop between them.

use super::pipeline::{Patience, Pipeline};
use super::settings::Settings;
use super::start;
use super::totals::{Bytes, Kernel, ProcessBytes, Source, Totals};
use super::{Failure, with_causes};
use crate::capture::probes::{ProbeSettings, Probes, Traffic};
use crate::capture::selection::{Found, Selection, scan};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Pause when the ring is empty. Nobody wakes us up, because a wake-up per event would cost the
/// gateway more than everything else.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// How often exchanges are looked at for their age.
const TIMER_INTERVAL: Duration = Duration::from_millis(100);
/// How often `/proc` is searched for processes that inherited their listeners.
const SCAN_INTERVAL: Duration = Duration::from_millis(900);
/// How long sinks may take at the end.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(5);

/// Watches until a signal arrives.
pub(super) fn run(settings: Settings) -> Result<(), Failure> {
    let stop = start::stop_on_signals()?;
    let runtime = start::sink_threads()?;
    let run = uuid::Uuid::new_v4().as_u64_pair().0;
    let mut pipeline = start::pipeline(&runtime, &settings.records, run, Patience::None)?;
    let mut probes = Probes::start(&ProbeSettings {
        selection: settings.selection.clone(),
        body_cap: u32::try_from(settings.records.limits.body_cap)?,
        ring_bytes: settings.ring_bytes,
    })
    .map_err(|error| {
        let causes = with_causes(&error);
        format!("{causes}\n`gatetap doctor` tells what is missing and what to do")
    })?;
    announce(&settings.selection, probes.selected());

    watch(&mut probes, &mut pipeline, &settings.selection, &stop)?;
    finish(&settings, probes, pipeline, runtime)
}

fn announce(selection: &Selection, selected: &[Found]) {
    let pids: Vec<String> = selected.iter().map(|found| found.pid.to_string()).collect();
    if pids.is_empty() {
        eprintln!("gatetap: watching for {}: nobody yet", wanted(selection));
    } else {
        eprintln!("gatetap: watching {}: processes {}", wanted(selection), pids.join(" "));
    }
}

fn wanted(selection: &Selection) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(selection.names.iter().map(|name| format!("process {name}")));
    parts.extend(selection.pids.iter().map(|pid| format!("pid {pid}")));
    parts.extend(selection.ports.iter().map(|port| format!("port {port}")));
    parts.join(", ")
}

/// The loop: events first, everything else when it is due.
fn watch(
    probes: &mut Probes,
    pipeline: &mut Pipeline,
    selection: &Selection,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let scans = scanner(selection.clone());
    let mut timers_due = Instant::now() + TIMER_INTERVAL;
    while !stop.load(Ordering::Relaxed) {
        if probes.poll(&mut |serial, happening| pipeline.handle(serial, happening)) == 0 {
            std::thread::sleep(POLL_INTERVAL);
        }
        if Instant::now() >= timers_due {
            timers_due = Instant::now() + TIMER_INTERVAL;
            if let Ok(found) = scans.try_recv() {
                probes.select(found)?;
            }
            probes.reconcile(&mut |serial, happening| pipeline.handle(serial, happening))?;
            pipeline.handle_timeout(probes.now());
        }
    }
    Ok(())
}

/// Searches `/proc` again and again on a thread of its own, because that takes long on a large
/// host; the thread ends when nobody receives any more.
fn scanner(selection: Selection) -> Receiver<Vec<Found>> {
    let (sender, receiver): (SyncSender<Vec<Found>>, _) = sync_channel(1);
    std::thread::spawn(move || {
        while sender.send(scan(&selection)).is_ok() {
            std::thread::sleep(SCAN_INTERVAL);
        }
    });
    receiver
}

/// Takes in what is still under way, delivers it, and tells the totals.
fn finish(
    settings: &Settings,
    mut probes: Probes,
    mut pipeline: Pipeline,
    runtime: Runtime,
) -> Result<(), Failure> {
    while probes.poll(&mut |serial, happening| pipeline.handle(serial, happening)) > 0 {}
    probes.reconcile(&mut |serial, happening| pipeline.handle(serial, happening))?;
    pipeline.abandon(probes.now());

    let exchanges = pipeline.exchanges().clone();
    let connections = pipeline.protocols().clone();
    let bytes = bytes(probes.traffic());
    let kernel = kernel(&probes)?;
    drop(probes);
    let sinks = start::deliver(runtime, pipeline, SHUTDOWN_DEADLINE);
    let source = Source::Probes { bytes, kernel };
    Totals { exchanges, connections, source, sinks }.tell(settings.records.totals_file.as_deref())
}

fn bytes(traffic: &Traffic) -> Bytes {
    Bytes {
        seen: traffic.seen,
        captured: traffic.captured,
        skipped: traffic.skipped,
        lost: traffic.lost.values().sum(),
        lost_by_cause: traffic.lost.iter().map(|(cause, bytes)| (cause.name(), *bytes)).collect(),
        ignored: traffic.ignored,
    }
}

fn kernel(probes: &Probes) -> Result<Kernel, Failure> {
    let counters = probes.counters()?;
    let copied = probes.bytes_copied_by_process();
    Ok(Kernel {
        events: counters.events,
        bytes_copied: counters.bytes_copied,
        reservation_failures: counters.reservation_failures,
        unreadable: counters.unreadable,
        sockets_full: counters.sockets_full,
        concurrent_calls: counters.concurrent,
        closes_kept: counters.closes_kept,
        closes_lost: counters.closes_lost,
        processes: copied
            .into_iter()
            .map(|(pid, bytes_copied)| ProcessBytes { pid, bytes_copied })
            .collect(),
    })
}
