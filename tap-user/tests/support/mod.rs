//! Observations made by hand, for tests of what is written of them.
#![allow(dead_code, reason = "each test file uses a part of it")]

use gatetap::gateway::{Correlation, CorrelationSource, Observation};
use gatetap::http::content::Contents;
use gatetap::http::{
    Anomalies, Body, Exchange, Framing, Headers, Outcome, Request, Response, Version,
};
use gatetap::segment::{Connection, Leg, Listener, Process, Time};
use std::sync::Arc;

/// 2023-11-14T22:13:20.123456789Z
pub(crate) const BEGIN: Time = Time { monotonic_ns: 5_000, unix_ns: 1_700_000_000_123_456_789 };

/// That many nanoseconds after [`BEGIN`].
pub(crate) fn after(nanoseconds: u64) -> Time {
    Time { monotonic_ns: BEGIN.monotonic_ns + nanoseconds, unix_ns: BEGIN.unix_ns + nanoseconds }
}

pub(crate) fn headers<'a>(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Headers {
    let mut raw = Vec::new();
    let mut push = |bytes: &[u8]| {
        let start = raw.len() as u32;
        raw.extend_from_slice(bytes);
        start..raw.len() as u32
    };
    let places = fields.into_iter().map(|(name, value)| (push(name), push(value))).collect();
    Headers::new(raw.into(), places)
}

pub(crate) fn text_headers(fields: &[(&str, &str)]) -> Headers {
    headers(fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
}

/// A body seen in full.
pub(crate) fn body(content: &[u8]) -> Body {
    let length = content.len() as u64;
    Body {
        framing: Framing::ContentLength(length),
        bytes: content.to_vec(),
        length: Some(length),
        wire_length: length,
        ..Body::default()
    }
}

pub(crate) fn connection() -> Connection {
    Connection {
        serial: 56,
        leg: Leg::Client,
        client: "10.1.1.1:51234".parse().unwrap(),
        server: "10.0.0.1:8000".parse().unwrap(),
        process: Some(Process { pid: 4321, pid_in_namespace: 1234 }),
        listener: Listener::Port(8000),
        network_namespace: Some(4_026_531_840),
        control_group: Some(77),
        opened: Some(Time { monotonic_ns: 1_000, unix_ns: 1_700_000_000_000_000_000 }),
    }
}

pub(crate) fn request(method: &str, target: &[u8], fields: &[(&str, &str)], body: Body) -> Request {
    Request {
        method: method.to_owned().into(),
        target: target.to_vec(),
        version: Version::Http11,
        headers: text_headers(fields),
        head_length: 75,
        offset: 0,
        first_byte: BEGIN,
        last_byte: after(1_000_000),
        body,
        anomalies: Anomalies::NONE,
    }
}

pub(crate) fn response(status: u16, reason: &str, fields: &[(&str, &str)], body: Body) -> Response {
    Response {
        status,
        reason: reason.as_bytes().to_vec().into(),
        version: Version::Http11,
        headers: text_headers(fields),
        head_length: 399,
        offset: 0,
        first_byte: after(13_000_000),
        last_byte: after(16_400_000),
        body,
        anomalies: Anomalies::NONE,
    }
}

pub(crate) fn observation(
    connection: Connection,
    request: Option<Request>,
    response: Option<Response>,
    outcome: Outcome,
) -> Observation {
    Observation {
        id: "r-1".into(),
        connection: Arc::new(connection),
        correlation: Some(Correlation {
            id: "10.0.0.1-8000-1234-56-7-1700000000.123".to_owned(),
            source: CorrelationSource::Derived,
        }),
        exchange: Box::new(Exchange {
            ordinal: 8,
            request_ordinal: request.is_some().then_some(7),
            request,
            interim: Vec::new(),
            response,
            outcome,
            switch: None,
            proxied: None,
        }),
        contents: Contents::default(),
        redacted: None,
    }
}

/// `GET /v1/a?x=1` with its response, as Kong's log shows it in the wire formats.
pub(crate) fn kong_example() -> Observation {
    let request = request(
        "GET",
        b"/v1/a?x=1",
        &[("Host", "h"), ("Authorization", "Bearer t")],
        Body::default(),
    );
    let response = response(
        200,
        "OK",
        &[
            ("Content-Type", "application/json"),
            ("X-Kong-Upstream-Latency", "12"),
            ("X-Kong-Proxy-Latency", "3"),
            ("X-Kong-Request-Id", "7c1a0123456789abcdef0123456789ab"),
            ("X-Kong-Upstream-Status", "200"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
        ],
        body(b"{\"items\":[\"\xc3\xa4\",\"\\u0001\"],\"ok\":true}"),
    );
    observation(connection(), Some(request), Some(response), Outcome::Complete)
}
