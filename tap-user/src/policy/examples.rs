//! Observations for tests.

use crate::gateway::{Correlation, CorrelationSource, Observation};
use crate::http::content::Contents;
use crate::http::{
    Anomalies, Body, Exchange, Framing, Headers, Outcome, Request, Response, Version,
};
use crate::segment::{Connection, Leg, Listener, Time};
use std::sync::Arc;

pub(super) fn headers(fields: &[(&str, &str)]) -> Headers {
    let (mut raw, mut places) = (Vec::new(), Vec::new());
    for (name, value) in fields {
        let start = raw.len() as u32;
        raw.extend_from_slice(name.as_bytes());
        let middle = raw.len() as u32;
        raw.extend_from_slice(value.as_bytes());
        places.push((start..middle, middle..raw.len() as u32));
    }
    Headers::new(raw.into(), places)
}

/// A body that is there as a whole.
pub(super) fn body(bytes: &[u8]) -> Body {
    let length = bytes.len() as u64;
    Body {
        framing: Framing::ContentLength(length),
        bytes: bytes.to_vec(),
        length: Some(length),
        wire_length: length,
        ..Body::default()
    }
}

/// The beginning of a body.
pub(super) fn cut(bytes: &[u8]) -> Body {
    let length = bytes.len() as u64 + 100;
    Body { length: Some(length), wire_length: length, skipped: 100, ..body(bytes) }
}

/// A request to port 8000 with its response, which is `text/plain`.
pub(super) fn example(method: &str, target: &str, status: u16) -> Observation {
    let time = Time { monotonic_ns: 5_000, unix_ns: 1_700_000_000_000_000_000 };
    let request = Request {
        method: method.to_owned().into(),
        target: target.into(),
        version: Version::Http11,
        headers: Headers::default(),
        head_length: 100,
        offset: 0,
        first_byte: time,
        last_byte: time,
        body: Body::default(),
        anomalies: Anomalies::NONE,
    };
    let response = Response {
        status,
        reason: Vec::new().into(),
        version: Version::Http11,
        headers: headers(&[("Content-Type", "text/plain")]),
        head_length: 100,
        offset: 0,
        first_byte: time,
        last_byte: time,
        body: Body::default(),
        anomalies: Anomalies::NONE,
    };
    let connection = Connection {
        serial: 1,
        leg: Leg::Client,
        client: "10.1.1.1:51234".parse().unwrap(),
        server: "10.0.0.1:8000".parse().unwrap(),
        process: None,
        listener: Listener::Port(8_000),
        network_namespace: None,
        control_group: None,
        opened: None,
    };
    Observation {
        id: "r-1".into(),
        connection: Arc::new(connection),
        correlation: None,
        exchange: Box::new(Exchange {
            ordinal: 1,
            request_ordinal: Some(1),
            request: Some(request),
            interim: Vec::new(),
            response: Some(response),
            outcome: Outcome::Complete,
            switch: None,
            proxied: None,
        }),
        contents: Contents::default(),
        redacted: None,
    }
}

pub(super) fn with_id(mut observation: Observation, id: &str) -> Observation {
    let source = CorrelationSource::Derived;
    observation.correlation = Some(Correlation { id: id.to_owned(), source });
    observation
}

/// Gives the request one header field.
pub(super) fn set_header(observation: &mut Observation, name: &str, value: &str) {
    observation.exchange.request.as_mut().unwrap().headers = headers(&[(name, value)]);
}
