//! What Traceable's agents take in one call per exchange (`ext_cap/v1/req_res_cap`): the JSON of
//! its public proxy plugins, with snake_case keys.
//!
//! Bodies are shown with their codings undone, and the header that names the coding is then left
//! out, as a proxy does that undoes it: so agents can read them, and redaction has seen them.

use super::body::{Bodies, ShownBody};
use super::joined::Joined;
use super::url::{self, SCHEME};
use crate::export::json::{Base64, Lossy, Object, Page, Value, document, milliseconds};
use crate::gateway::Observation;
use crate::http::{Headers, Request, Response};

/// Bytes of a body that are sent at most: the agent's own limit.
const BODY_LIMIT: usize = 131_072;
/// Content types whose bodies are sent are those that have one of these inside.
const CONTENT_TYPES: [&[u8]; 4] = [b"json", b"xml", b"x-www-form-urlencoded", b"grpc"];
/// What a content type of gRPC begins with (but gRPC-Web ends its bodies with the trailers).
const GRPC: &[u8] = b"application/grpc";
const GRPC_WEB: &[u8] = b"application/grpc-web";
const GRPC_STATUS: &str = "grpc-status";
/// What stands for the status of gRPC responses: theirs is in `grpc-status`.
const NO_STATUS: u16 = 0;

/// Whether bodies are marked that are not there as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    /// As most clients do. A body of which bytes were lost is left out, because nothing could say so.
    None,
    /// By `truncated`, as newer clients do.
    Truncated,
}

/// Appends the record without its terminator. There is none of an exchange without request.
pub(super) fn write(observation: &Observation, marks: Marks, out: &mut Page) {
    let bodies = Bodies::of(observation);
    let response = observation.exchange.response.as_ref();
    document(out, |object| {
        let Some(request) = &observation.exchange.request else { return };
        object.field("request_timestamp_in_ms", milliseconds(request.first_byte.unix_ns));
        let body = ContentOf { headers: &request.headers, shown: bodies.request.as_ref(), marks };
        object.object("request", |object| {
            write_request(object, observation, request, &body);
        });
        object.object("response", |object| {
            if let Some(response) = response {
                let shown = bodies.response.as_ref();
                let body = ContentOf { headers: &response.headers, shown, marks };
                write_response(object, response, &body);
            } else {
                object.object("headers", |_| {});
                object.field("body", Null);
            }
            object.field("request_url", RequestUrl { observation, request });
            object.optional("status_code", response.map(status_code));
            let cut = bodies.response.as_ref().is_none_or(is_cut);
            object.optional("truncated", (marks == Marks::Truncated).then_some(cut));
        });
    });
}

fn write_request(
    object: &mut Object<'_>,
    observation: &Observation,
    request: &Request,
    body: &ContentOf<'_>,
) {
    let client = observation.connection.client;
    object.field("method", &*request.method);
    object.object("headers", |object| {
        body.headers().without("host").write(object);
    });
    object.field("scheme", Lossy(scheme(request)));
    object.field("path", Lossy(path(&request.target)));
    object.field("host", Lossy(host(request)));
    object.field("body", body);
    object.field("source_address", client.ip());
    object.field("source_port", client.port());
    let cut = body.shown.is_some_and(is_cut);
    object.optional("truncated", (body.marks == Marks::Truncated).then_some(cut));
}

fn write_response(object: &mut Object<'_>, response: &Response, body: &ContentOf<'_>) {
    object.object("headers", |object| {
        let mut headers = body.headers();
        if is_grpc(response) {
            let status = response.body.trailers.get(GRPC_STATUS);
            status.iter().for_each(|status| headers.push(GRPC_STATUS.as_bytes(), status));
        }
        headers.write(object);
    });
    object.field("body", body);
}

/// Whether it goes on behind what an agent gets of it.
fn is_cut(shown: &ShownBody<'_>) -> bool {
    !shown.is_whole || shown.bytes().len() > BODY_LIMIT
}

fn status_code(response: &Response) -> u16 {
    if is_grpc(response) { NO_STATUS } else { response.status }
}

fn is_grpc(response: &Response) -> bool {
    let content_type = response.headers.get("content-type").unwrap_or_default();
    starts_with(content_type, GRPC) && !starts_with(content_type, GRPC_WEB)
}

fn starts_with(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// What a proxy in front of the gateway says of the client's connection, else what is spoken here.
fn scheme(request: &Request) -> &[u8] {
    let forwarded = request.headers.get("x-forwarded-proto").filter(|scheme| !scheme.is_empty());
    forwarded.unwrap_or(SCHEME.as_bytes())
}

/// The authority of an absolute target, else the `Host` header; empty where neither is there.
fn host(request: &Request) -> &[u8] {
    let absolute = url::split_absolute(&request.target).map(|(authority, _)| authority);
    absolute.or_else(|| request.headers.get("host")).unwrap_or_default()
}

/// The target without scheme, authority and query; empty where it is only an authority.
fn path(target: &[u8]) -> &[u8] {
    let uri = url::uri(target);
    let path = uri.split(|&byte| byte == b'?').next().unwrap_or_default();
    if matches!(uri.first(), Some(b'/' | b'*')) { path } else { b"" }
}

/// `scheme://host` with path and query.
struct RequestUrl<'a> {
    observation: &'a Observation,
    request: &'a Request,
}

impl Value for RequestUrl<'_> {
    fn write(self, out: &mut Page) {
        let named = host(self.request);
        let address = self.observation.connection.server.to_string();
        let host = if named.is_empty() { address.as_bytes() } else { named };
        let uri = url::uri(&self.request.target);
        // `*` and the authority of a CONNECT name no resource (RFC 9112, section 3.3).
        let uri = if matches!(uri.first(), Some(b'/' | b'?')) { uri } else { b"" };
        Lossy(&[scheme(self.request), b"://", host, uri].concat()).write(out);
    }
}

/// A message's body and what decides whether it is sent.
struct ContentOf<'a> {
    headers: &'a Headers,
    shown: Option<&'a ShownBody<'a>>,
    marks: Marks,
}

impl ContentOf<'_> {
    /// The header fields that fit the body as it is shown.
    fn headers(&self) -> Joined {
        let headers = Joined::of_headers(self.headers);
        let is_decoded = self.shown.is_some_and(|shown| shown.decoded_length().is_some());
        if is_decoded { headers.without("content-encoding") } else { headers }
    }

    fn bytes(&self) -> Option<&[u8]> {
        let shown = self.shown.filter(|_| self.has_wanted_type())?;
        let bytes = shown.bytes();
        let sent = bytes.get(..BODY_LIMIT).unwrap_or(bytes);
        // What reaches the limit is not shorter than without the loss.
        let misleads = shown.is_damaged() && sent.len() < BODY_LIMIT && self.marks == Marks::None;
        Some(sent).filter(|sent| !sent.is_empty() && !misleads)
    }

    fn has_wanted_type(&self) -> bool {
        let content_type = self.headers.get("content-type").unwrap_or_default();
        CONTENT_TYPES.into_iter().any(|wanted| {
            content_type.windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted))
        })
    }
}

/// Base64, or `null` where nothing is sent.
impl Value for &ContentOf<'_> {
    fn write(self, out: &mut Page) {
        match self.bytes() {
            Some(bytes) => Base64(bytes).write(out),
            None => Null.write(out),
        }
    }
}

/// `null`: this format's word for a body that is not there.
struct Null;

impl Value for Null {
    fn write(self, out: &mut Page) {
        out.extend(b"null,");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_all_forms_of_targets() {
        for (target, expected) in [
            ("/a/b?x=1?y", "/a/b"),
            ("/a%20b", "/a%20b"),
            ("http://h:1/a?b=/", "/a"),
            ("http://h", "/"),
            ("http://h?x", ""),
            ("*", "*"),
            ("h:443", ""),
            ("", ""),
        ] {
            assert_eq!(path(target.as_bytes()), expected.as_bytes(), "{target}");
        }
    }
}
