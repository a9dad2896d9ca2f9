//! Segments in, exchanges out: HTTP/1.x as an observer sees it.
//!
//! ```text
//! Segment ── observer ─┬─ preamble ─ proxy_protocol   a header before everything else
//!                      ├─ socks    a negotiation before the messages
//!                      ├─ detect   is it HTTP at all
//!                      ├─ stream ─ head ─ fields   one direction, cut into heads
//!                      │         └ body ─ chunked   ... and bodies
//!                      │    (ambiguity notes what peers may read differently)
//!                      └─ pairing ─ pending ── Exchange
//! ```
//!
//! Pure: an [`Observer`] takes segments and times, and yields exchanges; it knows neither where
//! bytes come from nor what time it is. Content codings are left on; [`content`] undoes them for those
//! who show bodies. Its caller asks [`Observer::poll`] after each call and
//! [`Observer::poll_timeout`] when to come back.
//!
//! Where nothing is missing, framing follows RFC 9112 strictly. Where bytes are, lengths still
//! add up: for a complete response, the heads of its interim responses, its own head and
//! `body.wire_length` are the bytes that the server sent.

mod ambiguity;
mod anomaly;
mod body;
mod chunked;
pub mod content;
mod detect;
mod exchange;
mod fields;
pub mod fuzz;
mod head;
mod headers;
mod input;
mod limits;
mod observer;
mod pairing;
mod pending;
mod preamble;
mod proxy_protocol;
mod socks;
mod start_line;
mod stream;
#[cfg(test)]
mod tests;
pub(crate) mod urlencoded;
mod words;

pub use anomaly::{Anomalies, Anomaly};
pub use exchange::*;
pub use headers::Headers;
pub use limits::{
    DEFAULT_AGE_LIMIT_NS, DEFAULT_BODY_CAP, DEFAULT_FIELDS, DEFAULT_HEAD_BYTES,
    DEFAULT_IDLE_LIMIT_NS, DEFAULT_MEMORY_BYTES, DEFAULT_PENDING_REQUESTS, Limits, MemoryBudget,
};
pub use observer::Observer;
