//! The record of the `tcp-body-log` plugin, which is the message of Kong's former `runscope`
//! plugin; what is gatetap's own stands under the one key `tap`.

use super::body::{Bodies, ShownBody};
use super::pairs::Pairs;
use super::tap;
use super::url::Url;
use crate::export::json::{Object, Seconds, Shown, object};
use crate::gateway::Observation;
use crate::http::{Exchange, Request, Response};

const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// Appends the record without its terminator.
pub(super) fn write(observation: &Observation, out: &mut Vec<u8>) {
    let exchange = &observation.exchange;
    let bodies = Bodies::of(observation);
    object(out, |object| {
        if let Some(request) = &exchange.request {
            let url = Url::of(request, observation.connection.server);
            object.object("request", |object| {
                object.optional("url", url);
                write_request(object, request, bodies.request.as_ref());
            });
        }
        if let Some(response) = &exchange.response {
            object.object("response", |object| {
                write_response(object, response, bodies.response.as_ref());
                write_response_times(object, response, exchange);
            });
        }
        tap::write(object, observation, &bodies, tap::CorrelationId::Here);
    });
}

fn write_request(object: &mut Object<'_>, request: &Request, shown: Option<&ShownBody<'_>>) {
    object.field("method", request.method.as_str());
    object.object("headers", |object| {
        Pairs::of_headers(&request.headers).write(object);
    });
    shown.iter().for_each(|shown| shown.write_with_encoding(object));
    object.field("timestamp", Seconds(request.first_byte.unix_ns));
    object.object("form", |object| {
        if let Some(shown) = shown.filter(|_| is_form(request)) {
            Pairs::of_arguments(shown.bytes()).write(object);
        }
    });
}

fn is_form(request: &Request) -> bool {
    let content_type = request.headers.get("content-type").unwrap_or_default();
    content_type.windows(FORM.len()).any(|window| window.eq_ignore_ascii_case(FORM))
}

fn write_response(object: &mut Object<'_>, response: &Response, shown: Option<&ShownBody<'_>>) {
    object.field("status", response.status);
    object.object("headers", |object| {
        Pairs::of_headers(&response.headers).write(object);
    });
    object.field("size_bytes", Shown(response.body.wire_length));
    // The plugin joins the pieces of the body: of none, that is the empty string.
    if shown.is_some_and(ShownBody::is_empty) {
        object.field("body", "");
    }
    shown.iter().for_each(|shown| shown.write_with_encoding(object));
}

fn write_response_times(object: &mut Object<'_>, response: &Response, exchange: &Exchange) {
    object.field("timestamp", Seconds(response.last_byte.unix_ns));
    let total =
        exchange.request.as_ref().map(|request| response.last_byte.since(request.first_byte));
    object.optional("response_time", total.map(Seconds));
}
