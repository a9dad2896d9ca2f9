//! How a sink's spool is set.

use crate::units::{ByteSize, Period, SIZE_PATTERN, text_value};
use schemars::{JsonSchema, json_schema};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Bytes on disk unless set.
const DEFAULT_BYTES: u64 = 1 << 30;
/// Fewest bytes: whoever writes less has forgotten the unit.
const LEAST_BYTES: u64 = 1 << 20;
/// Time until a record is safe from a power cut unless set.
const DEFAULT_SYNC: Duration = Duration::from_secs(1);
/// The quota is in so many segments at least: that is the share which goes at once when the
/// oldest records have to.
const SEGMENTS: u64 = 32;
/// Bounds of a segment in bytes: below, there are too many files; above, too much goes at once.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=16 << 20;

/// A folder in which records wait until they are delivered, also over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Folder of this sink alone; made with mode 0700 if it is not there.
    #[schemars(example = "/var/spool/gatetap/collector")]
    pub path: PathBuf,
    /// Bytes that it may take on disk, at least 1MiB.
    #[serde(default)]
    pub size: SpoolSize,
    /// What goes when it is full: the oldest records, or the newest. Both are counted.
    #[serde(default)]
    pub when_full: WhenFull,
    /// How often it is synced: a power cut costs at most what was recorded since. A killed process
    /// costs nothing.
    #[serde(default = "default_sync")]
    pub sync: Period,
}

/// What goes when a spool is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// The oldest segment, that is about a thirty-second of the spool at once.
    #[default]
    DropOldest,
    /// The record that finds no room.
    DropNewest,
}

/// Bound of a spool in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpoolSize(ByteSize);

impl Default for SpoolSize {
    fn default() -> Self {
        Self(ByteSize(DEFAULT_BYTES))
    }
}

impl FromStr for SpoolSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size: ByteSize = text.parse()?;
        if size.0 < LEAST_BYTES {
            return Err(format!("`{text}` is too small for a spool; use 1MiB or more, as 1GiB"));
        }
        Ok(Self(size))
    }
}

impl fmt::Display for SpoolSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

text_value!(
    SpoolSize,
    "spool size",
    json_schema!({
        "title": "size", "type": ["string", "integer"], "pattern": SIZE_PATTERN, "minimum": LEAST_BYTES
    })
);

fn default_sync() -> Period {
    Period(DEFAULT_SYNC)
}

impl Settings {
    /// A spool in that folder, all else as it is unless set.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            size: SpoolSize::default(),
            when_full: WhenFull::default(),
            sync: default_sync(),
        }
    }

    /// The bounds that follow from the size.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits::new(self.size.0.0, self.when_full)
    }
}

/// Bounds of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Bytes after which a new segment begins. An entry that is larger has one of its own.
    pub segment_bytes: u64,
    /// What goes beyond.
    pub when_full: WhenFull,
}

impl Limits {
    fn new(bytes: u64, when_full: WhenFull) -> Self {
        let segment_bytes = (bytes / SEGMENTS).clamp(*SEGMENT_BYTES.start(), *SEGMENT_BYTES.end());
        Self { bytes, segment_bytes, when_full }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Settings, String> {
        serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn a_path_is_enough() {
        let settings = read("path: /var/spool/gatetap/a").unwrap();
        assert_eq!(settings, Settings::new("/var/spool/gatetap/a".into()));
        let limits = settings.limits();
        assert_eq!((limits.bytes, limits.segment_bytes), (1 << 30, 16 << 20));
        assert_eq!(limits.when_full, WhenFull::DropOldest);
        assert_eq!(settings.sync, Period(Duration::from_secs(1)));
    }

    #[test]
    fn everything_can_be_set() {
        let settings = read("{path: /x, size: 8MiB, when_full: drop_newest, sync: 100ms}").unwrap();
        let limits = settings.limits();
        assert_eq!((limits.bytes, limits.segment_bytes), (8 << 20, 256 << 10));
        assert_eq!(limits.when_full, WhenFull::DropNewest);
        assert_eq!(settings.sync, Period(Duration::from_millis(100)));
    }

    #[test]
    fn errors_say_what_is_allowed() {
        for (yaml, expected) in [
            ("size: 1GiB", "path"),
            ("{path: /x, size: 100KiB}", "use 1MiB or more"),
            ("{path: /x, size: much}", "is not a size"),
            ("{path: /x, when_full: wait}", "drop_newest"),
            ("{path: /x, sync: 5}", "sync"),
            ("{path: /x, colour: red}", "colour"),
        ] {
            let error = read(yaml).unwrap_err();
            assert!(error.contains(expected), "{yaml}: {error}");
        }
    }
}
