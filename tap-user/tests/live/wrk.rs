//! Load by wrk, a real program, and what it measured.

use super::attempt;
use std::fmt;
use std::process::Command;

/// One connection a thread is enough to keep two processors busy.
const ARGUMENTS: &[&str] = &["--threads", "1", "--connections", "16", "--duration", "1s"];

#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// Requests in a second.
    pub(crate) rate: f64,
    /// 50th and 99th percentile, as wrk prints them.
    latency: [Latency; 2],
}

#[derive(Debug, Clone, Copy)]
struct Latency {
    microseconds: f64,
}

/// Asks for `url` for about a second.
pub(crate) fn run(url: &str) -> Measured {
    let output = Command::new("wrk").args(ARGUMENTS).args(["--latency", url]).output();
    let output = attempt(output);
    let report = String::from_utf8_lossy(&output.stdout);
    measured(&report).unwrap_or_else(|| panic!("wrk says {report}"))
}

pub(crate) fn best_rate(runs: &[Measured]) -> f64 {
    runs.iter().map(|run| run.rate).fold(0.0, f64::max)
}

impl fmt::Display for Measured {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99] = self.latency.map(|latency| latency.microseconds / 1000.0);
        write!(formatter, "{:6.0} requests/s, p50 {p50:.2} ms, p99 {p99:.2} ms", self.rate)
    }
}

fn measured(report: &str) -> Option<Measured> {
    let value = |name: &str| report.lines().find_map(|line| line.trim().strip_prefix(name));
    let rate = value("Requests/sec:")?.trim().parse().ok()?;
    let latency = [latency(value("50%")?)?, latency(value("99%")?)?];
    Some(Measured { rate, latency })
}

fn latency(text: &str) -> Option<Latency> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    units.into_iter().find_map(|(unit, factor)| {
        let number: f64 = text.trim().strip_suffix(unit)?.parse().ok()?;
        Some(Latency { microseconds: number * factor })
    })
}
