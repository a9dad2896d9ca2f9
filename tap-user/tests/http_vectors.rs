//! Vectors of other HTTP parsers, read from the shared corpus and not part of this project:
//! llhttp's (one stream and the events of a strict parser) and libhtp's (whole connections,
//! evasions among them). An observer may accept more than these parsers, never less.
//!
//! The corpus stands beside the workspace (`../shared/corpus`) or where `GATETAP_CORPUS` says;
//! without it these tests are skipped, or fail under `GATETAP_REQUIRE_LIVE=1`.

#![allow(clippy::unwrap_used)] // A vector of another shape fails the test.

use gatetap::http::{Anomalies, Anomaly, Exchange, Limits, MemoryBudget, Observer};
use gatetap::segment::{Close, ClosedBy, Content, Direction, Segment, Time};
use serde_json::Value;
use std::path::PathBuf;
use xtask::requirement;

fn vectors(name: &str) -> Option<Vec<Value>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus");
    let corpus = std::env::var_os("GATETAP_CORPUS").map_or_else(|| beside.into(), PathBuf::from);
    let file = corpus.join("vectors").join(name);
    let missing = |error| {
        format!("there is no {} (GATETAP_CORPUS names its folder): {error}", file.display())
    };
    let text = requirement::met(std::fs::read_to_string(&file).map_err(missing));
    text.map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn bytes_of_hex(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap().as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap();
    hex.chunks(2).map(|pair| u8::try_from(digit(pair[0]) * 16 + digit(pair[1])).unwrap()).collect()
}

/// Plays pieces in segments of at most `size` bytes, then closes in order.
fn observe(pieces: &[(Direction, Vec<u8>)], size: usize) -> Vec<Exchange> {
    let mut observer = Observer::new(Limits::default(), MemoryBudget::default(), false);
    let mut offsets = [0u64; 2];
    for (direction, bytes) in pieces {
        for bytes in bytes.chunks(size) {
            let offset = &mut offsets[usize::from(*direction == Direction::ToClient)];
            let content = Content::Bytes(bytes);
            let (direction, time, at_boundary) = (*direction, Time::default(), true);
            let segment = Segment { direction, offset: *offset, time, at_boundary, content };
            observer.handle_segment(&segment);
            *offset += bytes.len() as u64;
        }
    }
    observer.handle_close(Close { by: ClosedBy::Server, reset: false }, Time::default());
    std::iter::from_fn(|| observer.poll().map(|exchange| *exchange)).collect()
}

// ---- llhttp

/// A message as llhttp reports it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Message {
    /// Request: method and target. Response: status.
    line: String,
    body: Vec<u8>,
}

/// Messages that llhttp saw to their end, from its log of events.
fn complete_messages(input: &[u8], log: &[Value]) -> Vec<Message> {
    let (mut messages, mut now) = (Vec::new(), Message::default());
    for event in log.iter().map(|event| event.as_str().unwrap()) {
        if event.ends_with("message begin") {
            now = Message::default();
        } else if event.ends_with("message complete") {
            messages.push(std::mem::take(&mut now));
        } else if let Some(status) = event.split(" status=").nth(1) {
            now.line = status.split(' ').next().unwrap().to_owned();
        } else if let Some((name, bytes)) = span(input, event) {
            match name {
                "method" => now.line.push_str(&String::from_utf8_lossy(bytes)),
                "url" if now.line.contains(' ') => {
                    now.line.push_str(&String::from_utf8_lossy(bytes));
                }
                "url" => now.line.push_str(&format!(" {}", String::from_utf8_lossy(bytes))),
                "body" => now.body.extend_from_slice(bytes),
                _ => {}
            }
        }
    }
    messages
}

/// `off=4 len=3 span[url]="..."`: name and bytes.
fn span<'a>(input: &'a [u8], event: &'a str) -> Option<(&'a str, &'a [u8])> {
    let (place, rest) = event.split_once(" span[")?;
    let (offset, length) = place.strip_prefix("off=")?.split_once(" len=")?;
    let (offset, length): (usize, usize) = (offset.parse().ok()?, length.parse().ok()?);
    Some((rest.split_once(']')?.0, input.get(offset..offset + length)?))
}

/// The vectors' files lost empty lines at their end; the log still counts them.
fn restore_end(input: &mut Vec<u8>, log: &[Value]) {
    let offset = |event: &Value| -> Option<usize> {
        event.as_str()?.strip_prefix("off=")?.split(' ').next()?.parse().ok()
    };
    let end = log.iter().filter_map(offset).max().unwrap_or_default();
    while input.len() < end {
        input.extend_from_slice(b"\r\n");
    }
}

fn seen_messages(direction: Direction, exchanges: &[Exchange]) -> Vec<Message> {
    let request = |exchange: &Exchange| {
        let request = exchange.request.as_ref()?;
        let line = format!("{} {}", request.method, String::from_utf8_lossy(&request.target));
        Some(Message { line, body: request.body.bytes.clone() })
    };
    let response = |exchange: &Exchange| {
        let interim = exchange
            .interim
            .iter()
            .map(|interim| Message { line: interim.status.to_string(), body: Vec::new() });
        let last = exchange.response.as_ref().map(|response| Message {
            line: response.status.to_string(),
            body: response.body.bytes.clone(),
        });
        interim.chain(last).collect::<Vec<_>>()
    };
    match direction {
        Direction::ToServer => exchanges.iter().filter_map(request).collect(),
        Direction::ToClient => exchanges.iter().flat_map(response).collect(),
    }
}

/// Messages that llhttp reports and we do not, or not so: (file, line, reason).
const LLHTTP_DIFFERENCES: [(&str, u64, &str); 12] = [
    (
        "test/request/connection.md",
        296,
        "the vector's input is spoilt: text behind it is part of it",
    ),
    ("test/response/sample.md", 120, "the vector's input is spoilt: text behind it is part of it"),
    ("test/request/content-length.md", 446, "a mode of llhttp's caller: bodies are not there"),
    ("test/request/content-length.md", 521, "a bare CR ends a line: gateways refuse it"),
    ("test/request/invalid.md", 183, "a bare CR ends a line: gateways refuse it"),
    ("test/request/transfer-encoding.md", 1027, "a bare CR ends a line: gateways refuse it"),
    ("test/request/lenient-version.md", 6, "HTTP/5.6: gateways refuse it"),
    ("test/request/method.md", 98, "llhttp stops at CONNECT; here its answer decides"),
    ("test/request/method.md", 374, "ICE, not HTTP"),
    ("test/request/method.md", 404, "RTSP, not HTTP"),
    ("test/request/method.md", 432, "RTSP, not HTTP"),
    ("test/request/sample.md", 316, "HTTP/0.9: no version, no head, nothing to observe"),
];

#[test]
fn llhttp_messages_are_seen() {
    let Some(vectors) = vectors("llhttp.jsonl") else { return };
    let (mut compared, mut different) = (0, Vec::new());
    for vector in vectors.iter().filter(|vector| vector["kind"] == "http") {
        let to_server = vector["type"].as_str().unwrap().starts_with("request");
        let direction = if to_server { Direction::ToServer } else { Direction::ToClient };
        let log = vector["log"].as_array().unwrap();
        let mut input = bytes_of_hex(&vector["input_hex"]);
        restore_end(&mut input, log);
        let expected = complete_messages(&input, log);
        compared += expected.len();
        let mut pieces = vec![(direction, input)];
        if vector["meta"]["skipBody"] == true && !to_server {
            pieces.insert(0, (Direction::ToServer, b"HEAD / HTTP/1.1\r\n\r\n".to_vec()));
        }
        for size in [usize::MAX, 1, 7] {
            let seen = seen_messages(direction, &observe(&pieces, size));
            let key = (vector["file"].as_str().unwrap(), vector["line"].as_u64().unwrap());
            if !seen.starts_with(&expected)
                && !LLHTTP_DIFFERENCES.iter().any(|known| (known.0, known.1) == key)
            {
                different.push(format!("{key:?} {size}: {expected:?}\n    seen {seen:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(compared > 100, "only {compared} messages compared");
}

// ---- libhtp

fn libhtp(vector: &Value) -> Vec<(Direction, Vec<u8>)> {
    let piece = |chunk: &Value| {
        let to_server = chunk[0] == "c2s";
        let direction = if to_server { Direction::ToServer } else { Direction::ToClient };
        (direction, bytes_of_hex(&chunk[1]))
    };
    vector["chunks"].as_array().unwrap().iter().map(piece).collect()
}

/// Target, status, bytes of both bodies.
fn line(exchange: &Exchange) -> String {
    let request = exchange.request.as_ref().map_or("-".to_owned(), |request| {
        let target = String::from_utf8_lossy(&request.target);
        format!("{target} {}", request.body.bytes.len())
    });
    let response = exchange.response.as_ref().map_or("-".to_owned(), |response| {
        format!("{} {}", response.status, response.body.bytes.len())
    });
    format!("{request} > {response}")
}

#[test]
fn libhtp_connections_are_the_same_in_any_pieces() {
    let Some(vectors) = vectors("libhtp_streams.jsonl") else { return };
    assert!(vectors.len() > 50, "only {} connections", vectors.len());
    for vector in vectors {
        let pieces = libhtp(&vector);
        let whole = observe(&pieces, usize::MAX);
        for size in [1, 2, 3, 50] {
            let cut = observe(&pieces, size);
            assert_eq!(
                whole.iter().map(line).collect::<Vec<_>>(),
                cut.iter().map(line).collect::<Vec<_>>(),
                "{} in pieces of {size}",
                vector["file"]
            );
        }
    }
}

/// What the peers of some of these connections exchanged, read from their bytes by eye: target,
/// status and bytes of both bodies.
const LIBHTP_CONNECTIONS: [(&str, &[&str]); 18] = [
    ("01-get.t", &["/?p=%20 0 > 200 12"]),
    ("04-post-urlencoded-chunked.t", &["/ 12 > 200 12"]),
    ("07-pipelined-connection.t", &["/first 0 > 200 12", "/second 0 > 200 12"]),
    ("08-not-pipelined-connection.t", &["/first 0 > 200 12", "/second 0 > 200 12"]),
    ("09-multi-packet-request-head.t", &["/ 0 > 200 12"]),
    // Answered successfully: TLS follows, which is no HTTP.
    ("15-connect-complete.t", &["www.feistyduck.com:443 0 > 200 0"]),
    // HTTP/0.9 is not observed.
    ("21-http09.t", &[]),
    ("24-http09-explicit.t", &["- > 200 12"]),
    ("25-small-chunks.t", &["/?x=y 0 > 200 12"]),
    ("35-early-response.t", &["/ 12 > 400 11"]),
    ("43-invalid-protocol.t", &[]),
    ("61-empty-line-between-requests.t", &["/first 0 > 200 12", "/second 0 > 200 12"]),
    ("66-post-chunked-split-chunk.t", &["/ 12 > 200 12"]),
    ("67-long-request-line.t", &["/0123456789/0123456789/ 0 > 200 12"]),
    ("72-response-split-body.t", &["/?p=%20 0 > 200 12"]),
    // The server gave up waiting: before a request, and inside one.
    ("85-zero-byte-request-timeout.t", &["- > 408 218"]),
    ("86-partial-request-timeout.t", &["- > 408 218"]),
    // The client left out the body that it had announced. Gateways take what follows for it, and
    // so do we: the second request is lost in it. Its final response has no empty line.
    ("99-expect-100.t", &["/forbidden 14 > 401 0", "- > -"]),
];

#[test]
fn libhtp_connections_are_what_their_peers_meant() {
    let Some(vectors) = vectors("libhtp_streams.jsonl") else { return };
    for (file, expected) in LIBHTP_CONNECTIONS {
        let vector = vectors.iter().find(|vector| vector["file"] == file);
        let seen = observe(&libhtp(vector.unwrap()), usize::MAX);
        assert_eq!(seen.iter().map(line).collect::<Vec<_>>(), expected, "{file}");
    }
}

/// Anomalies of each request with its response.
fn anomalies(exchange: &Exchange) -> String {
    let names = |anomalies: Option<Anomalies>| {
        let names: Vec<_> = anomalies.unwrap_or_default().iter().map(Anomaly::name).collect();
        names.join(" ")
    };
    let request = names(exchange.request.as_ref().map(|request| request.anomalies));
    let response = names(exchange.response.as_ref().map(|response| response.anomalies));
    format!("{request} > {response}")
}

/// What is odd about the messages of some of these connections, read from their bytes by eye.
const LIBHTP_ANOMALIES: [(&str, &[&str]); 20] = [
    ("01-get.t", &[" > "]),
    ("00-adhoc.t", &["bare_line_feed > bare_line_feed"]),
    (
        "02-header-test-apache2.t",
        &["nul_byte whitespace_after_start_line obs_fold whitespace_before_colon \
           invalid_header_name > "],
    ),
    ("31-get-request-line-nul.t", &["nul_byte > "]),
    ("36-invalid-request-1-invalid-c-l.t", &["invalid_content_length > "]),
    ("37-invalid-request-2-t-e-and-c-l.t", &["content_length_with_transfer_encoding > "]),
    ("38-invalid-request-3-invalid-t-e.t", &["chunked_not_last unknown_transfer_encoding > "]),
    ("41-auth-digest.t", &["obs_fold > "]),
    (
        "61-empty-line-between-requests.t",
        &["missing_host > ", "leading_empty_line missing_host > "],
    ),
    ("63-post-chunked-invalid-1.t", &["missing_host > "]),
    ("64-post-chunked-invalid-2.t", &["missing_host invalid_chunk_size > "]),
    ("65-post-chunked-invalid-3.t", &["missing_host invalid_chunk_size > "]),
    ("68-invalid-request-header.t", &["nul_byte missing_colon > "]),
    (
        "70-response-invalid-chunk-length.t",
        &[" > transfer_encoding_in_http_1_0 invalid_chunk_size"],
    ),
    (
        "73-response-te-and-cl.t",
        &[" > content_length_with_transfer_encoding transfer_encoding_in_http_1_0"],
    ),
    ("74-response-multiple-cl.t", &[" > repeated_content_length"]),
    ("75-response-invalid-cl.t", &[" > invalid_content_length"]),
    ("77-response-folded-headers.t", &[" > obs_fold", " > transfer_encoding_in_http_1_0"]),
    ("82-put.t", &[" > "]),
    ("88-response-multiple-cl-mismatch.t", &[" > differing_content_length"]),
];

#[test]
fn libhtp_evasions_are_told() {
    let Some(vectors) = vectors("libhtp_streams.jsonl") else { return };
    let mut different = Vec::new();
    for (file, expected) in LIBHTP_ANOMALIES {
        let vector = vectors.iter().find(|vector| vector["file"] == file).unwrap();
        for size in [usize::MAX, 1, 7] {
            let seen = observe(&libhtp(vector), size);
            let seen: Vec<_> = seen.iter().map(anomalies).collect();
            if seen != expected {
                different.push(format!("{file} {size}: {seen:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
