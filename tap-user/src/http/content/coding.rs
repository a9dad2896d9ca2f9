//! Which codings a body has (RFC 9110, section 8.4.1; RFC 9112, section 7; the HTTP content
//! coding registry).

use crate::http::headers::Headers;

pub(super) const CONTENT: &str = "content-encoding";
pub(super) const TRANSFER: &str = "transfer-encoding";

/// A coding that can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950 as the standard wants it, RFC 1951 as some servers send it.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstandard,
}

/// All codings in the order in which they were applied; `None` for one that is not known.
pub(super) fn of(headers: &Headers) -> impl DoubleEndedIterator<Item = Option<Coding>> {
    elements(headers, CONTENT).chain(elements(headers, TRANSFER)).map(known)
}

/// The lists of all fields of that name; `None` if nothing in them is to be undone.
pub(super) fn as_on_wire(headers: &Headers, name: &'static str) -> Option<String> {
    // Most messages have no such field.
    if !headers.may_have(name) {
        return None;
    }
    elements(headers, name).next()?;
    let values: Vec<_> = headers.all(name).map(String::from_utf8_lossy).collect();
    Some(values.join(", "))
}

/// Elements that change the bytes: `identity` never did, and `chunked` is undone already.
fn elements<'a>(
    headers: &'a Headers,
    name: &'static str,
) -> impl DoubleEndedIterator<Item = &'a [u8]> {
    let is_plain = move |element: &[u8]| {
        element.is_empty()
            || element.eq_ignore_ascii_case(b"identity")
            || (name == TRANSFER && element.eq_ignore_ascii_case(b"chunked"))
    };
    headers
        .all(name)
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(move |element| !is_plain(element))
}

fn known(name: &[u8]) -> Option<Coding> {
    const NAMES: [(&[u8], Coding); 5] = [
        (b"gzip", Coding::Gzip),
        (b"x-gzip", Coding::Gzip),
        (b"deflate", Coding::Deflate),
        (b"br", Coding::Brotli),
        (b"zstd", Coding::Zstandard),
    ];
    NAMES.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, coding)| coding)
}
