//! `cargo xtask bench read`: how fast capture files are read, with all bodies, into full records.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use super::bodies;
use super::capture::{self, Capture};
use super::measure::{self, Usage};
use crate::packages::{BENCH_PROGRAMS, COMPARED_PROGRAMS, GATEWAY_PROGRAMS};
use crate::{build, setup, step};

/// Size of the capture in bytes, in full and in the short form.
const FULL_BYTES: u64 = 260_000_000;
const SHORT_BYTES: u64 = 20_000_000;
/// Measured too where it is present.
const TCPFLOW: &str = "/usr/bin/tcpflow";
/// Body cap of the measured runs, in bytes: above every body in the capture.
const BODY_CAP: usize = 1 << 20;
/// A cap that lies between the two sizes of bodies: one is cut, the other one is not.
const CUTTING_CAP: usize = 64 << 10;

#[derive(Debug, Args)]
pub(crate) struct ReadArguments {
    /// A small capture and one run of gatetap alone: asserts that all is found, measures nothing worth
    /// quoting
    #[arg(long)]
    short: bool,
    /// Runs of each program; the median is shown
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=50))]
    runs: u8,
    /// Copy the capture here, to profile with it
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
}

impl ReadArguments {
    /// The short form.
    pub(super) const SHORT: Self = Self { short: true, runs: 1, keep: None };
}

/// A line of the table.
struct Row {
    name: &'static str,
    usage: Usage,
    /// What it found; `None` for a program that does not count exchanges.
    exchanges: Option<u64>,
}

/// Makes the capture, reads it with each program, and prints the table.
pub(crate) fn run(arguments: &ReadArguments) -> Result<()> {
    ensure!(setup::is_root(), "the bench makes a network namespace, which needs root");
    setup::programs(GATEWAY_PROGRAMS)?;
    setup::programs(BENCH_PROGRAMS)?;
    if !arguments.short {
        setup::programs(COMPARED_PROGRAMS)?;
    }
    let gatetap = build::run()?;

    let folder = tempfile::Builder::new().prefix("gatetap-bench-").tempdir()?;
    step::announce("Capturing nginx traffic in a network namespace");
    let bytes = if arguments.short { SHORT_BYTES } else { FULL_BYTES };
    let capture = capture::make(folder.path(), bytes)?;
    let length = fs::metadata(&capture.file)?.len();
    eprintln!("    {length} bytes, {} exchanges", capture.exchanges);

    if let Some(place) = &arguments.keep {
        fs::copy(&capture.file, place).with_context(|| place.display().to_string())?;
    }

    step::announce("Reading it");
    let runs = if arguments.short { 1 } else { arguments.runs };
    let mut rows = Vec::from(read_with_gatetap(&gatetap, &capture, folder.path(), runs)?);
    if !arguments.short {
        rows.push(read_with_tshark(&capture.file, folder.path(), runs)?);
    }
    if !arguments.short && Path::new(TCPFLOW).exists() {
        rows.push(read_with_tcpflow(&capture.file, folder.path(), runs)?);
    }
    print_table(&rows, length, runs);
    Ok(())
}

/// On all cores and on one alone, by turns, so that both see the same machine; every record of the
/// last run of each is compared with what was served, and those of a run that cuts bodies too.
fn read_with_gatetap(
    gatetap: &Path,
    capture: &Capture,
    folder: &Path,
    runs: u8,
) -> Result<[Row; 2]> {
    let core = measure::a_core()?;
    let reading = Reading { gatetap, capture, folder };
    let (mut free, mut pinned) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        free.push(reading.run(Command::new(gatetap), BODY_CAP)?);
        pinned.push(reading.run(reading.pinned_to(&core), BODY_CAP)?);
    }
    reading.check(BODY_CAP)?;
    reading.run(Command::new(gatetap), CUTTING_CAP)?;
    reading.check(CUTTING_CAP)?;
    let exchanges = Some(capture.exchanges);
    Ok([
        Row { name: "gatetap read", usage: middle(free)?, exchanges },
        Row { name: "the same on one core", usage: middle(pinned)?, exchanges },
    ])
}

/// gatetap at work on the capture.
struct Reading<'a> {
    gatetap: &'a Path,
    capture: &'a Capture,
    folder: &'a Path,
}

impl Reading<'_> {
    fn records(&self) -> PathBuf {
        self.folder.join("records.ndjson")
    }

    /// Starts the program on one core, all its threads with it.
    fn pinned_to(&self, core: &str) -> Command {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", core]).arg(self.gatetap);
        command
    }

    /// One run; its totals must say that it found all and lost nothing.
    fn run(&self, mut command: Command, cap: usize) -> Result<Usage> {
        let totals = self.folder.join("totals.json");
        // Records are appended.
        let _ = fs::remove_file(self.records());
        command.arg("read").arg(&self.capture.file).args(["--body-cap", &cap.to_string()]);
        command.args(["--no-redact", "--sink", &format!("file:{}", self.records().display())]);
        command.arg("--totals-file").arg(&totals);
        let usage = measure::run(&mut command)?;
        let totals: Value = serde_json::from_slice(&fs::read(&totals)?)?;
        let number = |place: &str| totals.pointer(place).and_then(Value::as_u64);
        ensure!(number("/reassembly/hole_bytes") == Some(0), "bytes were lost: {totals}");
        ensure!(number("/reassembly/cut_bytes") == Some(0), "bytes were cut: {totals}");
        let (found, asked) = (number("/exchanges/client"), self.capture.exchanges);
        ensure!(found == Some(asked), "gatetap found {found:?} of {asked} exchanges");
        Ok(usage)
    }

    /// Compares the records of the last run with what nginx served.
    fn check(&self, cap: usize) -> Result<()> {
        let (count, asked) =
            (bodies::check(&self.records(), self.folder, cap)?, self.capture.exchanges);
        ensure!(count == asked, "{count} records of {asked} exchanges");
        eprintln!("    {count} records with bodies as they were served, cut at {cap} bytes");
        Ok(())
    }
}

/// tshark with the fields of a log line only: it writes no bodies.
fn read_with_tshark(capture: &Path, folder: &Path, runs: u8) -> Result<Row> {
    let lines = folder.join("tshark.txt");
    let script = format!(
        "exec tshark -n -o tcp.reassemble_out_of_order:TRUE -r '{}' -Y http.response -T fields -e http.response_for.uri \
         -e http.response.code -e http.content_length > '{}'",
        capture.display(),
        lines.display()
    );
    let run = |_| measure::run(Command::new("sh").args(["-c", &script]));
    let usages = (0..runs.min(2)).map(run).collect::<Result<Vec<_>>>()?;
    let exchanges = fs::read_to_string(&lines)?.lines().count() as u64;
    Ok(Row { name: "tshark (no bodies)", usage: middle(usages)?, exchanges: Some(exchanges) })
}

/// tcpflow, where it is installed, writing every stream and every body into a file of its own.
fn read_with_tcpflow(capture: &Path, folder: &Path, runs: u8) -> Result<Row> {
    let mut usages = Vec::new();
    for _ in 0..runs {
        let output = tempfile::Builder::new().prefix("tcpflow-").tempdir_in(folder)?;
        let mut command = Command::new(TCPFLOW);
        command.args(["-q", "-e", "http", "-o"]).arg(output.path()).arg("-r").arg(capture);
        usages.push(measure::run(&mut command)?);
    }
    Ok(Row { name: "tcpflow -e http", usage: middle(usages)?, exchanges: None })
}

fn middle(usages: Vec<Usage>) -> Result<Usage> {
    measure::median(usages).context("no run")
}

fn print_table(rows: &[Row], bytes: u64, runs: u8) {
    println!("\nCapture file of {bytes} bytes, body cap {BODY_CAP}, median of {runs}");
    println!(
        "{:20} {:>9} {:>9} {:>12} {:>9} {:>9} {:>12} {:>10}",
        "", "exchanges", "MB/s", "exchanges/s", "wall s", "cpu s", "MB per cpu s", "peak MiB"
    );
    for Row { name, usage, exchanges } in rows {
        let megabytes = bytes as f64 / 1e6;
        let (seconds, cpu) = (usage.wall.as_secs_f64(), usage.cpu.as_secs_f64());
        let shown = |number: Option<f64>| number.map_or("-".to_owned(), |n| format!("{n:.0}"));
        let exchanges = exchanges.map(|exchanges| exchanges as f64);
        println!(
            "{name:20} {:>9} {:9.0} {:>12} {seconds:9.2} {cpu:9.2} {:12.0} {:10.1}",
            shown(exchanges),
            megabytes / seconds,
            shown(exchanges.map(|exchanges| exchanges / seconds)),
            megabytes / cpu,
            usage.peak_kib as f64 / 1024.0
        );
    }
}
