//! The cases, and one measured run of one of them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::load::Load;
use super::receiver::Receiver;
use super::sender::Sender;
use super::site::{Gateway, Site};
use super::tap::{Tap, TapUsage};
use super::usage::Processor;
use super::wrk::{self, Measured};

/// How long the gateway may take to read what it was sent.
const SETTLING: Duration = Duration::from_millis(200);

/// What is measured side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// The gateway, and nothing else.
    Alone,
    /// gatetap is attached, but another process is selected.
    OtherSelected,
    /// gatetap sends every exchange to the collector.
    Watched,
    /// Nothing is watched, but as many bytes go to the collector as gatetap sent.
    Carried,
    /// A logger inside the gateway does.
    Logger,
}

impl Case {
    /// In the order of the table.
    pub(super) const ALL: [Self; 5] =
        [Self::Alone, Self::OtherSelected, Self::Watched, Self::Carried, Self::Logger];

    /// In the order of a round: every second one goes backwards, so that no case has the advantage of being
    /// the first. What is carried has been measured before.
    pub(super) fn in_turn(round: u8) -> [Self; 5] {
        if round.is_multiple_of(2) {
            Self::ALL
        } else {
            [Self::Logger, Self::Watched, Self::Carried, Self::OtherSelected, Self::Alone]
        }
    }

    /// Its name in table and JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Alone => "gateway alone",
            Self::OtherSelected => "gatetap on another",
            Self::Watched => "gatetap",
            Self::Carried => "its records' bytes",
            Self::Logger => "logger inside",
        }
    }
}

/// What a run showed.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) measured: Measured,
    pub(super) gateway: Processor,
    pub(super) tap: Option<TapOutcome>,
    /// Bytes per second that went to the collector without a tap.
    pub(super) carried: Option<f64>,
    /// Records that the collector got for this run.
    pub(super) records: u64,
    /// Requests that the gateway read, by its own count.
    pub(super) requests: u64,
}

impl Outcome {
    /// Bytes of records that gatetap delivered, by the time of the load.
    pub(super) fn record_bytes_per_second(&self) -> f64 {
        let totals = self.tap.as_ref().map(|tap| &tap.totals);
        let delivered = totals.and_then(|it| it.pointer("/sinks/0/delivered_bytes")?.as_f64());
        let seconds = self.measured.requests as f64 / self.measured.per_second;
        delivered.unwrap_or(0.0) / seconds
    }
}

/// What gatetap used and said.
#[derive(Debug, Clone)]
pub(super) struct TapOutcome {
    pub(super) usage: TapUsage,
    pub(super) peak_kib: u64,
    pub(super) totals: Value,
}

/// What a run needs around it.
pub(super) struct Bench<'a> {
    pub(super) gatetap: &'a Path,
    pub(super) site: &'a Site,
    pub(super) receiver: &'a Receiver,
    /// Further arguments of gatetap.
    pub(super) tap_arguments: &'a [String],
    /// Whether ring and queue are larger than most users need: then a machine with other work loses nothing.
    pub(super) has_more_room: bool,
    pub(super) folder: &'a Path,
    pub(super) length: Duration,
}

impl Bench<'_> {
    /// One run of one case under one load; `watched` is the last one in which gatetap sent records.
    ///
    /// # Errors
    /// When something does not start, answer or end.
    pub(super) fn run(
        &self,
        case: Case,
        load: &Load,
        watched: Option<&Outcome>,
    ) -> Result<Outcome> {
        let gateway = self.gateway(case);
        let tap = self.tap(case, load)?;
        let sender = self.sender(case, watched)?;
        let records = self.receiver.records();
        let idle = open_idle(gateway.port, load)?;
        let requests = gateway.requests()?;
        let used = Used::now(gateway, tap.as_ref())?;
        let measured = wrk::run(load, gateway.port, self.length, self.folder)?;
        let used = Used::now(gateway, tap.as_ref())?.since(used);
        let carried = sender.map(Sender::finish);
        // What wrk sent last may still wait to be read.
        thread::sleep(SETTLING);
        // The count includes the request that asks for it.
        let requests = gateway.requests()? - requests - 1;
        drop(idle);
        ensure!(measured.errors == 0, "{}: {} errors", load.name, measured.errors);
        let tap = tap.map(|tap| finish(tap, used.tap)).transpose()?;
        let records = self.receiver.settled() - records;
        Ok(Outcome { measured, gateway: used.gateway, tap, carried, records, requests })
    }

    fn gateway(&self, case: Case) -> &Gateway {
        match case {
            Case::Logger => &self.site.logging,
            _ => &self.site.plain,
        }
    }

    fn sender(&self, case: Case, watched: Option<&Outcome>) -> Result<Option<Sender>> {
        let rate = watched.filter(|_| case == Case::Carried).map(Outcome::record_bytes_per_second);
        rate.map(|rate| Sender::start(self.receiver.port, rate)).transpose()
    }

    fn tap(&self, case: Case, load: &Load) -> Result<Option<Tap>> {
        let who = match case {
            Case::Alone | Case::Carried | Case::Logger => return Ok(None),
            Case::OtherSelected => {
                (self.site.bystander.nginx.master_pid(), self.site.bystander.port)
            }
            Case::Watched => (self.site.plain.nginx.master_pid(), self.site.plain.port),
        };
        let needs_ring = self.has_more_room && !load.tap.contains(&"--ring-size");
        let ring: &[&str] = if needs_ring { &["--ring-size", "256MiB"] } else { &[] };
        let more = load.tap.iter().chain(ring).map(ToString::to_string);
        let more = more.chain(self.tap_arguments.to_vec());
        let keys = if self.has_more_room { ",queue=1GiB" } else { load.sink };
        let sink = format!("tcp:127.0.0.1:{},format=kong{keys}", self.receiver.port);
        Tap::start(self.gatetap, who, &sink, more, self.folder).map(Some)
    }
}

/// Connections that have had one answer and stay.
fn open_idle(port: u16, load: &Load) -> Result<Vec<TcpStream>> {
    let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", load.path);
    let open = |_| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).context("an idle connection")?;
        stream.write_all(request.as_bytes())?;
        stream.read_exact(&mut [0; 1])?;
        Ok(stream)
    };
    (0..load.idle_connections).map(open).collect()
}

fn finish(tap: Tap, usage: TapUsage) -> Result<TapOutcome> {
    let peak_kib = tap.peak_kib()?;
    Ok(TapOutcome { usage, peak_kib, totals: tap.stop()? })
}

/// What all sides had used at one time.
struct Used {
    gateway: Processor,
    tap: TapUsage,
}

impl Used {
    fn now(gateway: &Gateway, tap: Option<&Tap>) -> Result<Self> {
        Ok(Self {
            gateway: Processor::of(gateway.nginx.workers())?,
            tap: tap.map(Tap::usage).transpose()?.unwrap_or_default(),
        })
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            gateway: self.gateway - earlier.gateway,
            tap: TapUsage {
                processor: self.tap.processor - earlier.tap.processor,
                wake_ups: self.tap.wake_ups.saturating_sub(earlier.tap.wake_ups),
                bpf_nanoseconds: self.tap.bpf_nanoseconds - earlier.tap.bpf_nanoseconds,
                bpf_runs: self.tap.bpf_runs - earlier.tap.bpf_runs,
            },
        }
    }
}
