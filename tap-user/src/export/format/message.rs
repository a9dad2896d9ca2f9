//! Runscope's message: what Kong's former `runscope` plugin posts, and what the `tcp-body-log`
//! plugin writes to a socket. Two formats carry it, each with what is its own around it.

use super::body::{Bodies, ShownBody};
use super::pairs::{self, Pairs};
use super::url::Url;
use crate::export::json::{Object, Seconds, Shown};
use crate::gateway::Observation;
use crate::http::{Exchange, Request, Response};

const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// Whether the record says elsewhere what its bodies lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elsewhere {
    /// It does: of a body of which bytes were lost it shows what there is.
    Said,
    /// It has no place for that. A body of which bytes were lost is left out, so that none is
    /// shorter without a sign, and one that is kept back is the empty string, as the plugin has it
    /// that is told not to log bodies.
    NotSaid,
}

/// Writes the members `request` and `response`, each where it was seen.
pub(super) fn write(
    object: &mut Object<'_>,
    observation: &Observation,
    bodies: &Bodies<'_>,
    elsewhere: Elsewhere,
) {
    let exchange = &observation.exchange;
    if let Some(request) = &exchange.request {
        let url = Url::of(request, observation.connection.server);
        object.object("request", |object| {
            object.optional("url", url);
            write_request(object, request, bodies.request.as_ref(), elsewhere);
        });
    }
    if let Some(response) = &exchange.response {
        object.object("response", |object| {
            write_response(object, response, bodies.response.as_ref(), elsewhere);
            write_response_times(object, response, exchange);
        });
    }
}

fn write_request(
    object: &mut Object<'_>,
    request: &Request,
    shown: Option<&ShownBody<'_>>,
    elsewhere: Elsewhere,
) {
    object.field("method", &*request.method);
    object.object("headers", |object| pairs::write_headers(object, &request.headers));
    shown.iter().for_each(|shown| write_body(object, shown, elsewhere));
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

fn write_response(
    object: &mut Object<'_>,
    response: &Response,
    shown: Option<&ShownBody<'_>>,
    elsewhere: Elsewhere,
) {
    object.field("status", response.status);
    object.object("headers", |object| pairs::write_headers(object, &response.headers));
    object.field("size_bytes", Shown(response.body.wire_length));
    // The plugin joins the pieces of the body: of none, that is the empty string.
    if shown.is_some_and(ShownBody::is_empty) {
        object.field("body", "");
    }
    shown.iter().for_each(|shown| write_body(object, shown, elsewhere));
}

fn write_body(object: &mut Object<'_>, shown: &ShownBody<'_>, elsewhere: Elsewhere) {
    match elsewhere {
        Elsewhere::NotSaid if shown.is_withheld() => object.field("body", ""),
        Elsewhere::NotSaid if shown.is_damaged() => {}
        _ => shown.write_with_encoding(object),
    }
}

fn write_response_times(object: &mut Object<'_>, response: &Response, exchange: &Exchange) {
    object.field("timestamp", Seconds(response.last_byte.unix_ns));
    let total =
        exchange.request.as_ref().map(|request| response.last_byte.since(request.first_byte));
    object.optional("response_time", total.map(Seconds));
}
