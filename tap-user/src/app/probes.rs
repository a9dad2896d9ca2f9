//! Kernel probes as a source.

use super::Failure;
use super::pipeline::Pipeline;
use super::settings::Settings;
use super::source::{Source, wanted};
use super::totals::{self, Kernel, ProcessBytes};
use crate::capture::clock::processor_time;
use crate::capture::probes::{ProbeSettings, Probes};
use crate::capture::selection::{Found, Selection, scan};
use crate::segment::{Legs, Time};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// How often `/proc` is searched for processes that inherited their listeners.
const SCAN_INTERVAL: Duration = Duration::from_millis(900);
/// For so many times the processor time of a search nobody searches: a gateway with very many connections has
/// as many descriptors to be looked at, and that shall not take more than 1 % of a processor.
const SCAN_REST: u32 = 99;

/// Running probes and the search for processes to probe.
pub(super) struct ProbeSource {
    probes: Probes,
    scans: Receiver<Vec<Found>>,
}

impl ProbeSource {
    pub(super) fn start(settings: &Settings) -> Result<Self, Failure> {
        let probes = Probes::start(&ProbeSettings {
            selection: settings.selection.clone(),
            legs: settings.records.wanted_legs(),
            body_cap: u32::try_from(settings.records.limits.body_cap)?,
            ring_bytes: settings.ring_bytes,
        })?;
        announce(&settings.selection, probes.selected());
        Ok(Self { probes, scans: scanner(settings.selection.clone()) })
    }
}

impl Source for ProbeSource {
    fn poll(&mut self, pipeline: &mut Pipeline) -> usize {
        self.probes.poll(&mut |serial, happening| pipeline.handle(serial, happening))
    }

    fn want(&mut self, legs: Legs) -> Result<(), Failure> {
        Ok(self.probes.want(legs)?)
    }

    fn wait(&mut self) {
        std::thread::sleep(self.probes.pause());
    }

    fn handle_timeout(&mut self, pipeline: &mut Pipeline) -> Result<(), Failure> {
        if let Ok(found) = self.scans.try_recv() {
            self.probes.select(found)?;
        }
        self.probes.reconcile(&mut |serial, happening| pipeline.handle(serial, happening))?;
        Ok(())
    }

    fn finish(&mut self, pipeline: &mut Pipeline) -> Result<(), Failure> {
        while self.poll(pipeline) > 0 {}
        self.probes.reconcile(&mut |serial, happening| pipeline.handle(serial, happening))?;
        Ok(())
    }

    fn now(&self) -> Time {
        self.probes.now()
    }

    fn totals(&self) -> Result<totals::Source, Failure> {
        let bytes = self.probes.traffic().into();
        Ok(totals::Source::Probes { bytes, kernel: kernel(&self.probes)? })
    }
}

fn announce(selection: &Selection, selected: &[Found]) {
    let pids: Vec<String> = selected.iter().map(|found| found.pid.to_string()).collect();
    if pids.is_empty() {
        eprintln!("gatetap: watching for {}: nobody yet", wanted(selection));
    } else {
        eprintln!("gatetap: watching {}: processes {}", wanted(selection), pids.join(" "));
    }
}

/// Searches `/proc` again and again on a thread of its own, because that takes long on a large
/// host; the thread ends when nobody receives any more.
fn scanner(selection: Selection) -> Receiver<Vec<Found>> {
    let (sender, receiver): (SyncSender<Vec<Found>>, _) = sync_channel(1);
    std::thread::spawn(move || {
        // The first time is when the probes start.
        let mut took = Duration::ZERO;
        loop {
            std::thread::sleep(SCAN_INTERVAL.max(took.saturating_mul(SCAN_REST)));
            let before = processor_time();
            let found = scan(&selection);
            took = processor_time().saturating_sub(before);
            if sender.send(found).is_err() {
                return;
            }
        }
    });
    receiver
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
        runs_missed: probes.runs_missed(),
        processes: copied
            .into_iter()
            .map(|(pid, bytes_copied)| ProcessBytes { pid, bytes_copied })
            .collect(),
    })
}
