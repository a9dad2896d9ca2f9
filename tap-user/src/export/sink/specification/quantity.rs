//! Times and sizes with their units.

use super::error::InvalidSink;
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
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| {
            InvalidSink::value(
                "timeout",
                text,
                "use a positive time with its unit, as 500ms or 10s",
            )
        })
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

/// A number of bytes, with `KiB`, `MiB` or `GiB` behind it or nothing.
fn parse_size(text: &str) -> Option<u64> {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let unit: u64 = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}
