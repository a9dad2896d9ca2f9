//! Reading capture files: packets at one end, sinks at the other, capture time between.

use super::Failure;
use super::pipeline::{Patience, Pipeline};
use super::progress::Progress;
use super::settings::ReadSettings;
use super::start;
use super::totals::{Packets, ReadFile, Source, Totals};
use crate::capture::file::CaptureFile;
use crate::capture::filter::PacketFilter;
use crate::flow::decode::{Decoder, FragmentLimits};
use crate::flow::{FlowLimits, Packet, Reassembler};
use crate::frame::Frame;
use crate::segment::Time;
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

/// Capture time between looks at what is due, in nanoseconds.
const TIMER_INTERVAL_NS: u64 = 100_000_000;
/// Name under which runs derive from their first packet (RFC 9562 5.5): chosen at random, once.
const RUNS: Uuid = Uuid::from_u128(0x6d1e_07a4_59c2_4b0e_9d3f_b1c5_42f8_7a90);

/// Reads all files; the exit code tells whether all could be read to their end.
pub(super) fn read(settings: &ReadSettings) -> Result<ExitCode, Failure> {
    let filter = settings.filter.as_deref().map(PacketFilter::new).transpose()?;
    start::end_with_the_reader_of(&settings.records.sinks);
    let stop = start::stop_on_signals()?;
    let runtime = start::sink_threads()?;
    let patience = Patience::Until(Arc::clone(&stop));
    let pipeline = start::pipeline(&runtime, &settings.records, 0, patience)?;
    let mut reading = Reading::new(settings, filter, pipeline);
    for path in &settings.files {
        if !stop.load(Ordering::Relaxed) {
            reading.read(path, &stop)?;
        }
    }
    reading.finish();

    let failed = reading.files.iter().any(|file| file.error.is_some());
    let exchanges = reading.pipeline.exchanges().clone();
    let connections = reading.pipeline.protocols().clone();
    let policy = reading.pipeline.policy().into();
    let source = Source::Packets(Packets {
        filtered: reading.filtered,
        decoding: reading.decoder.counters(),
        reassembly: *reading.reassembler.counters(),
        files: reading.files,
    });
    let sinks = start::deliver_waiting(runtime, reading.pipeline, &stop, start::HURRIED_DEADLINE);
    let totals = Totals { exchanges, connections, policy, source, sinks };
    totals.tell(settings.records.totals_file.as_deref())?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Files on their way into the pipeline.
struct Reading<'a> {
    settings: &'a ReadSettings,
    filter: Option<PacketFilter>,
    decoder: Decoder,
    reassembler: Reassembler,
    pipeline: Pipeline,
    /// Latest packet time, once there was a packet.
    now: Option<Time>,
    timers_due_ns: u64,
    filtered: u64,
    files: Vec<ReadFile>,
}

impl<'a> Reading<'a> {
    fn new(settings: &'a ReadSettings, filter: Option<PacketFilter>, pipeline: Pipeline) -> Self {
        Self {
            settings,
            filter,
            decoder: Decoder::new(FragmentLimits::default()),
            reassembler: Reassembler::new(FlowLimits::default()),
            pipeline,
            now: None,
            timers_due_ns: 0,
            filtered: 0,
            files: Vec::new(),
        }
    }

    /// Reads one file. What is wrong with it is told and noted; the others are read all the same.
    fn read(&mut self, path: &Path, stop: &AtomicBool) -> Result<(), Failure> {
        let name = path.display().to_string();
        let mut noted = ReadFile { name, packets: 0, truncated: false, error: None };
        match CaptureFile::open(path) {
            Ok(mut file) => {
                noted.error = self.read_frames(&mut file, &mut noted.packets, stop)?;
                noted.truncated = file.is_truncated();
            }
            Err(error) => noted.error = Some(error.to_string()),
        }
        if let Some(error) = &noted.error {
            eprintln!("gatetap: {error}");
        }
        self.files.push(noted);
        Ok(())
    }

    /// Handles packet after packet; yields why it cannot go on.
    fn read_frames(
        &mut self,
        file: &mut CaptureFile,
        packets: &mut u64,
        stop: &AtomicBool,
    ) -> Result<Option<String>, Failure> {
        let mut progress = Progress::new(file.name(), file.size());
        while !stop.load(Ordering::Relaxed) {
            match file.next_frame() {
                Ok(Some(frame)) => self.handle(&frame)?,
                Ok(None) => break,
                Err(error) => return Ok(Some(error.to_string())),
            }
            *packets += 1;
            progress.show(*packets, || (file.bytes_read(), self.pipeline.exchanges().total()));
        }
        Ok(None)
    }

    fn handle(&mut self, frame: &Frame<'_>) -> Result<(), Failure> {
        if let Some(filter) = &mut self.filter
            && !filter.matches(frame)?
        {
            self.filtered += 1;
            return Ok(());
        }
        self.let_time_pass(frame);
        let Some(packet) = self.decoder.decode(frame) else { return Ok(()) };
        if !is_wanted(self.settings, &packet) {
            self.filtered += 1;
            return Ok(());
        }
        let pipeline = &mut self.pipeline;
        self.reassembler
            .handle_packet(&packet, &mut |serial, happening| pipeline.handle(serial, happening));
        Ok(())
    }

    /// The clock is the latest packet; a packet that is older than others does not turn it back.
    fn let_time_pass(&mut self, frame: &Frame<'_>) {
        let Some(now) = self.now else {
            self.pipeline.derive_ids_from(run_of(frame));
            self.now = Some(frame.time);
            return;
        };
        let now = now.max(frame.time);
        self.now = Some(now);
        if now.monotonic_ns >= self.timers_due_ns {
            self.timers_due_ns = now.monotonic_ns.saturating_add(TIMER_INTERVAL_NS);
            let pipeline = &mut self.pipeline;
            self.reassembler
                .handle_timeout(now, &mut |serial, happening| pipeline.handle(serial, happening));
            self.pipeline.handle_timeout(now);
        }
    }

    /// Hands on what still waits, and ends what is still open.
    fn finish(&mut self) {
        let now = self.now.unwrap_or_default();
        let pipeline = &mut self.pipeline;
        self.reassembler.finish(now, &mut |serial, happening| pipeline.handle(serial, happening));
        self.pipeline.abandon(now);
    }
}

/// Files that begin with the same packet are the same run.
fn run_of(frame: &Frame<'_>) -> Uuid {
    let mut first = frame.time.unix_ns.to_be_bytes().to_vec();
    first.extend_from_slice(frame.bytes);
    Uuid::new_v5(&RUNS, &first)
}

fn is_wanted(settings: &ReadSettings, packet: &Packet<'_>) -> bool {
    let has_port = |port: &u16| [packet.source.port(), packet.destination.port()].contains(port);
    let has_host = |host: &IpAddr| [packet.source.ip(), packet.destination.ip()].contains(host);
    (settings.ports.is_empty() || settings.ports.iter().any(has_port))
        && (settings.hosts.is_empty() || settings.hosts.iter().any(has_host))
}
