//! Start lines of messages (RFC 9112, sections 3 and 4).
//!
//! What nearly every line says has no copy of its own: the common methods and the standard reasons.

use super::anomaly::{Anomalies, Anomaly};
use super::exchange::Version;
use super::words::token_length;
use std::borrow::Cow;

/// What a request line says.
pub(super) struct RequestLine {
    pub(super) method: Cow<'static, str>,
    pub(super) target: Vec<u8>,
    pub(super) version: Version,
    pub(super) anomalies: Anomalies,
}

impl RequestLine {
    /// `method SP target SP version` and a line end; runs of spaces and spaces inside the target are
    /// let through.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let line = without_end(line);
        let text = line.trim_ascii_end();
        let (method, rest) = text.split_at_checked(text.iter().position(is_space)?)?;
        let (middle, last) = rest.split_at_checked(rest.iter().rposition(is_space)?)?;
        let (target, version_text) = (middle.trim_ascii(), last.trim_ascii_start());
        if method.is_empty() || token_length(method) < method.len() || target.is_empty() {
            return None;
        }
        let version = version(version_text)?;
        let is_spaced = text.len() == line.len()
            && middle.len() == target.len() + 1
            && last.len() == version_text.len() + 1
            && !target.iter().any(u8::is_ascii_whitespace);
        Some(Self {
            method: self::method(method)?,
            target: target.to_vec(),
            version: version.known(),
            anomalies: anomalies(is_spaced, version),
        })
    }
}

/// What a status line says.
pub(super) struct StatusLine {
    pub(super) version: Version,
    pub(super) status: u16,
    pub(super) reason: Cow<'static, [u8]>,
    pub(super) anomalies: Anomalies,
}

impl StatusLine {
    /// `version SP status [SP reason]` and a line end; runs of spaces are let through. The reason is
    /// free text.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let line = without_end(line);
        let text = line.trim_ascii_end();
        let (first, behind) = text.split_at_checked(text.iter().position(is_space)?)?;
        let rest = behind.trim_ascii_start();
        let (digits, end) = rest.split_first_chunk()?;
        if !matches!(end.first(), None | Some(b' ')) {
            return None;
        }
        let status = status(*digits)?;
        let version = version(first)?;
        let is_spaced = behind.len() == rest.len() + 1
            && (!end.is_empty() || line.get(text.len()).is_none_or(is_space));
        Some(Self {
            version: version.known(),
            status,
            reason: reason(end.strip_prefix(b" ").unwrap_or(end)),
            anomalies: anomalies(is_spaced, version),
        })
    }
}

fn is_space(byte: &u8) -> bool {
    *byte == b' '
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// `is_spaced`: the parts are separated by one space each, and there is no other white space in them.
fn anomalies(is_spaced: bool, version: MinorVersion) -> Anomalies {
    let mut anomalies = Anomalies::NONE;
    anomalies.note(Anomaly::StartLineWhitespace, !is_spaced);
    anomalies.note(Anomaly::UnknownVersion, matches!(version, MinorVersion::Unknown));
    anomalies
}

/// A minor version of HTTP/1.
#[derive(Clone, Copy)]
enum MinorVersion {
    Zero,
    One,
    Unknown,
}

impl MinorVersion {
    /// One that is not known counts as the highest known one (RFC 9110, section 2.5).
    fn known(self) -> Version {
        match self {
            Self::Zero => Version::Http10,
            Self::One | Self::Unknown => Version::Http11,
        }
    }
}

fn version(bytes: &[u8]) -> Option<MinorVersion> {
    match bytes.strip_prefix(b"HTTP/1.")? {
        b"0" => Some(MinorVersion::Zero),
        b"1" => Some(MinorVersion::One),
        [b'2'..=b'9'] | [b'0'..=b'9', b'0'..=b'9'] => Some(MinorVersion::Unknown),
        _ => None,
    }
}

/// Three digits, at least 100.
fn status(digits: [u8; 3]) -> Option<u16> {
    let status = digits.iter().try_fold(0_u16, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        Some(number * 10 + u16::from(digit))
    });
    status.filter(|status| *status >= 100)
}

fn method(method: &[u8]) -> Option<Cow<'static, str>> {
    let known = match method {
        b"GET" => "GET",
        b"POST" => "POST",
        b"PUT" => "PUT",
        b"HEAD" => "HEAD",
        b"DELETE" => "DELETE",
        b"PATCH" => "PATCH",
        b"OPTIONS" => "OPTIONS",
        b"CONNECT" => "CONNECT",
        other => return Some(str::from_utf8(other).ok()?.to_owned().into()),
    };
    Some(known.into())
}

fn reason(reason: &[u8]) -> Cow<'static, [u8]> {
    let known: &[u8] = match reason {
        b"" => b"",
        b"OK" => b"OK",
        b"Created" => b"Created",
        b"Accepted" => b"Accepted",
        b"No Content" => b"No Content",
        b"Partial Content" => b"Partial Content",
        b"Moved Permanently" => b"Moved Permanently",
        b"Found" => b"Found",
        b"See Other" => b"See Other",
        b"Not Modified" => b"Not Modified",
        b"Temporary Redirect" => b"Temporary Redirect",
        b"Bad Request" => b"Bad Request",
        b"Unauthorized" => b"Unauthorized",
        b"Forbidden" => b"Forbidden",
        b"Not Found" => b"Not Found",
        b"Conflict" => b"Conflict",
        b"Too Many Requests" => b"Too Many Requests",
        b"Internal Server Error" => b"Internal Server Error",
        b"Bad Gateway" => b"Bad Gateway",
        b"Service Unavailable" => b"Service Unavailable",
        b"Gateway Timeout" => b"Gateway Timeout",
        other => return other.to_vec().into(),
    };
    known.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Looks at each part: only the last one of a status line may hold white space.
    fn is_spaced(line: &[u8]) -> bool {
        let line = without_end(line);
        let is_request = !line.starts_with(b"HTTP/");
        let mut parts = line.splitn(3, is_space);
        let is_odd = |part: &[u8]| part.is_empty() || part.iter().any(u8::is_ascii_whitespace);
        !(parts.by_ref().take(2).any(is_odd) || is_request && parts.any(is_odd))
    }

    proptest! {
        #[test]
        fn white_space_is_seen_wherever_it_stands(
            parts in "[ \t\r\x0c]{0,2}(GET|G|HTTP/1\\.1)( |[ \t\r\x0c]{0,3})(/|/a|/a /b|200|404)( |[ \t\r\x0c]{0,3})(HTTP/1\\.[019]|OK|Not Found|)[ \t\r\x0c]{0,2}(\r\n|\n)",
        ) {
            let line = parts.as_bytes();
            let request = RequestLine::read(line).map(|line| line.anomalies);
            let response = StatusLine::read(line).map(|line| line.anomalies);
            for anomalies in request.into_iter().chain(response) {
                let is_odd = anomalies.contains(Anomaly::StartLineWhitespace);
                prop_assert_eq!(is_odd, !is_spaced(line), "{}", parts.escape_debug());
            }
        }
    }

    #[test]
    fn what_is_known_is_what_the_line_says() {
        for word in ["GET", "POST", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS", "CONNECT", "get"] {
            let line = format!("{word} / HTTP/1.1\r\n");
            assert_eq!(RequestLine::read(line.as_bytes()).unwrap().method, word);
            let line = format!("HTTP/1.1 200 {word}\r\n");
            assert_eq!(*StatusLine::read(line.as_bytes()).unwrap().reason, *word.as_bytes());
        }
    }
}
