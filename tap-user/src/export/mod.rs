//! Exchanges in, records out: the wire formats and the sinks that deliver them.
//!
//! ```text
//! Observation ── format ── bytes of a record ──┬── queue ── driver ── stdout
//!                                              ├── queue ── driver ── file
//!                                              ├── queue ── driver ── tcp
//!                                              ├── queue ── driver ── runscope
//!                                              └── queue ── driver ── traceable
//! ```
//!
//! An [`Exporter`] stands on the capture thread: it writes a record once per form (a format, with
//! or without bodies) and hands the same bytes to every sink of that form. Live sources must not
//! wait: what a queue cannot take is dropped and counted. A file can wait, and so it does. Each
//! sink has a task of its own that delivers what is queued.

mod buffer;
mod format;
mod json;
mod record;
mod recorded;
mod sink;
mod spool_totals;
mod totals;
mod warnings;

pub use format::{Format, UnknownFormat};
pub use record::Record;
pub use recorded::{RecordError, read_record};
pub use sink::{
    Address, Concurrency, DeadLetterSettings, Destination, FileSettings, Milliseconds, Retry,
    RetrySettings, RotationSettings, RunscopeSettings, SinkSettings, SinkSpecification, SpoolError,
    Stamp, StartError, StdoutSettings, TcpSettings, TraceableSettings,
};
pub use spool_totals::SpoolTotals;
pub use totals::{DeadLetterTotals, Dropped, SinkTotals};

use crate::gateway::Observation;
use buffer::Buffer;
use format::{Connections, Room};
use record::Form;
use sink::{EndingSink, RunningSink, SpoolOpening};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// How often somebody who waits looks whether to hurry.
const HURRY_INTERVAL: Duration = Duration::from_millis(100);

/// Writes records and hands them to sinks.
#[derive(Debug)]
pub struct Exporter {
    runtime: Handle,
    sinks: Vec<RunningSink>,
    /// Sinks that a reconfiguration removed.
    removed: Vec<EndingSink>,
    buffer: Buffer,
    connections: Connections,
    /// Records of the exchange at hand, by what they look like.
    written: Vec<(Form, Record)>,
}

impl Exporter {
    /// Starts one task per sink on `runtime`.
    ///
    /// # Errors
    /// A file cannot be opened, or standard output is closed. A collector that cannot be reached
    /// is no error: the sink keeps trying.
    pub fn start(runtime: &Handle, sinks: Vec<SinkSpecification>) -> Result<Self, StartError> {
        let start = |sink| RunningSink::start(runtime, sink, SpoolOpening::Now);
        Ok(Self {
            runtime: runtime.clone(),
            sinks: sinks.into_iter().map(start).collect::<Result<_, _>>()?,
            removed: Vec::new(),
            buffer: Buffer::default(),
            connections: Connections::default(),
            written: Vec::new(),
        })
    }

    /// Changes the sinks while records come. One whose specification is the same goes on, new
    /// ones are started, and those that are not named any more deliver what they have in the
    /// background, for at most `deadline`.
    ///
    /// # Errors
    /// A new sink cannot start; then everything stays as it was.
    pub fn reconfigure(
        &mut self,
        specifications: Vec<SinkSpecification>,
        deadline: Duration,
    ) -> Result<(), StartError> {
        let planned = self.plan(specifications)?;
        let mut before = std::mem::take(&mut self.sinks);
        for planned in planned {
            let same = |specification| {
                let place = before.iter().position(|it| it.specification() == specification);
                place.map(|place| before.remove(place))
            };
            self.sinks.extend(match planned {
                Planned::Started(sink) => Some(*sink),
                Planned::Kept(specification) => Some(&*specification).and_then(same),
            });
        }
        let now = Instant::now();
        self.removed.extend(before.into_iter().map(|sink| sink.stop(Some(now + deadline))));
        for ending in &self.removed {
            let takes_over = |sink: &RunningSink| ending.shares_spool_with(sink.specification());
            // What waits in a spool is delivered by the sink that takes it over.
            if self.sinks.iter().any(takes_over) {
                ending.end().send_replace(Some(now));
            }
        }
        Ok(())
    }

    /// Starts the sinks that do not run. Those that were started for nothing because a later one
    /// cannot start end by themselves.
    fn plan(&self, specifications: Vec<SinkSpecification>) -> Result<Vec<Planned>, StartError> {
        let mut running: Vec<_> = self.sinks.iter().map(RunningSink::specification).collect();
        let plan = |specification: SinkSpecification| {
            if let Some(place) = running.iter().position(|it| **it == specification) {
                running.swap_remove(place);
                return Ok(Planned::Kept(Box::new(specification)));
            }
            let spool = match self.has_spool_of(&specification) {
                true => SpoolOpening::WhenFree,
                false => SpoolOpening::Now,
            };
            let sink = RunningSink::start(&self.runtime, specification, spool)?;
            Ok(Planned::Started(Box::new(sink)))
        };
        specifications.into_iter().map(plan).collect()
    }

    /// Whether a sink has the spool that is named, be it one that delivers the last of its records.
    fn has_spool_of(&self, specification: &SinkSpecification) -> bool {
        let runs = |sink: &RunningSink| sink.specification().shares_spool_with(specification);
        let ends = |sink: &EndingSink| !sink.has_ended() && sink.shares_spool_with(specification);
        self.sinks.iter().any(runs) || self.removed.iter().any(ends)
    }

    /// Hands the exchange to every sink that admits it. Never blocks.
    pub fn export(&mut self, observation: &Observation) {
        self.hand_out(observation, RunningSink::offer);
    }

    /// The same for sources that can wait: blocks while a queue has no room. Once `hurry` is set
    /// it does not wait any more, and what a queue cannot take is dropped and counted.
    pub fn export_waiting(&mut self, observation: &Observation, hurry: &AtomicBool) {
        self.hand_out(observation, |sink, record| sink.offer_waiting(record, hurry));
    }

    fn hand_out(&mut self, observation: &Observation, offer: impl Fn(&mut RunningSink, Record)) {
        let Self { sinks, buffer, connections, written, .. } = self;
        let id = record::delivery_id(observation);
        let mut rest = sinks.as_mut_slice();
        while let Some((sink, later)) = rest.split_first_mut() {
            rest = later;
            if !sink.admits(observation) {
                continue;
            }
            let form = sink.form();
            match form.format.room_for(&observation.exchange) {
                Room::Now => {}
                Room::AtItsEnd => continue,
                Room::Never => {
                    sink.leave_out();
                    continue;
                }
            }
            let record = match written.iter().find(|(written, _)| *written == form) {
                Some((_, record)) => record.clone(),
                None => {
                    let connection = connections.text(&observation.connection);
                    let record = form.record(observation, connection, &id, buffer);
                    // Copied only for a sink that may want it: threads share the count of copies.
                    if rest.iter().any(|sink| sink.form() == form) {
                        written.push((form, record.clone()));
                    }
                    record
                }
            };
            offer(sink, record);
        }
        written.clear();
    }

    /// What became of the records so far, per sink, in the order in which they were given; then
    /// per sink that a reconfiguration removed.
    #[must_use]
    pub fn totals(&self) -> Vec<SinkTotals> {
        let running = self.sinks.iter().map(RunningSink::totals);
        running.chain(self.removed.iter().map(EndingSink::totals)).collect()
    }

    /// Delivers what is still queued, for at most `deadline`; what is left then is dropped and
    /// counted. A file write that the kernel holds at that moment cannot be called back: its
    /// records count as dropped, and dropping the runtime would wait for it
    /// (`Runtime::shutdown_background` does not).
    pub async fn shutdown(self, deadline: Duration) -> Vec<SinkTotals> {
        let end = Instant::now() + deadline;
        all_ended(self.stop(Some(end))).await
    }

    /// The same without a deadline until `hurry` is set, and from then on for at most `deadline`.
    /// As long as a sink takes nothing, the log says every few seconds for which one it waits.
    pub async fn shutdown_waiting(self, hurry: &AtomicBool, deadline: Duration) -> Vec<SinkTotals> {
        let ending = self.stop(None);
        let ends: Vec<_> = ending.iter().map(EndingSink::end).collect();
        let hurrying = async {
            while !hurry.load(Ordering::Relaxed) {
                tokio::time::sleep(HURRY_INTERVAL).await;
            }
            let end = Instant::now() + deadline;
            ends.iter().for_each(|it| {
                it.send_modify(|set| *set = Some(set.map_or(end, |set| set.min(end))))
            });
            std::future::pending().await
        };
        tokio::select! {
            totals = all_ended(ending) => totals,
            totals = hurrying => totals,
        }
    }

    fn stop(self, end: Option<Instant>) -> Vec<EndingSink> {
        let running = self.sinks.into_iter().map(|sink| sink.stop(end));
        let mut ending: Vec<_> = running.collect();
        ending.extend(self.removed);
        ending
    }
}

async fn all_ended(sinks: Vec<EndingSink>) -> Vec<SinkTotals> {
    let mut totals = Vec::with_capacity(sinks.len());
    for sink in sinks {
        totals.push(sink.ended().await);
    }
    totals
}

/// What becomes of a specification when sinks are changed.
enum Planned {
    /// Its sink runs already.
    Kept(Box<SinkSpecification>),
    /// Its sink is new.
    Started(Box<RunningSink>),
}
