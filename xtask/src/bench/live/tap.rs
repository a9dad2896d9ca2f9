//! gatetap under measurement.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xtask::rig::OwnedChild;

use super::usage::{self, Processor};
use crate::interrupt;

/// How gatetap begins the line that says that it is attached.
const ATTACHED: &str = "gatetap: watching";
/// How long attaching or ending may take.
const LIMIT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A running `gatetap run`; dropping it ends it.
pub(super) struct Tap {
    child: OwnedChild,
    messages: PathBuf,
    totals: PathBuf,
}

/// What it had used and done at one time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TapUsage {
    pub(super) processor: Processor,
    pub(super) wake_ups: u64,
    pub(super) bpf_nanoseconds: u64,
    pub(super) bpf_runs: u64,
}

impl Tap {
    /// Watches what the process `pid` and those it forks do for clients of `port`, and sends records to
    /// `sink`; `more` are further arguments.
    ///
    /// # Errors
    /// When it ends or takes too long before it is attached.
    pub(super) fn start(
        gatetap: &Path,
        (pid, port): (u32, u16),
        sink: &str,
        more: impl IntoIterator<Item = String>,
        folder: &Path,
    ) -> Result<Self> {
        let (messages, totals) = (folder.join("gatetap.log"), folder.join("totals.json"));
        let mut command = Command::new(gatetap);
        command.args([
            "run",
            "--admin",
            "off",
            "--pid",
            &pid.to_string(),
            "--port",
            &port.to_string(),
        ]);
        command.args(more);
        command.args(["--sink", sink]);
        command.arg("--totals-file").arg(&totals);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&messages)?);
        let child = OwnedChild::spawn(command).context("starting gatetap")?;
        let mut tap = Self { child, messages, totals };
        tap.wait_until_attached()?;
        Ok(tap)
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// When it is gone.
    pub(super) fn usage(&self) -> Result<TapUsage> {
        let pid = self.child.pid();
        let (bpf_nanoseconds, bpf_runs) = usage::bpf(pid)?;
        Ok(TapUsage {
            processor: Processor::of([pid])?,
            wake_ups: usage::wake_ups(pid)?,
            bpf_nanoseconds,
            bpf_runs,
        })
    }

    /// Largest resident set so far, in KiB.
    ///
    /// # Errors
    /// When it is gone.
    pub(super) fn peak_kib(&self) -> Result<u64> {
        usage::peak_kib(self.child.pid())
    }

    /// Ends it, and returns its totals.
    ///
    /// # Errors
    /// When it does not end well.
    pub(super) fn stop(mut self) -> Result<Value> {
        self.child.signal(libc::SIGTERM)?;
        let status = self.child.wait_for_end(LIMIT)?;
        let well = status.is_some_and(|status| status.success());
        ensure!(well, "gatetap ended with {status:?}: {}", self.words());
        Ok(serde_json::from_slice(&fs::read(&self.totals)?)?)
    }

    fn wait_until_attached(&mut self) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while !self.words().lines().any(|line| line.starts_with(ATTACHED)) {
            interrupt::check()?;
            if let Some(status) = self.child.wait_for_end(POLL_INTERVAL)? {
                bail!("gatetap ended with {status}: {}", self.words());
            }
            ensure!(Instant::now() < deadline, "gatetap does not attach: {}", self.words());
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    fn words(&self) -> String {
        fs::read_to_string(&self.messages).unwrap_or_default()
    }
}
