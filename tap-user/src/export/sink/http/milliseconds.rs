//! Durations as Kong's plugins write them: bare numbers of milliseconds; with a unit they are
//! what they are in all other settings.

use crate::units::{Period, parse_duration, text_value};
use schemars::json_schema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration: `10000` (milliseconds), `500ms`, `10s`; `0` too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Milliseconds(pub Duration);

impl FromStr for Milliseconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let milliseconds = text.parse().ok().map(Duration::from_millis);
        milliseconds.or_else(|| parse_duration(text)).map(Self).ok_or_else(|| {
            format!("`{text}` is not a duration; write 500ms, 10s or a number of milliseconds")
        })
    }
}

impl fmt::Display for Milliseconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() { formatter.write_str("0") } else { Period(self.0).fmt(formatter) }
    }
}

text_value!(
    Milliseconds,
    "milliseconds",
    json_schema!({
        "title": "duration", "type": ["string", "integer"], "pattern": "^[^-]*[0-9][^-]*$",
        "minimum": 0
    })
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_numbers_are_milliseconds() {
        for (text, milliseconds) in [("0", 0), ("30", 30), ("500ms", 500), ("10s", 10_000)] {
            let expected = Milliseconds(Duration::from_millis(milliseconds));
            assert_eq!(text.parse(), Ok(expected), "{text}");
            assert_eq!(expected.to_string().parse(), Ok(expected), "{text}");
        }
        for wrong in ["", "-1", "1.5", "soon"] {
            assert!(wrong.parse::<Milliseconds>().is_err(), "{wrong}");
        }
    }
}
