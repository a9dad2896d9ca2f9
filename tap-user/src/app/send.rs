//! Records that were recorded in files, sent again: lines at one end, policy and sinks at the other.

mod lines;

use super::Failure;
use super::progress::Progress;
use super::settings::SendSettings;
use super::start;
use super::totals::{Exchanges, Records, SentFile, Source, Totals};
use crate::export::{Exporter, read_record};
use crate::policy::Policy;
use lines::{Line, Lines};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bad lines of a file that are told one by one.
const TOLD_LINES: u64 = 20;

/// Sends all files; the exit code tells whether every line of them was a record.
pub(super) fn send(settings: &SendSettings) -> Result<ExitCode, Failure> {
    start::end_with_the_reader_of(&settings.sinks);
    let stop = start::stop_on_signals()?;
    let runtime = start::sink_threads()?;
    let mut sending = Sending {
        policy: Policy::new(settings.policy.clone()),
        exporter: Exporter::start(runtime.handle(), settings.sinks.clone())?,
        exchanges: Exchanges::default(),
        stop: &stop,
    };
    let mut files = Vec::new();
    for path in &settings.files {
        if !stop.load(Ordering::Relaxed) {
            files.push(sending.send(path));
        }
    }
    let has_failed = files.iter().any(|file| file.bad_lines > 0 || file.error.is_some());
    let Sending { policy, exporter, exchanges, .. } = sending;
    let sinks = start::deliver_all(runtime, exporter, &stop, start::HURRIED_DEADLINE);
    let totals = Totals {
        exchanges,
        connections: BTreeMap::new(),
        policy: policy.counters().totals().into(),
        source: Source::Records(Records { files }),
        sinks,
    };
    totals.tell(settings.totals_file.as_deref())?;
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Records on their way to the sinks.
struct Sending<'a> {
    policy: Policy,
    exporter: Exporter,
    exchanges: Exchanges,
    /// Set when the process is asked to end.
    stop: &'a AtomicBool,
}

impl Sending<'_> {
    /// Sends one file. What is wrong with it is told and noted.
    fn send(&mut self, path: &Path) -> SentFile {
        let mut file = SentFile { name: path.display().to_string(), ..SentFile::default() };
        let sent = Lines::open(path).and_then(|lines| self.send_lines(lines, &mut file));
        if let Err(error) = sent {
            eprintln!("gatetap: {}: {error}", file.name);
            file.error = Some(error.to_string());
        }
        if let Some(untold) = file.bad_lines.checked_sub(TOLD_LINES).filter(|untold| *untold > 0) {
            eprintln!("gatetap: {}: {untold} more lines are no native records", file.name);
        }
        file
    }

    fn send_lines(&mut self, mut lines: Lines, file: &mut SentFile) -> std::io::Result<()> {
        let mut progress = Progress::new(&file.name, lines.size());
        let mut number = 0_u64;
        while !self.stop.load(Ordering::Relaxed) {
            let reason = match lines.next()? {
                Line::End => break,
                Line::Whole(line) if line.trim_ascii().is_empty() => None,
                Line::Whole(line) => self.send_line(line, file).err(),
                Line::TooLong => Some(format!("longer than {} bytes", lines::LINE_LIMIT)),
            };
            number = number.saturating_add(1);
            if let Some(reason) = reason {
                tell(file, number, &reason);
            }
            progress.show(number, || (lines.bytes_read(), self.exchanges.total()));
        }
        Ok(())
    }

    fn send_line(&mut self, line: &[u8], file: &mut SentFile) -> Result<(), String> {
        let observation = read_record(line).map_err(|error| error.to_string())?;
        file.records = file.records.saturating_add(1);
        self.exchanges.count(&observation.connection, &observation.exchange);
        if let Some(observation) = self.policy.release(observation) {
            self.exporter.export_waiting(&observation, self.stop);
        }
        Ok(())
    }
}

fn tell(file: &mut SentFile, number: u64, reason: &str) {
    file.bad_lines = file.bad_lines.saturating_add(1);
    if file.bad_lines <= TOLD_LINES {
        eprintln!("gatetap: {}: line {number}: {reason}", file.name);
    }
}
