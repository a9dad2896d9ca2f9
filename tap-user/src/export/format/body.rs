//! How a captured body is shown: as text where it is text, else in base64.

use crate::export::json::{Base64, Object};
use crate::http::Body;

/// The captured bytes as a record carries them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Captured<'a> {
    /// UTF-8. Where the capture stops in the middle of a character, that character is left out.
    Text(&'a str),
    /// Anything else.
    Binary(&'a [u8]),
}

impl<'a> Captured<'a> {
    /// What a record shows of a body.
    pub(super) fn of(body: &'a Body) -> Self {
        match str::from_utf8(&body.bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => body
                .bytes
                .get(..error.valid_up_to())
                // No error length: the bytes stop inside a character that was right so far.
                .filter(|whole| error.error_len().is_none() && !whole.is_empty() && is_cut(body))
                .and_then(|whole| str::from_utf8(whole).ok())
                .map_or(Self::Binary(&body.bytes), Self::Text),
        }
    }

    /// Number of body bytes that the record carries.
    pub(super) fn length(self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

/// Whether the body goes on beyond the captured bytes, or may do so.
fn is_cut(body: &Body) -> bool {
    !body.complete || body.length != Some(body.bytes.len() as u64)
}

/// Whether it is known that there is no content at all.
pub(super) fn is_empty(body: &Body) -> bool {
    body.bytes.is_empty() && body.length == Some(0)
}

/// Writes `body`, and `body_encoding` beside it where it is base64: the way of Runscope's API,
/// taken for the `kong` format too. Nothing where nothing was captured.
pub(super) fn write_with_encoding(object: &mut Object<'_>, body: &Body) {
    match Captured::of(body) {
        Captured::Text("") => {}
        Captured::Text(text) => object.field("body", text),
        Captured::Binary(bytes) => {
            object.field("body", Base64(bytes));
            object.field("body_encoding", "base64");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(bytes: &[u8], length: u64) -> Body {
        Body { bytes: bytes.to_vec(), length: Some(length), ..Body::default() }
    }

    #[test]
    fn text_cut_inside_a_character_ends_at_the_last_whole_one() {
        // U+20AC is E2 82 AC.
        let cut = body(b"price \xe2\x82", 30);
        assert_eq!(Captured::of(&cut), Captured::Text("price "));
        assert_eq!(Captured::of(&cut).length(), 6);
    }

    #[test]
    fn a_whole_body_that_ends_inside_a_character_is_binary() {
        let whole = body(b"price \xe2\x82", 8);
        assert_eq!(Captured::of(&whole), Captured::Binary(b"price \xe2\x82"));
    }

    #[test]
    fn a_cut_character_alone_is_kept_as_binary() {
        assert_eq!(Captured::of(&body(b"\xe2\x82", 30)), Captured::Binary(b"\xe2\x82"));
    }

    #[test]
    fn an_invalid_byte_before_the_cut_makes_it_binary() {
        assert_eq!(Captured::of(&body(b"a\xffb", 30)), Captured::Binary(b"a\xffb"));
    }
}
