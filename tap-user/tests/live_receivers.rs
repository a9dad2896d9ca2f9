//! Runscope and Traceable behind a live gateway, and they misbehave: clients get their answers as
//! without a tap, and every record arrives in the end, by its id.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod live;
#[path = "support/receiver/mod.rs"]
mod receiver;

use live::judge::Judge;
use live::mix::Mix;
use live::site::Site;
use live::tap::Outcome;
use live::traffic::{self, Plan, Step};
use live::{Tap, exclusive, require_live};
use receiver::runscope::Runscope;
use receiver::traceable::Traceable;
use receiver::{Behaviour, Receiver, Script, always, at_first, every};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use xtask::rig::free_port;

const TOKEN: &str = "a-token-for-tests";
/// Requests of each case.
const REQUESTS: usize = 120;
/// Bytes that a tap may have resident: more than it has with its ring and queues at their defaults.
const MEMORY_KIB: u64 = 192 * 1024;

/// Each with a name for the output.
fn behaviours() -> Vec<(&'static str, Script)> {
    let busy = Behaviour::Answer(429, &[("Retry-After", "1")], "");
    let broken = Behaviour::Answer(500, &[], "");
    let forbidden = Behaviour::Answer(403, &[], "");
    vec![
        ("takes all", always(Behaviour::Take)),
        ("stalls", every(25, Behaviour::Stall)),
        ("cuts calls", every(5, Behaviour::CutCall)),
        ("cuts replies", every(5, Behaviour::CutReply)),
        ("500", every(4, broken)),
        ("403 at first", at_first(4, forbidden)),
        ("429 with Retry-After", at_first(6, busy)),
        ("drips", every(9, Behaviour::Drip(Duration::from_micros(300)))),
        ("closes after each", always(Behaviour::LastOfConnection)),
    ]
}

#[test]
fn every_record_arrives_however_receivers_misbehave() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (name, script) in behaviours() {
        let (runscope, traceable) = runtime.block_on(receivers(&script));
        let outcome = watch_traffic(&runscope.url(), &traceable.url(), || {
            runtime.block_on(async {
                runscope.wait_for(REQUESTS).await;
                traceable.wait_for(REQUESTS).await;
            });
        });
        for (kind, receiver) in [("runscope", &runscope), ("traceable", &traceable)] {
            assert_eq!(receiver.violations(), Vec::<String>::new(), "{name}: {kind}");
            let taken: BTreeSet<String> = receiver.taken().into_iter().collect();
            assert_eq!(taken, client_ids(&outcome), "{name}: {kind}");
            assert_adds_up(&outcome, kind, name);
        }
        eprintln!("{name:22} {} and {} calls", runscope.calls(), traceable.calls());
    }
}

/// Nobody listens: the gateway does not notice, what is kept is bounded, and all is counted.
#[test]
fn receivers_that_refuse_cost_the_gateway_nothing() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let nobody = || format!("http://127.0.0.1:{}", free_port().unwrap());
    let outcome = watch_traffic(&nobody(), &nobody(), || {});
    for kind in ["runscope", "traceable"] {
        assert_adds_up(&outcome, kind, "refuse");
        assert_eq!(outcome.sink(kind)["delivered"], 0);
        assert_eq!(outcome.sink(kind)["dropped_at_shutdown"], REQUESTS);
    }
}

async fn receivers(script: &Script) -> (Receiver, Receiver) {
    let contract = Runscope { bucket_key: "bucket1", access_token: TOKEN };
    let runscope = Receiver::start(contract, Arc::clone(script)).await;
    let contract = Traceable {
        module_name: "gatetap",
        module_version: env!("CARGO_PKG_VERSION"),
        service_name: "kong",
        environment: None,
        agent_token: None,
        marked: false,
    };
    (runscope, Receiver::start(contract, Arc::clone(script)).await)
}

/// Sends requests through a gateway that is watched, and compares what clients got and what the
/// file beside the receivers has with nginx's log.
fn watch_traffic(runscope: &str, traceable: &str, meanwhile: impl FnOnce()) -> Outcome {
    let site = Site::start();
    let wait = "timeout=400ms,retry.first_wait=20ms,retry.longest_wait=200ms";
    let sinks = [
        format!(
            "runscope:bucket1,api_endpoint={runscope},access_token={TOKEN},log_body=true,{wait}"
        ),
        format!("traceable:{traceable},{wait}"),
    ];
    let pid = site.gateway.master_pid().to_string();
    let words = ["--pid", &pid, "--sink", &sinks[0], "--sink", &sinks[1]];
    let tap = Tap::start(&words.map(str::to_owned));
    let mut mix = Mix::new(site.ports, "receivers");
    let steps = (0..REQUESTS).map(|_| Step::Ask(mix.get_file("short.txt"))).collect();
    let accounts = traffic::run(vec![Plan { to: site.ports.v4(), steps }], 1);
    assert_eq!(accounts.len(), REQUESTS);
    meanwhile();
    let resident = resident_kib(tap.pid());
    assert!(resident < MEMORY_KIB, "{resident} KiB resident");
    let outcome = tap.stop();
    let judge = Judge::new(&site, &accounts, 0, live::content::DEFAULT_BODY_CAP as u64);
    live::comparison::assert_none(&judge.judge(live::comparison::Records::new(outcome.records())));
    outcome
}

fn client_ids(outcome: &Outcome) -> BTreeSet<String> {
    let text = std::fs::read_to_string(outcome.records_path()).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let clients = records.filter(|record| record["leg"] == "client");
    clients.map(|record| record["id"].as_str().unwrap().to_owned()).collect()
}

/// What was given to the sink is delivered, rejected or dropped.
fn assert_adds_up(outcome: &Outcome, kind: &str, case: &str) {
    let sink = outcome.sink(kind);
    let number = |name: &str| sink[name].as_u64().unwrap();
    let known = number("delivered") + number("rejected") + number("dropped") + number("waiting");
    assert_eq!(number("given"), known, "{case}: {sink}");
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
