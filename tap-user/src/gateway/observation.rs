//! An exchange together with everything that the tap knows about where it happened.

use super::Redacted;
use crate::http::Exchange;
use crate::http::content::Contents;
use crate::segment::Connection;
use serde::Deserialize;
use std::sync::Arc;

/// Where a correlation id comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    pub id: Arc<str>,
    /// The connection that carried it.
    pub connection: Arc<Connection>,
    /// Correlation id; `None` on upstream legs that carry no such header.
    pub correlation: Option<Correlation>,
    /// The exchange; in a box, because it is large and handed on.
    pub exchange: Box<Exchange>,
    /// Its bodies with their codings undone, for whoever shows them.
    pub contents: Contents,
    /// What was replaced in it; `None` if nothing was.
    pub redacted: Option<Box<Redacted>>,
}
