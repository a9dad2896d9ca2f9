//! A small server of ours moves requests and responses with every family of socket calls; the tap
//! reports exactly what was moved, or says what it could not see and why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod live;

use live::call_families::{Give, Take};
use live::call_server::{self, CallServer, Calls, IN_STEPS, answer};
use live::comparison::{Comparison, Difference, Records, assert_none};
use live::content::{Content, DEFAULT_BODY_CAP};
use live::random::Random;
use live::record::{Body, Record};
use live::request::{Payload, Request};
use live::traffic::{Account, Client, Plan, Step};
use live::{Tap, exclusive, require_live};
use std::thread;
use std::time::Duration;

/// A connection that is served with certain calls, and what the tap cannot see of it.
struct Case {
    receive: Take,
    send: Give,
    request_body: usize,
    response_body: usize,
    /// Why the bodies of requests are lost; `None`: they are recorded in full.
    request_hole: Option<&'static str>,
    response_hole: Option<&'static str>,
}

/// Requests on each connection: after a hole, the next message is understood again.
const REQUESTS: usize = 3;

const CASES: &[Case] = &[
    whole(Take::Read, Give::Write, 100, 100),
    whole(Take::Read, Give::Write, 0, 0),
    whole(Take::Read, Give::Write, 1_000_000, 5_000_000),
    whole(Take::Readv(1), Give::Writev(1), 2000, 2000),
    whole(Take::Readv(2), Give::Writev(2), 2000, 2000),
    whole(Take::Readv(8), Give::Writev(8), 70_000, 70_000),
    whole(Take::Readv(9), Give::Writev(9), 70_000, 70_000),
    whole(Take::Readv(17), Give::Writev(17), 70_000, 70_000),
    whole(Take::Readv(64), Give::Writev(64), 100_000, 300_000),
    whole(Take::Readv(65), Give::Writev(65), 100_000, 300_000),
    whole(Take::Readv(257), Give::Writev(257), 100_000, 300_000),
    whole(Take::Readv(1023), Give::Writev(1023), 200_000, 100_000),
    whole(Take::Readv(1024), Give::Writev(1024), 200_000, 1_000_000),
    whole(Take::Recvfrom, Give::Sendto, 5000, 5000),
    whole(Take::Recvfrom, Give::More, 5000, 50_000),
    whole(Take::WaitForAll, Give::Sendto, 300_000, 10),
    whole(Take::Recvmsg(1), Give::Sendmsg(1), 5000, 5000),
    whole(Take::Recvmsg(3), Give::Sendmsg(3), 5000, 5000),
    whole(Take::Recvmsg(100), Give::Sendmsg(100), 90_000, 90_000),
    whole(Take::Recvmsg(1024), Give::Sendmsg(1024), 90_000, 1_000_000),
    whole(Take::Recvmmsg(1), Give::Sendmmsg(1), 5000, 5000),
    whole(Take::Recvmmsg(4), Give::Sendmmsg(4), 90_000, 90_000),
    whole(Take::Recvmmsg(32), Give::Sendmmsg(32), 90_000, 90_000),
    whole(Take::PeekFirst, Give::Sendto, 90_000, 100),
    whole(Take::Recvfrom, Give::Partly, 100, 1_000_000),
    Case { request_hole: Some("discarded"), ..whole(Take::Discard, Give::Sendto, 9000, 9000) },
    Case { request_hole: Some("splice"), ..whole(Take::Splice, Give::Sendto, 90_000, 100) },
    Case {
        request_hole: Some("concurrent_calls"),
        ..whole(Take::TwoThreads, Give::Sendto, 3_000_000, 100)
    },
    Case { response_hole: Some("sendfile"), ..whole(Take::Recvfrom, Give::Sendfile, 10, 400_000) },
    Case { response_hole: Some("io_uring"), ..whole(Take::Recvfrom, Give::IoUring, 10, 30_000) },
    Case { response_hole: Some("splice"), ..whole(Take::Recvfrom, Give::Splice, 10, 400_000) },
];

const fn whole(receive: Take, send: Give, request_body: usize, response_body: usize) -> Case {
    let (request_hole, response_hole) = (None, None);
    Case { receive, send, request_body, response_body, request_hole, response_hole }
}

#[test]
fn every_call_family_is_reported_exactly() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let server = start_server("gt-calls");
    let pid = server.pid().to_string();
    let tap = Tap::start(&["--pid", &pid, "--body-cap", "8MiB"].map(str::to_owned));
    let runs: Vec<_> = CASES.iter().zip(&server.addresses).map(run).collect();
    let outcome = tap.stop();

    let mut records = Records::new(outcome.records());
    let mut differences = Vec::new();
    for (case, accounts) in &runs {
        for account in accounts {
            differences.extend(compare(
                case,
                account,
                &records.take("client", &account.request.id),
            ));
        }
    }
    assert_none(&differences);
    assert_eq!(records.nameless.len(), 0, "records without id: {:?}", records.nameless);
    let moved: u64 = runs.iter().flat_map(|(_, accounts)| accounts).map(moved).sum();
    assert_eq!(outcome.total("/bytes/seen"), moved, "totals: {}", outcome.totals);
    let lost: usize = CASES.iter().map(lost_at_most).sum();
    assert!(outcome.total("/bytes/lost") <= lost as u64, "totals: {}", outcome.totals);
}

#[test]
fn a_process_is_selected_by_its_name() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let name = format!("gt-{}", std::process::id());
    let (chosen, other) = (start_server(&name), start_server("gt-other"));
    let tap = Tap::start(&["--process".to_owned(), name]);
    let first_case = &CASES[0];
    let (_, seen) = run((first_case, &chosen.addresses[0]));
    run((first_case, &other.addresses[0]));
    let outcome = tap.stop();

    let records = outcome.records();
    assert_eq!(records.len(), seen.len());
    let pids: Vec<_> =
        records.iter().map(|record| record.connection.process.unwrap().pid).collect();
    assert_eq!(pids, vec![chosen.pid(); seen.len()]);
}

#[test]
fn a_record_names_the_process_as_it_names_itself() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let server = CallServer::start_in_namespace("server_process", "gt-namespace", &calls());
    assert_ne!(server.own_pid, server.pid(), "the server has a PID namespace of its own");
    let tap = Tap::start(&["--pid".to_owned(), server.pid().to_string()]);
    let (_, seen) = run((&CASES[0], &server.addresses[0]));
    let outcome = tap.stop();

    let processes = outcome.records().into_iter().map(|record| record.connection.process.unwrap());
    let pids: Vec<_> = processes.map(|process| (process.pid, process.pid_in_namespace)).collect();
    assert_eq!(pids, vec![(server.pid(), server.own_pid); seen.len()]);
}

/// Both sides are ended before the server's last read and its close.
#[test]
fn a_connection_that_ends_in_steps_is_one_connection() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let server = start_server("gt-steps");
    let tap = Tap::start(&["--pid".to_owned(), server.pid().to_string()]);
    let request = Request::new("steps".into(), "POST", format!("/100{IN_STEPS}"));
    let request = request.payload(Payload::Sized(b"the last".to_vec()));
    let plan = Plan { to: server.addresses[0], steps: vec![Step::AskLast(request)] };
    let accounts = Client::open(plan).finish();
    // Longer than the server takes to close.
    thread::sleep(Duration::from_millis(300));
    let outcome = tap.stop();

    let [record] = outcome.records().try_into().expect("one record");
    let mut comparison = Comparison::new("steps", "client");
    comparison.account(&accounts[0], &record);
    comparison.bodies(&accounts[0], &record, DEFAULT_BODY_CAP as u64);
    assert_none(&comparison.into_differences());
    assert_eq!(outcome.total("/bytes/seen"), moved(&accounts[0]), "totals: {}", outcome.totals);
    assert_eq!(outcome.totals["connections"], serde_json::json!({"http1": 1}));
}

/// The server and the clients understand each other: needs no tap.
#[test]
fn every_call_family_serves_its_clients() {
    let _alone = exclusive();
    let server = start_server("gt-calls");
    for (case, accounts) in CASES.iter().zip(&server.addresses).map(run) {
        let expected = Content::of(&answer(case.response_body));
        for account in accounts {
            assert_eq!(account.reply.unwrap().content, expected, "{:?}", case.send);
        }
    }
}

/// Not a test: the server's process enters here.
#[test]
#[ignore = "the server of the other tests"]
fn server_process() {
    call_server::serve_if_told(&calls());
}

fn start_server(name: &str) -> CallServer {
    CallServer::start("server_process", name, &calls())
}

fn calls() -> Vec<Calls> {
    CASES.iter().map(|case| Calls(case.receive, case.send)).collect()
}

fn run<'a>((case, address): (&'a Case, &std::net::SocketAddr)) -> (&'a Case, Vec<Account>) {
    let mut random = Random::new(u64::from(address.port()));
    let mut step = |number| {
        let id = format!("{}-{number}", address.port());
        let request = Request::new(id, "POST", format!("/{}", case.response_body));
        let request = request.payload(Payload::Sized(random.binary(case.request_body)));
        match case.receive {
            Take::TwoThreads => Step::AwaitContinue(request.header("Expect", "100-continue")),
            _ => Step::Ask(request),
        }
    };
    let steps = (0..REQUESTS).map(&mut step).collect();
    (case, Client::open(Plan { to: *address, steps }).finish())
}

fn compare(case: &Case, account: &Account, records: &[Record]) -> Vec<Difference> {
    let mut comparison = Comparison::new(&account.request.id, "client");
    if let Some(record) = comparison.only(records) {
        comparison.account(account, record);
        comparison.that("outcome", "complete", record.outcome.as_str());
        let request = record.request.as_ref().map(|request| &request.body);
        let response = record.response.as_ref().map(|response| &response.body);
        let sent = account.request.content();
        let received = answer(case.response_body);
        compare_body(&mut comparison, "request body", case.request_hole, sent, request);
        compare_body(&mut comparison, "response body", case.response_hole, &received, response);
    }
    let mut differences = comparison.into_differences();
    // The table shall say which calls went wrong.
    let name = format!("{:?}/{:?}", case.receive, case.send);
    differences.iter_mut().for_each(|difference| difference.id.clone_from(&name));
    differences
}

fn compare_body(
    comparison: &mut Comparison<'_>,
    fact: &'static str,
    hole: Option<&str>,
    expected: &[u8],
    found: Option<&Body>,
) {
    let Some(found) = found else {
        return comparison.that(fact, true, false);
    };
    let Some(cause) = hole else {
        return comparison.body(fact, &Content::of(expected), found, u64::MAX);
    };
    // Calls of two threads overlap, but as long as the socket's own sequence numbers prove their
    // order there is nothing to flag: then every byte must be right.
    if cause == "concurrent_calls" && found.lost == 0 {
        return comparison.body(fact, &Content::of(expected), found, u64::MAX);
    }
    let length = expected.len() as u64;
    comparison.that(fact, (Some(length), length), (found.length, found.wire_length));
    let captured = usize::try_from(found.captured).unwrap().min(expected.len());
    comparison.that("before the hole", Content::of(&expected[..captured]), found.content.clone());
    if cause != "concurrent_calls" {
        comparison.that("captured, lost", (0, length), (found.captured, found.lost));
    } else if found.captured == length {
        // Two threads may happen not to disturb each other; then there is no hole.
        return;
    }
    comparison.that("bytes lost", true, (1..=length - found.captured).contains(&found.lost));
    comparison.that("cause of the hole", Some(cause), found.lost_cause.as_deref());
}

fn moved(account: &Account) -> u64 {
    account.sent + account.reply.as_ref().map_or(0, |reply| reply.received())
}

fn lost_at_most(case: &Case) -> usize {
    let lost = |hole: Option<&str>, length| if hole.is_some() { REQUESTS * length } else { 0 };
    lost(case.request_hole, case.request_body) + lost(case.response_hole, case.response_body)
}
