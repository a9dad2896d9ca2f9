//! How many requests of one sink may be under way at once.

use crate::units::text_value;
use schemars::json_schema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// More connections than this to one receiver do nobody good.
const MOST: u8 = 64;

/// A number of requests: 1 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Concurrency(u8);

impl Concurrency {
    pub(in crate::export::sink) fn requests(self) -> usize {
        self.0.into()
    }
}

impl Default for Concurrency {
    fn default() -> Self {
        Self(4)
    }
}

impl FromStr for Concurrency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| (1..=MOST).contains(number));
        number
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a number of requests at once; use 1 to {MOST}"))
    }
}

impl fmt::Display for Concurrency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

text_value!(
    Concurrency,
    "concurrency",
    json_schema!({"type": "integer", "minimum": 1, "maximum": MOST})
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        for (text, is_valid) in
            [("0", false), ("1", true), ("64", true), ("65", false), ("", false)]
        {
            assert_eq!(text.parse::<Concurrency>().is_ok(), is_valid, "{text}");
        }
    }
}
