//! `gatetap watch` as a child process, and what it leaves behind for the report.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xtask::rig::OwnedChild;

use crate::interrupt;

/// How gatetap begins the line that says that it is attached.
const ATTACHED: &str = "gatetap: watching";
/// How long loading and attaching the kernel programs may take.
const ATTACH_LIMIT: Duration = Duration::from_secs(30);
/// How often is looked whether it has attached.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A running `gatetap watch`. Dropping it ends it.
pub(super) struct Watcher {
    child: OwnedChild,
    readable: Collector,
    messages: Collector,
    records_file: PathBuf,
    totals_file: PathBuf,
}

impl Watcher {
    /// Starts gatetap on one gateway and waits until it says that it is attached.
    ///
    /// # Errors
    /// When it ends before that (with what it said), takes too long or the demo is interrupted.
    pub(super) fn start(gatetap: &Path, gateway: u32, folder: &Path) -> Result<Self> {
        let (records_file, totals_file) =
            (folder.join("records.ndjson"), folder.join("totals.json"));
        let mut command = Command::new(gatetap);
        command
            .args(["watch", "--pid", &gateway.to_string()])
            .arg("--sink")
            .arg(format!("file:{}", records_file.display()))
            .arg("--totals-file")
            .arg(&totals_file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = OwnedChild::spawn(command).context("starting gatetap")?;
        let readable = Collector::start(child.take_stdout().context("no standard output")?);
        let messages = Collector::start(child.take_stderr().context("no standard error")?);
        let mut watcher = Self { child, readable, messages, records_file, totals_file };
        watcher.wait_until_attached()?;
        Ok(watcher)
    }

    /// How many readable lines have come so far.
    pub(super) fn line_count(&self) -> usize {
        self.readable.lines().len()
    }

    /// Ends gatetap, which flushes, and returns its readable lines.
    ///
    /// # Errors
    /// When gatetap does not end well.
    pub(super) fn stop(&mut self) -> Result<Vec<String>> {
        let status = self.child.stop().context("ending gatetap")?;
        self.messages.finish();
        self.readable.finish();
        ensure!(status.success(), "gatetap ended with {status}:\n{}", self.messages.text());
        Ok(self.readable.lines().clone())
    }

    /// The records of the file sink.
    ///
    /// # Errors
    /// When the file is missing or has a line that is not JSON.
    pub(super) fn records(&self) -> Result<Vec<Value>> {
        let text = fs::read_to_string(&self.records_file).context("reading gatetap's records")?;
        text.lines().map(|line| serde_json::from_str(line).context("reading a record")).collect()
    }

    /// The totals that gatetap wrote at its end.
    ///
    /// # Errors
    /// When the file is missing or not JSON.
    pub(super) fn totals(&self) -> Result<Value> {
        let text = fs::read_to_string(&self.totals_file).context("reading gatetap's totals")?;
        serde_json::from_str(&text).context("reading gatetap's totals")
    }

    fn wait_until_attached(&mut self) -> Result<()> {
        let deadline = Instant::now() + ATTACH_LIMIT;
        loop {
            if let Some(line) = self.messages.lines().iter().find(|line| line.starts_with(ATTACHED))
            {
                eprintln!("    {line}");
                return Ok(());
            }
            interrupt::check()?;
            if let Some(status) = self.child.wait_for_end(POLL_INTERVAL)? {
                self.messages.finish();
                bail!("gatetap ended with {status}:\n{}", self.messages.text());
            }
            ensure!(Instant::now() < deadline, "gatetap hangs:\n{}", self.messages.text());
        }
    }
}

/// Reads lines in a thread, so that the child never waits for us.
struct Collector {
    lines: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    fn start(source: impl Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let thread = thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                lock(&sink).push(line);
            }
        });
        Self { lines, thread: Some(thread) }
    }

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        lock(&self.lines)
    }

    fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// Waits for the last line of a child that has ended.
    fn finish(&mut self) {
        // A thread that panicked has nothing to add.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn lock(lines: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}
