//! Exchanges without their bodies, for sinks that must not have them.

use crate::gateway::{Instead, Observation, Redacted, ReplacedBody};
use crate::http::content::{Contents, decode};
use crate::http::{Body, Exchange, Headers, Request, Response};
use std::sync::Arc;

/// The same observation, with bodies that are told but not there. No bytes of them are copied.
#[must_use]
pub fn without_bodies(observation: &Observation) -> Observation {
    let exchange = &observation.exchange;
    let mut redacted = observation.redacted.as_deref().cloned().unwrap_or_default();
    withhold(&mut redacted, exchange);
    Observation {
        id: Arc::clone(&observation.id),
        connection: Arc::clone(&observation.connection),
        correlation: observation.correlation.clone(),
        exchange: Box::new(Exchange {
            ordinal: exchange.ordinal,
            request_ordinal: exchange.request_ordinal,
            request: exchange.request.as_ref().map(request),
            interim: exchange.interim.clone(),
            response: exchange.response.as_ref().map(response),
            outcome: exchange.outcome,
            switch: exchange.switch,
            proxied: exchange.proxied,
        }),
        contents: Contents::default(),
        redacted: Some(redacted.into()),
    }
}

/// Notes that both bodies are kept back, as far as there are any.
fn withhold(redacted: &mut Redacted, exchange: &Exchange) {
    let replaced = |headers: &Headers, body: &Body| {
        let is_there = body.wire_length != 0;
        // Of no bytes only the names of the codings come out.
        is_there.then(|| ReplacedBody {
            content: decode(headers, &[], false, 0),
            instead: Instead::Withheld,
        })
    };
    redacted.request_body =
        exchange.request.as_ref().and_then(|it| replaced(&it.headers, &it.body));
    redacted.response_body =
        exchange.response.as_ref().and_then(|it| replaced(&it.headers, &it.body));
}

fn request(request: &Request) -> Request {
    Request {
        method: request.method.clone(),
        target: request.target.clone(),
        version: request.version,
        headers: request.headers.clone(),
        head_length: request.head_length,
        offset: request.offset,
        first_byte: request.first_byte,
        last_byte: request.last_byte,
        body: body(&request.body),
        anomalies: request.anomalies,
    }
}

fn response(response: &Response) -> Response {
    Response {
        status: response.status,
        reason: response.reason.clone(),
        version: response.version,
        headers: response.headers.clone(),
        head_length: response.head_length,
        offset: response.offset,
        first_byte: response.first_byte,
        last_byte: response.last_byte,
        body: body(&response.body),
        anomalies: response.anomalies,
    }
}

fn body(body: &Body) -> Body {
    Body {
        framing: body.framing,
        bytes: Vec::new(),
        length: body.length,
        wire_length: body.wire_length,
        skipped: body.skipped,
        lost: body.lost,
        lost_cause: body.lost_cause,
        complete: body.complete,
        end_inferred: body.end_inferred,
        memory_limited: body.memory_limited,
        malformed: body.malformed,
        trailers: body.trailers.clone(),
    }
}
