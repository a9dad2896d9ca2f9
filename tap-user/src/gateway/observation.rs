//! An exchange together with everything that the tap knows about where it happened.

use super::{Instead, Redacted, ReplacedBody};
use crate::http::content::{Content, Contents};
use crate::http::{Body, Exchange, Headers, Request, Response};
use crate::segment::Connection;
use std::sync::Arc;

/// Where a correlation id comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CorrelationSource {
    /// Carried by the request or response in the configured header.
    Header,
    /// Made by the tap.
    Derived,
}

/// The id under which all systems know this exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation {
    /// The id itself.
    pub id: String,
    /// Where it comes from.
    pub source: CorrelationSource,
}

/// An exchange, where it happened and under which ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Stable id of the record: the same each time this exchange is exported.
    pub id: String,
    /// The connection that carried it.
    pub connection: Arc<Connection>,
    /// Correlation id; `None` on upstream legs that carry no such header.
    pub correlation: Option<Correlation>,
    /// The exchange.
    pub exchange: Exchange,
    /// Its bodies with their codings undone, for whoever shows them.
    pub contents: Contents,
    /// What was replaced in it; `None` if nothing was.
    pub redacted: Option<Box<Redacted>>,
}

impl Observation {
    /// The same with nothing of its bodies but what is known of them. Bodies are not copied.
    #[must_use]
    pub fn without_bodies(&self) -> Self {
        let Self { exchange, redacted, .. } = self;
        let rules = redacted.as_ref().map_or_else(Vec::new, |redacted| redacted.rules.clone());
        let left_out = Redacted {
            rules,
            request_body: exchange.request.as_ref().map(|request| left_out(&request.headers)),
            response_body: exchange.response.as_ref().map(|response| left_out(&response.headers)),
        };
        Self {
            id: self.id.clone(),
            connection: Arc::clone(&self.connection),
            correlation: self.correlation.clone(),
            exchange: Exchange {
                request: exchange.request.as_ref().map(request_without_body),
                response: exchange.response.as_ref().map(response_without_body),
                interim: exchange.interim.clone(),
                ..*exchange
            },
            contents: Contents::default(),
            redacted: Some(Box::new(left_out)),
        }
    }
}

fn left_out(headers: &Headers) -> ReplacedBody {
    ReplacedBody { content: Content::undecoded(headers), instead: Instead::LeftOut }
}

fn request_without_body(request: &Request) -> Request {
    Request {
        method: request.method.clone(),
        target: request.target.clone(),
        headers: request.headers.clone(),
        body: without_bytes(&request.body),
        ..*request
    }
}

fn response_without_body(response: &Response) -> Response {
    Response {
        reason: response.reason.clone(),
        headers: response.headers.clone(),
        body: without_bytes(&response.body),
        ..*response
    }
}

fn without_bytes(body: &Body) -> Body {
    Body { bytes: Vec::new(), trailers: body.trailers.clone(), ..*body }
}
