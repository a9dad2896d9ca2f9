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
use super::headers::{Field, Headers};
use crate::segment::Time;
use memchr::{memchr, memrchr};
use std::borrow::Cow;
use std::ops::Range;

/// Field lines that there is room for at first: most heads have no more.
const USUAL_FIELDS: usize = 16;

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

/// Reads the field lines of `raw` from `start` on, up to an empty line or the end; those of `known`
/// have been read already. `None` if there are more than `maximum`. Says what is odd about the lines
/// and about all bytes of `raw`.
pub(super) fn headers(
    mut raw: Vec<u8>,
    start: usize,
    known: Option<PlainHead>,
    maximum: usize,
) -> Option<(Headers, Anomalies)> {
    let plain = known.or_else(|| plain_lines(&raw, start));
    let (fields, anomalies) = match plain.filter(|plain| plain.length == raw.len()) {
        Some(plain) => (plain.fields, Anomalies::NONE),
        None => {
            let odd_bytes = ambiguity::of_bytes(&raw);
            let (fields, mut anomalies) = tolerant_fields(&mut raw, start);
            anomalies.extend(odd_bytes);
            (fields, anomalies)
        }
    };
    let headers = (fields.len() <= maximum).then(|| Headers::new(raw.into_boxed_slice(), fields));
    headers.map(|headers| (headers, anomalies))
}

/// A head about whose lines nothing is odd.
#[derive(Debug)]
pub(super) struct PlainHead {
    fields: Vec<Field>,
    /// Bytes up to and with the empty line.
    pub(super) length: usize,
}

impl PlainHead {
    /// Reads a head in one go, if its end is among `bytes` and all lines are as the standard wants
    /// them; `None` for all others.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        plain_lines(bytes, memchr(b'\n', bytes)? + 1)
    }
}

/// Field lines from `start` on: `name ":" value CRLF`, the name a token, and an empty line at the
/// end; nothing odd among all bytes.
fn plain_lines(bytes: &[u8], start: usize) -> Option<PlainHead> {
    let mut fields = Vec::with_capacity(USUAL_FIELDS);
    let mut place = start;
    loop {
        let line = bytes.get(place..)?;
        if line.starts_with(b"\r\n") {
            break;
        }
        let name = line.iter().position(|byte| !is_token(*byte)).filter(|length| *length > 0)?;
        let value = line.get(name..)?.strip_prefix(b":")?;
        let feed = memchr(b'\n', value)?;
        let value_place = place + name + 1;
        fields.push((range(place, name)?, trimmed(value.get(..feed)?, value_place)?));
        place = value_place + feed + 1;
    }
    let length = place + 2;
    ambiguity::is_plain(bytes.get(..length)?).then_some(PlainHead { fields, length })
}

/// Place of a value that stands at `place`, without white space around it.
fn trimmed(value: &[u8], place: usize) -> Option<Range<u32>> {
    let value = value.trim_ascii_end();
    let text = value.trim_ascii_start();
    range(place + (value.len() - text.len()), text.len())
}

fn range(start: usize, length: usize) -> Option<Range<u32>> {
    let end = u32::try_from(start.checked_add(length)?).ok()?;
    // Not above the end.
    Some(start as u32..end)
}

/// Field lines of any kind: a line without a colon is a name without a value; a line that begins
/// with white space goes on with the value before it, its line end replaced by spaces
/// (RFC 9112, section 5.2).
fn tolerant_fields(raw: &mut [u8], start: usize) -> (Vec<Field>, Anomalies) {
    let (mut fields, mut anomalies) = (Vec::<Field>::new(), Anomalies::NONE);
    let mut place = start;
    while let Some(line) = raw.get(place..).filter(|rest| !rest.is_empty()) {
        let feed = line.iter().position(|&byte| byte == b'\n');
        let length = feed.map_or(line.len(), |feed| feed + 1);
        let text = line.get(..length).unwrap_or_default().trim_ascii_end();
        let folded = matches!(text.first(), Some(b' ' | b'\t'));
        let text_length = text.len();
        if text.is_empty() && !matches!(line.first(), Some(b' ' | b'\t')) {
            break;
        }
        match fields.last_mut().filter(|_| folded) {
            Some((_, value)) => {
                anomalies.insert(Anomaly::LineFolding);
                unfold(raw, value, place);
                value.end = u32::try_from(place.saturating_add(text_length)).unwrap_or(value.end);
            }
            None => {
                anomalies.extend(field_anomalies(text, folded));
                fields.extend(field(text, place));
            }
        }
        place = place.saturating_add(length);
    }
    (fields, anomalies)
}

/// Blanks the line end between a value and its continuation at `place`. An empty value starts at
/// the continuation itself.
fn unfold(raw: &mut [u8], value: &mut Range<u32>, place: usize) {
    if value.start >= value.end {
        let line = raw.get(place..).unwrap_or_default();
        let blanks = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        value.start = u32::try_from(place.saturating_add(blanks)).unwrap_or(value.start);
        return;
    }
    if let Some(between) = raw.get_mut(value.end as usize..place) {
        between.fill(b' ');
    }
}

/// What is odd about one field line without its end; `folded` if it begins with white space.
fn field_anomalies(text: &[u8], folded: bool) -> Anomalies {
    let mut anomalies = Anomalies::NONE;
    let Some(colon) = text.iter().position(|&byte| byte == b':') else {
        return Anomaly::MissingColon.into();
    };
    let name = text.get(..colon).unwrap_or_default();
    let bare = name.trim_ascii();
    anomalies.note(Anomaly::WhitespaceAfterStartLine, folded);
    anomalies.note(Anomaly::WhitespaceBeforeColon, name.trim_ascii_end() != name);
    let is_token = !bare.is_empty() && bare.iter().copied().all(is_token);
    anomalies.note(Anomaly::InvalidHeaderName, !is_token);
    anomalies
}

/// One field line without its end.
fn field(text: &[u8], place: usize) -> Option<Field> {
    let Some(colon) = text.iter().position(|&byte| byte == b':') else {
        let end = place.checked_add(text.len())?;
        return Some((range(place, text.len())?, range(end, 0)?));
    };
    let (name, rest) = text.split_at_checked(colon)?;
    let value = rest.get(1..)?;
    let blanks = value.len() - value.trim_ascii_start().len();
    let value_place = place.checked_add(colon)?.checked_add(1)?.checked_add(blanks)?;
    let value_length = value.trim_ascii().len();
    Some((range(place, name.trim_ascii_end().len())?, range(value_place, value_length)?))
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

    fn pairs(headers: &Headers) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        headers.iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    fn tolerant(lines: &[u8]) -> Vec<(String, String)> {
        let mut raw = lines.to_vec();
        let (fields, _) = tolerant_fields(&mut raw, 0);
        pairs(&Headers::new(raw.into_boxed_slice(), fields))
    }

    /// The same by a parser of another hand.
    fn by_httparse(lines: &[u8]) -> Vec<(String, String)> {
        let mut room = [httparse::EMPTY_HEADER; 8];
        let parsed = httparse::parse_headers(lines, &mut room).unwrap();
        let httparse::Status::Complete((length, fields)) = parsed else { panic!("incomplete") };
        assert_eq!(length, lines.len());
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        fields.iter().map(|field| (text(field.name.as_bytes()), text(field.value))).collect()
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

    proptest! {
        /// What is read in one go ends where the search for the empty line ends.
        #[test]
        fn a_plain_head_ends_at_the_first_empty_line(
            bytes in "[a-c :]{1,6}\r?\n(a|b|:|\r\n|\n|\r){0,16}(a: b\r\n){0,2}\r\n(\r\n|a){0,3}",
        ) {
            if let Some(plain) = PlainHead::read(bytes.as_bytes()) {
                let end = EmptyLine::InLine.find(bytes.as_bytes());
                prop_assert_eq!(end, Some(plain.length));
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

    #[test]
    fn odd_field_lines_are_kept() {
        let lines = b"A_b: 1\r\nFold: one\r\n two\r\n\tthree \r\nEmpty:\r\n later\r\nSpace : x\r\n\
            no colon\r\nLone: \x01\r\r\n\r\n";
        let expected = [
            ("A_b", "1"),
            ("Fold", "one   two  \\tthree"),
            ("Empty", "later"),
            ("Space", "x"),
            ("no colon", ""),
            ("Lone", "\\x01"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(tolerant(lines), expected);
        let (headers, _) = headers(lines.to_vec(), 0, None, 8).unwrap();
        assert_eq!(pairs(&headers), expected);
    }

    proptest! {
        /// Two parsers must not disagree where both accept.
        #[test]
        fn both_parsers_agree(lines in "([A-Za-z_-]{1,8} ?:[ \t]{0,2}[ -~é]{0,12}\r{0,2}\n){0,5}\r?\n|([!-9;-~]{1,8}: {0,2}[ -~é]{0,12}\r\n){0,5}\r\n") {
            let plain = plain_lines(lines.as_bytes(), 0);
            if let Some(PlainHead { fields, .. }) = plain.filter(|it| it.length == lines.len()) {
                let plain = Headers::new(lines.as_bytes().into(), fields);
                prop_assert_eq!(pairs(&plain), tolerant(lines.as_bytes()));
                prop_assert_eq!(tolerant_fields(&mut lines.as_bytes().to_vec(), 0).1, Anomalies::NONE);
                prop_assert_eq!(ambiguity::of_bytes(lines.as_bytes()), Anomalies::NONE);
                prop_assert_eq!(pairs(&plain), by_httparse(lines.as_bytes()));
            }
        }

        #[test]
        fn no_bytes_panic(lines in proptest::collection::vec(any::<u8>(), 0..200)) {
            tolerant(&lines);
            raw(&lines).request(8);
            raw(&lines).response(8);
        }
    }
}
