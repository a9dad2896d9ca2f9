//! Times and sizes with their units.

use super::error::InvalidSink;
use crate::units::{parse_duration, parse_size};
use serde::Deserialize;
use std::time::Duration;

/// Least bound of a queue in bytes: whoever writes less has forgotten the unit.
const LEAST_QUEUE_BYTES: u64 = 64 << 10;

/// A number of bytes as it was written.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Size {
    Bytes(u64),
    WithUnit(String),
}

/// A duration with its unit, as `500ms`, `10s` or `1m`.
pub(super) fn parse_timeout(text: &str) -> Result<Duration, InvalidSink> {
    let allowed = "use a positive time with its unit, as 500ms or 10s";
    parse_duration(text).ok_or_else(|| InvalidSink::value("timeout", text, allowed))
}

impl Size {
    const ALLOWED: &'static str = "use at least 64KiB, with its unit: 512KiB, 64MiB, 1GiB";

    /// The number of bytes, if a queue can have that bound.
    pub(super) fn bytes(&self) -> Result<u64, InvalidSink> {
        let (bytes, written) = match self {
            Self::Bytes(bytes) => (Some(*bytes), bytes.to_string()),
            Self::WithUnit(text) => (parse_size(text), text.clone()),
        };
        bytes
            .filter(|&bytes| bytes >= LEAST_QUEUE_BYTES)
            .ok_or_else(|| InvalidSink::value("queue", &written, Self::ALLOWED))
    }
}
