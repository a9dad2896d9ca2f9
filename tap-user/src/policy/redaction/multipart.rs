//! Bodies in parts (RFC 2046, section 5.1), as far as they are here: the place and the name of each
//! (RFC 7578, section 4.2).

use crate::http::content::media_parameter;
use std::borrow::Cow;
use std::ops::Range;

/// Longest boundary (RFC 2046, section 5.1.1), with room for those that do not care.
const BOUNDARY_LIMIT: usize = 256;

/// A part of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// Its name in a form.
    pub(super) name: Option<Cow<'a, [u8]>>,
    /// Where its content stands.
    pub(super) content: Range<usize>,
}

/// Yields all parts of `body`; one that the capture cuts reaches to its end.
pub(super) fn parts<'a>(content_type: &[u8], body: &'a [u8]) -> Vec<Part<'a>> {
    let Some(delimiter) = delimiter(content_type, body) else { return Vec::new() };
    let mut parts = Vec::new();
    let mut place = find(body, &delimiter, 0).map(|place| place.saturating_add(delimiter.len()));
    while let Some(start) = place {
        let next = find(body, &delimiter, start);
        let end = next.unwrap_or(body.len());
        parts.extend(part(body, start..end));
        place = next.map(|next| next.saturating_add(delimiter.len()));
    }
    parts
}

/// Two hyphens and the boundary that the header names, else the first line of the body.
fn delimiter(content_type: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let named = media_parameter(content_type, b"boundary").filter(|it| !it.is_empty());
    let delimiter = match named {
        Some(boundary) => [b"--", boundary].concat(),
        None => body.split(|byte| *byte == b'\n').next()?.trim_ascii_end().to_vec(),
    };
    let is_one = delimiter.starts_with(b"--") && (3..=BOUNDARY_LIMIT).contains(&delimiter.len());
    is_one.then_some(delimiter)
}

fn part(body: &[u8], place: Range<usize>) -> Option<Part<'_>> {
    let bytes = body.get(place.clone())?;
    let (head, start) = head(bytes)?;
    let content = bytes.get(start..)?;
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    let content = content.strip_suffix(b"\r").unwrap_or(content);
    let start = place.start.saturating_add(start);
    Some(Part { name: name(head), content: start..start.saturating_add(content.len()) })
}

/// The fields of a part and where its content begins. The end of the delimiter's line is still there.
fn head(part: &[u8]) -> Option<(&[u8], usize)> {
    let mut start = part.iter().position(|byte| *byte == b'\n')?.saturating_add(1);
    let first = start;
    loop {
        let rest = part.get(start..)?;
        let line = rest.iter().position(|byte| *byte == b'\n')?;
        let is_empty = rest.get(..line)?.trim_ascii().is_empty();
        let behind = start.saturating_add(line).saturating_add(1);
        if is_empty {
            return Some((part.get(first..start)?, behind));
        }
        start = behind;
    }
}

/// The name that `Content-Disposition` gives.
fn name(head: &[u8]) -> Option<Cow<'_, [u8]>> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (field, value) = line.split_at_checked(colon)?;
        let is_wanted = field.trim_ascii().eq_ignore_ascii_case(b"content-disposition");
        let name = media_parameter(value, b"name").filter(|_| is_wanted)?;
        // Browsers write a quotation mark as %22, others behind a backslash.
        let is_escaped = name.iter().any(|byte| matches!(byte, b'\\' | b'%'));
        let plain = || super::parameters::decoded(&without_backslashes(name));
        Some(if is_escaped { plain().into() } else { name.into() })
    })
}

fn without_backslashes(name: &[u8]) -> Vec<u8> {
    name.iter().copied().filter(|byte| *byte != b'\\').collect()
}

/// Place of the next delimiter that begins a line.
fn find(body: &[u8], delimiter: &[u8], from: usize) -> Option<usize> {
    let mut line = from;
    loop {
        let rest = body.get(line..)?;
        // What follows a delimiter is the rest of its line.
        if rest.starts_with(delimiter) && (line == 0 || line > from) {
            return Some(line);
        }
        let feed = rest.iter().position(|byte| *byte == b'\n')?;
        line = line.saturating_add(feed).saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(content_type: &str, body: &'a str) -> Vec<(Option<String>, &'a str)> {
        let parts = parts(content_type.as_bytes(), body.as_bytes());
        let text = |name: Cow<'_, [u8]>| String::from_utf8(name.into_owned()).unwrap();
        parts.into_iter().map(|part| (part.name.map(text), &body[part.content])).collect()
    }

    /// The example of RFC 7578, section 4.6, among others.
    #[test]
    fn parts_of_a_form() {
        let body = "--AaB03x\r\ncontent-disposition: form-data; name=\"_charset_\"\r\n\r\niso-8859-1\r\n\
                    --AaB03x\r\nContent-Type: text/plain\r\nContent-Disposition: form-data; name=field1\r\n\
                    \r\nline\r\n\r\n--AaB0\r\n\r\n--AaB03x--\r\n";
        let expected = [
            (Some("_charset_".to_owned()), "iso-8859-1"),
            (Some("field1".to_owned()), "line\r\n\r\n--AaB0\r\n"),
        ];
        assert_eq!(read("multipart/form-data; boundary=AaB03x", body), expected);
        assert_eq!(read("multipart/form-data; Boundary=\"AaB03x\"", body), expected);
        assert_eq!(read("multipart/form-data", body), expected);
    }

    #[test]
    fn a_part_that_is_cut_reaches_to_the_end() {
        let body = "--x\nContent-Disposition: form-data; name=\"a\\\"%22b\"\n\nsecr";
        let expected = [(Some("a\"\"b".to_owned()), "secr")];
        assert_eq!(read("multipart/form-data; boundary=x", body), expected);
        assert_eq!(read("multipart/form-data; boundary=x", "--x\nContent-Dispo"), []);
    }
}
