//! Sizes, durations and ports as people write them in settings.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes: `4096`, `128KiB`, `64MiB`, `1GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(pub u64);

/// A duration with its unit: `500ms`, `30s`, `2m`, `1d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period(pub Duration);

/// A port of TCP: 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "u16")]
pub struct Port(u16);

impl Port {
    /// Its number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_size(text)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a size; write 4096, 128KiB, 64MiB or 1GiB"))
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_duration(text)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a duration; write 500ms, 30s, 2m or 1d"))
    }
}

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|&number| number != 0);
        number.map(Self).ok_or_else(|| format!("`{text}` is not a port; use 1 to 65535"))
    }
}

impl Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.into_iter().find(|&(unit, _)| bytes > 0 && u64::is_multiple_of(bytes, unit)) {
            Some((unit, name)) => write!(formatter, "{}{name}", bytes / unit),
            None => write!(formatter, "{bytes}"),
        }
    }
}

impl Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::SignedDuration::try_from(self.0) {
            // Its friendly form without spaces, as `1m30s`.
            Ok(duration) => {
                let text = format!("{duration:#}");
                formatter.write_str(&text.replace(' ', ""))
            }
            Err(_) => write!(formatter, "{}s", self.0.as_secs()),
        }
    }
}

impl Display for Port {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Settings that are read from text by `FromStr` and written by `Display`, with their schema:
/// `text_value!(Name, "Name in the schema", json_schema!({…}))`.
macro_rules! text_value {
    ($type:ty, $name:literal, $schema:expr) => {
        impl TryFrom<String> for $type {
            type Error = <Self as std::str::FromStr>::Err;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $schema
            }
        }
    };
}
pub(crate) use text_value;

/// How sizes look, for programs that read the schema.
pub(crate) const SIZE_PATTERN: &str = "^[0-9]+(KiB|MiB|GiB)?$";

text_value!(
    ByteSize,
    "size",
    json_schema!({
        "title": "size", "type": ["string", "integer"], "pattern": SIZE_PATTERN, "minimum": 0
    })
);
text_value!(
    Period,
    "duration",
    json_schema!({"title": "duration", "type": "string", "pattern": "^[^-]*[0-9][^-]*[a-zA-Z]"})
);

impl From<Port> for u16 {
    fn from(port: Port) -> Self {
        port.0
    }
}

impl TryFrom<String> for Port {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl JsonSchema for Port {
    fn schema_name() -> Cow<'static, str> {
        "port".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"title": "port", "type": "integer", "minimum": 1, "maximum": 65_535})
    }
}

/// A number of bytes, with `KiB`, `MiB` or `GiB` behind it or nothing.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
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

/// A positive duration with its unit; a day has 24 hours.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let span: jiff::Span = text.parse().ok()?;
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(duration).ok().filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!("0".parse(), Ok(ByteSize(0)));
        assert_eq!("128KiB".parse(), Ok(ByteSize(131_072)));
        assert_eq!("8MiB".parse(), Ok(ByteSize(8_388_608)));
        for wrong in ["", "KiB", "-1", "1.5MiB", "8MB", "99999999999999999999", "17179869184GiB"] {
            assert!(wrong.parse::<ByteSize>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_written_as_they_are_read() {
        for text in ["0", "1", "1025", "128KiB", "1536KiB", "8MiB", "1GiB"] {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn ports() {
        assert_eq!("1".parse(), Ok(Port(1)));
        for wrong in ["0", "65536", "-1", "", "http"] {
            assert!(wrong.parse::<Port>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!("500ms".parse(), Ok(Period(Duration::from_millis(500))));
        assert_eq!("2m".parse(), Ok(Period(Duration::from_secs(120))));
        for text in ["500ms", "1m30s", "2m", "1h", "7d"] {
            // A day is written as hours.
            let period: Period = text.parse().unwrap();
            assert_eq!(period.to_string(), text.replace("7d", "168h"));
        }
        for wrong in ["", "5", "-1s", "0s", "soon", "1month"] {
            assert!(wrong.parse::<Period>().is_err(), "{wrong}");
        }
    }
}
