//! The newest record of Kong's `tcp-log` plugin, with bodies. What only Kong can know (route,
//! service, tries…) is left out; what Kong tells in headers is taken from there; what is
//! gatetap's own stands under the one key `tap`.

use super::body::Bodies;
use super::pairs::Pairs;
use super::tap;
use super::url::{self, Url};
use crate::export::json::{Lossy, Object, Shown, milliseconds, object};
use crate::gateway::Observation;
use crate::http::{Exchange, Request, Response};

/// What `latencies.proxy` says of a response that Kong made itself.
const NOT_PROXIED: i64 = -1;

/// Appends the record without its terminator.
pub(super) fn write(observation: &Observation, out: &mut Vec<u8>) {
    let exchange = &observation.exchange;
    let bodies = Bodies::of(observation);
    object(out, |object| {
        if let Some(request) = &exchange.request {
            object.object("request", |object| {
                write_request(object, observation, request);
                bodies.request.iter().for_each(|shown| shown.write_with_encoding(object));
            });
        }
        if let Some(response) = &exchange.response {
            object.optional("upstream_status", header(response, "x-kong-upstream-status"));
            object.object("response", |object| {
                write_response(object, response);
                bodies.response.iter().for_each(|shown| shown.write_with_encoding(object));
            });
        }
        object.object("latencies", |object| write_latencies(object, exchange));
        object.field("client_ip", Shown(observation.connection.client.ip()));
        let started = exchange.request.as_ref().map(|request| request.first_byte.unix_ns);
        object.optional("started_at", started.map(milliseconds));
        object.optional("source", exchange.response.as_ref().and_then(source));
        if let Some(correlation) = &observation.correlation {
            object.field("correlation_id", correlation.id.as_str());
        }
        tap::write(object, observation, &bodies, tap::CorrelationId::Elsewhere);
    });
}

fn write_request(object: &mut Object<'_>, observation: &Observation, request: &Request) {
    let response = observation.exchange.response.as_ref();
    let uri = url::uri(&request.target);
    object.optional("id", response.and_then(|response| header(response, "x-kong-request-id")));
    object.field("uri", Lossy(uri));
    object.optional("url", Url::of(request, observation.connection.server));
    object.object("querystring", |object| Pairs::of_arguments(url::query(uri)).write(object));
    object.field("method", request.method.as_str());
    object.object("headers", |object| {
        Pairs::of_headers(&request.headers).write(object);
    });
    object.field("size", request.head_length.saturating_add(request.body.wire_length));
}

fn write_response(object: &mut Object<'_>, response: &Response) {
    object.field("status", response.status);
    object.object("headers", |object| {
        Pairs::of_headers(&response.headers).write(object);
    });
    object.field("size", response.head_length.saturating_add(response.body.wire_length));
}

/// Whole milliseconds: what Kong says of itself and of the upstream, and the client's view.
fn write_latencies(object: &mut Object<'_>, exchange: &Exchange) {
    let Some(response) = &exchange.response else { return };
    let answered_by_kong = number(response, "x-kong-response-latency");
    let kong = number(response, "x-kong-proxy-latency").or(answered_by_kong);
    let proxied = number(response, "x-kong-upstream-latency");
    object.optional("kong", kong);
    object.optional("proxy", proxied.or(answered_by_kong.map(|_| NOT_PROXIED)));
    let total =
        exchange.request.as_ref().map(|request| response.last_byte.since(request.first_byte));
    object.optional("request", total.map(milliseconds));
}

/// Who made the response, where Kong's latency headers tell.
fn source(response: &Response) -> Option<&'static str> {
    let upstream = response.headers.get("x-kong-upstream-latency").map(|_| "upstream");
    upstream.or_else(|| response.headers.get("x-kong-response-latency").map(|_| "kong"))
}

fn header<'a>(response: &'a Response, name: &str) -> Option<Lossy<'a>> {
    response.headers.get(name).map(Lossy)
}

fn number(response: &Response, name: &str) -> Option<i64> {
    str::from_utf8(response.headers.get(name)?).ok()?.trim().parse().ok()
}
