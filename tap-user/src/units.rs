//! Sizes and durations as people write them in settings.

use serde::Deserialize;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes: `4096`, `128KiB`, `64MiB`, `1GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct ByteSize(pub u64);

/// A duration with its unit: `500ms`, `30s`, `2m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Period(pub Duration);

/// A size in a file may be a bare number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

impl TryFrom<Written> for ByteSize {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(bytes) => Ok(Self(bytes)),
            Written::Text(text) => text.parse(),
        }
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_size(text)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a size: write 4096, 128KiB, 64MiB or 1GiB"))
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_duration(text)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a duration: write 500ms, 30s or 2m"))
    }
}

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
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

/// A positive duration with its unit.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let duration: jiff::SignedDuration = text.parse().ok()?;
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
    fn durations() {
        assert_eq!("500ms".parse(), Ok(Period(Duration::from_millis(500))));
        assert_eq!("2m".parse(), Ok(Period(Duration::from_secs(120))));
        for wrong in ["", "5", "-1s", "0s", "soon"] {
            assert!(wrong.parse::<Period>().is_err(), "{wrong}");
        }
    }
}
