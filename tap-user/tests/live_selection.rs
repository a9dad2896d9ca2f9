//! The tap looks at the chosen gateway, follows it through reloads and restarts, and looks at
//! nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod live;

use live::comparison::{Records, assert_none};
use live::content::DEFAULT_BODY_CAP;
use live::judge::Judge;
use live::mix::Mix;
use live::site::{Ports, Site};
use live::traffic::{self, Account, Plan, Step};
use live::{Tap, attempt, exclusive, require_live, require_nginx};
use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;
use xtask::rig::Nginx;

const CLIENTS: usize = 4;
const CAP: u64 = DEFAULT_BODY_CAP as u64;

#[test]
fn nothing_is_missed_when_the_gateway_reloads() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let mut site = Site::start();
    let tap = Tap::start(&pid(&site.gateway));
    let accounts = during_reloads(&mut site);
    let outcome = tap.stop();

    let judge = Judge::new(&site, &accounts, 0, CAP);
    assert_none(&judge.judge(Records::new(outcome.records())));
    assert_eq!(outcome.total("/bytes/lost"), 0, "totals: {}", outcome.totals);
}

/// The reloads themselves fail no request, and requests go to workers of several generations:
/// needs no tap.
#[test]
fn reloads_leave_traffic_whole() {
    let _alone = exclusive();
    if !require_nginx() {
        return;
    }
    let mut site = Site::start();
    let accounts = during_reloads(&mut site);
    let judge = Judge::new(&site, &accounts, 0, CAP);
    let log = attempt(site.gateway.access_log());
    let workers: BTreeSet<_> = log.iter().map(|line| line.text("pid").to_owned()).collect();
    assert!(workers.len() > 2, "all requests went to {workers:?}");
    let records = Records::new(judge.fake_records());
    assert_none(&judge.judge(records));
}

#[test]
fn a_restarted_gateway_is_watched_from_its_first_request_on() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let mut site = Site::start();
    let tap = Tap::start(&port(site.ports.gateway));
    let mut mix = Mix::new(one_listener(&site), "restart");
    let mut accounts = traffic::run(single(mix.light_plans(100)), CLIENTS);
    for _ in 0..3 {
        attempt(site.gateway.stop());
        attempt(site.gateway.start_again());
        accounts.extend(traffic::run(single(mix.light_plans(100)), CLIENTS));
    }
    let outcome = tap.stop();

    let judge = Judge::new(&site, &accounts, 0, CAP);
    assert_none(&judge.judge(Records::new(outcome.records())));
}

#[test]
fn a_gateway_may_start_after_the_tap() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let mut site = Site::start();
    attempt(site.gateway.stop());
    let tap = Tap::start(&port(site.ports.gateway));
    attempt(site.gateway.start_again());
    let plans = single(Mix::new(one_listener(&site), "late").light_plans(100));
    let accounts = traffic::run(plans, CLIENTS);
    let outcome = tap.stop();

    let judge = Judge::new(&site, &accounts, 0, CAP);
    assert_none(&judge.judge(Records::new(outcome.records())));
}

#[test]
fn an_unselected_gateway_appears_nowhere() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let (chosen, other) = (Site::start(), Site::start());
    let strangers = processes(&[&other.gateway, &other.origin, &chosen.origin]);
    let tap = Tap::start(&pid(&chosen.gateway));
    let plans = single(Mix::new(chosen.ports, "chosen").light_plans(400));
    let other_plans = single(Mix::new(other.ports, "other").light_plans(400));
    let accounts = thread::scope(|scope| {
        let busy = scope.spawn(|| traffic::run(other_plans, CLIENTS));
        let accounts = traffic::run(plans, CLIENTS);
        assert!(!busy.join().unwrap().is_empty());
        accounts
    });
    let outcome = tap.stop();

    let copied = outcome.copied_from();
    let from_workers: u64 = copied
        .iter()
        .filter(|(pid, _)| processes(&[&chosen.gateway]).contains(pid))
        .map(|(_, bytes)| bytes)
        .sum();
    assert!(from_workers > 0, "nothing was copied from the chosen gateway: {copied:?}");
    let from_strangers: Vec<_> =
        copied.iter().filter(|(pid, bytes)| strangers.contains(pid) && *bytes > 0).collect();
    assert_eq!(from_strangers, Vec::<&(u64, u64)>::new(), "bytes copied from strangers");
    // The judge refuses records of requests that are not in `accounts`.
    let judge = Judge::new(&chosen, &accounts, 0, CAP);
    assert_none(&judge.judge(Records::new(outcome.records())));
}

/// A gateway with two listeners: what is selected, and what its client legs and upstream legs
/// then say about their listener.
#[test]
fn listeners_are_selected_by_port() {
    const REQUESTS: usize = 5;
    type Arguments = fn(&Site) -> Vec<String>;
    let cases: &[(&str, Arguments, &[Seen])] = &[
        ("one port", |site| port(site.ports.gateway), &[Seen::First, Seen::UpstreamUnknown]),
        ("the other port", |site| port(site.ports.mapped), &[Seen::Second, Seen::UpstreamUnknown]),
        (
            "both ports",
            |site| [port(site.ports.gateway), port(site.ports.mapped)].concat(),
            &[Seen::First, Seen::Second, Seen::UpstreamUnknown],
        ),
        (
            "the process",
            |site| pid(&site.gateway),
            &[Seen::First, Seen::Second, Seen::UpstreamUnknown],
        ),
    ];
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let site = Site::start();
    for (name, arguments, expected) in cases {
        let tap = Tap::start(&arguments(&site));
        let mut mix = Mix::new(site.ports, "ports");
        let addresses = [site.ports.v4(), site.ports.v6(), site.ports.mapped()];
        let mut plan = |to| {
            let ask = |_| Step::Ask(mix.get_file("page.bin"));
            Plan { to, steps: (0..REQUESTS).map(ask).collect() }
        };
        traffic::run(addresses.map(&mut plan).to_vec(), 1);
        let outcome = tap.stop();
        // What other listeners of the gateway moved is nobody's loss.
        assert_eq!(outcome.total("/bytes/lost"), 0, "totals: {}", outcome.totals);

        let mut seen: BTreeMap<Seen, usize> = BTreeMap::new();
        for record in outcome.records() {
            *seen.entry(Seen::of(&record.leg, &record.connection.listener, &site)).or_default() +=
                1;
        }
        let count = |seen: &Seen| match seen {
            // Both address families of the first listener.
            Seen::First => 2 * REQUESTS,
            Seen::Second => REQUESTS,
            // The kernel cannot tell for which listener an upstream connection works.
            Seen::UpstreamUnknown => 3 * REQUESTS,
            Seen::Other => 0,
        };
        let expected: BTreeMap<_, _> = expected.iter().map(|seen| (*seen, count(seen))).collect();
        assert_eq!(seen, expected, "selected: {name}");
    }
}

/// Leg and listener of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    First,
    Second,
    UpstreamUnknown,
    Other,
}

impl Seen {
    fn of(leg: &str, listener: &serde_json::Value, site: &Site) -> Self {
        match (leg, listener.as_u64(), listener.as_str()) {
            ("client", Some(port), _) if port == u64::from(site.ports.gateway) => Self::First,
            ("client", Some(port), _) if port == u64::from(site.ports.mapped) => Self::Second,
            ("upstream", None, Some("unknown")) => Self::UpstreamUnknown,
            _ => Self::Other,
        }
    }
}

/// Traffic while the gateway reloads several times.
fn during_reloads(site: &mut Site) -> Vec<Account> {
    let plans = single(Mix::new(site.ports, "reload").light_plans(1_500));
    thread::scope(|scope| {
        let traffic = scope.spawn(|| traffic::run(plans, CLIENTS));
        while !traffic.is_finished() {
            attempt(site.gateway.reload());
            thread::sleep(Duration::from_millis(100));
        }
        traffic.join().unwrap()
    })
}

/// One exchange on each connection: a worker that retires closes kept-alive connections, so that
/// a second request may find nobody. Clients that give up are left out too.
fn single(plans: Vec<Plan>) -> Vec<Plan> {
    let single = |Plan { to, steps }: Plan| {
        let asks = steps.into_iter().filter(|step| matches!(step, Step::Ask(_)));
        asks.map(move |step| Plan { to, steps: vec![step] })
    };
    plans.into_iter().flat_map(single).collect()
}

/// The site's ports as if the gateway had a single listener.
fn one_listener(site: &Site) -> Ports {
    Ports { mapped: site.ports.gateway, ..site.ports }
}

fn pid(nginx: &Nginx) -> Vec<String> {
    vec!["--pid".into(), nginx.master_pid().to_string()]
}

fn port(port: u16) -> Vec<String> {
    vec!["--port".into(), port.to_string()]
}

fn processes(servers: &[&Nginx]) -> BTreeSet<u64> {
    let pids = |nginx: &&Nginx| nginx.workers().into_iter().chain([nginx.master_pid()]);
    servers.iter().flat_map(pids).map(u64::from).collect()
}
