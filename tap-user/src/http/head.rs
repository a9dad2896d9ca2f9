//! Message heads: where they end, and what their lines say together (RFC 9112, sections 2 to 5).
//!
//! The reader is as tolerant as the most tolerant gateway: an observer must not lose a message
//! that the gateway accepted, and one that it refused does no harm. So lines end with CRLF or LF,
//! a field name is anything up to the colon, and values are bytes.

use super::ambiguity;
use super::anomaly::Anomaly;
use super::body::Lengths;
use super::exchange::{Body, Request, Response};
use super::fields::{PlainHead, headers};
use super::start_line::{RequestLine, StatusLine};
use crate::segment::Time;
use memchr::memchr;
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
        let line_length = memchr(b'\n', &self.bytes)? + 1;
        let line = RequestLine::read(self.bytes.get(..line_length)?)?;
        let mut anomalies = line.anomalies;
        anomalies.note(Anomaly::LeadingEmptyLine, self.behind_empty_lines);
        let head_length = self.bytes.len() as u64;
        let (headers, odd_lines) =
            headers(self.bytes.into_owned(), line_length, self.plain, fields)?;
        anomalies.extend(odd_lines);
        let (odd_fields, lengths) = ambiguity::of_request_fields(&headers, line.version);
        anomalies.extend(odd_fields);
        let request = Request {
            method: line.method,
            target: line.target,
            version: line.version,
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
        let line_length = memchr(b'\n', &self.bytes)? + 1;
        let line = StatusLine::read(self.bytes.get(..line_length)?)?;
        let mut anomalies = line.anomalies;
        anomalies.note(Anomaly::LeadingEmptyLine, self.behind_empty_lines);
        let head_length = self.bytes.len() as u64;
        let (headers, odd_lines) =
            headers(self.bytes.into_owned(), line_length, self.plain, fields)?;
        anomalies.extend(odd_lines);
        let (odd_fields, lengths) = ambiguity::of_response_fields(&headers, line.version);
        anomalies.extend(odd_fields);
        let response = Response {
            status: line.status,
            reason: line.reason,
            version: line.version,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Version;
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
