//! Every record format against records written by hand (`tests/golden`, from the examples of
//! the formats' owners), and against hostile values.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail loudly")]

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gatetap::export::{Format, read_record};
use gatetap::gateway::{Correlation, CorrelationSource, Observation};
use gatetap::http::{Anomaly, Body, Exchange, Framing, Interim, Outcome, Switch, Version};
use gatetap::policy::{Redaction, RedactionSettings};
use gatetap::segment::{Abandonment, Close, ClosedBy, Connection, GapCause, Leg, Listener};
use serde_json::{Map, Value, json};
use support::{
    BEGIN, after, body, connection, headers, kong_example, observation, request, response,
    text_headers,
};

fn record(format: Format, observation: &Observation) -> Vec<u8> {
    let mut out = b"before".to_vec();
    let mut redacted = observation.clone();
    // What a test has redacted by rules of its own is not counted twice.
    Redaction::default().again().redact(&mut redacted);
    format.write(&redacted, &mut out);
    assert_same_when_sent_again(&redacted, format, &out);
    out.strip_prefix(b"before").expect("records are appended").to_vec()
}

/// A native record that is read back gives the same records, whatever their format, also where
/// redaction looks at it again.
fn assert_same_when_sent_again(observation: &Observation, format: Format, expected: &[u8]) {
    let mut native = Vec::new();
    Format::Native.write(observation, &mut native);
    let mut again = read_record(&native).expect("a native record can be read");
    Redaction::default().again().redact(&mut again);
    let mut written = b"before".to_vec();
    format.write(&again, &mut written);
    let (written, expected) =
        (String::from_utf8_lossy(&written), String::from_utf8_lossy(expected));
    assert_eq!(written, expected, "{format}");
}

fn parsed(format: Format, observation: &Observation) -> Value {
    serde_json::from_slice(&record(format, observation)).expect("a record is JSON")
}

/// Compares key by key, so that a difference is shown by its place.
fn assert_golden(format: Format, observation: &Observation, golden: &str) {
    let expected: Value = serde_json::from_str(golden).expect("a golden file is JSON");
    let mut differences = Vec::new();
    compare("", &expected, &parsed(format, observation), &mut differences);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn compare(place: &str, expected: &Value, written: &Value, differences: &mut Vec<String>) {
    match (expected, written) {
        (Value::Object(expected), Value::Object(written)) => {
            compare_members(place, expected, written, differences);
        }
        _ if expected == written => {}
        _ => differences.push(format!("{place}: expected {expected}, written {written}")),
    }
}

fn compare_members(
    place: &str,
    expected: &Map<String, Value>,
    written: &Map<String, Value>,
    differences: &mut Vec<String>,
) {
    for (key, value) in expected {
        match written.get(key) {
            Some(other) => compare(&format!("{place}/{key}"), value, other, differences),
            None => differences.push(format!("{place}/{key}: missing")),
        }
    }
    let surplus = written.keys().filter(|key| !expected.contains_key(*key));
    differences.extend(surplus.map(|key| format!("{place}/{key}: not expected")));
}

/// A connection about which little is known.
fn unknown_connection(leg: Leg, server: &str) -> Connection {
    Connection {
        leg,
        client: "[::1]:40000".parse().unwrap(),
        server: server.parse().unwrap(),
        process: None,
        listener: Listener::Unknown,
        network_namespace: None,
        control_group: None,
        opened: None,
        ..connection()
    }
}

#[test]
fn kong() {
    assert_golden(Format::Kong, &kong_example(), include_str!("golden/kong.json"));
}

#[test]
fn kong_without_response() {
    let cut = Body {
        framing: Framing::ContentLength(10),
        length: Some(4),
        wire_length: 4,
        skipped: 1,
        complete: false,
        ..body(b"\x00\xff\x10")
    };
    let mut request = request(
        "PUT",
        b"/up?a=1&a=2&flag&sp%20ace=%C3%A4+b",
        &[("Content-Type", "application/octet-stream")],
        cut,
    );
    request.version = Version::Http10;
    let close = Close { by: ClosedBy::Server, reset: true };
    let connection = unknown_connection(Leg::Client, "[::1]:8000");
    let mut unanswered = observation(connection, Some(request), None, Outcome::Closed(close));
    unanswered.correlation = None;
    assert_golden(Format::Kong, &unanswered, include_str!("golden/kong_unanswered.json"));
}

#[test]
fn an_end_that_nobody_saw_is_no_close_in_any_format() {
    let connection = unknown_connection(Leg::Client, "[::1]:8000");
    let request = request("GET", b"/", &[], Body::default());
    let outcome = Outcome::Abandoned(Abandonment::Evicted);
    let unanswered = observation(connection, Some(request), None, outcome);
    for (format, place) in
        [(Format::Native, ""), (Format::Kong, "/tap"), (Format::TcpBodyLog, "/tap")]
    {
        let record = parsed(format, &unanswered);
        let facts = record.pointer(place).unwrap();
        assert_eq!(facts["outcome"], "abandoned");
        assert_eq!(facts["abandoned_cause"], "evicted");
        assert_eq!((facts.get("closed_by"), facts.get("reset")), (None, None));
        assert_eq!(facts["complete"], false);
    }
}

#[test]
fn kong_without_request() {
    let response = response(
        503,
        "Service Unavailable",
        &[("Server", "kong/3.9.1"), ("X-Kong-Response-Latency", "2")],
        Body::default(),
    );
    let outcome = Outcome::Lost(GapCause::Missed);
    let mut answered = observation(connection(), None, Some(response), outcome);
    answered.correlation =
        Some(Correlation { id: "from-the-header".to_owned(), source: CorrelationSource::Header });
    assert_golden(Format::Kong, &answered, include_str!("golden/kong_answered_by_kong.json"));
}

#[test]
fn tcp_body_log() {
    let request = request(
        "POST",
        b"/v1/a?x=1",
        &[("Host", "api.example.com"), ("Content-Type", "application/json")],
        body(b"{\"a\":1}"),
    );
    let mut response =
        response(200, "OK", &[("Content-Type", "application/json")], body(b"{\"ok\":true}"));
    response.last_byte = after(333_000_000);
    let posted = observation(connection(), Some(request), Some(response), Outcome::Complete);
    assert_golden(Format::TcpBodyLog, &posted, include_str!("golden/tcp_body_log.json"));
}

#[test]
fn tcp_body_log_with_form() {
    let request = request(
        "POST",
        b"/login",
        &[
            ("Host", "API.example.com.:80"),
            ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("Cookie", "session=secret"),
        ],
        body(b"user=a%40b&tag=1&tag=2&remember"),
    );
    let response = response(204, "No Content", &[], Body::default());
    let login = observation(connection(), Some(request), Some(response), Outcome::Complete);
    assert_golden(Format::TcpBodyLog, &login, include_str!("golden/tcp_body_log_form.json"));
}

/// The example of the plugin's message in the reference, but for the sizes of its own bodies.
#[test]
fn runscope() {
    let request = request(
        "POST",
        b"/v1/a?x=1",
        &[("Host", "api.example.com"), ("Content-Type", "application/json")],
        body(b"{\"a\":1}"),
    );
    let mut response =
        response(200, "OK", &[("Content-Type", "application/json")], body(b"{\"ok\":true}"));
    response.last_byte = after(333_000_000);
    let posted = observation(connection(), Some(request), Some(response), Outcome::Complete);
    assert_golden(Format::Runscope, &posted, include_str!("golden/runscope.json"));
}

#[test]
fn runscope_with_binary_bodies_and_repeated_headers() {
    let fields = [("Host", "h"), ("X-Twice", "1"), ("x-twice", "2"), ("Cookie", "secret")];
    let request = request("PUT", b"/up", &fields, body(b"\x00\xff\x10"));
    let response = response(204, "No Content", &[], Body::default());
    let posted = observation(connection(), Some(request), Some(response), Outcome::Complete);
    assert_golden(Format::Runscope, &posted, include_str!("golden/runscope_binary.json"));
}

/// The strict record is what Runscope's is without its id.
#[test]
fn tcp_body_log_strict() {
    for example in [kong_example(), coded_example(), hostile("ä\n")] {
        let mut runscope = parsed(Format::Runscope, &example);
        let id = runscope.as_object_mut().unwrap().remove("unique_identifier");
        assert_eq!(id, Some(json!("r-1")));
        assert_eq!(parsed(Format::TcpBodyLogStrict, &example), runscope);
    }
}

#[test]
fn a_record_that_comes_again_has_an_id_of_its_own() {
    let mut ongoing = kong_example();
    ongoing.exchange.outcome = Outcome::Ongoing;
    let record = parsed(Format::TcpBodyLog, &ongoing);
    assert_eq!(record["unique_identifier"], "r-1-ongoing");
    assert_eq!(record["tap"]["id"], "r-1");
}

/// A body that a hole made shorter is not shown where nothing could say so; one that the cap made
/// shorter is, as the plugins do it.
#[test]
fn a_body_with_a_hole_is_shown_only_where_the_record_can_say_so() {
    let with = |format: Format, change: fn(&mut Body)| {
        let mut cut = Body { length: Some(10), wire_length: 10, complete: true, ..body(b"{\"a\"") };
        change(&mut cut);
        let fields = [("Host", "h"), ("Content-Type", "application/json")];
        let request = request("PUT", b"/", &fields, cut.clone());
        let response = response(200, "OK", &fields, cut);
        let damaged = observation(connection(), Some(request), Some(response), Outcome::Complete);
        let record = parsed(format, &damaged);
        let shown =
            |message: &str| record[message].get("body").filter(|body| !body.is_null()).cloned();
        assert_eq!(shown("request"), shown("response"), "{format}");
        shown("request")
    };
    let losses: [fn(&mut Body); 2] = [|body| body.lost = 6, |body| body.memory_limited = true];
    for lose in losses {
        for format in [Format::Runscope, Format::TcpBodyLogStrict, Format::Traceable] {
            assert_eq!(with(format, lose), None, "{format}");
        }
        for format in [Format::TcpBodyLog, Format::Kong, Format::TraceableMarked] {
            assert!(with(format, lose).is_some(), "{format}");
        }
    }
    for format in Format::RECORDS.into_iter().filter(|format| *format != Format::Native) {
        assert!(with(format, |body| body.skipped = 6).is_some(), "{format}");
    }
}

/// The example of form (A) in the reference.
#[test]
fn traceable() {
    let request = request(
        "POST",
        b"/v1/a?x=1",
        &[
            ("Host", "api.example.com"),
            ("Content-Type", "application/json"),
            ("X-Forwarded-Proto", "https"),
        ],
        body(b"{\"a\":1}"),
    );
    let response =
        response(200, "OK", &[("Content-Type", "application/json")], body(b"{\"ok\":true}"));
    let posted = observation(connection(), Some(request), Some(response), Outcome::Complete);
    assert_golden(Format::Traceable, &posted, include_str!("golden/traceable.json"));
    let order = String::from_utf8(record(Format::Traceable, &posted)).unwrap();
    let expected: Value = serde_json::from_str(include_str!("golden/traceable.json")).unwrap();
    assert_eq!(order, format!("{expected}\n"), "also in the order of the keys");
}

/// Repeated and secret headers, a body of a type that is not sent, gzip, IPv6, no `Host`.
#[test]
fn traceable_odd() {
    let fields = [
        ("Accept", "a"),
        ("ACCEPT", "b"),
        ("Authorization", "hunter2"),
        ("Content-Type", "image/png"),
    ];
    let request = request("PUT", b"/%7Ea//b?", &fields, body(b"\x89PNG"));
    let fields = [("Content-Type", "application/problem+JSON"), ("Content-Encoding", "gzip")];
    let response = response(500, "", &fields, body(&GZIP));
    let connection = unknown_connection(Leg::Client, "[2001:db8::1]:8000");
    let odd = observation(connection, Some(request), Some(response), Outcome::Complete);
    assert_golden(Format::Traceable, &odd, include_str!("golden/traceable_odd.json"));
    let marked = parsed(Format::TraceableMarked, &odd);
    assert_eq!(
        (&marked["request"]["truncated"], &marked["response"]["truncated"]),
        (&json!(false), &json!(false))
    );
}

/// Nothing is invented where no response was seen: no status, no headers, no body.
#[test]
fn traceable_without_response() {
    let mut unanswered = kong_example();
    unanswered.exchange.response = None;
    let record = parsed(Format::Traceable, &unanswered);
    assert_eq!(
        record["response"],
        json!({"headers": {}, "body": null, "request_url": "http://h/v1/a?x=1"})
    );
    let marked = parsed(Format::TraceableMarked, &unanswered);
    assert_eq!(marked["response"]["truncated"], true);
}

#[test]
fn traceable_sends_131072_bytes_of_a_body_at_most() {
    let sent = |length: usize| {
        let fields = [("Content-Type", "application/json")];
        let response = response(200, "OK", &fields, body(&vec![b'7'; length]));
        let request = request("GET", b"/", &[("Host", "h")], Body::default());
        let large = observation(connection(), Some(request), Some(response), Outcome::Complete);
        let record = parsed(Format::TraceableMarked, &large);
        let text = record["response"]["body"].as_str().unwrap().to_owned();
        let cut = record["response"]["truncated"].as_bool().unwrap();
        (STANDARD.decode(text).unwrap().len(), cut)
    };
    assert_eq!(sent(131_071), (131_071, false));
    assert_eq!(sent(131_072), (131_072, false));
    assert_eq!(sent(131_073), (131_072, true));
}

/// The status of gRPC is in its trailers, and the HTTP status is then 0; not so for gRPC-Web,
/// whose trailers are part of the body.
#[test]
fn traceable_of_grpc() {
    let answered = |content_type: &str| {
        let trailers = text_headers(&[("Grpc-Status", "5"), ("grpc-message", "x")]);
        let chunked = Body { framing: Framing::Chunked, trailers, ..body(b"\0\0\0\0\0") };
        let response = response(200, "OK", &[("Content-Type", content_type)], chunked);
        let request = request("POST", b"/s/m", &[("Host", "h")], Body::default());
        let call = observation(connection(), Some(request), Some(response), Outcome::Complete);
        parsed(Format::Traceable, &call)["response"].clone()
    };
    let grpc = answered("application/grpc+proto");
    assert_eq!(grpc["status_code"], 0);
    assert_eq!(
        grpc["headers"],
        json!({"content-type": "application/grpc+proto", "grpc-status": "5"})
    );
    assert_eq!(grpc["body"], "AAAAAAA=");
    let web = answered("application/grpc-web");
    assert_eq!((&web["status_code"], web["headers"].get("grpc-status")), (&json!(200), None));
}

#[test]
fn native() {
    let chunked = Body {
        framing: Framing::Chunked,
        wire_length: 41,
        trailers: text_headers(&[("Authorization", "secret"), ("Digest", "x")]),
        ..body(b"a\n\"b\\")
    };
    let fields = [("Host", "h"), ("X-Api-Key", "secret"), ("x-twice", "1"), ("X-Twice", "2")];
    let mut request = request("POST", b"/\xff", &fields, chunked);
    request.offset = 1000;
    let response = response(101, "Switching Protocols", &[], Body::default());
    let mut upgrade = observation(connection(), Some(request), Some(response), Outcome::Complete);
    upgrade.exchange.switch = Some(Switch::Upgrade);
    upgrade.exchange.proxied =
        Some(("192.0.2.1:1".parse().unwrap(), "[2001:db8::1]:2".parse().unwrap()));
    upgrade.exchange.interim.push(Interim {
        status: 100,
        headers: text_headers(&[("Set-Cookie", "secret")]),
        head_length: 25,
        time: after(100_000),
    });
    assert_golden(Format::Native, &upgrade, include_str!("golden/native.json"));
}

#[test]
fn native_upstream_leg_with_losses() {
    let damaged = Body {
        framing: Framing::UntilClose,
        // U+20AC begins with E2 82: the capture stops inside it.
        bytes: b"price \xe2\x82".to_vec(),
        length: None,
        wire_length: 1024,
        skipped: 1000,
        lost: 16,
        lost_cause: Some(GapCause::Sendfile),
        complete: false,
        end_inferred: true,
        memory_limited: true,
        malformed: true,
        ..Body::default()
    };
    let mut response = response(200, "", &[], damaged);
    response.version = Version::Http10;
    response.first_byte = after(500);
    let close = Close { by: ClosedBy::Server, reset: false };
    let connection = unknown_connection(Leg::Upstream, "[::1]:80");
    let mut cut = observation(connection, None, Some(response), Outcome::Closed(close));
    cut.correlation = None;
    assert_golden(Format::Native, &cut, include_str!("golden/native_upstream.json"));
}

/// `{"a":"ä"}` as gzip(1) writes it, with the options `-n9`.
const GZIP: [u8; 30] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0x4a, 0x54, 0xb2, 0x52,
    0x3a, 0xbc, 0x44, 0xa9, 0x16, 0x00, 0xf6, 0x93, 0x28, 0x28, 0x0a, 0x00, 0x00, 0x00,
];

/// A request in ISO-8859-1 and a response in gzip, both of them odd.
fn coded_example() -> Observation {
    let fields = [("Host", "h"), ("Content-Type", "text/plain; charset=ISO-8859-1")];
    let mut request = request("POST", b"/", &fields, body(b"caf\xe9"));
    request.anomalies.insert(Anomaly::BareLineFeed);
    request.anomalies.insert(Anomaly::RepeatedContentLength);
    let fields = [("Content-Encoding", "gzip")];
    let mut response = response(200, "OK", &fields, body(&GZIP));
    response.anomalies.insert(Anomaly::LineFolding);
    observation(connection(), Some(request), Some(response), Outcome::Complete)
}

#[test]
fn native_with_codings_and_anomalies() {
    assert_golden(Format::Native, &coded_example(), include_str!("golden/native_coded.json"));
}

#[test]
fn tcp_body_log_with_codings_and_anomalies() {
    let golden = include_str!("golden/tcp_body_log_coded.json");
    assert_golden(Format::TcpBodyLog, &coded_example(), golden);
}

#[test]
fn kong_shows_decoded_bodies_and_the_sizes_of_the_wire() {
    let kong = parsed(Format::Kong, &coded_example());
    assert_eq!(kong["response"]["body"], "{\"a\":\"ä\"}");
    assert_eq!(kong["response"]["size"], 399 + 30);
    assert_eq!(kong["response"]["headers"]["content-encoding"], "gzip");
    assert_eq!(kong["tap"]["response"]["body"]["content_coding"], "gzip");
    assert_eq!(kong["request"]["body"], "café");
}

#[test]
fn a_body_that_cannot_be_decoded_is_shown_as_it_came() {
    let shown = |coding: &str, bytes: &[u8]| {
        let fields = [("Content-Encoding", coding), ("Content-Type", "text/plain; charset=latin1")];
        let response = response(200, "OK", &fields, body(bytes));
        let coded = observation(connection(), None, Some(response), Outcome::Complete);
        parsed(Format::Native, &coded)["response"]["body"].clone()
    };
    let facts = |error: &str, coding: &str, length: u64| {
        json!({
            "framing": "content_length", "content_length": length, "length": length,
            "wire_length": length, "captured": length, "complete": true,
            "content_coding": coding, "decoding_error": error,
        })
    };
    let mut unknown = facts("unsupported_coding", "aws-chunked", 5);
    unknown["text"] = json!("plain");
    assert_eq!(shown("aws-chunked", b"plain"), unknown);
    let mut corrupt = facts("corrupt", "br, gzip", 4);
    corrupt["base64"] = json!("AAH+/w==");
    assert_eq!(shown("br, gzip", b"\x00\x01\xfe\xff"), corrupt);
}

#[test]
fn a_coded_body_that_is_cut_shows_the_beginning_of_its_content() {
    let response_body = Body { bytes: GZIP[..20].to_vec(), skipped: 10, ..body(&GZIP) };
    let response = response(200, "OK", &[("Content-Encoding", "x-gzip")], response_body);
    let cut = observation(connection(), None, Some(response), Outcome::Complete);
    let shown = &parsed(Format::Native, &cut)["response"]["body"];
    assert_eq!(shown["decoded_truncated"], true);
    assert_eq!(shown.get("decoding_error"), None);
    assert_eq!(shown["captured"], 20);
    let text = shown["text"].as_str().unwrap();
    assert!(!text.is_empty() && "{\"a\":\"ä\"}".starts_with(text));
    assert_eq!(shown["decoded_length"], text.len());
}

#[test]
fn a_body_in_a_transfer_coding_is_decoded_too() {
    let fields = [("Transfer-Encoding", "gzip, chunked")];
    let chunked = Body { framing: Framing::Chunked, wire_length: 41, ..body(&GZIP) };
    let response = response(200, "OK", &fields, chunked);
    let coded = observation(connection(), None, Some(response), Outcome::Complete);
    let shown = &parsed(Format::Native, &coded)["response"]["body"];
    assert_eq!(shown["transfer_coding"], "gzip, chunked");
    assert_eq!(shown["text"], "{\"a\":\"ä\"}");
}

#[test]
fn a_response_that_begins_before_its_request_ended_has_no_time_to_first_byte() {
    let mut early = kong_example();
    early.exchange.response.as_mut().unwrap().first_byte = BEGIN;
    let durations = &parsed(Format::Native, &early)["durations_ns"];
    assert_eq!(durations, &json!({"request": 1_000_000, "total": 16_400_000}));
}

#[test]
fn complete_needs_the_outcome_and_both_bodies() {
    let is_complete = |change: fn(&mut Exchange)| {
        let mut example = kong_example();
        change(&mut example.exchange);
        parsed(Format::Native, &example)["complete"].clone()
    };
    assert_eq!(is_complete(|_| {}), true);
    const ABANDONED: Outcome = Outcome::Abandoned(Abandonment::Idle);
    assert_eq!(is_complete(|exchange| exchange.outcome = ABANDONED), false);
    assert_eq!(is_complete(|exchange| exchange.request = None), false);
    assert_eq!(is_complete(|exchange| exchange.response = None), false);
    assert_eq!(is_complete(|e| e.request.iter_mut().for_each(|r| r.body.complete = false)), false);
    assert_eq!(is_complete(|e| e.response.iter_mut().for_each(|r| r.body.complete = false)), false);
}

#[test]
fn nothing_is_redacted_when_switched_off() {
    let mut out = Vec::new();
    Format::Kong.write(&kong_example(), &mut out);
    let record: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(record["request"]["headers"]["authorization"], "Bearer t");
    assert_eq!(record["response"]["headers"]["set-cookie"], json!(["a=1", "b=2"]));
}

#[test]
fn redaction_leaves_no_secret_anywhere() {
    for format in Format::RECORDS {
        let mut secretive = kong_example();
        let request = secretive.exchange.request.as_mut().unwrap();
        request.headers = text_headers(&[
            ("AUTHORIZATION", "hunter2"),
            ("Proxy-Authorization", "hunter2"),
            ("cookie", "hunter2"),
            ("X-API-KEY", "hunter2"),
        ]);
        request.body.trailers = text_headers(&[("Set-Cookie", "hunter2")]);
        let text = String::from_utf8(record(format, &secretive)).unwrap();
        assert!(text.contains("REDACTED") && !text.contains("hunter2"), "{format}");
    }
}

/// A body with a value replaced, one that is withheld, and the lengths of both.
#[test]
fn bodies_that_are_not_what_they_were() {
    let settings = RedactionSettings {
        json: vec!["$.password".parse().unwrap()],
        ..RedactionSettings::default()
    };
    let redaction = Redaction::new(&settings, None, "Kong-Request-ID").unwrap();
    let fields = [("Content-Type", "application/json"), ("Host", "h")];
    let secret = b"{\"password\":\"hunter2 and more\"}";
    let request = request("POST", b"/?token=hunter2", &fields, body(secret));
    let response = response(200, "OK", &[("Content-Encoding", "x-mine")], body(b"hunter2"));
    let mut login = observation(connection(), Some(request), Some(response), Outcome::Complete);
    redaction.redact(&mut login);
    for format in Format::ALL {
        let mut out = Vec::new();
        format.write(&login, &mut out);
        assert!(!String::from_utf8_lossy(&out).contains("hunter2"), "{format}");
    }
    let written = |format: Format| {
        let mut out = Vec::new();
        format.write(&login, &mut out);
        serde_json::from_slice::<Value>(&out).unwrap()
    };
    let native = written(Format::Native);
    let expected = json!({"withheld": 1, "query:token": 1, "json:$.password": 1});
    assert_eq!(native["redacted"], expected);
    let expected = json!({
        "framing": "content_length", "content_length": 31, "length": 31, "wire_length": 31,
        "captured": 31, "complete": true, "redacted": true,
        "text": "{\"password\":\"REDACTED\"}",
    });
    assert_eq!(native["request"]["body"], expected);
    let expected = json!({
        "framing": "content_length", "content_length": 7, "length": 7, "wire_length": 7,
        "captured": 0, "complete": true, "withheld": true, "content_coding": "x-mine",
        "decoding_error": "unsupported_coding",
    });
    assert_eq!(native["response"]["body"], expected);
    let kong = written(Format::Kong);
    assert_eq!(kong["request"]["uri"], "/?token=REDACTED");
    assert_eq!(kong["request"]["querystring"]["token"], "REDACTED");
    assert_eq!(kong["request"]["body"], "{\"password\":\"REDACTED\"}");
    assert_eq!(kong["response"].get("body"), None);
}

#[test]
fn legs() {
    for format in Format::RECORDS {
        assert!(format.carries(Leg::Client), "{format}");
        assert_eq!(format.carries(Leg::Upstream), format == Format::Native, "{format}");
    }
}

#[test]
fn format_names() {
    for (name, format) in [
        ("native", Format::Native),
        ("kong", Format::Kong),
        ("tcp-body-log", Format::TcpBodyLog),
        ("tcp-body-log-strict", Format::TcpBodyLogStrict),
        ("runscope", Format::Runscope),
        ("traceable", Format::Traceable),
        ("traceable-marked", Format::TraceableMarked),
    ] {
        assert_eq!(name.parse(), Ok(format));
    }
    let error = "xml".parse::<Format>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "format \"xml\" is unknown: use native, kong, tcp-body-log, tcp-body-log-strict, runscope, \
         traceable, traceable-marked, line or indented"
    );
}

const HOSTILE: &[&str] = &[
    "",
    "\"quoted\" \\ and / slashes \\u0041",
    "line\nfeed\r\nreturn\ttab\0nul\u{1}\u{1f}\u{7f}",
    "\u{2028}\u{2029}\u{85}\u{feff}",
    "ä€😀\u{10ffff}",
    "{\"json\":[\"in\",\"json\"]}\r\n",
];

fn hostile(text: &str) -> Observation {
    let fields = [("X-Hostile", text)];
    let request = request("GET", format!("/{text}").as_bytes(), &fields, body(text.as_bytes()));
    let response = response(200, text, &fields, body(text.as_bytes()));
    observation(connection(), Some(request), Some(response), Outcome::Complete)
}

#[test]
fn framing_survives_hostile_text() {
    for (format, terminator) in [
        (Format::Native, &b"\n"[..]),
        (Format::Kong, &b"\n"[..]),
        (Format::TcpBodyLog, &b"\r\n"[..]),
        (Format::TcpBodyLogStrict, &b"\r\n"[..]),
        (Format::Runscope, &b"\n"[..]),
        (Format::Traceable, &b"\n"[..]),
    ] {
        for text in HOSTILE {
            let record = record(format, &hostile(text));
            let json = record.strip_suffix(terminator).expect("a record ends with its terminator");
            assert!(json.starts_with(b"{") && json.ends_with(b"}"), "{format}");
            assert!(json.iter().all(|byte| *byte >= 0x20), "{format}: raw control character");
        }
    }
}

#[test]
fn hostile_text_is_carried_exactly() {
    for text in HOSTILE {
        let native = parsed(Format::Native, &hostile(text));
        assert_eq!(native["request"]["target"], format!("/{text}"));
        assert_eq!(native["request"]["headers"], json!([["X-Hostile", text]]));
        assert_eq!(native["response"]["reason"], *text);
        let shown = native["response"]["body"].get("text");
        assert_eq!(shown, (!text.is_empty()).then(|| json!(text)).as_ref());
        for format in [Format::Kong, Format::TcpBodyLog, Format::Runscope] {
            let record = parsed(format, &hostile(text));
            assert_eq!(record["request"]["headers"]["x-hostile"], *text);
            let shown = record["request"].get("body");
            assert_eq!(shown, (!text.is_empty()).then(|| json!(text)).as_ref(), "{format}");
        }
    }
}

#[test]
fn bytes_that_are_no_text() {
    let mut binary = hostile("");
    let request = binary.exchange.request.as_mut().unwrap();
    request.headers = headers([(&b"X-Bytes"[..], &b"\xfe\xff"[..])]);
    let native = parsed(Format::Native, &binary);
    assert_eq!(native["request"]["headers"], json!([["X-Bytes", {"base64": "/v8="}]]));
    let kong = parsed(Format::Kong, &binary);
    assert_eq!(kong["request"]["headers"], json!({"x-bytes": "\u{fffd}\u{fffd}"}));
    assert_eq!(kong["tap"]["text_altered"], true);
}

#[test]
fn more_headers_than_kong_logs() {
    let names: Vec<String> = (0..130).map(|number| format!("X-{number}")).collect();
    let fields: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).collect();
    let mut many = hostile("");
    many.exchange.request.as_mut().unwrap().headers = text_headers(&fields);
    let native = parsed(Format::Native, &many);
    assert_eq!(native["request"]["headers"].as_array().map(Vec::len), Some(130));
    for format in [Format::Kong, Format::TcpBodyLog] {
        let record = parsed(format, &many);
        let headers = record["request"]["headers"].as_object().unwrap();
        assert_eq!(headers.len(), 100);
        assert!(headers.contains_key("x-99") && !headers.contains_key("x-100"));
        assert_eq!(record["tap"]["request"]["headers_omitted"], 30);
    }
}

#[test]
fn a_body_of_which_nothing_was_captured_is_not_shown_as_empty() {
    let unseen = Body { bytes: Vec::new(), skipped: 5, ..body(b"hello") };
    for format in Format::RECORDS {
        let mut headers_only = kong_example();
        headers_only.exchange.response.as_mut().unwrap().body = unseen.clone();
        let record = parsed(format, &headers_only);
        let shown = match format {
            Format::Native => record["response"]["body"].get("text"),
            _ => record["response"].get("body").filter(|body| !body.is_null()),
        };
        assert_eq!(shown, None, "{format}");
    }
}

/// Every key that a golden record has, apart from names that come from the exchange.
fn keys(record: &Value) -> Vec<&String> {
    match record {
        Value::Object(members) => members
            .iter()
            .flat_map(|(key, value)| match key.as_str() {
                "headers" | "querystring" | "form" | "redacted" => vec![key],
                _ => [vec![key], keys(value)].concat(),
            })
            .collect(),
        Value::Array(elements) => elements.iter().flat_map(keys).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_key_is_documented() {
    let documentation = include_str!("../../docs/record.md");
    for golden in [
        include_str!("golden/native.json"),
        include_str!("golden/native_upstream.json"),
        include_str!("golden/native_coded.json"),
        include_str!("golden/tcp_body_log_coded.json"),
        include_str!("golden/kong.json"),
        include_str!("golden/kong_unanswered.json"),
        include_str!("golden/tcp_body_log_form.json"),
        include_str!("golden/runscope_binary.json"),
        include_str!("golden/traceable.json"),
    ] {
        let mut record: Value = serde_json::from_str(golden).unwrap();
        // Its keys are rules, which docs/settings.md tells.
        record.as_object_mut().unwrap().remove("redacted");
        record.get_mut("tap").and_then(Value::as_object_mut).map(|tap| tap.remove("redacted"));
        for key in keys(&record) {
            // As a key of its own (`key`), at the end of a path (`a.key`) or within one (`key.b`).
            let shown = [format!("{key}`"), format!("`{key}.")];
            assert!(shown.iter().any(|it| documentation.contains(it)), "{key} is not documented");
        }
    }
}
