//! The figures: a table for people, JSON for programs, and what must be true of them.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};

use super::case::{Case, Outcome};
use super::load::Load;
use super::usage::Processor;

/// All runs of one load.
pub(super) struct Result {
    pub(super) load: &'static Load,
    /// Of each case, in the order of [`Case::ALL`].
    pub(super) outcomes: [Vec<Outcome>; Case::ALL.len()],
    /// A run of gatetap in which the kernel measured its BPF programs.
    pub(super) with_statistics: Outcome,
}

impl Result {
    fn of(&self, case: Case) -> &[Outcome] {
        self.outcomes.get(case as usize).map_or(&[], Vec::as_slice)
    }

    /// Median of a figure over the runs of a case.
    fn median(&self, case: Case, figure: impl Fn(&Outcome) -> f64) -> f64 {
        median(self.of(case).iter().map(figure).collect())
    }

    /// Median of a case's throughput as a share of the gateway's alone, taken run by run: what
    /// else the machine did hit both runs of a round.
    fn ratio(&self, case: Case) -> f64 {
        let rounds = self.of(case).iter().zip(self.of(Case::Alone));
        median(
            rounds
                .map(|(outcome, alone)| outcome.measured.per_second / alone.measured.per_second)
                .collect(),
        )
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Nothing lost, and a record at the collector for each request that the gateway read.
///
/// # Errors
/// Names the first load in which that is not so.
pub(super) fn check(results: &[Result]) -> anyhow::Result<()> {
    for result in results {
        let watched = result.of(Case::Watched).iter().chain([&result.with_statistics]);
        for outcome in watched {
            let name = result.load.name;
            let lost = number(outcome, "/bytes/lost");
            ensure!(lost == 0.0, "{name}: {lost} bytes were lost");
            let dropped = number(outcome, "/sinks/0/dropped");
            ensure!(dropped == 0.0, "{name}: {dropped} records were dropped");
            let expected = outcome.requests + result.load.idle_connections as u64;
            ensure!(
                outcome.records == expected,
                "{name}: the gateway read {expected} requests, the collector has {} records",
                outcome.records
            );
        }
    }
    Ok(())
}

/// For people.
pub(super) fn print(results: &[Result], runs: u8, seconds: u8) {
    println!(
        "\nMedian of {runs} runs of {seconds} s. CPU in µs per request: gateway (user + system), gatetap (user +\n\
         system), BPF programs (inside the gateway's share). Latency in ms. MiB: gatetap's peak.\n"
    );
    println!(
        "{:18} {:18} {:>10} {:>6} {:>7} {:>7} {:>13} {:>13} {:>6} {:>6} {:>7} {:>7} {:>6} {:>5}",
        "load",
        "case",
        "requests/s",
        "ratio",
        "p50",
        "p99",
        "gateway",
        "gatetap",
        "BPF",
        "events",
        "wakeups",
        "MB/s",
        "MiB",
        "lost"
    );
    for result in results {
        for case in Case::ALL {
            print_row(result, case);
        }
    }
}

fn print_row(result: &Result, case: Case) {
    let of = |figure: &dyn Fn(&Outcome) -> f64| result.median(case, figure);
    print!(
        "{:18} {:18} {:10.0} {:6.3} {:7.2} {:7.2} {:13}",
        result.load.name,
        case.name(),
        of(&|outcome| outcome.measured.per_second),
        result.ratio(case),
        of(&|outcome| milliseconds(outcome.measured.median)),
        of(&|outcome| milliseconds(outcome.measured.percentile_99)),
        shares(
            of(&|outcome| user(outcome, outcome.gateway)),
            of(&|outcome| system(outcome, outcome.gateway))
        ),
    );
    match case {
        Case::Alone | Case::Logger => println!(),
        Case::Carried => print_carried(result),
        Case::OtherSelected | Case::Watched => print_tap(result, case),
    }
}

/// What was carried, and what it stands for.
fn print_carried(result: &Result) {
    let carried = |outcome: &Outcome| outcome.carried.unwrap_or(f64::NAN) / 1e6;
    let records = |outcome: &Outcome| outcome.record_bytes_per_second() / 1e6;
    println!(
        " {:.0} MB/s; its records were {:.0} MB/s",
        result.median(Case::Carried, carried),
        result.median(Case::Watched, records)
    );
}

fn print_tap(result: &Result, case: Case) {
    let of = |figure: &dyn Fn(&Outcome) -> f64| result.median(case, figure);
    let processor = |outcome: &Outcome| tap_processor(outcome);
    let bpf = if case == Case::Watched { bpf_microseconds(result) } else { f64::NAN };
    println!(
        " {:>13} {:6.2} {:6.2} {:7.4} {:7.0} {:6.1} {:5.0}",
        shares(
            of(&|outcome| user(outcome, processor(outcome))),
            of(&|outcome| system(outcome, processor(outcome)))
        ),
        bpf,
        of(&|outcome| per_request(outcome, number(outcome, "/kernel/events"))),
        of(&|outcome| per_request(outcome, wake_ups(outcome))),
        of(&megabytes_per_second),
        of(&peak_mib),
        // Of all runs: a median would hide what only some lost.
        result.of(case).iter().map(|outcome| number(outcome, "/bytes/lost")).sum::<f64>(),
    );
}

/// For programs: every run of every case, times in microseconds.
pub(super) fn json(results: &[Result]) -> String {
    let loads: Vec<Value> = results.iter().map(json_load).collect();
    format!("{:#}\n", json!({ "loads": loads }))
}

fn json_load(result: &Result) -> Value {
    let cases: Vec<Value> = Case::ALL
        .into_iter()
        .map(|case| {
            let runs: Vec<Value> = result.of(case).iter().map(json_run).collect();
            json!({ "case": case.name(), "ratio": result.ratio(case), "runs": runs })
        })
        .collect();
    json!({
        "load": result.load.name,
        "cases": cases,
        "bpf_us_per_request": bpf_microseconds(result),
    })
}

fn json_run(outcome: &Outcome) -> Value {
    let processor = tap_processor(outcome);
    json!({
        "requests": outcome.measured.requests,
        "requests_per_second": outcome.measured.per_second,
        "response_bytes": outcome.measured.bytes,
        "p50_us": outcome.measured.median.as_micros() as u64,
        "p99_us": outcome.measured.percentile_99.as_micros() as u64,
        "gateway_requests": outcome.requests,
        "gateway_user_us_per_request": user(outcome, outcome.gateway),
        "gateway_system_us_per_request": system(outcome, outcome.gateway),
        "records": outcome.records,
        "carried_bytes_per_second": outcome.carried,
        "gatetap": outcome.tap.as_ref().map(|tap| json!({
            "user_us_per_request": user(outcome, processor),
            "system_us_per_request": system(outcome, processor),
            "wake_ups": tap.usage.wake_ups,
            "peak_kib": tap.peak_kib,
            "totals": tap.totals,
        })),
    })
}

fn number(outcome: &Outcome, place: &str) -> f64 {
    let totals = outcome.tap.as_ref().map(|tap| &tap.totals);
    totals.and_then(|totals| totals.pointer(place)?.as_f64()).unwrap_or(f64::NAN)
}

fn tap_processor(outcome: &Outcome) -> Processor {
    outcome.tap.as_ref().map(|tap| tap.usage.processor).unwrap_or_default()
}

fn wake_ups(outcome: &Outcome) -> f64 {
    outcome.tap.as_ref().map_or(f64::NAN, |tap| tap.usage.wake_ups as f64)
}

fn peak_mib(outcome: &Outcome) -> f64 {
    outcome.tap.as_ref().map_or(f64::NAN, |tap| tap.peak_kib as f64 / 1024.0)
}

/// Of what the gateway's sockets carried, both legs.
fn megabytes_per_second(outcome: &Outcome) -> f64 {
    let seconds = outcome.measured.requests as f64 / outcome.measured.per_second;
    number(outcome, "/bytes/seen") / 1e6 / seconds
}

fn bpf_microseconds(result: &Result) -> f64 {
    let outcome = &result.with_statistics;
    let nanoseconds = outcome.tap.as_ref().map_or(f64::NAN, |tap| tap.usage.bpf_nanoseconds as f64);
    per_request(outcome, nanoseconds / 1e3)
}

fn user(outcome: &Outcome, processor: Processor) -> f64 {
    per_request(outcome, processor.user.as_secs_f64() * 1e6)
}

fn system(outcome: &Outcome, processor: Processor) -> f64 {
    per_request(outcome, processor.system.as_secs_f64() * 1e6)
}

fn per_request(outcome: &Outcome, amount: f64) -> f64 {
    amount / outcome.requests.max(1) as f64
}

fn shares(user: f64, system: f64) -> String {
    format!("{user:.1} + {system:.1}")
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
