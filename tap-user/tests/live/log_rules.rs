//! What a line of nginx's access log says about the bytes on the wire. nginx counts by rules of
//! its own; each is written down here, once.

use super::request::Request;
use xtask::rig::LogEntry;

/// What must have gone over a connection for nginx to log that line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OnTheWire {
    pub(crate) request_line: String,
    /// `None`: no response was sent.
    pub(crate) status: Option<u64>,
    pub(crate) request_length: u64,
    /// Interim and final response.
    pub(crate) bytes_sent: u64,
    /// As nginx counts: all that is not the head of the final response.
    pub(crate) body_bytes_sent: u64,
    pub(crate) pid: u64,
    /// 1-based place among the requests of its connection.
    pub(crate) ordinal: u64,
}

impl OnTheWire {
    /// `request` is what the client wrote, for what nginx does not count.
    pub(crate) fn logged(line: &LogEntry, request: &Request) -> Self {
        Self {
            request_line: line.text("request").to_owned(),
            status: status(line),
            request_length: number(line, "request_length") + discarded_body(line, request),
            bytes_sent: number(line, "bytes_sent"),
            body_bytes_sent: number(line, "body_bytes_sent"),
            pid: number(line, "pid"),
            ordinal: number(line, "connection_requests"),
        }
    }
}

/// Rule: a request whose head is incomplete or unparsable is logged as 400 with a length of 0 and
/// without its header fields, so it cannot be joined with anything.
pub(crate) fn is_broken_head(line: &LogEntry) -> bool {
    line.text("http_x_test_id").is_empty()
}

/// Whether the gateway sent the request to an upstream. Rule: nginx logs the address of an upstream that it
/// began to connect to, also if the client went away before anything was sent.
pub(crate) fn was_proxied(line: &LogEntry) -> bool {
    let sent = line.text("upstream_bytes_sent");
    sent.split([',', ':']).any(|bytes| bytes.trim().parse::<u64>().is_ok_and(|bytes| bytes > 0))
}

/// Rule: when the client goes away before the response, nginx logs a status (499; 400 inside the
/// request's body) that never went over the wire.
fn status(line: &LogEntry) -> Option<u64> {
    (number(line, "bytes_sent") > 0).then(|| number(line, "status"))
}

/// Rule: where the configuration answers by itself (`return`), nginx reads the request's body only
/// to discard it and leaves it out of `$request_length`.
fn discarded_body(line: &LogEntry, request: &Request) -> u64 {
    let answered_by_itself = request.target.starts_with("/direct/") && !was_proxied(line);
    if answered_by_itself { request.body().len() as u64 } else { 0 }
}

// `100 Continue` needs no rule for `$bytes_sent`, which counts its 25 bytes as the tap does, but
// they are in `$body_bytes_sent` too: see `OnTheWire::body_bytes_sent`.

fn number(line: &LogEntry, variable: &str) -> u64 {
    line.number(variable).unwrap_or_else(|| panic!("{variable} is no number in {line:?}"))
}
