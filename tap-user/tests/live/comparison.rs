//! Compares records, one by one, with what nginx logged and with what the clients know.

use super::content::Content;
use super::log_rules::{self, OnTheWire};
use super::record::{Body, Record};
use super::traffic::{Account, GiveUp};
use std::collections::HashMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use xtask::rig::LogEntry;

/// Rows of the table of differences that are printed.
const SHOWN: usize = 20;

/// One fact that a record states otherwise than whoever must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) id: String,
    pub(crate) leg: &'static str,
    pub(crate) fact: &'static str,
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// All records of a run, by the test's id of the request.
#[derive(Default)]
pub(crate) struct Records {
    by_id: HashMap<(String, String), Vec<Record>>,
    /// Records without a request that carries an id.
    pub(crate) nameless: Vec<Record>,
}

impl Records {
    pub(crate) fn new(records: Vec<Record>) -> Self {
        let mut sorted = Self::default();
        for record in records {
            match record.request_header(super::request::TEST_ID) {
                Some(id) => {
                    let key = (record.leg.clone(), id.to_owned());
                    sorted.by_id.entry(key).or_default().push(record);
                }
                None => sorted.nameless.push(record),
            }
        }
        sorted
    }

    /// Takes out the records of a leg for an id.
    pub(crate) fn take(&mut self, leg: &str, id: &str) -> Vec<Record> {
        self.by_id.remove(&(leg.to_owned(), id.to_owned())).unwrap_or_default()
    }

    /// Ids (with legs) that nobody has asked for yet.
    pub(crate) fn rest(&self) -> Vec<&(String, String)> {
        self.by_id.keys().collect()
    }
}

/// Collects differences for one leg of one exchange.
pub(crate) struct Comparison<'a> {
    id: &'a str,
    leg: &'static str,
    differences: Vec<Difference>,
}

impl<'a> Comparison<'a> {
    pub(crate) fn new(id: &'a str, leg: &'static str) -> Self {
        Self { id, leg, differences: Vec::new() }
    }

    /// The client leg: who knows are the client and the gateway's log.
    pub(crate) fn client_leg(
        line: &LogEntry,
        account: &'a Account,
        record: &Record,
        cap: u64,
    ) -> Self {
        let mut comparison = Self::new(&account.request.id, "client");
        comparison.log(&OnTheWire::logged(line, &account.request), account, record);
        comparison.account(account, record);
        comparison.bodies(account, record, cap);
        comparison
    }

    /// The upstream leg: who knows are the origin's log, the origin's store, and the client, whose
    /// bodies nginx passes on as they are.
    pub(crate) fn upstream_leg(
        line: &LogEntry,
        account: &'a Account,
        stored: Option<&Content>,
        record: &Record,
        cap: u64,
    ) -> Self {
        let mut comparison = Self::new(&account.request.id, "upstream");
        let mut wire = OnTheWire::logged(line, &account.request);
        if account.given_up == Some(GiveUp::InResponse) {
            // The gateway closes its upstream connection too, unread: of the origin's bytes only
            // those that it had read can be seen.
            let (_, sent, body) = lengths(record);
            comparison.that("bytes read <= bytes sent", true, sent <= wire.bytes_sent);
            (wire.bytes_sent, wire.body_bytes_sent) = (sent, body);
        } else {
            comparison.bodies(account, record, cap);
        }
        comparison.wire(&wire, record);
        if let (Some(stored), Some(request)) = (stored, &record.request) {
            comparison.body("stored body", stored, &request.body, cap);
        }
        comparison
    }

    /// Whether exactly one record is there; if not, the difference is noted.
    pub(crate) fn only<'r>(&mut self, records: &'r [Record]) -> Option<&'r Record> {
        self.that("records for one log line", 1, records.len());
        records.first().filter(|_| records.len() == 1)
    }

    pub(crate) fn that<T: PartialEq + Debug>(&mut self, fact: &'static str, expected: T, found: T) {
        if expected != found {
            let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
            let (id, leg) = (self.id.to_owned(), self.leg);
            self.differences.push(Difference { id, leg, fact, expected, found });
        }
    }

    pub(crate) fn into_differences(self) -> Vec<Difference> {
        self.differences
    }

    fn log(&mut self, wire: &OnTheWire, account: &Account, record: &Record) {
        self.wire(wire, record);
        let pid = record.connection.process.map(|process| u64::from(process.pid_in_namespace));
        self.that("$pid", Some(wire.pid), pid);
        // The tap counts from where it joined a connection, nginx from its start.
        let ordinal = wire.ordinal.checked_sub(account.before_tap);
        self.that("$connection_requests", ordinal, record.connection.request_ordinal);
    }

    fn wire(&mut self, wire: &OnTheWire, record: &Record) {
        let (request_length, bytes_sent, body_bytes_sent) = lengths(record);
        let status = record.response.as_ref().map(|response| u64::from(response.status));
        self.that("$request", Some(wire.request_line.clone()), record.request_line());
        self.that("$status", wire.status, status);
        self.that("$request_length", wire.request_length, request_length);
        self.that("$bytes_sent", wire.bytes_sent, bytes_sent);
        self.that("$body_bytes_sent", wire.body_bytes_sent, body_bytes_sent);
    }

    /// Ends of the connection, and every byte on it.
    pub(crate) fn account(&mut self, account: &Account, record: &Record) {
        let connection = &record.connection;
        self.that("client", account.client, SocketAddr::from(connection.client));
        self.that("server", account.server, SocketAddr::from(connection.server));
        self.that("joined", account.joined, connection.joined_mid_stream);
        self.that("bytes that the client sent", account.sent, lengths(record).0);
        if let Some(reply) = &account.reply {
            self.that("bytes that the client read", reply.received(), lengths(record).1);
            self.that("1xx responses", reply.interim, record.interim.len());
        }
    }

    /// Outcome and bodies, as far as the client knows them.
    pub(crate) fn bodies(&mut self, account: &Account, record: &Record, cap: u64) {
        let request = record.request.as_ref().map(|request| (&account.content, &request.body));
        let content = account.reply.as_ref().map(|reply| &reply.content);
        let response = content.zip(record.response.as_ref().map(|response| &response.body));
        let is_over = account.given_up.is_none();
        self.that("outcome is complete", is_over, record.outcome == "complete");
        if ![request, response].into_iter().flatten().any(|(sent, body)| hides_end(sent, body, cap))
        {
            self.that("complete", is_over, record.complete);
        }
        for (fact, known) in [("request body", request), ("response body", response)] {
            if let Some((expected, found)) = known {
                self.body(fact, expected, found, cap);
            }
        }
    }

    /// Up to the cap a record holds the whole body with its coding undone, beyond it exactly as much
    /// as the cap.
    pub(crate) fn body(&mut self, fact: &'static str, expected: &Content, found: &Body, cap: u64) {
        self.that("bytes lost", 0, found.lost);
        let shown = expected.shown(cap);
        let is_whole = shown.length <= cap;
        let sha256 = if is_whole { &shown.sha256 } else { &shown.prefix_sha256 };
        let (captured, prefix) = (shown.length.min(cap), &found.content);
        self.that(fact, (captured, sha256), (prefix.length, &prefix.sha256));
        if hides_end(expected, found, cap) {
            self.that("end seen or inferred", true, found.complete || found.end_inferred);
            self.that(
                "body length or unknown",
                true,
                found.length.is_none_or(|length| length == expected.length),
            );
        } else {
            self.that("body length", Some(expected.length), found.length);
        }
    }
}

/// Whether the framing that tells the end of a body lies in bytes that were skipped.
fn hides_end(expected: &Content, found: &Body, cap: u64) -> bool {
    expected.length > cap && found.framing == "chunked"
}

/// Of request, of all responses, and of all responses without the final head.
fn lengths(record: &Record) -> (u64, u64, u64) {
    let request = record.request.as_ref().map_or(0, |request| request.length);
    let interim: u64 = record.interim.iter().map(|interim| interim.head_length).sum();
    let response = record.response.as_ref();
    let sent = interim + response.map_or(0, |response| response.length);
    let body = interim + response.map_or(0, |response| response.body.wire_length);
    (request, sent, body)
}

/// Fails with a table if there is any difference.
#[track_caller]
pub(crate) fn assert_none(differences: &[Difference]) {
    if differences.is_empty() {
        return;
    }
    let mut by_fact: HashMap<(&str, &str), usize> = HashMap::new();
    for difference in differences {
        *by_fact.entry((difference.leg, difference.fact)).or_default() += 1;
    }
    eprintln!("{:<12} {:<9} {:<28} {:<45} found", "id", "leg", "fact", "expected");
    for Difference { id, leg, fact, expected, found } in differences.iter().take(SHOWN) {
        eprintln!("{id:<12} {leg:<9} {fact:<28} {expected:<45} {found}");
    }
    panic!("{} differences: {by_fact:?}", differences.len());
}

/// The lines of a log by the test's id; lines for the same id stay together.
pub(crate) fn by_id(log: Vec<LogEntry>) -> HashMap<String, Vec<LogEntry>> {
    let mut lines: HashMap<String, Vec<LogEntry>> = HashMap::new();
    for line in log.into_iter().filter(|line| !log_rules::is_broken_head(line)) {
        lines.entry(line.text("http_x_test_id").to_owned()).or_default().push(line);
    }
    lines
}
