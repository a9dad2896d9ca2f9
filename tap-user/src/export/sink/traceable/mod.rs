//! A Traceable agent, in its asynchronous mode: one call per exchange, with what the agent wants
//! to know beside the record in headers.

pub(super) mod settings;

pub use settings::TraceableSettings;

use super::attempt::{Attempt, BatchLimits, Round, Sink, Trouble};
use super::http::{Poster, Receiver, endpoint};
use crate::document::Problem;
use crate::export::record::Record;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::fmt::Write;

/// One exchange per call.
const LIMITS: BatchLimits = BatchLimits { records: 1, bytes: usize::MAX };
/// Behind `ext_cap_endpoint`.
const PATH: [&str; 3] = ["ext_cap", "v1", "req_res_cap"];
const RECEIVER: Receiver = Receiver {
    credentials: "agent_token",
    address: "ext_cap_endpoint (the agent's REST server, usually port 5442)",
};
/// Both spellings of the duration's header: nanoseconds, decimal.
const DURATION: [HeaderName; 2] = [
    HeaderName::from_static("traceableai-total-duration-nanos"),
    HeaderName::from_static("traceableai.total_duration_nanos"),
];
/// By which a receiver can drop doubles.
const RECORD_ID: HeaderName = HeaderName::from_static("x-gatetap-record-id");

#[derive(Debug)]
pub(super) struct TraceableSink {
    poster: Poster,
    concurrency: usize,
}

impl TraceableSink {
    pub(super) fn new(settings: &TraceableSettings) -> Result<Self, Problem> {
        Ok(Self { poster: poster(settings)?, concurrency: settings.concurrency.requests() })
    }

    /// The agent's status tells all; what else it replies has no meaning.
    async fn deliver(&self, record: &Record) -> Result<(), Trouble> {
        self.poster.post(record, headers_of(record)).await.map(drop)
    }
}

fn poster(settings: &TraceableSettings) -> Result<Poster, Problem> {
    let base = &settings.ext_cap_endpoint;
    let url = endpoint("ext_cap_endpoint", settings::EXAMPLE, base, &PATH)?;
    Poster::new(url, settings.headers()?, RECEIVER, settings.client())
}

fn headers_of(record: &Record) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(3);
    if let Some(nanoseconds) = record.duration_ns {
        DURATION.into_iter().for_each(|name| {
            headers.insert(name, HeaderValue::from(nanoseconds));
        });
    }
    if let Ok(id) = HeaderValue::from_str(&header_text(&record.id)) {
        headers.insert(RECORD_ID, id);
    }
    headers
}

/// An id as a header can carry it: what is not visible ASCII is percent-encoded, and so is the
/// percent sign. Ids made by gatetap are not changed by that.
fn header_text(id: &str) -> String {
    id.bytes().fold(String::with_capacity(id.len()), |mut text, byte| {
        match byte {
            b'%' => text.push_str("%25"),
            0x21..=0x7e => text.push(char::from(byte)),
            // Writing to a `String` cannot fail.
            _ => drop(write!(text, "%{byte:02X}")),
        }
        text
    })
}

impl Sink for TraceableSink {
    fn limits(&self) -> BatchLimits {
        LIMITS
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    async fn attempt(&self, records: Vec<Record>, _round: Round) -> Attempt {
        for (delivered, record) in records.iter().enumerate() {
            if let Err(trouble) = self.deliver(record).await {
                return Attempt { delivered, trouble: Some(trouble) };
            }
        }
        Attempt::delivered(records.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_headers_without_loss() {
        for (id, text) in [
            ("0190-ab#1-ongoing", "0190-ab#1-ongoing"),
            ("50%", "50%25"),
            ("a b\r\nc: d", "a%20b%0D%0Ac:%20d"),
            ("ä", "%C3%A4"),
        ] {
            assert_eq!(header_text(id), text);
        }
    }
}
