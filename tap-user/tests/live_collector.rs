//! Collectors that are absent, slow or gone for a while: the gateway does not notice, and the tap
//! says how many records it dropped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod live;

use live::collector::Collector;
use live::mix::Mix;
use live::site::Site;
use live::tap::Outcome;
use live::traffic::{self, Plan, Step};
use live::wrk::{self, Measured};
use live::{Tap, exclusive, fixture, require_live};
use std::time::Duration;
use xtask::rig::free_port;

/// Share of the throughput that a collector in trouble must leave, compared with a tap that has
/// only a file.
const LEAST_BESIDE_FILE: f64 = 0.5;
/// Share of the untapped throughput that must be left under full load. Far below what is expected:
/// two processors carry the load generator, two servers and a tap that was built for debugging.
const LEAST_OF_UNTAPPED: f64 = 0.25;
/// Runs without tap, with a file and with the collector take turns, so that a busy moment of the
/// machine hits them all; the best of each counts.
const ROUNDS: usize = 2;
/// Small enough for a collector that does not read to fill it.
const QUEUE: &str = "queue=64KiB";

#[test]
fn an_absent_collector_costs_the_gateway_nothing() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let nobody = format!("tcp:127.0.0.1:{},format=kong,{QUEUE}", free_port().unwrap());
    let outcome = measure(&nobody);
    assert_eq!(number(&outcome, "delivered"), 0, "totals: {}", outcome.totals);
    assert!(number(&outcome, "dropped") > 0, "totals: {}", outcome.totals);
}

#[test]
fn a_collector_that_never_reads_costs_the_gateway_nothing() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let collector = Collector::that_never_reads();
    let outcome = measure(&format!("tcp:{},format=kong,{QUEUE}", collector.address()));
    assert!(number(&outcome, "dropped") > 0, "totals: {}", outcome.totals);
}

#[test]
fn records_flow_again_when_a_collector_comes_back() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let site = Site::start();
    let collector = Collector::that_reads();
    let address = collector.address();
    let sink = format!("tcp:{address},format=native");
    let tap = watch(&site, &["--sink", &sink]);
    let mut mix = Mix::new(site.ports, "again");

    let before = ask(&mut mix, &site, 50);
    let mut arrived = collector.wait_for(&before);
    arrived.extend(collector.close());
    let _meanwhile = ask(&mut mix, &site, 50);
    let collector = Collector::at(address);
    let after = ask(&mut mix, &site, 50);
    arrived.extend(collector.wait_for(&after));
    let outcome = tap.stop();
    arrived.extend(collector.close());

    let is_missing = |id: &&String| !arrived.contains(*id);
    let missing: Vec<_> = before.iter().chain(&after).filter(is_missing).collect();
    assert_eq!(missing, Vec::<&String>::new(), "never arrived at the collector");
    // The file has all of them, whatever became of the collector.
    assert_eq!(client_legs(&outcome), 150);
    let (delivered, dropped) = (number(&outcome, "delivered"), number(&outcome, "dropped"));
    let records = outcome.records().len() as u64;
    assert_eq!(delivered + dropped, records, "totals: {}", outcome.totals);
}

/// Compares the throughput with a tap that has `sink` and a file with that of other taps, and of
/// none; what became of the last one.
fn measure(sink: &str) -> Outcome {
    let site = Site::start();
    let url = format!("http://{}/files/short.txt", site.ports.v4());
    wrk::run(&url);
    let mut runs: [Vec<Measured>; 3] = Default::default();
    let mut last = None;
    for _ in 0..ROUNDS {
        runs[0].push(wrk::run(&url));
        runs[1].push(under_tap(&site, &url, &[]).0);
        let (measured, outcome) = under_tap(&site, &url, &["--sink", sink]);
        runs[2].push(measured);
        last = Some(outcome);
    }
    for (name, runs) in ["without tap", "with a file", "with the collector"].iter().zip(&runs) {
        runs.iter().for_each(|measured| eprintln!("{name:<20} {measured}"));
    }
    let [untapped, file, collector] = runs.each_ref().map(|runs| wrk::best_rate(runs));
    let shares = (collector / file, collector / untapped);
    eprintln!("left: {:.2} of that with a file, {:.2} of that without tap", shares.0, shares.1);
    assert!(shares.0 >= LEAST_BESIDE_FILE && shares.1 >= LEAST_OF_UNTAPPED, "left: {shares:?}");
    last.unwrap()
}

fn under_tap(site: &Site, url: &str, arguments: &[&str]) -> (Measured, Outcome) {
    let logged = || fixture::count_lines(&site.gateway.access_log_path(), "");
    let before = logged();
    let tap = watch(site, arguments);
    let measured = wrk::run(url);
    let outcome = tap.stop();
    assert_accounted(&outcome, logged() - before);
    (measured, outcome)
}

/// Under more load than the tap can take, what is missing in the file must have been counted.
fn assert_accounted(outcome: &Outcome, exchanges: usize) {
    let (recorded, failures) =
        (client_legs(outcome), outcome.total("/kernel/reservation_failures"));
    eprintln!("{recorded} of {exchanges} exchanges in the file, {failures} reservations failed");
    assert!(recorded == exchanges || failures > 0, "totals: {}", outcome.totals);
}

fn watch(site: &Site, arguments: &[&str]) -> Tap {
    let pid = site.gateway.master_pid().to_string();
    let arguments = ["--pid", &pid].into_iter().chain(arguments.iter().copied());
    Tap::start(&arguments.map(str::to_owned).collect::<Vec<_>>())
}

/// Ids of requests that were answered.
fn ask(mix: &mut Mix, site: &Site, count: usize) -> Vec<String> {
    let steps = (0..count).map(|_| Step::Ask(mix.get_file("short.txt"))).collect();
    let accounts = traffic::run(vec![Plan { to: site.ports.v4(), steps }], 1);
    // Longer than records wait to be sent together.
    std::thread::sleep(Duration::from_millis(300));
    accounts.into_iter().map(|account| account.request.id).collect()
}

fn client_legs(outcome: &Outcome) -> usize {
    fixture::count_lines(&outcome.records_path(), r#""leg":"client""#)
}

fn number(outcome: &Outcome, what: &str) -> u64 {
    outcome.sink("tcp:")[what].as_u64().unwrap_or_else(|| panic!("{}", outcome.totals))
}
