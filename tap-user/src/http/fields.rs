//! Field lines of a head or of trailers (RFC 9112, section 5).
//!
//! Nearly all heads are plain: those are walked once. All others are read as the most tolerant gateway
//! would read them, and what is odd about them is noted.

use super::ambiguity;
use super::anomaly::{Anomalies, Anomaly};
use super::detect::is_token;
use super::headers::{Field, Headers};
use super::words::token_length;
use memchr::memchr;
use std::ops::Range;

/// Field lines that there is room for at first: most heads have no more.
const USUAL_FIELDS: usize = 16;

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
    // So no place in it is above the largest.
    u32::try_from(bytes.len()).ok()?;
    let mut fields = Vec::with_capacity(USUAL_FIELDS);
    let mut rest = bytes.get(start..)?;
    while !rest.starts_with(b"\r\n") {
        let place = bytes.len() - rest.len();
        let name = token_length(rest);
        let (line, next) = rest.split_at_checked(name + memchr(b'\n', rest.get(name..)?)? + 1)?;
        let value = line.get(name..)?.strip_prefix(b":").filter(|_| name > 0)?;
        let value = trimmed(value, place + name + 1);
        fields.push((place as u32..(place + name) as u32, value));
        rest = next;
    }
    let length = bytes.len() - rest.len() + 2;
    ambiguity::is_plain(bytes.get(..length)?).then_some(PlainHead { fields, length })
}

/// Place of a value that stands at `place`, without the line end and the spaces around it; there is no
/// other white space in plain lines.
fn trimmed(value: &[u8], place: usize) -> Range<u32> {
    let value = value.strip_suffix(b"\r\n").unwrap_or(value);
    let blanks = value.iter().position(|byte| *byte != b' ').unwrap_or(value.len());
    let trailing = value.iter().rposition(|byte| *byte != b' ').map_or(blanks, |last| last + 1);
    (place + blanks) as u32..(place + trailing) as u32
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
    use super::super::head::EmptyLine;
    use super::*;
    use proptest::prelude::*;

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

        #[test]
        fn no_bytes_panic(lines in proptest::collection::vec(any::<u8>(), 0..200)) {
            tolerant(&lines);
        }
    }
}
