//! Thousands of exchanges through a real nginx gateway; every record is compared with the access
//! logs of gateway and origin and with what the clients know.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod live;

use live::comparison::{Comparison, Records, assert_none};
use live::content::DEFAULT_BODY_CAP;
use live::fake;
use live::judge::Judge;
use live::mix::Mix;
use live::record::Record;
use live::site::{self, Site};
use live::tap::Outcome;
use live::traffic::{self, Account, Client, Plan, Step};
use live::{Tap, exclusive, require_live};

/// Clients that work at once.
const CLIENTS: usize = 8;
/// Connections that are open before the tap comes, half of them without a request so far.
const OPEN_BEFORE: usize = 20;
const WHOLE_BODIES: u64 = 8 * 1024 * 1024;

#[test]
fn every_exchange_is_recorded_in_full() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let site = Site::start();
    let mut mix = Mix::new(site.ports, "full");
    let joined = open_before_tap(&mut mix);
    let tap = watch(&site, &["--body-cap", "8MiB"]);
    let plans = mix.plans(5_200);
    let broken_heads = broken_heads(&plans);
    let run = finish(joined, plans);
    let outcome = tap.stop();

    let records = Records::new(outcome.records());
    assert_partial_heads(&records.nameless, broken_heads);
    let judge = Judge::new(&site, &run.accounts, run.unseen + broken_heads, WHOLE_BODIES);
    assert_none(&judge.judge(records));
    assert_eq!(outcome.total("/bytes/lost"), 0, "totals: {}", outcome.totals);
    report(&run.accounts, &outcome);
}

#[test]
fn at_the_default_cap_prefixes_and_lengths_are_exact() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let site = Site::start();
    let tap = watch(&site, &[]);
    let plans = without_failures(Mix::new(site.ports, "cap").plans(1_000));
    let accounts = traffic::run(plans, CLIENTS);
    let outcome = tap.stop();

    let judge = Judge::new(&site, &accounts, 0, DEFAULT_BODY_CAP as u64);
    assert_none(&judge.judge(Records::new(outcome.records())));
    assert_eq!(outcome.total("/bytes/lost"), 0, "totals: {}", outcome.totals);
    assert!(outcome.total("/bytes/skipped") > 0, "bodies beyond the cap are skipped");
    // Nobody gave up, so both sides' own counts add up to all that the gateway moved.
    let moved = by_clients(&accounts) + by_origin(&site);
    assert_eq!(outcome.total("/bytes/seen"), moved, "totals: {}", outcome.totals);
}

/// The oracles agree with one another: needs nginx, but no tap.
#[test]
fn clients_and_logs_agree() {
    let _alone = exclusive();
    let site = Site::start();
    let mut mix = Mix::new(site.ports, "fake");
    let joined = open_before_tap(&mut mix);
    let plans = mix.plans(1_200);
    let broken_heads = broken_heads(&plans);
    let run = finish(joined, plans);

    let judge = Judge::new(&site, &run.accounts, run.unseen + broken_heads, WHOLE_BODIES);
    let records = judge.fake_records();
    eprintln!("{} exchanges, {} records", run.accounts.len(), records.len());
    assert_none(&judge.judge(Records::new(records)));
}

/// Every fact of a record that is changed shows as a difference.
#[test]
fn the_comparison_notices_wrong_records() {
    type Change = fn(&mut Record);
    const WRONG: &[(&str, Change)] = &[
        ("$request", |record| record.request.as_mut().unwrap().method = "PUT".into()),
        ("$request", |record| record.request.as_mut().unwrap().target += "?"),
        ("$status", |record| record.response.as_mut().unwrap().status = 201),
        ("$status", |record| record.response = None),
        ("$request_length", |record| record.request.as_mut().unwrap().length += 1),
        ("$bytes_sent", |record| record.response.as_mut().unwrap().length -= 1),
        ("$body_bytes_sent", |record| record.response.as_mut().unwrap().body.wire_length += 1),
        ("$pid", |record| record.connection.process.as_mut().unwrap().pid_in_namespace += 1),
        ("$connection_requests", |record| record.connection.request_ordinal = Some(2)),
        ("client", |record| record.connection.client.port ^= 1),
        ("server", |record| record.connection.server = record.connection.client),
        ("joined", |record| record.connection.joined_mid_stream = true),
        ("complete", |record| record.complete = false),
        ("outcome is complete", |record| record.outcome = "closed".into()),
        ("1xx responses", |record| record.interim.clear()),
        ("bytes lost", |record| record.response.as_mut().unwrap().body.lost = 1),
        ("request body", |record| {
            record.request.as_mut().unwrap().body.content = Default::default();
        }),
        ("response body", |record| {
            let content = &mut record.response.as_mut().unwrap().body.content;
            content.sha256 = content.sha256.replace('0', "1");
        }),
        ("body length", |record| record.response.as_mut().unwrap().body.length = None),
    ];
    let _alone = exclusive();
    let site = Site::start();
    let request = Mix::new(site.ports, "wrong").get("/accept").header("Expect", "100-continue");
    let request = request.payload(live::request::Payload::Sized(b"content".to_vec()));
    let plan = Plan { to: site.ports.v4(), steps: vec![Step::AwaitContinue(request)] };
    let accounts = Client::open(plan).finish();
    let line = &site::log_of(&site.gateway, 1)[0];

    let right = fake::client_leg(&accounts[0], line);
    let compare = |record: &Record| {
        let comparison = Comparison::client_leg(line, &accounts[0], record, WHOLE_BODIES);
        comparison.into_differences()
    };
    assert_eq!(compare(&right), []);
    for (fact, make_wrong) in WRONG {
        let mut record = right.clone();
        make_wrong(&mut record);
        let noticed = compare(&record);
        assert!(noticed.iter().any(|found| found.fact == *fact), "{fact}: only {noticed:?}");
    }
}

struct Run {
    accounts: Vec<Account>,
    /// Exchanges that were over before the tap came.
    unseen: usize,
}

struct Joined {
    clients: Vec<Client>,
    unseen: usize,
}

fn watch(site: &Site, arguments: &[&str]) -> Tap {
    let pid = site.gateway.master_pid().to_string();
    let arguments = ["--pid", &pid].into_iter().chain(arguments.iter().copied());
    Tap::start(&arguments.map(str::to_owned).collect::<Vec<_>>())
}

fn open_before_tap(mix: &mut Mix) -> Joined {
    let mut clients: Vec<_> = (0..OPEN_BEFORE).map(|_| Client::open(mix.plan_of(6))).collect();
    let unseen = clients.iter_mut().step_by(2).map(|client| client.before_tap(2).len()).sum();
    Joined { clients, unseen }
}

/// The rest of the plans of connections that were open before, and all others.
fn finish(joined: Joined, plans: Vec<Plan>) -> Run {
    let mut accounts: Vec<_> = joined.clients.into_iter().flat_map(Client::finish).collect();
    accounts.extend(traffic::run(plans, CLIENTS));
    Run { accounts, unseen: joined.unseen }
}

fn broken_heads(plans: &[Plan]) -> usize {
    let steps = plans.iter().flat_map(|plan| &plan.steps);
    steps.filter(|step| matches!(step, Step::HalfAHead(_))).count()
}

/// Half a head is at most one record without a request, never an exchange.
fn assert_partial_heads(nameless: &[Record], broken_heads: usize) {
    assert!(nameless.len() <= broken_heads, "{} records without id", nameless.len());
    let exchange = nameless.iter().find(|record| record.response.is_some() || record.complete);
    assert!(exchange.is_none(), "not a partial head: {exchange:?}");
}

fn without_failures(mut plans: Vec<Plan>) -> Vec<Plan> {
    let fails = |step: &Step| matches!(step, Step::GiveUp(..) | Step::HalfAHead(_));
    plans.iter_mut().for_each(|plan| plan.steps.retain(|step| !fails(step)));
    plans
}

fn by_clients(accounts: &[Account]) -> u64 {
    let received = |account: &Account| account.reply.as_ref().map_or(0, |reply| reply.received());
    accounts.iter().map(|account| account.sent + received(account)).sum()
}

fn by_origin(site: &Site) -> u64 {
    let log = site::log_of(&site.origin, 0);
    let number = |line: &xtask::rig::LogEntry, variable| line.number(variable).unwrap();
    log.iter().map(|line| number(line, "request_length") + number(line, "bytes_sent")).sum()
}

fn report(accounts: &[Account], outcome: &Outcome) {
    let given_up = accounts.iter().filter(|account| account.given_up.is_some()).count();
    eprintln!("{} exchanges, of which {given_up} given up; no difference", accounts.len());
    eprintln!("totals: {}", outcome.totals);
}
