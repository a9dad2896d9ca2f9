//! Message heads: where they end, their start lines and field lines (RFC 9112, sections 2 to 5).
//!
//! The reader is as tolerant as the most tolerant gateway: an observer must not lose a message
//! that the gateway accepted, and one that it refused does no harm. So lines end with CRLF or LF,
//! a field name is anything up to the colon, and values are bytes.

use super::ambiguity;
use super::anomaly::{Anomalies, Anomaly};
use super::body::Lengths;
use super::detect::is_token;
use super::exchange::{Body, Request, Response, Version};
use super::fields::{PlainHead, headers};
use crate::segment::Time;
use memchr::{memchr, memrchr};
use std::borrow::Cow;

/// Finds the empty line that ends a head or a trailer section; resumable at any byte, so that
/// each byte is looked at once however it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EmptyLine {
    /// At the first byte of a line.
    LineStart,
    /// Behind a carriage return that began a line.
    LoneReturn,
    /// Inside a line.
    InLine,
}

impl EmptyLine {
    /// A line begins with the next byte.
    pub(super) fn at_line_start() -> Self {
        Self::LineStart
    }

    /// Number of bytes up to and with the empty line's end; `None` if it is not among `bytes`.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut place = 0;
        while let Some(&byte) = bytes.get(place) {
            match (*self, byte) {
                (Self::LineStart | Self::LoneReturn, b'\n') => return Some(place + 1),
                (Self::LineStart, b'\r') => {
                    *self = Self::LoneReturn;
                    place += 1;
                }
                _ => {
                    let rest = bytes.get(place..).unwrap_or_default();
                    let Some(feed) = memchr(b'\n', rest) else {
                        *self = Self::InLine;
                        return None;
                    };
                    *self = Self::LineStart;
                    place += feed + 1;
                }
            }
        }
        None
    }
}

/// The bytes of a head, from its first to the end of its empty line.
#[derive(Debug)]
pub(super) struct RawHead<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// Stream offset of the first byte.
    pub(super) offset: u64,
    /// When the first byte was seen.
    pub(super) first_byte: Time,
    /// When the last byte was seen.
    pub(super) last_byte: Time,
    /// The first byte began a turn.
    pub(super) turn_start: bool,
    /// The first byte began a system call or packet.
    pub(super) at_boundary: bool,
    /// Empty lines preceded it.
    pub(super) behind_empty_lines: bool,
    /// Its lines, if they have been read.
    pub(super) plain: Option<PlainHead>,
}

impl RawHead<'_> {
    /// Reads a request; its body is still empty. `None` if it is none, or has too many fields.
    pub(super) fn request(self, fields: usize) -> Option<(Request, Lengths)> {
        let (line, line_length) = start_line(&self.bytes)?;
        let line = request_line(line)?;
        let (method, target, version) = (line.method, line.target, line.version);
        let mut anomalies = self.anomalies(line_length);
        let head_length = self.bytes.len() as u64;
        let (headers, odd_lines) =
            headers(self.bytes.into_owned(), line_length, self.plain, fields)?;
        anomalies.extend(odd_lines);
        let (odd_fields, lengths) = ambiguity::of_request_fields(&headers, version);
        anomalies.extend(odd_fields);
        anomalies.note(Anomaly::UnknownVersion, line.is_unknown_version);
        let request = Request {
            method,
            target,
            version,
            head_length,
            offset: self.offset,
            first_byte: self.first_byte,
            last_byte: self.last_byte,
            headers,
            body: Body::default(),
            anomalies,
        };
        Some((request, lengths))
    }

    /// Reads a response; its body is still empty. `None` if it is none, or has too many fields.
    pub(super) fn response(self, fields: usize) -> Option<(Response, Lengths)> {
        let (line, line_length) = start_line(&self.bytes)?;
        let StatusLine { version, is_unknown_version, status, reason } = status_line(line)?;
        let mut anomalies = self.anomalies(line_length);
        let head_length = self.bytes.len() as u64;
        let (headers, odd_lines) =
            headers(self.bytes.into_owned(), line_length, self.plain, fields)?;
        anomalies.extend(odd_lines);
        let (odd_fields, lengths) = ambiguity::of_response_fields(&headers, version);
        anomalies.extend(odd_fields);
        anomalies.note(Anomaly::UnknownVersion, is_unknown_version);
        let response = Response {
            status,
            reason,
            version,
            head_length,
            offset: self.offset,
            first_byte: self.first_byte,
            last_byte: self.last_byte,
            headers,
            body: Body::default(),
            anomalies,
        };
        Some((response, lengths))
    }
}

impl RawHead<'_> {
    /// Of the start line, which has that length.
    fn anomalies(&self, line_length: usize) -> Anomalies {
        let line = self.bytes.get(..line_length).unwrap_or_default();
        let mut anomalies = ambiguity::of_start_line(line);
        anomalies.note(Anomaly::LeadingEmptyLine, self.behind_empty_lines);
        anomalies
    }
}

/// The first line without its end, and its length with it.
fn start_line(head: &[u8]) -> Option<(&[u8], usize)> {
    let feed = memchr(b'\n', head)?;
    Some((head.get(..feed)?.trim_ascii_end(), feed + 1))
}

struct RequestLine {
    method: String,
    target: Vec<u8>,
    version: Version,
    is_unknown_version: bool,
}

/// `method SP target SP version`; runs of spaces and spaces inside the target are let through.
fn request_line(line: &[u8]) -> Option<RequestLine> {
    let end = memchr(b' ', line)?;
    let (method, rest) = line.split_at_checked(end)?;
    let start = memrchr(b' ', rest)?;
    let (target, last) = rest.split_at_checked(start)?;
    let target = target.trim_ascii();
    if method.is_empty() || !method.iter().copied().all(is_token) || target.is_empty() {
        return None;
    }
    let (version, is_unknown_version) = version(last.trim_ascii_start())?;
    Some(RequestLine {
        method: str::from_utf8(method).ok()?.to_owned(),
        target: target.to_vec(),
        version,
        is_unknown_version,
    })
}

struct StatusLine {
    version: Version,
    is_unknown_version: bool,
    status: u16,
    reason: Vec<u8>,
}

/// `version SP status [SP reason]`.
fn status_line(line: &[u8]) -> Option<StatusLine> {
    let end = line.iter().position(|&byte| byte == b' ')?;
    let (first, rest) = line.split_at_checked(end)?;
    let rest = rest.trim_ascii_start();
    let digits = rest.first_chunk::<3>()?;
    let reason = rest.get(3..)?;
    if !digits.iter().all(u8::is_ascii_digit) || !matches!(reason.first(), None | Some(b' ')) {
        return None;
    }
    let status = std::str::from_utf8(digits).ok()?.parse().ok().filter(|status| *status >= 100)?;
    let reason = reason.strip_prefix(b" ").unwrap_or(reason).to_vec();
    let (version, is_unknown_version) = version(first)?;
    Some(StatusLine { version, is_unknown_version, status, reason })
}

/// A minor version that is not known counts as the highest known one (RFC 9110, section 2.5); says
/// whether it is one of those.
fn version(bytes: &[u8]) -> Option<(Version, bool)> {
    match bytes.strip_prefix(b"HTTP/1.")? {
        b"0" => Some((Version::Http10, false)),
        b"1" => Some((Version::Http11, false)),
        [b'2'..=b'9'] | [b'0'..=b'9', b'0'..=b'9'] => Some((Version::Http11, true)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(bytes: &[u8]) -> RawHead<'_> {
        RawHead {
            bytes: Cow::Borrowed(bytes),
            offset: 0,
            first_byte: Time::default(),
            last_byte: Time::default(),
            turn_start: true,
            at_boundary: true,
            behind_empty_lines: false,
            plain: PlainHead::read(bytes),
        }
    }

    #[test]
    fn finds_the_empty_line_at_any_split() {
        for head in [&b"a\r\nb: c\r\n\r\n"[..], b"a\nb: c\n\n", b"a\r\nb\r\n\n", b"a\rb\n\r\n"] {
            let wire = [head, b"rest\n\n"].concat();
            for split in 0..head.len() {
                let mut scanner = EmptyLine::InLine;
                assert_eq!(scanner.find(&wire[..split]), None);
                assert_eq!(scanner.find(&wire[split..]), Some(head.len() - split));
            }
        }
    }

    #[test]
    fn reads_a_request() {
        // RFC 9112, section 3.2.1, with a value that is not UTF-8.
        let head =
            b"GET /where?q=now HTTP/1.1\r\nHost: www.example.org\r\nX-Caf\xe9: \xff \r\n\r\n";
        let (request, _) = raw(head).request(8).unwrap();
        assert_eq!(request.method, "GET");
        assert_eq!(request.target, b"/where?q=now");
        assert_eq!(request.version, Version::Http11);
        assert_eq!(request.head_length, 27 + 23 + 12 + 2);
        assert_eq!(request.headers.get("host"), Some(&b"www.example.org"[..]));
        assert_eq!(request.headers.iter().nth(1), Some((&b"X-Caf\xe9"[..], &b"\xff"[..])));
        assert!(raw(head).request(1).is_none());
    }

    #[test]
    fn reads_all_forms_of_targets() {
        for (line, target) in [
            ("GET http://www.example.org/pub HTTP/1.1", "http://www.example.org/pub"),
            ("CONNECT www.example.com:80 HTTP/1.1", "www.example.com:80"),
            ("OPTIONS * HTTP/1.0", "*"),
            ("GET   /a  HTTP/1.1 ", "/a"),
            ("GET /a b HTTP/1.1", "/a b"),
        ] {
            let request = raw(format!("{line}\n\n").as_bytes()).request(1).unwrap().0;
            assert_eq!(request.target, target.as_bytes());
        }
        for line in ["GET /", "GET / HTTP/2.0", "GET / http/1.1", "G(T / HTTP/1.1", "GET HTTP/1.1"]
        {
            assert!(raw(format!("{line}\r\n\r\n").as_bytes()).request(1).is_none(), "{line}");
        }
    }

    #[test]
    fn reads_a_response_with_and_without_reason() {
        let response = raw(b"HTTP/1.1 404 Not \xe9 Found\r\nA: b\r\n\r\n").response(8).unwrap().0;
        assert_eq!((response.status, &response.reason[..]), (404, &b"Not \xe9 Found"[..]));
        let response = raw(b"HTTP/1.0 200\r\n\r\n").response(8).unwrap().0;
        assert_eq!((response.status, &response.reason[..]), (200, &b""[..]));
        assert_eq!(response.version, Version::Http10);
        for line in ["HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/2 200", "HTTP/1.1 099 x"] {
            assert!(raw(format!("{line}\r\n\r\n").as_bytes()).response(1).is_none(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(lines in proptest::collection::vec(any::<u8>(), 0..200)) {
            raw(&lines).request(8);
            raw(&lines).response(8);
        }
    }
}
