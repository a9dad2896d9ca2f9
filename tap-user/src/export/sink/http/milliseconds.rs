//! Durations as Kong's plugins write them: bare numbers of milliseconds; with a unit they are
//! what they are in all other settings.

use crate::units::parse_duration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

/// A duration: `10000` (milliseconds), `500ms`, `10s`; `0` too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Milliseconds(pub Duration);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

impl TryFrom<Written> for Milliseconds {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(milliseconds) => Ok(Self(Duration::from_millis(milliseconds))),
            Written::Text(text) => text.parse(),
        }
    }
}

impl FromStr for Milliseconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let milliseconds = text.parse().ok().map(Duration::from_millis);
        milliseconds.or_else(|| parse_duration(text)).map(Self).ok_or_else(|| {
            format!("`{text}` is not a duration: write 500ms, 10s or a number of milliseconds")
        })
    }
}

impl JsonSchema for Milliseconds {
    fn schema_name() -> Cow<'static, str> {
        "Milliseconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of milliseconds, or a duration with its unit: 500ms, 10s, 1m",
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "examples": ["500ms", "10s", "1m"]}
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_numbers_are_milliseconds() {
        for (text, milliseconds) in [("0", 0), ("30", 30), ("500ms", 500), ("10s", 10_000)] {
            let expected = Milliseconds(Duration::from_millis(milliseconds));
            assert_eq!(text.parse(), Ok(expected), "{text}");
            assert_eq!(serde_saphyr::from_str::<Milliseconds>(text).unwrap(), expected, "{text}");
        }
        for wrong in ["", "-1", "1.5", "soon"] {
            assert!(wrong.parse::<Milliseconds>().is_err(), "{wrong}");
        }
    }
}
