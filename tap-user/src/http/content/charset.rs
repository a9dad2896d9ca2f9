//! Text in other charsets than UTF-8 (WHATWG Encoding, as browsers read it).

use crate::http::headers::Headers;
use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Text that was in another charset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// In UTF-8, without byte order mark.
    pub text: String,
    /// Name of the charset that it was in, in lower case.
    pub charset: String,
}

/// The charset that `Content-Type` names, if it is known and is not UTF-8.
#[must_use]
pub fn charset_of(headers: &Headers) -> Option<&'static Encoding> {
    if !headers.may_have("content-type") {
        return None;
    }
    let charset = media_parameter(headers.get("content-type")?, b"charset")?;
    Encoding::for_label(charset).filter(|encoding| *encoding != UTF_8)
}

/// A parameter of a media type or of another header value of that form, without quotation marks.
#[must_use]
pub fn media_parameter<'a>(value: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    // Most media types have none.
    if !value.contains(&b';') {
        return None;
    }
    let parameters = value.split(|&byte| byte == b';').skip(1).filter_map(parameter);
    let mut named = parameters.filter(|(other, _)| other.eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value)
}

fn parameter(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = text.iter().position(|&byte| byte == b'=')?;
    let (name, value) = text.split_at_checked(equals)?;
    let value = value.strip_prefix(b"=")?.trim_ascii();
    let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    Some((name.trim_ascii(), quoted.unwrap_or(value)))
}

/// `bytes` as text; `None` if they are not of that charset. Of text that is not `whole`, an
/// unfinished character at the end is left out. A byte order mark wins over `encoding`.
#[must_use]
pub fn to_text(encoding: &'static Encoding, bytes: &[u8], whole: bool) -> Option<Converted> {
    let mut decoder = encoding.new_decoder();
    let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len())?;
    let mut text = String::with_capacity(room);
    let (result, _) = decoder.decode_to_string_without_replacement(bytes, &mut text, whole);
    let charset = decoder.encoding().name().to_ascii_lowercase();
    (result == DecoderResult::InputEmpty).then_some(Converted { text, charset })
}

/// `bytes` as UTF-8; `None` if they are not. Of text that is not `whole`, an unfinished character at
/// the end is left out, unless it is all there is.
#[must_use]
pub fn as_text(bytes: &[u8], whole: bool) -> Option<&str> {
    match str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => bytes
            .get(..error.valid_up_to())
            // No error length: the bytes stop inside a character that was right so far.
            .filter(|text| error.error_len().is_none() && !text.is_empty() && !whole)
            .and_then(|text| str::from_utf8(text).ok()),
    }
}

/// UTF-16, where the first bytes are its byte order mark, or a character of ASCII in it.
#[must_use]
pub fn wide_charset_of(bytes: &[u8]) -> Option<&'static Encoding> {
    match bytes {
        [0xff, 0xfe, ..] => Some(UTF_16LE),
        [0xfe, 0xff, ..] => Some(UTF_16BE),
        [1..=0x7f, 0, 1..=0x7f, 0, ..] => Some(UTF_16LE),
        [0, 1..=0x7f, 0, 1..=0x7f, ..] => Some(UTF_16BE),
        _ => None,
    }
}
