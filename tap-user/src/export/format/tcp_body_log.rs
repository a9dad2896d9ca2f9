//! The record of the `tcp-body-log` plugin, which is the message of Kong's former `runscope`
//! plugin; what is gatetap's own stands under the one key `tap`.

use super::pairs::Pairs;
use super::url::Url;
use super::{body, tap};
use crate::export::json::{Object, Seconds, Shown, object};
use crate::gateway::Observation;
use crate::http::{Exchange, Request, Response};
use crate::policy::Redaction;

const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// Appends the record without its terminator.
pub(super) fn write(observation: &Observation, redaction: &Redaction, out: &mut Vec<u8>) {
    let exchange = &observation.exchange;
    object(out, |object| {
        if let Some(request) = &exchange.request {
            let url = Url::of(request, observation.connection.server);
            object.object("request", |object| {
                object.optional("url", url);
                write_request(object, request, redaction);
            });
        }
        if let Some(response) = &exchange.response {
            object.object("response", |object| {
                write_response(object, response, exchange, redaction);
            });
        }
        tap::write(object, observation, tap::CorrelationId::Here);
    });
}

fn write_request(object: &mut Object<'_>, request: &Request, redaction: &Redaction) {
    object.field("method", request.method.as_str());
    object.object("headers", |object| {
        Pairs::of_headers(&request.headers, redaction).write(object);
    });
    body::write_with_encoding(object, &request.body);
    object.field("timestamp", Seconds(request.first_byte.unix_ns));
    object.object("form", |object| {
        if is_form(request) {
            Pairs::of_arguments(&request.body.bytes).write(object);
        }
    });
}

fn is_form(request: &Request) -> bool {
    let content_type = request.headers.get("content-type").unwrap_or_default();
    content_type.windows(FORM.len()).any(|window| window.eq_ignore_ascii_case(FORM))
}

fn write_response(
    object: &mut Object<'_>,
    response: &Response,
    exchange: &Exchange,
    redaction: &Redaction,
) {
    object.field("status", response.status);
    object.object("headers", |object| {
        Pairs::of_headers(&response.headers, redaction).write(object);
    });
    object.field("size_bytes", Shown(response.body.wire_length));
    // The plugin joins the pieces of the body: of none, that is the empty string.
    if body::is_empty(&response.body) {
        object.field("body", "");
    }
    body::write_with_encoding(object, &response.body);
    object.field("timestamp", Seconds(response.last_byte.unix_ns));
    let total =
        exchange.request.as_ref().map(|request| response.last_byte.since(request.first_byte));
    object.optional("response_time", total.map(Seconds));
}
