//! Packets tell what probes tell: the same traffic of a real nginx gateway, seen by both at once.
//! Everything happens in a network namespace of the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod live;

use live::mix::Mix;
use live::neighbour::Neighbour;
use live::record::Record;
use live::run::WaitingClients;
use live::same::{self, Exchanges};
use live::site::Site;
use live::tap::Outcome;
use live::traffic::{self, Plan};
use live::{Tap, exclusive, namespace, require_live};
use std::thread;
use std::time::Duration;

const REQUESTS_OF_NEIGHBOUR: usize = 20;
/// Differences that are printed.
const SHOWN: usize = 20;
/// A cap above the largest body; and a ring for all traffic, because neither tap is optimised and
/// two processors carry everything.
const FOR_LARGE_BODIES: [&str; 4] = ["--body-cap", "8MiB", "--ring-size", "256MiB"];
/// Clients that work at once.
const CLIENTS: usize = 4;
/// Share of the records that must name their process. Of a connection that lives for a millisecond
/// nobody can be asked any more if the tap's turn comes too late.
const LEAST_ATTRIBUTED: f64 = 0.5;
/// Share of the connections that must, where two taps and much traffic share two processors.
const LEAST_ATTRIBUTED_UNDER_LOAD: f64 = 0.25;

#[test]
fn packets_and_probes_tell_the_same_exchanges() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    namespace::enter();
    let site = Site::start();
    let mut mix = Mix::new(site.ports, "same");
    let waiting = WaitingClients::open(&mut mix);
    let probes = Tap::start(&of_gateway(&site, &FOR_LARGE_BODIES));
    let packets = Tap::start(&by_packets(&site, &["--interface", "any"]));
    let plans = mix.plans(1_500);
    let run = waiting.run(plans);
    let (probes, packets) = (probes.stop(), packets.stop());

    assert_eq!(packets.total("/packets/dropped"), 0, "totals: {}", packets.totals);
    assert_eq!(packets.total("/bytes/lost"), 0, "totals: {}", packets.totals);
    assert_eq!(probes.total("/bytes/lost"), 0, "totals: {}", probes.totals);
    // Loopback shows each packet going out and coming in; only one of them counts. What TCP sends again by
    // itself, when two taps keep both processors busy, is far less than all of it.
    let again = packets.total("/reassembly/retransmitted_bytes");
    assert!(again < packets.total("/bytes/seen") / 10, "totals: {}", packets.totals);
    let (by_probes, by_packets) = same::exchanges_of_both(&probes, &packets);
    assert_same(&by_probes, &by_packets);
    let whole = run.accounts.iter().filter(|account| account.given_up.is_none()).count();
    let client_legs = by_packets.keys().filter(|(leg, _)| leg == "client").count();
    assert!(client_legs >= whole, "{client_legs} client legs of {whole} exchanges");
    assert_owners_found(&packets);
    eprintln!("{} legs alike; {}", by_packets.len(), packets.totals["packets"]);
}

#[test]
fn packets_of_another_network_namespace_are_found_by_its_process() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    namespace::enter();
    let site = Site::start();
    let plans = Mix::new(site.ports, "elsewhere").light_plans(50);
    // The tap itself is in a namespace where nothing happens.
    let tap = Tap::start_by(&["unshare", "--net"], &by_packets(&site, &[]));
    let accounts = traffic::run(plans, CLIENTS);
    let outcome = tap.stop();

    let exchanges = same::exchanges(&outcome);
    let client_legs = exchanges.keys().filter(|(leg, _)| leg == "client").count();
    assert_eq!(client_legs, accounts.len(), "totals: {}", outcome.totals);
    assert_attributed(&exchanges);
}

#[test]
fn where_probes_are_refused_auto_means_packets() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    namespace::enter();
    let site = Site::start();
    let plans: Vec<Plan> = Mix::new(site.ports, "auto").light_plans(20);
    let without_bpf = ["setpriv", "--bounding-set", "-bpf,-perfmon,-sys_admin"];
    let mut arguments = by_packets(&site, &[]);
    arguments[1] = "auto".to_owned();
    let tap = Tap::start_by(&without_bpf, &arguments);
    let accounts = traffic::run(plans, CLIENTS);
    let outcome = tap.stop();

    assert_says(&outcome, "packets are captured instead");
    let exchanges = same::exchanges(&outcome);
    let client_legs = exchanges.keys().filter(|(leg, _)| leg == "client").count();
    assert_eq!(client_legs, accounts.len(), "totals: {}", outcome.totals);
}

#[test]
fn packets_that_the_kernel_drops_are_counted_and_are_holes() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    namespace::enter();
    let site = Site::start();
    let plans = Mix::new(site.ports, "dropped").plans(600);
    let mut arguments = by_packets(&site, &[]);
    arguments.retain(|argument| argument != "--ring-size" && argument != "256MiB");
    arguments.extend(["--ring-size", "256KiB"].map(str::to_owned));
    let tap = Tap::start(&arguments);
    let pid = tap.pid().cast_signed();
    let traffic = thread::spawn(move || traffic::run(plans, CLIENTS));
    thread::sleep(Duration::from_millis(200));
    send(pid, libc::SIGSTOP);
    thread::sleep(Duration::from_millis(500));
    send(pid, libc::SIGCONT);
    let accounts = traffic.join().unwrap();
    let outcome = tap.stop();

    assert!(outcome.total("/packets/dropped") > 0, "totals: {}", outcome.totals);
    assert!(outcome.total("/bytes/lost") > 0, "totals: {}", outcome.totals);
    let records = outcome.records();
    let bodies = records.iter().flat_map(|record| [&record.request, &record.response]);
    for body in bodies.flatten().map(|message| &message.body) {
        let is_short = body.length.is_some_and(|length| body.captured < length);
        assert!(!is_short || body.lost > 0, "a short body without a word: {body:?}");
    }
    let aborted = records.iter().filter(|record| record.outcome == "closed").count();
    let given_up = accounts.iter().filter(|account| account.given_up.is_some()).count();
    assert!(aborted <= 2 * given_up, "{aborted} records say `closed`, {given_up} were given up");
}

fn send(pid: i32, signal: i32) {
    // SAFETY: takes two integers; the tap is our child and not reaped yet.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

#[test]
fn a_packet_seen_on_several_interfaces_counts_once() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    namespace::enter();
    let site = Site::start();
    let neighbour = Neighbour::start();
    let tap = Tap::start(
        &["--source", "interface", "--port", &site.ports.mapped.to_string()].map(str::to_owned),
    );
    for _ in 0..REQUESTS_OF_NEIGHBOUR {
        let response = neighbour.ask(site.ports.mapped, "/direct/");
        assert!(response.ends_with("answered by the gateway\n"), "{response}");
    }
    let outcome = tap.stop();

    let complete = |record: &Record| record.complete && record.leg == "client";
    let records = outcome.records();
    assert_eq!(records.iter().filter(|record| complete(record)).count(), REQUESTS_OF_NEIGHBOUR);
    assert_eq!(records.len(), REQUESTS_OF_NEIGHBOUR);
    // Each packet passes the bridge and the bridge's port.
    let copies = outcome.total("/packets/copies");
    assert_eq!(copies * 2, outcome.total("/packets/passed"), "totals: {}", outcome.totals);
    assert_eq!(outcome.total("/reassembly/retransmitted_bytes"), 0, "totals: {}", outcome.totals);
    assert_eq!(outcome.total("/bytes/lost"), 0, "totals: {}", outcome.totals);
}

fn of_gateway(site: &Site, arguments: &[&str]) -> Vec<String> {
    let pid = site.gateway.master_pid().to_string();
    let selection = ["--pid".to_owned(), pid];
    selection.into_iter().chain(arguments.iter().map(|argument| (*argument).to_owned())).collect()
}

/// Packets of both legs: the gateway's own ports and those of its upstreams.
fn by_packets(site: &Site, arguments: &[&str]) -> Vec<String> {
    let ports = [site.ports.gateway, site.ports.mapped, site.ports.origin, site.ports.silent];
    let mut all = vec!["--source".to_owned(), "interface".to_owned()];
    all.extend(FOR_LARGE_BODIES.map(str::to_owned));
    all.extend(ports.iter().flat_map(|port| ["--port".to_owned(), port.to_string()]));
    all.extend(of_gateway(site, arguments));
    all
}

#[track_caller]
fn assert_same(probes: &Exchanges, packets: &Exchanges) {
    let differences = same::differences(probes, packets);
    for difference in differences.iter().take(SHOWN) {
        eprintln!("probes and packets: {difference}");
    }
    assert!(differences.is_empty(), "{} differences", differences.len());
}

#[track_caller]
fn assert_attributed(exchanges: &Exchanges) {
    let records: Vec<_> = exchanges.values().flatten().collect();
    let known = records.iter().filter(|record| record["connection"]["process"].is_object()).count();
    let share = known as f64 / records.len().max(1) as f64;
    eprintln!("process known in {known} of {} records", records.len());
    assert!(share >= LEAST_ATTRIBUTED, "only {share:.2} of the records have a process");
}

/// Whether the owners that were found are the right ones, the comparison with the probes shows.
#[track_caller]
fn assert_owners_found(outcome: &Outcome) {
    let connections = outcome.totals["connections"].as_object().unwrap().values();
    let connections: u64 = connections.map(|count| count.as_u64().unwrap()).sum();
    let unknown = outcome.total("/packets/pid_unknown");
    eprintln!("process unknown of {unknown} of {connections} connections");
    let share = 1.0 - unknown as f64 / connections.max(1) as f64;
    assert!(
        share >= LEAST_ATTRIBUTED_UNDER_LOAD,
        "only {share:.2} of the connections have a process"
    );
}

#[track_caller]
fn assert_says(outcome: &Outcome, words: &str) {
    let said = outcome.stderr.iter().any(|line| line.contains(words));
    assert!(said, "not said: {words}; but: {}", outcome.stderr.join("\n"));
}
