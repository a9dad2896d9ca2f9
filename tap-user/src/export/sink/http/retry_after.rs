//! The header `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::time::Duration;

/// Longest wait that a receiver can ask for; it may be wrong, and records wait meanwhile.
const LONGEST: Duration = Duration::from_secs(3600);
/// `IMF-fixdate` and the two obsolete forms that recipients must still read (RFC 9110, section
/// 5.6.7).
const DATE_FORMS: [&str; 3] =
    ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

/// How long a receiver asks to wait, seen at `now`; `None` where it does not say so in a known way.
pub(super) fn wait(value: &[u8], now: Timestamp) -> Option<Duration> {
    let text = str::from_utf8(value).ok()?.trim();
    let asked = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => LONGEST,
        // A date that is over asks for no wait.
        Err(_) => Duration::try_from(date(text)?.duration_since(now)).unwrap_or_default(),
    };
    Some(asked.min(LONGEST))
}

fn date(text: &str) -> Option<Timestamp> {
    DATE_FORMS.into_iter().find_map(|form| {
        let date = DateTime::strptime(form, text).ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The three forms of one date in RFC 9110, section 5.6.7.
    #[test]
    fn dates_of_the_rfc() {
        let now = at("1994-11-06T08:49:07Z");
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(wait(text.as_bytes(), now), Some(Duration::from_secs(30)), "{text}");
            let later = at("1994-11-06T08:49:38Z");
            assert_eq!(wait(text.as_bytes(), later), Some(Duration::ZERO), "{text}");
        }
    }

    #[test]
    fn seconds_are_bounded() {
        let now = at("2026-01-01T00:00:00Z");
        for (text, seconds) in
            [("0", 0), (" 120 ", 120), ("999999", 3600), ("99999999999999999999", 3600)]
        {
            assert_eq!(wait(text.as_bytes(), now), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(wait(b"Tue, 31 Dec 2999 23:59:59 GMT", now), Some(LONGEST));
        for text in ["", "-1", "1.5", "soon", "\u{ff}"] {
            assert_eq!(wait(text.as_bytes(), now), None, "{text}");
        }
    }
}
