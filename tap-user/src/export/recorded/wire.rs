//! The members of a native record as `docs/record.md` names them, and as they stand in a line.
//!
//! Every key is known: one that is not would be lost on the way, so its line is refused. Members
//! that follow from others (`time`, `length`, `complete`…) are passed over.

use crate::gateway::CorrelationSource;
use crate::http::content::DecodingError;
use crate::http::{Switch, Version};
use crate::segment::{Abandonment, ClosedBy, GapCause, Leg, Time};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};
use std::net::{IpAddr, SocketAddr};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub(super) id: String,
    #[serde(rename = "time")]
    _time: Option<IgnoredAny>,
    pub(super) leg: Leg,
    pub(super) correlation_id: Option<String>,
    pub(super) correlation_source: Option<CorrelationSource>,
    #[serde(rename = "complete")]
    _complete: IgnoredAny,
    pub(super) outcome: OutcomeName,
    pub(super) lost_cause: Option<GapCause>,
    pub(super) abandoned_cause: Option<Abandonment>,
    pub(super) closed_by: Option<ClosedBy>,
    #[serde(default)]
    pub(super) reset: bool,
    pub(super) switch: Option<Switch>,
    /// Numbers by rule; a map of its own kind would not keep their order.
    #[serde(default)]
    pub(super) redacted: serde_json::Map<String, serde_json::Value>,
    pub(super) connection: Connection,
    pub(super) request: Option<Request>,
    #[serde(default)]
    pub(super) interim: Vec<Interim>,
    pub(super) response: Option<Response>,
    pub(super) durations_ns: Durations,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OutcomeName {
    Complete,
    Ongoing,
    Closed,
    Lost,
    Malformed,
    Abandoned,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Connection {
    pub(super) serial: u64,
    pub(super) ordinal: u64,
    pub(super) request_ordinal: Option<u64>,
    pub(super) client: Address,
    pub(super) server: Address,
    pub(super) process: Option<Process>,
    pub(super) listener: Listener,
    #[serde(rename = "pid_unknown")]
    _pid_unknown: Option<IgnoredAny>,
    pub(super) network_namespace: Option<u32>,
    pub(super) control_group: Option<u64>,
    #[serde(default, deserialize_with = "optional_time")]
    pub(super) opened: Option<Time>,
    #[serde(rename = "joined_mid_stream")]
    _joined_mid_stream: Option<IgnoredAny>,
    pub(super) proxied: Option<Proxied>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Address {
    address: IpAddr,
    port: u16,
}

impl From<Address> for SocketAddr {
    fn from(Address { address, port }: Address) -> Self {
        Self::new(address, port)
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) pid_in_namespace: u32,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged, expecting = "a port or \"unknown\"")]
pub(super) enum Listener {
    Port(u16),
    Word(Unknown),
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) enum Unknown {
    #[serde(rename = "unknown")]
    Unknown,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proxied {
    pub(super) client: Address,
    pub(super) server: Address,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: Exact,
    pub(super) version: Version,
    pub(super) headers: Vec<(Exact, Exact)>,
    pub(super) head_length: u64,
    #[serde(rename = "length")]
    _length: IgnoredAny,
    pub(super) offset: u64,
    #[serde(deserialize_with = "time")]
    pub(super) first_byte: Time,
    #[serde(deserialize_with = "time")]
    pub(super) last_byte: Time,
    #[serde(default)]
    pub(super) anomalies: Vec<String>,
    pub(super) body: Body,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Interim {
    pub(super) status: u16,
    pub(super) headers: Vec<(Exact, Exact)>,
    pub(super) head_length: u64,
    #[serde(deserialize_with = "time")]
    pub(super) time: Time,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) reason: Exact,
    pub(super) version: Version,
    pub(super) headers: Vec<(Exact, Exact)>,
    pub(super) head_length: u64,
    #[serde(rename = "length")]
    _length: IgnoredAny,
    pub(super) offset: u64,
    #[serde(deserialize_with = "time")]
    pub(super) first_byte: Time,
    #[serde(deserialize_with = "time")]
    pub(super) last_byte: Time,
    #[serde(default)]
    pub(super) anomalies: Vec<String>,
    pub(super) body: Body,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    pub(super) framing: FramingName,
    pub(super) content_length: Option<u64>,
    pub(super) length: Option<u64>,
    pub(super) wire_length: u64,
    pub(super) captured: usize,
    #[serde(default)]
    pub(super) skipped: u64,
    #[serde(default)]
    pub(super) lost: u64,
    pub(super) lost_cause: Option<GapCause>,
    pub(super) complete: bool,
    #[serde(default)]
    pub(super) end_inferred: bool,
    #[serde(default)]
    pub(super) memory_limited: bool,
    #[serde(default)]
    pub(super) malformed: bool,
    #[serde(default)]
    pub(super) redacted: bool,
    #[serde(default)]
    pub(super) withheld: bool,
    #[serde(rename = "content_coding")]
    _content_coding: Option<IgnoredAny>,
    #[serde(rename = "transfer_coding")]
    _transfer_coding: Option<IgnoredAny>,
    pub(super) decoded_length: Option<usize>,
    #[serde(default)]
    pub(super) decoded_truncated: bool,
    pub(super) decoding_error: Option<DecodingError>,
    pub(super) charset: Option<String>,
    pub(super) text: Option<String>,
    pub(super) base64: Option<Base64>,
    #[serde(default)]
    pub(super) trailers: Vec<(Exact, Exact)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FramingName {
    None,
    ContentLength,
    Chunked,
    UntilClose,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Durations {
    pub(super) request: Option<u64>,
    pub(super) first_byte: Option<u64>,
    pub(super) total: Option<u64>,
}

/// Bytes that are a string where they are UTF-8.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a string or {\"base64\": …}")]
pub(super) enum Exact {
    Text(String),
    Bytes(Coded),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Coded {
    base64: Base64,
}

impl Exact {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(coded) => &coded.base64.0,
        }
    }
}

/// Bytes in base64.
#[derive(Debug)]
pub(super) struct Base64(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(D::Error::custom)
    }
}

/// A time of the wall clock. What the other clock showed is not recorded.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    let text = String::deserialize(deserializer)?;
    let stamp: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
    let unix_ns = u64::try_from(stamp.as_nanosecond())
        .map_err(|_| D::Error::custom(format!("the time {text} is not between 1970 and 2554")))?;
    Ok(Time { monotonic_ns: unix_ns, unix_ns })
}

fn optional_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
    time(deserializer).map(Some)
}
