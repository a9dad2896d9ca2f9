//! The sinks `runscope` and `traceable` against receivers that check every field against the
//! contract and that misbehave in every way that was thought of. In each case every record that
//! was accepted arrives at least once (by its id), and the sink's totals say what the receiver saw.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail loudly")]

#[path = "support/receiver/mod.rs"]
mod receiver;
mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gatetap::export::{Exporter, SinkSpecification, SinkTotals};
use gatetap::gateway::Observation;
use gatetap::http::{Body, Framing, Outcome};
use receiver::runscope::{self, Runscope};
use receiver::traceable::Traceable;
use receiver::{Behaviour, Contract, Receiver, Script, always, at_first, every};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{after, body, connection, kong_example, observation, request, response};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

/// Enough for anything here; a test that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(40);
const TOKEN: &str = "hunter2-the-token";

fn runscope() -> Runscope {
    Runscope { bucket_key: "bucket1", access_token: TOKEN }
}

fn traceable() -> Traceable {
    Traceable {
        module_name: "gatetap",
        module_version: env!("CARGO_PKG_VERSION"),
        service_name: "kong",
        environment: None,
        agent_token: None,
        marked: false,
    }
}

/// Settings of a Runscope sink that posts there, as on the command line.
fn runscope_at(url: &str) -> String {
    format!("runscope:bucket1,api_endpoint={url},access_token={TOKEN},timeout=300ms,log_body=true")
}

/// Settings of a Traceable sink that posts there.
fn traceable_at(url: &str) -> String {
    format!("traceable:{url},timeout=300ms")
}

fn exporter(sink: &str) -> Exporter {
    let sink: SinkSpecification = sink.parse().unwrap();
    Exporter::start(&Handle::current(), vec![sink]).unwrap()
}

fn numbered(number: usize) -> Observation {
    Observation { id: format!("r-{number}").into(), ..kong_example() }
}

fn export_numbered(exporter: &mut Exporter, numbers: std::ops::Range<usize>) {
    numbers.for_each(|number| exporter.export(&numbered(number)));
}

fn ids(numbers: std::ops::Range<usize>) -> HashSet<String> {
    numbers.map(|number| format!("r-{number}")).collect()
}

async fn shut_down(exporter: Exporter) -> SinkTotals {
    exporter.shutdown(PATIENCE).await.remove(0)
}

fn assert_adds_up(totals: &SinkTotals) {
    let accounted = totals.queued_records
        + totals.delivered_records
        + totals.rejected_records
        + totals.dropped.total();
    assert_eq!(totals.given_records, accounted, "{totals:?}");
}

/// Failures by their kinds.
fn kinds(totals: &SinkTotals) -> Vec<(&str, u64)> {
    totals.failures_by_kind.iter().map(|(kind, count)| (*kind, *count)).collect()
}

/// The kind of the first failure that there is.
fn first_kind(totals: &SinkTotals) -> Option<&str> {
    kinds(totals).first().map(|(kind, _)| *kind)
}

fn assert_no_violations(receiver: &Receiver) {
    let violations = receiver.violations();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

// ---- what is sent when all is well

/// Exchanges of all kinds, each with an id that says what it is.
fn exchanges() -> Vec<Observation> {
    let json = [("Host", "api.example.com"), ("Content-Type", "application/json")];
    let form = [("Host", "h:8000"), ("Content-Type", "application/x-www-form-urlencoded")];
    let gzip = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    let repeated =
        [("Host", "h"), ("X-Twice", "1"), ("x-twice", "2"), ("X-Forwarded-Proto", "https")];
    let large = vec![b'7'; 200_000];
    let chunked = Body { framing: Framing::Chunked, wire_length: 50, ..body(b"{\"chunk\":1}") };
    let empty = Body::default;
    let get = |target: &str| request("GET", target.as_bytes(), &[("Host", "h")], empty());
    let ok = |kind: &str, content: Body| response(200, "OK", &[("Content-Type", kind)], content);
    let all = [
        (
            "json",
            request("POST", b"/v1/a?x=1", &json, body(b"{\"a\":1}")),
            ok("application/json", body(b"{\"ok\":true}")),
        ),
        (
            "form",
            request("POST", b"/login", &form, body(b"user=a%40b&tag=1&tag=2&flag")),
            response(302, "Found", &[("Location", "/")], empty()),
        ),
        (
            "binary",
            request(
                "PUT",
                b"/up",
                &[("Host", "h"), ("Content-Type", "image/png")],
                body(b"\x89PNG\xff"),
            ),
            ok("application/grpc-web", body(&[0, 0xff])),
        ),
        ("chunked", get("/chunked"), ok("application/json", chunked)),
        ("gzip", get("/gzip"), response(200, "OK", &gzip, body(&GZIP))),
        (
            "repeated",
            request("GET", b"/r", &repeated, empty()),
            response(200, "OK", &[("Set-Cookie", "a"), ("Set-Cookie", "b")], empty()),
        ),
        ("query", get("/q?a=%20b&c=d?e&f"), ok("text/plain", body(b"text"))),
        ("large", get("/large"), ok("application/xml", body(&large))),
        ("head", request("HEAD", b"/", &[("Host", "h")], empty()), ok("application/json", empty())),
        ("no-content", get("/204"), response(204, "No Content", &[], empty())),
    ];
    let all = all.map(|(id, request, response)| {
        let seen = observation(connection(), Some(request), Some(response), Outcome::Complete);
        Observation { id: id.into(), ..seen }
    });
    let mut all = Vec::from(all);
    let mut ipv6 = connection();
    ipv6.client = "[2001:db8::7]:40000".parse().unwrap();
    ipv6.server = "[2001:db8::1]:8000".parse().unwrap();
    let fields = [("Host", "[2001:db8::1]:8000")];
    let request = request("GET", b"/six", &fields, Body::default());
    let mut answer = response(200, "OK", &[], Body::default());
    answer.last_byte = after(333_000_000);
    let seen = observation(ipv6, Some(request), Some(answer), Outcome::Complete);
    all.push(Observation { id: "ipv6".into(), ..seen });
    all
}

/// `{"a":"ä"}` as gzip(1) writes it, with the options `-n9`.
const GZIP: [u8; 30] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0x4a, 0x54, 0xb2, 0x52,
    0x3a, 0xbc, 0x44, 0xa9, 0x16, 0x00, 0xf6, 0x93, 0x28, 0x28, 0x0a, 0x00, 0x00, 0x00,
];

/// Sends all exchanges to a receiver that takes everything; yields its records by their ids.
async fn send_all(receiver: &Receiver, sink: &str) -> impl Fn(&str) -> Value + use<> {
    let all = exchanges();
    let mut exporter = exporter(sink);
    all.iter().for_each(|one| exporter.export(one));
    let totals = shut_down(exporter).await;
    assert_no_violations(receiver);
    assert_adds_up(&totals);
    assert_eq!(totals.delivered_records, all.len() as u64, "{totals:?}");
    assert_eq!((totals.failures, totals.warned_records), (0, 0), "{totals:?}");
    let expected: HashSet<_> = all.iter().map(|one| one.id.to_string()).collect();
    let (ids, records) = (receiver.taken(), receiver.records());
    assert_eq!(ids.len(), expected.len(), "nothing came twice");
    assert_eq!(ids.iter().cloned().collect::<HashSet<_>>(), expected);
    move |id| records[ids.iter().position(|other| other == id).unwrap()].clone()
}

#[tokio::test]
async fn runscope_gets_the_message_of_kongs_plugin() {
    let receiver = Receiver::start(runscope(), always(Behaviour::Take)).await;
    let record = send_all(&receiver, &runscope_at(&receiver.url())).await;
    assert_eq!(
        record("json"),
        json!({
            "request": {
                "url": "http://api.example.com:8000/v1/a?x=1", "method": "POST",
                "headers": {"host": "api.example.com", "content-type": "application/json"},
                "body": "{\"a\":1}", "timestamp": 1700000000.123, "form": {},
            },
            "response": {
                "status": 200, "headers": {"content-type": "application/json"},
                "size_bytes": "11", "body": "{\"ok\":true}",
                "timestamp": 1700000000.139, "response_time": 0.016,
            },
            "unique_identifier": "json",
        })
    );
    let form = json!({"user": "a@b", "tag": ["1", "2"], "flag": true});
    assert_eq!(record("form")["request"]["form"], form);
    let binary = record("binary");
    assert_eq!(binary["request"]["body_encoding"], "base64");
    assert_eq!(binary["request"]["body"], STANDARD.encode(b"\x89PNG\xff"));
    assert_eq!(record("gzip")["response"]["body"], "{\"a\":\"ä\"}");
    assert_eq!(record("chunked")["response"]["size_bytes"], "50");
    assert_eq!(record("repeated")["request"]["headers"]["x-twice"], json!(["1", "2"]));
    assert_eq!(record("query")["request"]["url"], "http://h:8000/q?a=%20b&c=d?e&f");
    assert_eq!(record("large")["response"]["body"].as_str().unwrap().len(), 200_000);
    assert_eq!(record("no-content")["response"]["body"], "");
    assert_eq!(record("no-content")["request"].get("body"), None);
    assert_eq!(record("ipv6")["request"]["url"], "http://[2001:db8::1]:8000/six");
    assert_eq!(record("ipv6")["response"]["response_time"], json!(0.333));
}

/// As in Kong, bodies are only sent if that is asked for; then they are the empty string.
#[tokio::test]
async fn runscope_gets_no_bodies_unless_told_to() {
    let receiver = Receiver::start(runscope(), always(Behaviour::Take)).await;
    let record =
        send_all(&receiver, &runscope_at(&receiver.url()).replace(",log_body=true", "")).await;
    for id in ["json", "form", "binary", "chunked", "gzip", "large"] {
        assert_eq!(record(id)["response"]["body"], "", "{id}");
        assert_eq!(record(id)["request"]["form"], json!({}), "{id}");
    }
    assert_eq!(record("form")["request"]["body"], "");
    assert_eq!(record("chunked")["response"]["size_bytes"], "50");
}

#[tokio::test]
async fn traceable_gets_one_call_per_exchange_in_form_a() {
    let receiver = Receiver::start(traceable(), always(Behaviour::Take)).await;
    let record = send_all(&receiver, &traceable_at(&receiver.url())).await;
    assert_eq!(
        record("json"),
        json!({
            "request_timestamp_in_ms": 1_700_000_000_123_u64,
            "request": {
                "method": "POST", "headers": {"content-type": "application/json"},
                "scheme": "http", "path": "/v1/a", "host": "api.example.com",
                "body": "eyJhIjoxfQ==", "source_address": "10.1.1.1", "source_port": 51234,
            },
            "response": {
                "headers": {"content-type": "application/json"}, "body": "eyJvayI6dHJ1ZX0=",
                "request_url": "http://api.example.com/v1/a?x=1", "status_code": 200,
            },
        })
    );
    assert_eq!(record("repeated")["request"]["headers"]["x-twice"], "1;2");
    assert_eq!(record("repeated")["request"]["scheme"], "https");
    assert_eq!(record("binary")["request"]["body"], Value::Null);
    assert_eq!(record("binary")["response"]["body"], STANDARD.encode([0, 0xff]));
    assert_eq!(record("gzip")["response"]["body"], STANDARD.encode("{\"a\":\"ä\"}"));
    let large = STANDARD.decode(record("large")["response"]["body"].as_str().unwrap()).unwrap();
    assert_eq!(large, vec![b'7'; 131_072]);
    assert_eq!(record("head")["response"]["body"], Value::Null);
    assert_eq!(record("ipv6")["request"]["source_address"], "2001:db8::7");
    assert_eq!(record("ipv6")["request"]["host"], "[2001:db8::1]:8000");
}

#[tokio::test]
async fn traceable_introduces_itself_as_told() {
    let contract = Traceable {
        module_name: "tap",
        module_version: "9",
        service_name: "gateway",
        environment: Some("staging"),
        agent_token: Some(TOKEN),
        marked: true,
    };
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
    let receiver = Receiver::start(contract, always(Behaviour::Take)).await;
    let options = "module_name=tap,module_version=9,service_name=gateway,environment=staging";
    let sink = format!(
        "{},{options},format=traceable-marked,agent_token_file={}",
        traceable_at(&receiver.url()),
        token.display()
    );
    let record = send_all(&receiver, &sink).await;
    assert_eq!(record("large")["response"]["truncated"], true);
    assert_eq!(record("json")["response"]["truncated"], false);
}

/// What a receiver gets only once it gets at its end; what it could make nothing of it does not
/// get, and that is counted.
#[tokio::test]
async fn what_a_format_has_no_place_for_waits_or_is_counted() {
    let receiver = Receiver::start(traceable(), always(Behaviour::Take)).await;
    let mut exporter = exporter(&traceable_at(&receiver.url()));
    let mut going_on = numbered(0);
    going_on.exchange.outcome = Outcome::Ongoing;
    exporter.export(&going_on);
    exporter.export(&numbered(0));
    let mut headless = numbered(1);
    headless.exchange.request = None;
    exporter.export(&headless);
    let totals = shut_down(exporter).await;
    assert_eq!((totals.given_records, totals.delivered_records, totals.left_out), (1, 1, 1));
    assert_eq!(receiver.taken(), ["r-0"]);
}

// ---- receivers that misbehave

/// Sends records to a receiver with that script, both kinds of sinks; all of them arrive.
async fn all_arrive(count: usize, script: fn() -> Script, allowed: &[&str]) {
    for (kind, receiver) in [
        ("runscope", Receiver::start(runscope(), script()).await),
        ("traceable", Receiver::start(traceable(), script()).await),
    ] {
        let sink = match kind {
            "runscope" => runscope_at(&receiver.url()),
            _ => traceable_at(&receiver.url()),
        };
        let mut exporter = exporter(&sink);
        export_numbered(&mut exporter, 0..count);
        let totals = shut_down(exporter).await;
        let taken: HashSet<_> = receiver.taken().into_iter().collect();
        assert_eq!(taken, ids(0..count), "{kind}");
        assert_no_violations(&receiver);
        assert_adds_up(&totals);
        let delivered = (totals.delivered_records, totals.queued_records);
        assert_eq!(delivered, (count as u64, 0), "{kind}: {totals:?}");
        assert!(totals.failures >= 1 || allowed.is_empty(), "{kind}: {totals:?}");
        for (failed, _) in kinds(&totals) {
            assert!(allowed.contains(&failed), "{kind}: {totals:?}");
        }
    }
}

#[tokio::test]
async fn a_receiver_that_is_absent_gets_everything_when_it_comes() {
    for kind in ["runscope", "traceable"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let url = format!("http://127.0.0.1:{port}");
        let is_runscope = kind == "runscope";
        let sink = if is_runscope { runscope_at(&url) } else { traceable_at(&url) };
        let mut exporter = exporter(&sink);
        export_numbered(&mut exporter, 0..30);
        sleep(Duration::from_millis(250)).await;
        let before = exporter.totals().remove(0);
        assert_eq!((before.delivered_records, before.queued_records), (0, 30));
        assert_eq!(first_kind(&before), Some("connect"));
        let take = always(Behaviour::Take);
        let receiver = if is_runscope {
            Receiver::start_again(port, runscope(), take)
        } else {
            Receiver::start_again(port, traceable(), take)
        };
        receiver.wait_for(30).await;
        assert_eq!(shut_down(exporter).await.delivered_records, 30);
        assert_no_violations(&receiver);
    }
}

#[tokio::test]
async fn a_receiver_that_stalls_is_left_after_the_timeout() {
    all_arrive(30, || every(10, Behaviour::Stall), &["timeout"]).await;
}

#[tokio::test]
async fn a_call_that_is_cut_in_the_middle_comes_again() {
    all_arrive(60, || every(7, Behaviour::CutCall), &["reply"]).await;
}

#[tokio::test]
async fn a_receiver_that_closes_without_a_word_gets_the_record_again() {
    all_arrive(60, || every(7, Behaviour::TakeAndClose), &["reply"]).await;
}

#[tokio::test]
async fn a_server_error_is_tried_again() {
    all_arrive(60, || every(9, Behaviour::Answer(500, &[], "hunter2")), &["status_5xx"]).await;
}

#[tokio::test]
async fn a_receiver_that_closes_after_some_calls_misses_nothing() {
    // Whether a call on a connection that is just being closed fails is a race; both end well.
    for script in [|| every(3, Behaviour::LastOfConnection), || always(Behaviour::LastOfConnection)]
    {
        for receiver in [
            (Receiver::start(runscope(), script()).await, true),
            (Receiver::start(traceable(), script()).await, false),
        ] {
            let (receiver, is_runscope) = receiver;
            let url = receiver.url();
            let sink = if is_runscope { runscope_at(&url) } else { traceable_at(&url) };
            let mut exporter = exporter(&sink);
            export_numbered(&mut exporter, 0..40);
            let totals = shut_down(exporter).await;
            assert_eq!(receiver.taken().into_iter().collect::<HashSet<_>>(), ids(0..40));
            assert_eq!(totals.delivered_records, 40);
            assert_no_violations(&receiver);
            assert!(receiver.connections() > 10);
        }
    }
}

/// A reply that drips in time is a reply; one that takes longer than the timeout is none.
#[tokio::test]
async fn a_reply_may_drip_as_long_as_it_ends_in_time() {
    let receiver =
        Receiver::start(runscope(), every(5, Behaviour::Drip(Duration::from_micros(500)))).await;
    let mut exporter_ = exporter(&format!("{},timeout=5s", without_timeout(&receiver)));
    export_numbered(&mut exporter_, 0..20);
    let totals = shut_down(exporter_).await;
    assert_eq!((totals.delivered_records, totals.failures), (20, 0));
    assert_eq!(receiver.taken().len(), 20);

    let slow = at_first(2, Behaviour::Drip(Duration::from_millis(50)));
    let receiver = Receiver::start(runscope(), slow).await;
    let mut exporter = exporter(&runscope_at(&receiver.url()));
    export_numbered(&mut exporter, 0..20);
    let totals = shut_down(exporter).await;
    assert_eq!(totals.delivered_records, 20);
    assert_eq!(first_kind(&totals), Some("timeout"));
    assert!(receiver.taken().len() > 20, "what it may have taken comes again");
}

fn without_timeout(receiver: &Receiver) -> String {
    runscope_at(&receiver.url()).replace(",timeout=300ms", "")
}

/// A status of success whose reply is cut: of Runscope's nothing is known then, so the record
/// comes again; an agent's reply says nothing anyway.
#[tokio::test]
async fn a_reply_that_is_cut_counts_as_none_only_where_it_means_something() {
    let receiver = Receiver::start(runscope(), every(7, Behaviour::CutReply)).await;
    let mut posting = exporter(&runscope_at(&receiver.url()));
    export_numbered(&mut posting, 0..30);
    let totals = shut_down(posting).await;
    assert_eq!(receiver.taken().into_iter().collect::<HashSet<_>>(), ids(0..30));
    assert_eq!((totals.delivered_records, totals.rejected_records), (30, 0));
    assert_eq!(first_kind(&totals), Some("reply"));
    assert_eq!(receiver.taken().len() as u64, 30 + totals.failures);

    let receiver = Receiver::start(traceable(), every(7, Behaviour::CutReply)).await;
    let mut posting = exporter(&traceable_at(&receiver.url()));
    export_numbered(&mut posting, 0..30);
    assert_eq!(shut_down(posting).await.delivered_records, 30);
    assert_eq!(receiver.taken().len(), 30);
}

#[tokio::test]
async fn retry_after_is_honoured() {
    const BUSY: Behaviour = Behaviour::Answer(429, &[("Retry-After", "1")], "");
    let receiver = Receiver::start(traceable(), at_first(1, BUSY)).await;
    let mut exporter = exporter(&traceable_at(&receiver.url()));
    let begin = Instant::now();
    exporter.export(&numbered(0));
    let totals = shut_down(exporter).await;
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert_eq!(kinds(&totals), [("status_429", 1)]);
    assert_eq!(receiver.taken(), ["r-0"]);
    let times = receiver.times();
    assert!(times[1] - times[0] >= Duration::from_secs(1));
}

/// A token that is wrong for a while costs nothing: no record is rejected for it.
#[tokio::test]
async fn a_wrong_token_holds_records_back_until_it_is_right() {
    for status in [401, 403] {
        let forbidden = at_first(8, Behaviour::Answer(status, &[], "{\"error\":{}}"));
        let receiver = Receiver::start(runscope(), forbidden).await;
        let mut exporter = exporter(&runscope_at(&receiver.url()));
        export_numbered(&mut exporter, 0..20);
        let totals = shut_down(exporter).await;
        assert_eq!((totals.delivered_records, totals.rejected_records), (20, 0), "{totals:?}");
        assert_eq!(first_kind(&totals), Some("status_4xx"));
        assert_eq!(receiver.taken().into_iter().collect::<HashSet<_>>(), ids(0..20));
    }
}

/// Something in front of a receiver may refuse one record for what is inside it. It does not hold
/// up the others for ever, because they show that the settings are right.
#[tokio::test]
async fn a_record_that_alone_is_refused_goes_after_some_tries() {
    let script: Script = Arc::new(|call| match call {
        0..4 | 14.. => Behaviour::Take,
        _ => Behaviour::Answer(403, &[], ""),
    });
    let receiver = Receiver::start(runscope(), script).await;
    let sink =
        format!("{},retry.first_wait=1ms,retry.longest_wait=2ms", runscope_at(&receiver.url()));
    let mut exporter = exporter(&sink);
    export_numbered(&mut exporter, 0..4);
    receiver.wait_for(4).await;
    exporter.export(&numbered(4));
    let waiting = async {
        while exporter.totals()[0].rejected_records == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it is rejected at last");
    export_numbered(&mut exporter, 5..8);
    let totals = shut_down(exporter).await;
    assert_eq!((totals.delivered_records, totals.rejected_records), (7, 1), "{totals:?}");
    assert_eq!(kinds(&totals), [("status_4xx", 9)]);
    assert!(!receiver.taken().contains(&"r-4".to_owned()));
}

/// What the receiver will never take is not tried again, and holds up nothing.
#[tokio::test]
async fn invalid_records_are_rejected_and_the_others_delivered() {
    for status in [400, 413, 422] {
        let invalid = every(5, Behaviour::Answer(status, &[], ""));
        let receiver = Receiver::start(traceable(), invalid).await;
        let mut exporter = exporter(&traceable_at(&receiver.url()));
        export_numbered(&mut exporter, 0..25);
        let totals = shut_down(exporter).await;
        assert_eq!((totals.delivered_records, totals.rejected_records), (20, 5), "{status}");
        assert_eq!((totals.failures, receiver.calls()), (0, 25), "{status}");
        assert_adds_up(&totals);
    }
}

/// Runscope says 200 and means no.
#[tokio::test]
async fn an_error_of_an_item_inside_a_success_is_a_rejection() {
    let error = json!({"code": 1042, "message": "invalid", "more_info": ""});
    let reply = runscope::item("x", "error", &error, &Value::Null);
    let receiver = Receiver::start(runscope(), every(4, Behaviour::Refuse(reply))).await;
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("rejected.ndjson");
    let sink = format!("{},dead_letter.path={}", runscope_at(&receiver.url()), kept.display());
    let mut exporter = exporter(&sink);
    export_numbered(&mut exporter, 0..20);
    let totals = shut_down(exporter).await;
    assert_eq!((totals.delivered_records, totals.rejected_records), (15, 5), "{totals:?}");
    assert_eq!(receiver.taken().len() as u64, totals.delivered_records);
    assert_eq!(receiver.calls(), 20, "no call for what is known to be in vain");
    let kept = std::fs::read_to_string(kept).unwrap();
    assert_eq!((kept.lines().count(), totals.dead_letter.kept), (5, 5), "{kept}");
    assert!(kept.lines().all(|line| line.contains("1042")) && !kept.contains(TOKEN), "{kept}");
}

#[tokio::test]
async fn a_warning_and_an_unknown_reply_are_counted_and_count_as_delivered() {
    let warning = json!({"code": 7, "message": "headers were cut"});
    let warns = runscope::item("x", "warning", &Value::Null, &warning);
    for said in [warns, "OK".to_owned(), "x".repeat(100_000)] {
        let receiver =
            Receiver::start(runscope(), every(5, Behaviour::TakeAndSay(said.clone()))).await;
        let mut exporter = exporter(&runscope_at(&receiver.url()));
        export_numbered(&mut exporter, 0..20);
        let totals = shut_down(exporter).await;
        assert_eq!((totals.delivered_records, totals.warned_records), (20, 4), "{totals:?}");
        assert_eq!((receiver.taken().len(), totals.failures), (20, 0));
    }
}

/// A redirect is not followed: the token would go with it.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::start(runscope(), always(Behaviour::Take)).await;
    let location = format!("{}/buckets/bucket1/messages", elsewhere.url());
    let location: &'static str = Box::leak(location.into_boxed_str());
    let headers: &'static [(&str, &str)] = Box::leak(Box::new([("Location", location)]));
    let receiver =
        Receiver::start(runscope(), at_first(2, Behaviour::Answer(307, headers, ""))).await;
    let mut exporter = exporter(&runscope_at(&receiver.url()));
    export_numbered(&mut exporter, 0..3);
    let totals = shut_down(exporter).await;
    assert_eq!((totals.delivered_records, elsewhere.calls()), (3, 0));
    assert_eq!(kinds(&totals), [("status_other", 2)]);
}

/// Proxies that the environment names get nothing: what is captured is not theirs to see.
#[test]
fn proxies_of_the_environment_get_nothing() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "proxy_child", "--nocapture"])
        .env("GATETAP_TEST_PROXY", "1")
        .env("http_proxy", "http://127.0.0.1:9")
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("ALL_PROXY", "http://127.0.0.1:9")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Runs in a process of its own, started by the test above.
#[tokio::test]
async fn proxy_child() {
    if std::env::var_os("GATETAP_TEST_PROXY").is_some() {
        all_arrive(5, || always(Behaviour::Take), &[]).await;
    }
}

/// While a receiver stalls for good, memory is bounded by the queue, exporting does not wait, and
/// what finds no room is counted.
#[tokio::test]
async fn memory_stays_bounded_while_a_receiver_stalls() {
    const QUEUE: u64 = 256 * 1024;
    let receiver = Receiver::start(runscope(), always(Behaviour::Stall)).await;
    let mut exporter = exporter(&format!("{},queue={QUEUE}", runscope_at(&receiver.url())));
    let begin = Instant::now();
    for number in 0..500 {
        let mut large = numbered(number);
        large.exchange.response.as_mut().unwrap().body = body(&vec![b'x'; 20_000]);
        exporter.export(&large);
        assert!(exporter.totals()[0].queued_bytes <= QUEUE);
        if number % 50 == 0 {
            sleep(Duration::from_millis(20)).await;
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "export waited for the receiver");
    let totals = exporter.shutdown(Duration::from_millis(100)).await.remove(0);
    assert!(totals.dropped.queue_full > 400 && totals.dropped.shutdown > 0, "{totals:?}");
    assert_eq!((totals.delivered_records, totals.queued_bytes), (0, 0));
    assert_adds_up(&totals);
}

// ---- TLS

/// A certificate for those names that signs itself, made by OpenSSL: paths of the certificate and
/// its key.
fn certificate(folder: &Path, names: &str) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=localhost"])
        // Without this it would be an authority, which no server may be.
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-addext", &format!("subjectAltName={names}")])
        .arg("-out")
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .output()
        .expect("openssl is there: see xtask/src/packages.rs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (certificate, key)
}

fn acceptor(certificate: &Path, key: &Path) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = CertificateDer::pem_file_iter(certificate).unwrap().map(Result::unwrap).collect();
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap())
        .unwrap();
    TlsAcceptor::from(Arc::new(server))
}

#[tokio::test]
async fn https_is_verified_unless_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let (own, key) = certificate(folder.path(), "DNS:localhost,IP:127.0.0.1");
    let receiver =
        Receiver::start_tls(runscope(), always(Behaviour::Take), acceptor(&own, &key)).await;
    let known = format!(",tls_ca={}", own.display());
    for (host, options, is_trusted) in [
        ("127.0.0.1", known.as_str(), true),
        ("localhost", known.as_str(), true),
        ("127.0.0.1", ",tls_verify=false", true),
        ("127.0.0.1", "", false),
    ] {
        let url = format!("https://{host}:{}", receiver.port());
        assert_eq!(is_delivered(&receiver, &url, options).await, is_trusted, "{host}{options}");
    }
    assert_no_violations(&receiver);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (other, key) = certificate(folder.path(), "DNS:other.example");
    let receiver =
        Receiver::start_tls(runscope(), always(Behaviour::Take), acceptor(&other, &key)).await;
    let url = format!("https://127.0.0.1:{}", receiver.port());
    let known = format!(",tls_ca={}", other.display());
    assert!(!is_delivered(&receiver, &url, &known).await);
}

/// Sends three records; if they do not arrive, TLS is the reason.
async fn is_delivered(receiver: &Receiver, url: &str, options: &str) -> bool {
    let sink = runscope_at(url).replace("timeout=300ms", "timeout=5s");
    let before = receiver.taken().len();
    let mut exporter = exporter(&format!("{sink}{options}"));
    export_numbered(&mut exporter, 0..3);
    let arriving = tokio::time::timeout(PATIENCE, async {
        while exporter.totals()[0].queued_records > 0 && exporter.totals()[0].failures == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    });
    arriving.await.expect("something becomes of them");
    let totals = exporter.shutdown(Duration::ZERO).await.remove(0);
    let failed = first_kind(&totals);
    let became = (totals.delivered_records, receiver.taken().len() - before, failed);
    assert!([(3, 3, None), (0, 0, Some("tls"))].contains(&became), "{became:?}");
    failed.is_none()
}

// ---- secrets

/// Whatever is logged while tests of this thread run.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// At the most talkative level, of all libraries too, with successes and failures of all kinds.
#[tokio::test]
async fn neither_tokens_nor_bodies_reach_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    const FORBIDDEN: Behaviour = Behaviour::Answer(403, &[], "hunter2-in-the-reply");
    let scripts: [Script; 4] = [
        at_first(2, FORBIDDEN),
        at_first(2, Behaviour::CutReply),
        at_first(2, Behaviour::Stall),
        every(
            2,
            Behaviour::Refuse(runscope::item(
                "x",
                "error",
                &json!({"code": 1, "message": "hunter2-in-the-reply"}),
                &Value::Null,
            )),
        ),
    ];
    for script in scripts {
        let receiver = Receiver::start(runscope(), script).await;
        let mut exporter = exporter(&runscope_at(&receiver.url()));
        for number in 0..4 {
            let mut secret = numbered(number);
            let message = secret.exchange.response.as_mut().unwrap();
            message.body = body(b"hunter2-in-the-body");
            exporter.export(&secret);
        }
        let totals = format!("{:?}", exporter.shutdown(PATIENCE).await);
        assert!(!totals.contains("hunter2"), "{totals}");
    }
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("check access_token"), "{log}");
    assert!(log.contains("error code 1"), "{log}");
    let place = log.find("hunter2").map(|at| log[at.saturating_sub(200)..].lines().next());
    assert_eq!(place, None);
}

/// The settings themselves show no token, and neither does an error about it.
#[test]
fn settings_do_not_show_tokens() {
    let sink: SinkSpecification = runscope_at("http://h").parse().unwrap();
    assert!(!format!("{sink:?}").contains(TOKEN));
    assert_eq!(sink.name, "runscope:bucket1");
    let problem = format!("runscope:b,access_token={TOKEN},timeout=0");
    let problem = problem.parse::<SinkSpecification>().unwrap_err().to_string();
    assert!(problem.contains("timeout") && !problem.contains(TOKEN), "{problem}");
}

/// Sinks with and without bodies beside each other, each in its way.
#[tokio::test]
async fn bodies_can_be_kept_from_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, bodies: bool| folder.path().join(format!("{name}-{bodies}"));
    let formats =
        ["native", "kong", "tcp-body-log", "tcp-body-log-strict", "runscope", "traceable"];
    let both = formats.into_iter().flat_map(|name| [(name, true), (name, false)]);
    let sinks = both.clone().map(|(name, bodies)| {
        let path = path(name, bodies);
        format!("file:{},format={name},log_body={bodies}", path.display()).parse().unwrap()
    });
    let mut exporter = Exporter::start(&Handle::current(), sinks.collect()).unwrap();
    let content = body(b"{\"a\":\"hunter2\"}");
    let fields = [("Host", "h"), ("Content-Type", "application/json")];
    let request = request("POST", b"/", &fields, content.clone());
    let response = response(200, "OK", &fields, content.clone());
    exporter.export(&observation(connection(), Some(request), Some(response), Outcome::Complete));
    exporter.shutdown(PATIENCE).await;
    let encoded = STANDARD.encode(&content.bytes);
    for (name, bodies) in both {
        let record = std::fs::read_to_string(path(name, bodies)).unwrap();
        let shown = record.contains("hunter2") || record.contains(&encoded);
        assert_eq!(shown, bodies, "{name}: {record}");
        assert!(!record.contains("redacted\":{}"), "{record}");
    }
}

/// A contract that is never violated would prove nothing.
#[test]
fn contracts_notice_what_is_wrong() {
    let call = receiver::http::Call::default();
    let wrong = json!({"request": {"headers": {"Host": ["x"]}}, "response": {"status": 0}});
    assert!(runscope().check(&call, &wrong).len() > 20);
    assert!(traceable().check(&call, &wrong).len() > 20);
}
