//! The newest record of Kong's `tcp-log` plugin, with bodies. What only Kong can know (route,
//! service, tries…) is left out; what Kong tells in headers is taken from there; what is
//! gatetap's own stands under the one key `tap`.

use super::body::Bodies;
use super::connections::ConnectionText;
use super::kong_headers::KongHeaders;
use super::pairs::{self, Pairs};
use super::tap;
use super::url::{self, Url};
use crate::export::json::{Lossy, Object, Page, document, milliseconds};
use crate::gateway::Observation;
use crate::http::{Exchange, Request, Response};

/// What `latencies.proxy` says of a response that Kong made itself.
const NOT_PROXIED: i64 = -1;

/// Appends the record without its terminator.
pub(super) fn write(observation: &Observation, connection: &ConnectionText, out: &mut Page) {
    let exchange = &observation.exchange;
    let bodies = Bodies::of(observation);
    let kong = exchange.response.as_ref().map(KongHeaders::of).unwrap_or_default();
    document(out, |object| {
        if let Some(request) = &exchange.request {
            object.object("request", |object| {
                write_request(object, observation, request, &kong);
                bodies.request.iter().for_each(|shown| shown.write_with_encoding(object));
            });
        }
        if let Some(response) = &exchange.response {
            object.optional("upstream_status", kong.upstream_status.map(Lossy));
            object.object("response", |object| {
                write_response(object, response);
                bodies.response.iter().for_each(|shown| shown.write_with_encoding(object));
            });
        }
        object.object("latencies", |object| write_latencies(object, exchange, &kong));
        object.field("client_ip", observation.connection.client.ip());
        let started = exchange.request.as_ref().map(|request| request.first_byte.unix_ns);
        object.optional("started_at", started.map(milliseconds));
        object.optional("source", kong.source());
        if let Some(correlation) = &observation.correlation {
            object.field("correlation_id", correlation.id.as_str());
        }
        tap::write(object, observation, connection, &bodies, tap::CorrelationId::Elsewhere);
    });
}

fn write_request(
    object: &mut Object<'_>,
    observation: &Observation,
    request: &Request,
    kong: &KongHeaders<'_>,
) {
    let uri = url::uri(&request.target);
    object.optional("id", kong.request_id.map(Lossy));
    object.field("uri", Lossy(uri));
    object.optional("url", Url::of(request, observation.connection.server));
    object.object("querystring", |object| Pairs::of_arguments(url::query(uri)).write(object));
    object.field("method", &*request.method);
    object.object("headers", |object| pairs::write_headers(object, &request.headers));
    object.field("size", request.head_length.saturating_add(request.body.wire_length));
}

fn write_response(object: &mut Object<'_>, response: &Response) {
    object.field("status", response.status);
    object.object("headers", |object| pairs::write_headers(object, &response.headers));
    object.field("size", response.head_length.saturating_add(response.body.wire_length));
}

/// Whole milliseconds: what Kong says of itself and of the upstream, and the client's view.
fn write_latencies(object: &mut Object<'_>, exchange: &Exchange, kong: &KongHeaders<'_>) {
    let Some(response) = &exchange.response else { return };
    let answered_by_kong = kong.response_latency.and_then(number);
    object.optional("kong", kong.proxy_latency.and_then(number).or(answered_by_kong));
    let proxied = kong.upstream_latency.and_then(number);
    object.optional("proxy", proxied.or(answered_by_kong.map(|_| NOT_PROXIED)));
    let total =
        exchange.request.as_ref().map(|request| response.last_byte.since(request.first_byte));
    object.optional("request", total.map(milliseconds));
}

fn number(value: &[u8]) -> Option<i64> {
    str::from_utf8(value).ok()?.trim().parse().ok()
}
