//! Collectors for tests: real programs, and scripted ones that misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail loudly")]

pub(crate) mod certificates;
pub(crate) mod log;
pub(crate) mod openssl;
pub(crate) mod rsyslog;
pub(crate) mod scripted;

use gatetap::document::Problem;
use gatetap::export::{Exporter, SinkSettings, SinkTotals};
use gatetap::gateway::Observation;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use xtask::requirement;

use crate::support::{body, kong_example};

/// Enough for anything here; what takes longer hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Whether a program is there. `GATETAP_REQUIRE_LIVE=1` makes a missing one a failure.
pub(crate) fn has(program: &str) -> bool {
    requirement::met(requirement::program(program)).is_some()
}

pub(crate) fn start(sinks: &[String]) -> Result<Exporter, String> {
    let resolve = |sink: &String| sink.parse::<SinkSettings>()?.resolve();
    let sinks: Result<_, Problem> = sinks.iter().map(resolve).collect();
    let sinks = sinks.map_err(|problem| problem.to_string())?;
    Exporter::start(&Handle::current(), sinks).map_err(|error| error.to_string())
}

pub(crate) fn exporter(sink: &str) -> Exporter {
    start(&[sink.to_owned()]).unwrap()
}

/// An observation whose record has a body of that many bytes more.
pub(crate) fn observation(number: usize, bytes: usize) -> Observation {
    let mut observation = Observation { id: format!("r-{number}").into(), ..kong_example() };
    let content: Vec<u8> = (0..bytes).map(|place| b' ' + (place % 90) as u8).collect();
    observation.exchange.response.as_mut().unwrap().body = body(&content);
    observation
}

pub(crate) fn export(exporter: &mut Exporter, numbers: std::ops::Range<usize>, bytes: usize) {
    numbers.for_each(|number| exporter.export(&observation(number, bytes)));
}

/// The number of a record, if the line is a whole one.
pub(crate) fn number(line: &str) -> Option<usize> {
    let record: Value = serde_json::from_str(line).ok()?;
    let id = record["tap"]["id"].as_str().or(record["id"].as_str())?;
    id.strip_prefix("r-")?.parse().ok()
}

pub(crate) fn numbers(text: &str) -> Vec<usize> {
    text.lines().filter_map(number).collect()
}

/// Fails if any of the first `count` numbers is missing; yields how many came more than once.
pub(crate) fn assert_complete(numbers: &[usize], count: usize) -> usize {
    let distinct: BTreeSet<_> = numbers.iter().copied().collect();
    let missing: Vec<_> = (0..count).filter(|number| !distinct.contains(number)).collect();
    assert!(missing.is_empty(), "{} missing: {:?}", missing.len(), missing.get(..20));
    assert_eq!(distinct.len(), count, "nothing comes that was not sent");
    numbers.len() - distinct.len()
}

pub(crate) async fn shut_down(exporter: Exporter) -> SinkTotals {
    let totals = exporter.shutdown(PATIENCE).await.remove(0);
    let ended = totals.delivered_records + totals.rejected_records + totals.dropped.total();
    assert_eq!(totals.given_records, ended + totals.queued_records, "counters add up: {totals:?}");
    totals
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
