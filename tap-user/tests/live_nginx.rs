//! Thousands of exchanges through a real nginx gateway; every record is compared with the access
//! logs of gateway and origin and with what the clients know.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod live;

use live::comparison::{Records, assert_none};
use live::content::DEFAULT_BODY_CAP;
use live::judge::Judge;
use live::mix::Mix;
use live::record::Record;
use live::run::{self, WaitingClients};
use live::site::{self, Site};
use live::tap::Outcome;
use live::traffic::{self, Account, Plan, Step};
use live::{Tap, exclusive, require_live};

/// As `--body-cap 8MiB`: more than any body of the mix.
const WHOLE_BODIES: u64 = 8 * 1024 * 1024;

#[test]
fn every_exchange_is_recorded_in_full() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let site = Site::start();
    let mut mix = Mix::new(site.ports, "full");
    let waiting = WaitingClients::open(&mut mix);
    let tap = watch(&site, &["--body-cap", "8MiB"]);
    let plans = mix.plans(5_200);
    let run = waiting.run(plans);
    let outcome = tap.stop();

    let records = Records::new(outcome.records());
    assert_partial_heads(&records.nameless, run.broken_heads);
    let judge = Judge::new(&site, &run.accounts, run.others(), WHOLE_BODIES);
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
    let accounts = traffic::run(plans, run::CLIENTS);
    let outcome = tap.stop();

    let judge = Judge::new(&site, &accounts, 0, DEFAULT_BODY_CAP as u64);
    assert_none(&judge.judge(Records::new(outcome.records())));
    assert_eq!(outcome.total("/bytes/lost"), 0, "totals: {}", outcome.totals);
    assert!(outcome.total("/bytes/skipped") > 0, "bodies beyond the cap are skipped");
    // Nobody gave up, so both sides' own counts add up to all that the gateway moved.
    let moved = traffic::bytes_moved(&accounts) + site::bytes_moved(&site.origin);
    assert_eq!(outcome.total("/bytes/seen"), moved, "totals: {}", outcome.totals);
}

fn watch(site: &Site, arguments: &[&str]) -> Tap {
    let pid = site.gateway.master_pid().to_string();
    let arguments = ["--pid", &pid].into_iter().chain(arguments.iter().copied());
    Tap::start(&arguments.map(str::to_owned).collect::<Vec<_>>())
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

fn report(accounts: &[Account], outcome: &Outcome) {
    let given_up = accounts.iter().filter(|account| account.given_up.is_some()).count();
    eprintln!("{} exchanges, of which {given_up} given up; no difference", accounts.len());
    eprintln!("totals: {}", outcome.totals);
}
