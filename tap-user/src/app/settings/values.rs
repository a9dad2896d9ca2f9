//! Values that cannot be just any number or text: what they can be is said here once, for the
//! command line, the file and the schema.

use crate::units::{ByteSize, SIZE_PATTERN, text_value};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::str::FromStr;

/// Bounds of the ring in bytes: below, the largest events take turns; above, the kernel refuses.
const RING_BYTES: std::ops::RangeInclusive<u64> = 256 * 1024..=1024 * 1024 * 1024;
/// Bounds of the snap length: the headers must fit, and a packet into a block of the ring.
const SNAP_LENGTH: std::ops::RangeInclusive<u64> = 64..=256 * 1024;
/// Bounds of the priority (setpriority(2)).
const NICE: std::ops::RangeInclusive<i8> = -20..=19;
/// Largest body cap: beyond it a few exchanges would fill all memory.
const BODY_CAP_LIMIT: u64 = 1024 * 1024 * 1024;
/// Longest process name that the kernel keeps, in bytes.
const NAME_LIMIT: usize = 15;

/// Size of the ring between kernel and userspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct RingSize(pub(crate) ByteSize);

/// Bytes captured of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct SnapLength(pub(crate) ByteSize);

/// Bytes of a body that records carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct BodyCap(pub(crate) ByteSize);

/// A priority in the processor scheduler: the lower, the sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "i8")]
pub(crate) struct Nice(pub(crate) i8);

/// A process name as the kernel keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ProcessName(pub(crate) String);

/// A process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "u32")]
pub(crate) struct ProcessId(pub(crate) u32);

/// A header name (RFC 9110 5.1: a token).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct HeaderName(pub(crate) String);

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Namespace {
    Inode(u32),
    Path(PathBuf),
}

impl RingSize {
    /// In bytes: the bounds are those of 32 bits.
    pub(crate) fn bytes(self) -> u32 {
        u32::try_from(self.0.0).unwrap_or(u32::MAX)
    }
}

impl SnapLength {
    /// In bytes.
    pub(crate) fn bytes(self) -> u32 {
        u32::try_from(self.0.0).unwrap_or(u32::MAX)
    }
}

impl FromStr for RingSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size: ByteSize = text.parse()?;
        if !RING_BYTES.contains(&size.0) || !size.0.is_power_of_two() {
            return Err(format!(
                "`{text}` is no ring size; use a power of two from 256KiB to 1GiB"
            ));
        }
        Ok(Self(size))
    }
}

impl FromStr for SnapLength {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size: ByteSize = text.parse()?;
        if !SNAP_LENGTH.contains(&size.0) {
            return Err(format!("`{text}` is no snap length; use 64 to 256KiB"));
        }
        Ok(Self(size))
    }
}

impl FromStr for BodyCap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size: ByteSize = text.parse()?;
        if size.0 > BODY_CAP_LIMIT {
            return Err(format!("`{text}` is too much for each body; use at most 1GiB"));
        }
        Ok(Self(size))
    }
}

impl FromStr for Nice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| NICE.contains(number));
        number.map(Self).ok_or_else(|| format!("`{text}` is no priority; use -20 to 19"))
    }
}

impl FromStr for ProcessName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > NAME_LIMIT {
            let limit = format!("the kernel keeps {NAME_LIMIT} bytes of a process name");
            return Err(format!("`{text}`: use 1 to {NAME_LIMIT} bytes ({limit})"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for ProcessId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id = text.parse().ok().filter(|&id| id != 0);
        id.map(Self).ok_or_else(|| format!("`{text}` is no process id; use a number from 1"))
    }
}

impl FromStr for HeaderName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if text.is_empty() || !text.bytes().all(is_token) {
            return Err(format!("`{text}` is no header name; use letters, digits and hyphens"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for Namespace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(inode) => Ok(Self::Inode(inode)),
            Err(_) if text.starts_with('/') => Ok(Self::Path(text.into())),
            Err(_) => Err(format!(
                "`{text}` is no network namespace; use its inode number or a path such as \
                 /proc/4711/ns/net"
            )),
        }
    }
}

impl Display for RingSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Display for SnapLength {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Display for BodyCap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Display for ProcessName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Display for HeaderName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Display for Namespace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inode(inode) => inode.fmt(formatter),
            Self::Path(path) => path.display().fmt(formatter),
        }
    }
}

text_value!(
    RingSize,
    "size",
    json_schema!({
        "title": "size", "type": ["string", "integer"], "pattern": SIZE_PATTERN,
        "minimum": RING_BYTES.start(), "maximum": RING_BYTES.end()
    })
);
text_value!(
    SnapLength,
    "size",
    json_schema!({
        "title": "size", "type": ["string", "integer"], "pattern": SIZE_PATTERN,
        "minimum": SNAP_LENGTH.start(), "maximum": SNAP_LENGTH.end()
    })
);
text_value!(
    BodyCap,
    "size",
    json_schema!({
        "title": "size", "type": ["string", "integer"], "pattern": SIZE_PATTERN,
        "minimum": 0, "maximum": BODY_CAP_LIMIT
    })
);
text_value!(
    ProcessName,
    "process name",
    json_schema!({
        "title": "process name", "type": "string", "minLength": 1, "maxLength": NAME_LIMIT
    })
);
impl From<Nice> for i8 {
    fn from(nice: Nice) -> Self {
        nice.0
    }
}

impl TryFrom<String> for Nice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl JsonSchema for Nice {
    fn schema_name() -> Cow<'static, str> {
        "priority".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "priority", "type": "integer", "minimum": NICE.start(), "maximum": NICE.end()
        })
    }
}

impl From<ProcessId> for u32 {
    fn from(id: ProcessId) -> Self {
        id.0
    }
}

impl TryFrom<String> for ProcessId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl JsonSchema for ProcessId {
    fn schema_name() -> Cow<'static, str> {
        "process id".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "process id", "type": "integer", "minimum": 1, "maximum": u32::MAX
        })
    }
}

text_value!(
    HeaderName,
    "header name",
    json_schema!({
        "title": "header name", "type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
    })
);
text_value!(
    Namespace,
    "namespace",
    json_schema!({
        "title": "inode or path", "type": ["string", "integer"], "pattern": "^(/|[0-9]+$)",
        "minimum": 0
    })
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_values_are_refused() {
        for text in ["3000000", "4096", "2GiB", "0", "much"] {
            assert!(text.parse::<RingSize>().is_err(), "{text}");
        }
        for text in ["63", "512KiB"] {
            assert!(text.parse::<SnapLength>().is_err(), "{text}");
        }
        assert!("1025MiB".parse::<BodyCap>().is_err());
        assert!("a-name-of-16-byt".parse::<ProcessName>().is_err());
        for text in ["", "a b", "a:", "é"] {
            assert!(text.parse::<HeaderName>().is_err(), "{text}");
        }
        assert!("net".parse::<Namespace>().is_err());
        for text in ["-21", "20", "low"] {
            assert!(text.parse::<Nice>().is_err(), "{text}");
        }
        assert!("0".parse::<ProcessId>().is_err());
    }

    #[test]
    fn possible_values_are_written_as_they_are_read() {
        assert_eq!("262144".parse::<RingSize>().unwrap().to_string(), "256KiB");
        assert_eq!("96".parse::<SnapLength>().unwrap().to_string(), "96");
        assert_eq!("1GiB".parse::<BodyCap>().unwrap().to_string(), "1GiB");
        assert_eq!("4026531840".parse(), Ok(Namespace::Inode(4_026_531_840)));
        assert_eq!("/proc/1/ns/net".parse(), Ok(Namespace::Path("/proc/1/ns/net".into())));
    }
}
