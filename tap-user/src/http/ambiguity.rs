//! Looks for anomalies in the bytes and fields of a head.

use super::anomaly::{Anomalies, Anomaly};
use super::body::{Coding, InvalidLength, Lengths, decimal};
use super::exchange::Version;
use super::headers::Headers;
use crate::scan::any_pair;

/// Transfer codings that are registered (RFC 9112, section 7).
const REGISTERED_CODINGS: [&[u8]; 6] =
    [b"chunked", b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress"];
/// Digits of the largest length that anybody reads (2^64 - 1).
const LENGTH_DIGITS: usize = 20;

/// Line ends and control characters of a head or a trailer section.
pub(super) fn of_bytes(section: &[u8]) -> Anomalies {
    let mut anomalies = Anomalies::NONE;
    // The first byte has none before it.
    anomalies.note(Anomaly::BareLineFeed, section.first() == Some(&b'\n'));
    for (&byte, &next) in with_next(section) {
        anomalies.note(Anomaly::BareLineFeed, byte != b'\r' && next == b'\n');
        anomalies.note(Anomaly::BareCarriageReturn, byte == b'\r' && next != b'\n');
        anomalies.note(Anomaly::NulByte, byte == 0);
        let is_control = is_control(byte) && !matches!(byte, 0 | b'\t');
        anomalies.note(Anomaly::ControlCharacter, is_control);
    }
    anomalies
}

/// Whether all lines end with CRLF and hold no control characters, tabs included. Of the last byte
/// only those before it are known: it ends a line, and the first one does not.
pub(super) fn is_plain(section: &[u8]) -> bool {
    !any_pair(section, |byte, next| ((byte == b'\r') ^ (next == b'\n')) | is_control(byte))
}

/// Whether a byte is a control character other than a line end.
fn is_control(byte: u8) -> bool {
    ((byte < b' ') & (byte != b'\r') & (byte != b'\n')) | (byte == 0x7f)
}

/// Each byte but the last (which ends a line) with the one behind it.
fn with_next(section: &[u8]) -> impl Iterator<Item = (&u8, &u8)> {
    section.iter().zip(section.get(1..).unwrap_or_default())
}

/// Fields that say how long a request is and whom it is for.
pub(super) fn of_request_fields(headers: &Headers, version: Version) -> (Anomalies, Lengths) {
    let routing = Routing::of(headers);
    let mut anomalies = routing.anomalies(version);
    anomalies.note(Anomaly::MissingHost, routing.hosts == 0 && version == Version::Http11);
    anomalies.note(Anomaly::RepeatedHost, routing.hosts > 1);
    // A response with another last coding lasts until the connection ends; a request has no end.
    anomalies.note(Anomaly::ChunkedNotLast, routing.codings > 0 && !routing.ends_chunked);
    (anomalies, routing.lengths())
}

/// Fields that say how long a response is.
pub(super) fn of_response_fields(headers: &Headers, version: Version) -> (Anomalies, Lengths) {
    let routing = Routing::of(headers);
    (routing.anomalies(version), routing.lengths())
}

/// The fields that decide where a message ends and where it goes.
#[derive(Default)]
struct Routing<'a> {
    hosts: usize,
    /// The last length so far, as on the wire.
    length: Option<&'a [u8]>,
    /// The one that all agree on so far.
    number: Option<u64>,
    /// One is no number, or another number.
    is_invalid: bool,
    /// Transfer-Encoding fields.
    codings: usize,
    chunked: usize,
    ends_chunked: bool,
    /// Of single values.
    found: Anomalies,
}

impl<'a> Routing<'a> {
    fn of(headers: &'a Headers) -> Self {
        let mut routing = Self { hosts: headers.all("host").count(), ..Self::default() };
        for value in headers.all("content-length") {
            elements(value).for_each(|element| routing.add_length(element));
        }
        for value in headers.all("transfer-encoding") {
            routing.codings = routing.codings.saturating_add(1);
            elements(value).for_each(|element| routing.add_coding(element));
        }
        routing
    }

    fn add_length(&mut self, element: &'a [u8]) {
        let is_number = !element.is_empty() && element.iter().all(u8::is_ascii_digit);
        self.found.note(Anomaly::InvalidContentLength, !is_number || element.len() > LENGTH_DIGITS);
        let number = decimal(element);
        self.is_invalid |= number.is_none() || self.number.is_some() && self.number != number;
        self.number = number;
        match self.length.replace(element) {
            None => {}
            Some(before) if before == element => self.found.insert(Anomaly::RepeatedContentLength),
            Some(_) => self.found.insert(Anomaly::DifferingContentLength),
        }
    }

    fn add_coding(&mut self, element: &[u8]) {
        self.ends_chunked = element.eq_ignore_ascii_case(b"chunked");
        self.chunked = self.chunked.saturating_add(usize::from(self.ends_chunked));
        let known = REGISTERED_CODINGS.iter().any(|coding| element.eq_ignore_ascii_case(coding));
        self.found.note(Anomaly::UnknownTransferEncoding, !known);
    }

    fn lengths(&self) -> Lengths {
        let coding = match (self.codings, self.ends_chunked) {
            (0, _) => Coding::Absent,
            (_, true) => Coding::Chunked,
            (_, false) => Coding::Other,
        };
        let length = if self.is_invalid { Err(InvalidLength) } else { Ok(self.number) };
        Lengths { coding, length }
    }

    fn anomalies(&self, version: Version) -> Anomalies {
        let mut anomalies = self.found;
        if self.codings > 0 {
            let repeated = self.codings > 1 || self.chunked > 1;
            anomalies.note(Anomaly::ContentLengthWithTransferEncoding, self.length.is_some());
            anomalies.note(Anomaly::TransferEncodingInHttp10, version == Version::Http10);
            anomalies.note(Anomaly::RepeatedTransferEncoding, repeated);
            anomalies.note(Anomaly::ChunkedNotLast, self.chunked > 0 && !self.ends_chunked);
        }
        anomalies
    }
}

fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::only_exchange;
    use proptest::prelude::*;

    /// Anomalies of a request with these field lines behind `Host`.
    fn of_request(head: &str) -> Vec<&'static str> {
        let exchange = only_exchange(head.as_bytes(), b"HTTP/1.1 200 OK\r\n\r\n");
        let anomalies = exchange.request.unwrap().anomalies;
        anomalies.iter().map(Anomaly::name).collect()
    }

    fn of_response(response: &str) -> Vec<&'static str> {
        let exchange = only_exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", response.as_bytes());
        let anomalies = exchange.response.unwrap().anomalies;
        anomalies.iter().map(Anomaly::name).collect()
    }

    const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\n";

    #[test]
    fn clean_messages_have_none() {
        for head in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\nContent-Length: 1\r\nX:\t\r\nY: \u{e9}\r\n\r\nx",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n\
             1\r\nx\r\n0\r\nTrailer: x\r\n\r\n",
        ] {
            assert!(of_request(head).is_empty(), "{head}: {:?}", of_request(head));
        }
        for response in [
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found, sorry\r\n\r\n",
            "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            assert!(of_response(response).is_empty(), "{response}: {:?}", of_response(response));
        }
        // More field lines than the fast parser has room for.
        let many: String = (0..100).map(|number| format!("X-{number}: y\r\n")).collect();
        assert!(of_request(&format!("{HEAD}{many}\r\n")).is_empty());
    }

    #[test]
    fn each_anomaly_of_a_head_alone() {
        for (head, expected) in [
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "leading_empty_line"),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "start_line_whitespace"),
            ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "start_line_whitespace"),
            ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "start_line_whitespace"),
            ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", "unknown_version"),
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", "bare_line_feed"),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", "bare_line_feed"),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", "bare_line_feed"),
            ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", "bare_carriage_return"),
            ("GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", "nul_byte"),
            ("GET / HTTP/1.1\r\nHost: \x0ba\r\n\r\n", "control_character"),
            ("GET / HTTP/1.1\r\n Host: a\r\nHost: b\r\n\r\n", "whitespace_after_start_line"),
            ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", "obs_fold"),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "whitespace_before_colon"),
            ("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", "missing_colon"),
            ("GET / HTTP/1.1\r\nHost: a\r\nX(: b\r\n\r\n", "invalid_header_name"),
            ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", "invalid_header_name"),
            ("GET / HTTP/1.1\r\n\r\n", "missing_host"),
            ("GET / HTTP/1.1\r\nHost: a\r\nHOST: a\r\n\r\n", "repeated_host"),
        ] {
            assert_eq!(of_request(head), [expected], "{}", head.escape_debug());
        }
    }

    #[test]
    fn each_anomaly_of_lengths() {
        for (fields, expected) in [
            (
                "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
                &["content_length_with_transfer_encoding"][..],
            ),
            ("Content-Length: 4\r\nContent-Length: 4\r\n", &["repeated_content_length"]),
            ("Content-Length: 4, 4\r\n", &["repeated_content_length"]),
            ("Content-Length: 4\r\ncontent-length: 5\r\n", &["differing_content_length"]),
            ("Content-Length: +4\r\n", &["invalid_content_length"]),
            ("Content-Length: 0x4\r\n", &["invalid_content_length"]),
            ("Content-Length:\r\n", &["invalid_content_length"]),
            ("Content-Length: 99999999999999999999999\r\n", &["invalid_content_length"]),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                &["repeated_transfer_encoding"],
            ),
            ("Transfer-Encoding: chunked, gzip\r\n", &["chunked_not_last"]),
            ("Transfer-Encoding: gzip\r\n", &["chunked_not_last"]),
            ("Transfer-Encoding: xchunked\r\n", &["chunked_not_last", "unknown_transfer_encoding"]),
            ("Transfer-Encoding: identity, chunked\r\n", &["unknown_transfer_encoding"]),
        ] {
            assert_eq!(of_request(&format!("{HEAD}{fields}\r\n")), expected, "{fields}");
        }
        let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        assert_eq!(of_request(old), ["transfer_encoding_in_http_1_0"]);
    }

    #[test]
    fn each_anomaly_of_chunks() {
        for (chunks, expected) in [
            ("1;a=b\r\nx\r\n0\r\n\r\n", &["chunk_extension"][..]),
            ("1 \r\nx\r\n0\r\n\r\n", &["chunk_size_whitespace"]),
            ("1\nx\r\n0\r\n\r\n", &["bare_line_feed"]),
            ("1\r\nx\n0\r\n\r\n", &["bare_line_feed"]),
            ("1\r\nx\r\n0\r\n\n", &["bare_line_feed"]),
            ("1;a\nx\r\n0\r\n\r\n", &["bare_line_feed", "chunk_extension"]),
            ("1;a\rb\r\nx\r\n0\r\n\r\n", &["bare_carriage_return", "chunk_extension"]),
            ("0x1\r\nx\r\n0\r\n\r\n", &["invalid_chunk_size"]),
            ("-1\r\nx\r\n0\r\n\r\n", &["invalid_chunk_size"]),
            ("1\r\nxy\r\n0\r\n\r\n", &["invalid_chunk_end"]),
            ("0\r\nTrailer : x\r\n\r\n", &["whitespace_before_colon"]),
        ] {
            let head = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{chunks}");
            assert_eq!(of_request(&head), expected, "{}", chunks.escape_debug());
        }
    }

    #[test]
    fn responses_have_them_too() {
        for (response, expected) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "content_length_with_transfer_encoding",
            ),
            ("HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", "start_line_whitespace"),
            (
                "HTTP/1.1 100 Continue\r\nA : b\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
                "whitespace_before_colon",
            ),
        ] {
            assert_eq!(of_response(response), [expected], "{response}");
        }
    }

    proptest! {
        /// Nothing is missed that taking out all CRLF leaves behind.
        #[test]
        fn plain_bytes_are_lines_and_nothing_else(text in "[a \r\n\t\0\x01\x7f]{0,40}|(a{0,20}\r\n){0,4}") {
            let section = format!("{text}\r\n");
            let rest = section.replace("\r\n", "");
            let is_odd = rest.chars().any(|character| character != '\t' && character.is_control());
            prop_assert_eq!(of_bytes(section.as_bytes()).is_empty(), !is_odd);
        }
    }

    #[test]
    fn names_are_stable_and_differ() {
        let names: std::collections::HashSet<_> =
            Anomaly::ALL.iter().map(|anomaly| anomaly.name()).collect();
        assert_eq!(names.len(), Anomaly::ALL.len());
    }
}
