//! Status codes as settings name them.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Status codes: `404`, `5xx`, `400-428`, or `none` for an exchange whose response was not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statuses {
    /// Codes from one to another, both included.
    Codes(RangeInclusive<u16>),
    /// There is no final response.
    None,
}

/// A text names no status codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no status: write 404, 5xx, 400-428 or none (no response was seen)")]
pub struct InvalidStatuses(String);

impl Statuses {
    /// Whether that status is among them; `None`: there is none.
    #[must_use]
    pub fn contain(&self, status: Option<u16>) -> bool {
        match (self, status) {
            (Self::Codes(codes), Some(status)) => codes.contains(&status),
            (Self::None, None) => true,
            _ => false,
        }
    }

    /// How many there are: the fewer, the more exact.
    #[must_use]
    pub fn count(&self) -> u16 {
        match self {
            Self::Codes(codes) => codes.end().saturating_sub(*codes.start()).saturating_add(1),
            Self::None => 1,
        }
    }
}

impl FromStr for Statuses {
    type Err = InvalidStatuses;

    fn from_str(text: &str) -> Result<Self, InvalidStatuses> {
        let invalid = || InvalidStatuses(text.to_owned());
        let code = |text: &str| text.parse().ok().filter(|code| (100..=999).contains(code));
        if text == "none" {
            return Ok(Self::None);
        }
        if let Some(class) = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
            let class: u16 = class.parse().map_err(|_| invalid())?;
            let is_class = (1..=9).contains(&class);
            return is_class
                .then(|| Self::Codes(class * 100..=class * 100 + 99))
                .ok_or_else(invalid);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last): (u16, u16) =
            code(first.trim()).zip(code(last.trim())).ok_or_else(invalid)?;
        (first <= last).then_some(Self::Codes(first..=last)).ok_or_else(invalid)
    }
}

/// A single code may be a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u16),
    Text(String),
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Written::deserialize(deserializer)? {
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text,
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Codes(codes) if codes.start() == codes.end() => {
                write!(formatter, "{}", codes.start())
            }
            Self::Codes(codes) => write!(formatter, "{}-{}", codes.start(), codes.end()),
            Self::None => formatter.write_str("none"),
        }
    }
}

impl Serialize for Statuses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Statuses {
    fn schema_name() -> Cow<'static, str> {
        "Statuses".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "description": "A status code (404), a class (5xx), a range (400-428), or none",
            "anyOf": [
                {"type": "integer", "minimum": 100, "maximum": 999},
                {"type": "string", "pattern": "^([1-9]xx|[1-9][0-9]{2}(-[1-9][0-9]{2})?|none)$"},
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_classes_ranges_and_none() {
        let contain = |text: &str, status| text.parse::<Statuses>().unwrap().contain(status);
        assert!(contain("404", Some(404)) && !contain("404", Some(405)) && !contain("404", None));
        assert!(
            contain("5xx", Some(500)) && contain("5xx", Some(599)) && !contain("5xx", Some(600))
        );
        assert!(contain("400-428", Some(428)) && !contain("400-428", Some(429)));
        assert!(contain("none", None) && !contain("none", Some(200)));
    }

    #[test]
    fn what_is_no_status_is_refused() {
        for wrong in ["", "x", "0xx", "xx", "20", "1000", "500-400", "200-", "2xx-3xx", "10xx"] {
            let error = wrong.parse::<Statuses>().unwrap_err().to_string();
            assert!(error.contains("5xx"), "{wrong}");
        }
    }
}
