//! gatetap's own record: everything that is known of an exchange, both legs, bytes exactly.

use super::body::{Bodies, ShownBody};
use super::connections::ConnectionText;
use super::facts;
use crate::export::json::{Array, Exact, Object, Page, document};
use crate::gateway::Observation;
use crate::http::{Exchange, Headers, Interim, Request, Response};

/// Appends the record without its terminator.
pub(super) fn write(observation: &Observation, connection: &ConnectionText, out: &mut Page) {
    let exchange = &observation.exchange;
    let bodies = Bodies::of(observation);
    document(out, |object| {
        write_identity(object, observation);
        facts::write_outcome(object, exchange);
        facts::write_redacted(object, observation);
        facts::write_connection(object, observation, connection, |object| {
            object.flag("pid_unknown", facts::is_pid_unknown(&observation.connection));
        });
        if let Some(request) = &exchange.request {
            object.object("request", |object| {
                write_request(object, request);
                write_body(object, bodies.request.as_ref());
            });
        }
        if !exchange.interim.is_empty() {
            object.array("interim", |array| write_interim(array, &exchange.interim));
        }
        if let Some(response) = &exchange.response {
            object.object("response", |object| {
                write_response(object, response);
                write_body(object, bodies.response.as_ref());
            });
        }
        object.object("durations_ns", |object| write_durations(object, exchange));
    });
}

fn write_identity(object: &mut Object<'_>, observation: &Observation) {
    object.field("id", &*observation.id);
    object.optional("time", facts::begin(&observation.exchange));
    object.word("leg", facts::leg_name(observation.connection.leg));
    if let Some(correlation) = &observation.correlation {
        object.field("correlation_id", correlation.id.as_str());
        object.word("correlation_source", facts::source_name(correlation.source));
    }
}

fn write_request(object: &mut Object<'_>, request: &Request) {
    object.field("method", &*request.method);
    object.field("target", Exact(&request.target));
    object.word("version", request.version.as_str());
    write_headers(object, "headers", &request.headers);
    object.field("head_length", request.head_length);
    object.field("length", request.head_length.saturating_add(request.body.wire_length));
    object.field("offset", request.offset);
    object.field("first_byte", request.first_byte);
    object.field("last_byte", request.last_byte);
    facts::write_anomalies(object, request.anomalies);
}

fn write_interim(array: &mut Array<'_>, interim: &[Interim]) {
    for response in interim {
        array.object(|object| {
            object.field("status", response.status);
            write_headers(object, "headers", &response.headers);
            object.field("head_length", response.head_length);
            object.field("time", response.time);
        });
    }
}

fn write_response(object: &mut Object<'_>, response: &Response) {
    object.field("status", response.status);
    object.field("reason", Exact(&response.reason));
    object.word("version", response.version.as_str());
    write_headers(object, "headers", &response.headers);
    object.field("head_length", response.head_length);
    object.field("length", response.head_length.saturating_add(response.body.wire_length));
    object.field("offset", response.offset);
    object.field("first_byte", response.first_byte);
    object.field("last_byte", response.last_byte);
    facts::write_anomalies(object, response.anomalies);
}

fn write_headers(object: &mut Object<'_>, key: &'static str, headers: &Headers) {
    object.array(key, |array| {
        for (name, value) in headers.iter() {
            array.array(|pair| {
                pair.item(Exact(name));
                pair.item(Exact(value));
            });
        }
    });
}

fn write_body(object: &mut Object<'_>, shown: Option<&ShownBody<'_>>) {
    let Some(shown) = shown else { return };
    object.object("body", |object| {
        facts::write_body_facts(object, shown);
        shown.write(object);
        if !shown.body.trailers.is_empty() {
            write_headers(object, "trailers", &shown.body.trailers);
        }
    });
}

fn write_durations(object: &mut Object<'_>, exchange: &Exchange) {
    let Some(request) = &exchange.request else { return };
    object.field("request", request.last_byte.since(request.first_byte));
    let Some(response) = &exchange.response else { return };
    // A response may begin while its request still arrives; then nobody waited for it.
    if response.first_byte.monotonic_ns >= request.last_byte.monotonic_ns {
        object.field("first_byte", response.first_byte.since(request.last_byte));
    }
    object.field("total", response.last_byte.since(request.first_byte));
}
