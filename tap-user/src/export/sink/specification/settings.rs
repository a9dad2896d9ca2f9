//! A sink as it is written: nothing resolved.

use super::destination::KINDS;
use crate::document::Problem;
use crate::export::Format;
use crate::export::sink::{
    DeadLetterSettings, FileSettings, RetrySettings, RunscopeSettings, StdoutSettings, TcpSettings,
    TraceableSettings,
};
use crate::policy::FilterSettings;
use crate::spool;
use crate::units::{ByteSize, SIZE_PATTERN, text_value};
use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::str::FromStr;

/// A sink: one destination (`stdout`, `file`, `tcp`…) and how records go there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = exactly_one_destination)]
pub struct SinkSettings {
    /// How the sink is called in totals, metrics and messages; by default what its destination
    /// is on the command line, as `tcp:collector:9563`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Standard output.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub stdout: Option<StdoutSettings>,
    /// A file.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub file: Option<FileSettings>,
    /// A TCP collector.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub tcp: Option<TcpSettings>,
    /// Runscope's API.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub runscope: Option<RunscopeSettings>,
    /// A Traceable agent.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub traceable: Option<TraceableSettings>,
    /// What records look like; by default `native`, `kong` for `tcp`, and that of their names for
    /// `runscope` and `traceable`. `line`, `coloured-line` and `indented` are for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Whether records have bodies; by default yes, and no for `runscope`, as in Kong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_body: Option<bool>,
    /// Which of the exchanges that leave at all leave by this sink.
    pub filter: FilterSettings,
    /// Bytes of records that wait in memory; beyond it they are dropped and counted.
    pub queue_bytes: QueueSize,
    /// Waits between attempts.
    pub retry: RetrySettings,
    /// A folder in which records wait until they are delivered, also over a restart of gatetap;
    /// without one they wait in memory only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool: Option<spool::Settings>,
    /// Where records are kept that the receiver will never take; by default `dead-letter.ndjson` in the
    /// folder of the spool. Without either they are counted, and gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetterSettings>,
}

impl SinkSettings {
    /// Standard output with all its defaults.
    #[must_use]
    pub fn stdout() -> Self {
        Self { stdout: Some(StdoutSettings::default()), ..Self::default() }
    }
}

/// A key with nothing behind it (`stdout:`) is given all the same.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

fn exactly_one_destination(schema: &mut Schema) {
    let one_of = KINDS.map(|kind| json_schema!({"required": [kind.name]}));
    schema.insert("oneOf".to_owned(), one_of.to_vec().into());
}

/// Least bound of a queue in bytes: whoever writes less has forgotten the unit.
const LEAST_QUEUE_BYTES: u64 = 64 << 10;
const DEFAULT_QUEUE_BYTES: u64 = 64 << 20;

/// Bound of a queue in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueSize(ByteSize);

impl QueueSize {
    pub(super) fn bytes(self) -> u64 {
        self.0.0
    }
}

impl Default for QueueSize {
    fn default() -> Self {
        Self(ByteSize(DEFAULT_QUEUE_BYTES))
    }
}

impl FromStr for QueueSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size: ByteSize = text.parse()?;
        if size.0 < LEAST_QUEUE_BYTES {
            return Err(format!("`{text}` is too small for a queue; use 64KiB or more, as 64MiB"));
        }
        Ok(Self(size))
    }
}

impl fmt::Display for QueueSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

text_value!(
    QueueSize,
    "queue size",
    json_schema!({
        "title": "size", "type": ["string", "integer"], "pattern": SIZE_PATTERN,
        "minimum": LEAST_QUEUE_BYTES
    })
);

impl FromStr for super::SinkSpecification {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        text.parse::<SinkSettings>()?.resolve()
    }
}
