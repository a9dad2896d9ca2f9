//! Those who say whether the tap is right are tried themselves here: no tap, no record, only
//! clients, logs and the comparison, which must agree with each other and notice what is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod live;

use live::collector::Collector;
use live::comparison::{Comparison, Records, assert_none};
use live::judge::Judge;
use live::kernel::{self, Kind};
use live::mix::Mix;
use live::record::Record;
use live::request::{Payload, Request, TEST_ID};
use live::run::WaitingClients;
use live::site::{self, Site};
use live::traffic::{Client, Plan, Step};
use live::{attempt, exclusive, fake, require_nginx, require_root, wrk};
use std::io::Write;
use std::net::TcpStream;

const WHOLE_BODIES: u64 = 8 * 1024 * 1024;

#[test]
fn clients_and_logs_agree() {
    let _alone = exclusive();
    if !require_nginx() {
        return;
    }
    let site = Site::start();
    let mut mix = Mix::new(site.ports, "fake");
    let waiting = WaitingClients::open(&mut mix);
    let plans = mix.plans(1_200);
    let run = waiting.run(plans);

    let judge = Judge::new(&site, &run.accounts, run.others(), WHOLE_BODIES);
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
    if !require_nginx() {
        return;
    }
    let site = Site::start();
    let request = Mix::new(site.ports, "wrong").get("/accept").header("Expect", "100-continue");
    let request = request.payload(Payload::Sized(b"content".to_vec()));
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

/// One log line to one record.
#[test]
fn the_judge_notices_missing_and_extra_records() {
    type Change = fn(&mut Vec<Record>);
    const WRONG: &[(&str, Change)] = &[
        ("records for one log line", |records| records.retain(|record| record.leg != "client")),
        ("upstream legs", |records| records.retain(|record| record.leg != "upstream")),
        ("records for one log line", |records| records.push(records[0].clone())),
        ("upstream legs", |records| records.push(records[1].clone())),
        ("exchange of this run", |records| {
            let mut stranger = records[0].clone();
            stranger.request.as_mut().unwrap().headers[0].1 = "stranger".into();
            records.push(stranger);
        }),
        ("stored body", |records| {
            records[1].request.as_mut().unwrap().body.content = Default::default();
        }),
        ("$connection_requests", |records| records[1].connection.request_ordinal = Some(2)),
    ];
    let _alone = exclusive();
    if !require_nginx() {
        return;
    }
    let site = Site::start();
    let put = Request::new("put".into(), "PUT", "/store/put");
    let put = put.payload(Payload::Sized(b"to be stored".to_vec()));
    let plan = Plan { to: site.ports.v6(), steps: vec![Step::Ask(put)] };
    let accounts = Client::open(plan).finish();
    let judge = || Judge::new(&site, &accounts, 0, WHOLE_BODIES);

    let right = judge().fake_records();
    assert_eq!(judge().judge(Records::new(right.clone())), []);
    for (fact, make_wrong) in WRONG {
        let mut records = right.clone();
        make_wrong(&mut records);
        let noticed = judge().judge(Records::new(records));
        assert!(noticed.iter().any(|found| found.fact == *fact), "{fact}: only {noticed:?}");
    }
}

/// What shows that a tap leaves nothing in the kernel.
#[test]
fn bpf_objects_are_seen_while_they_exist() {
    if !require_root() {
        return;
    }
    let before = kernel::held_by(std::process::id());
    let map = attempt(kernel::make_map());
    let held = kernel::held_by(std::process::id());
    let new: Vec<_> = held.difference(&before).collect();
    let [object @ (Kind::Map, _)] = new.as_slice() else {
        panic!("one map was made, but {new:?} are seen");
    };
    assert!(kernel::all().contains(object));
    drop(map);
    let is_gone = || !kernel::all().contains(object);
    assert!(live::fixture::wait_until(std::time::Duration::from_secs(5), is_gone));
}

#[test]
fn the_collector_collects() {
    let collector = Collector::that_reads();
    let line = format!(r#"{{"request":{{"headers":[["{TEST_ID}","a-1"]]}}}}"#);
    let mut connection = attempt(TcpStream::connect(collector.address()));
    attempt(writeln!(connection, "{line}"));
    assert!(collector.wait_for(&["a-1".to_owned()]).contains("a-1"));
    let address = collector.address();
    assert_eq!(collector.close().len(), 1);
    assert!(TcpStream::connect(address).is_err(), "a closed collector still listens");
}

#[test]
fn wrk_measures() {
    let _alone = exclusive();
    if !require_nginx() {
        return;
    }
    let site = Site::start();
    let measured = wrk::run(&format!("http://{}/files/short.txt", site.ports.v4()));
    eprintln!("{measured}");
    let logged = site::log_of(&site.gateway, 0).len() as f64;
    // wrk ran for about a second.
    assert!((0.5..2.0).contains(&(measured.rate / logged)), "{measured} for {logged} requests");
}
