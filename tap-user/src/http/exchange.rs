//! What the parser yields: a request with its response, or the reason why one of them is absent.

use super::anomaly::Anomalies;
use super::headers::Headers;
use crate::segment::{Abandonment, Close, GapCause, Time};
use serde::Deserialize;
use std::borrow::Cow;
use std::net::SocketAddr;

/// HTTP version of a message head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Version {
    /// HTTP/1.0
    #[serde(rename = "HTTP/1.0")]
    Http10,
    /// HTTP/1.1
    #[serde(rename = "HTTP/1.1")]
    Http11,
}

impl Version {
    /// As on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

/// How the end of a body is told (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// No body by the rules (HEAD, 1xx, 204, 304, a request without length).
    None,
    /// `Content-Length`.
    ContentLength(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// A response that ends with its connection.
    UntilClose,
}

/// A message body as far as it was seen. `bytes` is always an exact prefix of the body: it ends
/// at the cap, at the first hole, or at the end of what arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// How its end is told.
    pub framing: Framing,
    /// Prefix of the content, chunk framing removed, content codings untouched.
    pub bytes: Vec<u8>,
    /// Length of the content in bytes after removal of chunk framing; `None` where framing hidden
    /// in a gap makes it unknowable.
    pub length: Option<u64>,
    /// Bytes that the body took on the connection, chunk framing and trailers included.
    pub wire_length: u64,
    /// Of `wire_length`: bytes left out on purpose before they reached userspace.
    pub skipped: u64,
    /// Of `wire_length`: bytes lost.
    pub lost: u64,
    /// Why bytes were lost: the first cause seen.
    pub lost_cause: Option<GapCause>,
    /// Whether the end of the body was seen. `false`: the message ended early, is still going
    /// on, or its end is only inferred (see `end_inferred`).
    pub complete: bool,
    /// The framing that tells the end was hidden in a gap, so the end was taken from the end of
    /// the turn, an idle limit or the last bytes of a call.
    pub end_inferred: bool,
    /// `bytes` stops short because the tap's memory limit was reached, not at the cap.
    pub memory_limited: bool,
    /// The framing is invalid from some point on (bad chunk size…); `bytes` ends there.
    pub malformed: bool,
    /// Trailer fields of a chunked body.
    pub trailers: Headers,
}

impl Body {
    /// Whether `bytes` is all of the content.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.complete && self.length == Some(self.bytes.len() as u64)
    }
}

impl Default for Body {
    fn default() -> Self {
        Self {
            framing: Framing::None,
            bytes: Vec::new(),
            length: Some(0),
            wire_length: 0,
            skipped: 0,
            lost: 0,
            lost_cause: None,
            complete: true,
            end_inferred: false,
            memory_limited: false,
            malformed: false,
            trailers: Headers::default(),
        }
    }
}

/// A request as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method, as on the wire.
    pub method: Cow<'static, str>,
    /// Request target, as on the wire (origin, absolute, authority or asterisk form).
    pub target: Vec<u8>,
    /// Version of the request line.
    pub version: Version,
    /// Field lines.
    pub headers: Headers,
    /// Bytes of request line and field lines with the empty line.
    pub head_length: u64,
    /// Stream offset of the request line's first byte.
    pub offset: u64,
    /// When its first byte was seen.
    pub first_byte: Time,
    /// When its last byte (so far) was seen.
    pub last_byte: Time,
    /// Its content.
    pub body: Body,
    /// What peers may read differently in head, chunks and trailers.
    pub anomalies: Anomalies,
}

/// An interim (1xx) response that preceded the final one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interim {
    /// 100 to 199, except 101.
    pub status: u16,
    /// Field lines.
    pub headers: Headers,
    /// Bytes of status line and field lines with the empty line.
    pub head_length: u64,
    /// When it was seen.
    pub time: Time,
}

/// A final response as it was seen (101 counts as final: it ends HTTP/1.1 on its connection).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Reason phrase, as on the wire.
    pub reason: Cow<'static, [u8]>,
    /// Version of the status line.
    pub version: Version,
    /// Field lines.
    pub headers: Headers,
    /// Bytes of status line and field lines with the empty line.
    pub head_length: u64,
    /// Stream offset of the status line's first byte.
    pub offset: u64,
    /// When its first byte was seen.
    pub first_byte: Time,
    /// When its last byte (so far) was seen.
    pub last_byte: Time,
    /// Its content.
    pub body: Body,
    /// What peers may read differently in head, chunks and trailers; interim responses included.
    pub anomalies: Anomalies,
}

/// Why an exchange was exported, and what may be missing from it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Outcome {
    /// Request and response were seen to their ends.
    #[default]
    Complete,
    /// The response still goes on (or has not begun) after the age limit; the exchange is
    /// exported again, under the same id, when it ends.
    Ongoing,
    /// The connection ended before both were complete, in the way given.
    Closed(Close),
    /// Bytes were lost inside a message head, so request or response could not be read.
    Lost(GapCause),
    /// The bytes were all there but are no HTTP/1 message from here on.
    Malformed,
    /// The tap looked no longer: nothing is known of how the exchange went on.
    Abandoned(Abandonment),
}

/// Where a connection leaves HTTP/1.1 for good after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// `101 Switching Protocols`.
    Upgrade,
    /// A successful `CONNECT`.
    Tunnel,
}

/// A request with its response, or the one without the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    /// 1-based, in the order in which exchanges began on this connection; unique there, the same
    /// for an exchange that is exported again.
    pub ordinal: u64,
    /// 1-based count of requests seen on this connection; `None` without a request.
    pub request_ordinal: Option<u64>,
    /// The request; `None` if it was lost or sent before the tap looked.
    pub request: Option<Request>,
    /// 1xx responses before the final one.
    pub interim: Vec<Interim>,
    /// The final response; `None` if there was none, or if it was lost.
    pub response: Option<Response>,
    /// Whether all is here, and if not, why.
    pub outcome: Outcome,
    /// Set where HTTP/1.1 ends on this connection with this exchange.
    pub switch: Option<Switch>,
    /// What a PROXY protocol header at the connection's start said: (client, server).
    pub proxied: Option<(SocketAddr, SocketAddr)>,
}

/// What a connection speaks, as far as its bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Not known yet.
    Undecided,
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge (connection preface).
    Http2,
    /// A TLS handshake record.
    Tls,
    /// Redis serialization protocol.
    Redis,
    /// PostgreSQL frontend protocol.
    Postgres,
    /// MySQL server greeting.
    Mysql,
    /// Was HTTP/1.1 until an upgrade or tunnel.
    Switched,
    /// Something else.
    Other,
}

impl Protocol {
    /// Stable name, as metrics carry it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Undecided => "undecided",
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Tls => "tls",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Switched => "switched",
            Self::Other => "other",
        }
    }
}
