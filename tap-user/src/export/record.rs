//! A record on its way: what sinks, queues and the spool pass on to each other.

use super::buffer::{self, Buffer};
use super::format::{ConnectionText, Format};
use super::json::Page;
use crate::gateway::Observation;
use crate::http::Outcome;
use crate::policy::without_bodies;
use bytes::Bytes;
use std::sync::Arc;

/// Stands behind the id of a record that comes again, when its exchange has ended.
const ONGOING: &str = "-ongoing";

/// The bytes of one exchange in one format, and what delivery needs to know of it. Copies are
/// cheap: the bytes are shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The exchange's stable id (`tap.id`), with `-ongoing` behind it for a record that comes
    /// again when its exchange ends: a receiver that drops doubles by this id keeps both.
    pub id: Arc<str>,
    /// From the request's first byte to the response's last one, in nanoseconds, where known.
    pub duration_ns: Option<u64>,
    /// The record with its terminator.
    pub bytes: Bytes,
}

impl Record {
    /// The same, with bytes of its own: they keep nothing of other records in memory.
    pub(super) fn apart(&self) -> Self {
        Self { bytes: buffer::apart(&self.bytes), ..self.clone() }
    }

    /// Its length in bytes, terminator included.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// What a record looks like: sinks with the same form share its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) format: Format,
    pub(super) bodies: Bodies,
}

/// Whether records carry bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bodies {
    /// They do.
    Shown,
    /// Only what is known of them.
    LeftOut,
}

impl Form {
    /// The record of an observation.
    pub(super) fn record(
        self,
        observation: &Observation,
        connection: &ConnectionText,
        id: &Arc<str>,
        buffer: &mut Buffer,
    ) -> Record {
        Record {
            id: Arc::clone(id),
            duration_ns: duration_ns(observation),
            bytes: buffer.record(|out| self.write(observation, connection, out)),
        }
    }

    fn write(self, observation: &Observation, connection: &ConnectionText, out: &mut Page) {
        match self.bodies {
            Bodies::Shown => self.format.write_on(out, observation, connection),
            Bodies::LeftOut => {
                self.format.write_on(out, &without_bodies(observation), connection);
            }
        }
    }
}

/// The id by which receivers drop doubles of this observation's record.
pub(super) fn delivery_id(observation: &Observation) -> Arc<str> {
    match observation.exchange.outcome {
        Outcome::Ongoing => format!("{}{ONGOING}", observation.id).into(),
        _ => Arc::clone(&observation.id),
    }
}

/// From the request's first byte to the response's last one.
fn duration_ns(observation: &Observation) -> Option<u64> {
    let exchange = &observation.exchange;
    let begin = exchange.request.as_ref()?.first_byte;
    Some(exchange.response.as_ref()?.last_byte.since(begin))
}
