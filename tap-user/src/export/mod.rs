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
//! An [`Exporter`] stands on the capture thread: it writes a record once per format and hands the
//! same bytes to every sink of that format. Live sources must not wait: what a queue cannot take is
//! dropped and counted. A file can wait, and so it does. Each sink has a task of its own that
//! delivers what is queued.

mod buffer;
mod format;
mod json;
mod record;
mod sink;
mod spool_totals;
mod totals;

pub use format::{Format, UnknownFormat};
pub use record::Record;
pub use sink::{
    Destination, FileSettings, Milliseconds, Retry, RetrySettings, RunscopeSettings, SinkSettings,
    SinkSpecification, SpoolError, StartError, StdoutSettings, TcpSettings, TraceableSettings,
};
pub use spool_totals::SpoolTotals;
pub use totals::{Dropped, SinkTotals};

use crate::gateway::Observation;
use buffer::Buffer;
use format::Room;
use sink::RunningSink;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// Writes records and hands them to sinks.
#[derive(Debug)]
pub struct Exporter {
    sinks: Vec<RunningSink>,
    buffer: Buffer,
}

impl Exporter {
    /// Starts one task per sink on `runtime`.
    ///
    /// # Errors
    /// A file cannot be opened, or standard output is closed. A collector that cannot be reached
    /// is no error: the sink keeps trying.
    pub fn start(runtime: &Handle, sinks: Vec<SinkSpecification>) -> Result<Self, StartError> {
        let sinks = sinks
            .into_iter()
            .map(|sink| RunningSink::start(runtime, sink))
            .collect::<Result<_, _>>()?;
        Ok(Self { sinks, buffer: Buffer::default() })
    }

    /// Hands the exchange to every sink whose format carries its leg. Never blocks.
    pub fn export(&mut self, observation: &Observation) {
        self.hand_out(observation, RunningSink::offer);
    }

    /// The same for sources that can wait: blocks while a queue has no room. Once `hurry` is set
    /// it does not wait any more, and what a queue cannot take is dropped and counted.
    pub fn export_waiting(&mut self, observation: &Observation, hurry: &AtomicBool) {
        self.hand_out(observation, |sink, record| sink.offer_waiting(record, hurry));
    }

    fn hand_out(&mut self, observation: &Observation, offer: impl Fn(&mut RunningSink, &Record)) {
        let leg = observation.connection.leg;
        let id = record::delivery_id(observation);
        for format in Format::ALL.into_iter().filter(|format| format.carries(leg)) {
            let is_used = self.sinks.iter().any(|sink| sink.format() == format);
            let record = match format.room_for(&observation.exchange) {
                Room::Now if is_used => self.record(format, observation, &id),
                Room::Now | Room::AtItsEnd => continue,
                Room::Never => {
                    self.of(format).for_each(|sink| sink.leave_out());
                    continue;
                }
            };
            self.of(format).for_each(|sink| offer(sink, &record));
        }
    }

    fn of(&mut self, format: Format) -> impl Iterator<Item = &mut RunningSink> {
        self.sinks.iter_mut().filter(move |sink| sink.format() == format)
    }

    fn record(&mut self, format: Format, observation: &Observation, id: &Arc<str>) -> Record {
        Record {
            id: Arc::clone(id),
            duration_ns: record::duration_ns(observation),
            bytes: self.buffer.record(|out| format.write(observation, out)),
        }
    }

    /// What became of the records so far, per sink, in the order in which they were given.
    #[must_use]
    pub fn totals(&self) -> Vec<SinkTotals> {
        self.sinks.iter().map(RunningSink::totals).collect()
    }

    /// Delivers what is still queued, for at most `deadline`; what is left then is dropped and
    /// counted. A file write that the kernel holds at that moment cannot be called back: its
    /// records count as dropped, and dropping the runtime would wait for it
    /// (`Runtime::shutdown_background` does not).
    pub async fn shutdown(self, deadline: Duration) -> Vec<SinkTotals> {
        let end = Instant::now() + deadline;
        let ending: Vec<_> = self.sinks.into_iter().map(|sink| sink.stop(end)).collect();
        let mut totals = Vec::with_capacity(ending.len());
        for sink in ending {
            totals.push(sink.ended().await);
        }
        totals
    }
}
