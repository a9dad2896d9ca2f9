//! wrk, and what it measured.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::load::Load;
use crate::{interrupt, step};

/// What wrk says of one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    pub(super) requests: u64,
    pub(super) per_second: f64,
    pub(super) median: Duration,
    pub(super) percentile_99: Duration,
    /// Bytes of responses, heads included.
    pub(super) bytes: u64,
    pub(super) errors: u64,
}

/// Sends the load to `port` for that long.
///
/// # Errors
/// When wrk fails or does not report.
pub(super) fn run(load: &Load, port: u16, length: Duration, folder: &Path) -> Result<Measured> {
    interrupt::check()?;
    let script = folder.join("load.lua");
    fs::write(&script, load.script())?;
    let connections = load.connections.to_string();
    let mut command = Command::new("wrk");
    command.args(["--threads", "1", "--latency", "--connections", &connections]);
    command.args(["--duration", &format!("{}s", length.as_secs().max(1)), "--script"]);
    command.arg(&script).arg(format!("http://127.0.0.1:{port}{}", load.path));
    let output = command.stdin(Stdio::null()).output().context("starting wrk")?;
    interrupt::check()?;
    ensure!(output.status.success(), "`{}` failed", step::shown(&command));
    let text = String::from_utf8_lossy(&output.stdout);
    let report = text.lines().find(|line| line.starts_with('{'));
    let report = report.with_context(|| format!("wrk reported nothing: {text}"))?;
    measured(&serde_json::from_str(report)?).with_context(|| format!("wrk reported {report}"))
}

fn measured(report: &Value) -> Option<Measured> {
    let number = |key: &str| report.get(key)?.as_u64();
    let (requests, duration) = (number("requests")?, number("duration_us")?);
    Some(Measured {
        requests,
        per_second: requests as f64 * 1e6 / duration.max(1) as f64,
        median: Duration::from_micros(number("p50_us")?),
        percentile_99: Duration::from_micros(number("p99_us")?),
        bytes: number("bytes")?,
        errors: number("errors")?,
    })
}
