//! How a captured body is shown: with its codings undone, as text where it is text, else in
//! base64.

use crate::export::json::{Base64, Object};
use crate::gateway::{Instead, Observation, ReplacedBody};
use crate::http::content::{Content, Converted, as_text, charset_of, to_text};
use crate::http::{Body, Headers};

/// The bytes that a record carries.
#[derive(Debug, PartialEq, Eq)]
enum Carried<'a> {
    /// UTF-8. Where the capture stops in the middle of a character, that character is left out.
    Text(&'a str),
    /// Text that was in another charset.
    Converted(Converted),
    /// Anything else.
    Binary(&'a [u8]),
}

/// A body as a record shows it.
#[derive(Debug)]
pub(super) struct ShownBody<'a> {
    pub(super) body: &'a Body,
    /// What its codings are, and what became of them.
    pub(super) content: &'a Content,
    bytes: &'a [u8],
    carried: Carried<'a>,
    captured: usize,
    decoded_length: Option<usize>,
    /// Whether what is here is all of the content.
    pub(super) is_whole: bool,
    redacted: Option<&'a ReplacedBody>,
}

/// Both bodies of an exchange; looked at once, however many places of a record ask.
#[derive(Debug)]
pub(super) struct Bodies<'a> {
    pub(super) request: Option<ShownBody<'a>>,
    pub(super) response: Option<ShownBody<'a>>,
}

impl<'a> Bodies<'a> {
    pub(super) fn of(observation: &'a Observation) -> Self {
        let Observation { exchange, contents, redacted, .. } = observation;
        let redacted = redacted.as_deref();
        Self {
            request: exchange.request.as_ref().map(|request| {
                match redacted.and_then(|redacted| redacted.request_body.as_ref()) {
                    Some(replaced) => ShownBody::replaced(&request.body, replaced),
                    None => {
                        let content = contents.request(request);
                        ShownBody::new(&request.headers, &request.body, content)
                    }
                }
            }),
            response: exchange.response.as_ref().map(|response| {
                match redacted.and_then(|redacted| redacted.response_body.as_ref()) {
                    Some(replaced) => ShownBody::replaced(&response.body, replaced),
                    None => {
                        let content = contents.response(response);
                        ShownBody::new(&response.headers, &response.body, content)
                    }
                }
            }),
        }
    }
}

impl<'a> ShownBody<'a> {
    fn new(headers: &Headers, body: &'a Body, content: &'a Content) -> Self {
        let (bytes, is_whole) = match &content.decoded {
            Some(decoded) => (decoded.as_slice(), body.is_whole() && !content.truncated),
            None => (body.bytes.as_slice(), body.is_whole()),
        };
        // A body that could not be decoded is no text, whatever its charset.
        let charset = charset_of(headers).filter(|_| content.error.is_none());
        let converted = charset.and_then(|charset| to_text(charset, bytes, is_whole));
        let (carried, length) = match converted {
            Some(converted) => (Carried::Converted(converted), bytes.len()),
            None => carried(bytes, is_whole),
        };
        let decoded_length = content.decoded.is_some().then_some(length);
        let captured = if decoded_length.is_some() { body.bytes.len() } else { length };
        Self { body, content, bytes, carried, captured, decoded_length, is_whole, redacted: None }
    }

    /// What stands in the place of a body.
    fn replaced(body: &'a Body, replaced: &'a ReplacedBody) -> Self {
        let nothing = Self {
            body,
            content: &replaced.content,
            bytes: &[],
            carried: Carried::Text(""),
            captured: 0,
            decoded_length: None,
            is_whole: false,
            redacted: Some(replaced),
        };
        let (Instead::Altered(altered) | Instead::Recorded(altered)) = &replaced.instead else {
            return nothing;
        };
        Self {
            bytes: &altered.bytes,
            carried: carried(&altered.bytes, true).0,
            captured: altered.captured,
            decoded_length: altered.decoded_length,
            is_whole: altered.is_whole,
            ..nothing
        }
    }

    /// Bytes of the body, as coded, that the record stands for.
    pub(super) fn captured(&self) -> usize {
        self.captured
    }

    /// Bytes of content that the record stands for, where codings were undone.
    pub(super) fn decoded_length(&self) -> Option<usize> {
        self.decoded_length
    }

    /// Whether values in it were replaced.
    pub(super) fn is_redacted(&self) -> bool {
        self.redacted.is_some_and(|it| matches!(it.instead, Instead::Altered(_)))
    }

    /// Whether it is kept back as a whole.
    pub(super) fn is_withheld(&self) -> bool {
        self.redacted.is_some_and(|it| it.instead == Instead::Withheld)
    }

    /// The charset that the text was in, if not UTF-8.
    pub(super) fn charset(&self) -> Option<&str> {
        match (&self.carried, self.redacted.map(|it| &it.instead)) {
            (Carried::Converted(converted), _) => Some(&converted.charset),
            (_, Some(Instead::Altered(altered) | Instead::Recorded(altered))) => {
                altered.charset.as_deref()
            }
            _ => None,
        }
    }

    /// The content as far as it is here; in its own charset, unless values in it were replaced.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether what is here may be shorter than the message for no other reason than that the tap
    /// lost something: bytes, or the memory to keep them.
    pub(super) fn is_damaged(&self) -> bool {
        self.body.lost != 0 || self.body.memory_limited
    }

    /// Whether it is known that there is no content at all.
    pub(super) fn is_empty(&self) -> bool {
        self.body.bytes.is_empty() && self.body.length == Some(0)
    }

    /// Writes the member `text`, or `base64` where it is no text; none where nothing is here.
    pub(super) fn write(&self, object: &mut Object<'_>) {
        match &self.carried {
            Carried::Text("") => {}
            Carried::Text(text) => object.field("text", *text),
            Carried::Converted(converted) => object.field("text", converted.text.as_str()),
            Carried::Binary(bytes) => object.field("base64", Base64(bytes)),
        }
    }

    /// Writes `body`, and `body_encoding` beside it where it is base64: the way of Runscope's
    /// API, taken for the `kong` format too. Nothing where nothing was captured.
    pub(super) fn write_with_encoding(&self, object: &mut Object<'_>) {
        match &self.carried {
            Carried::Text("") => {}
            Carried::Text(text) => object.field("body", *text),
            Carried::Converted(converted) => object.field("body", converted.text.as_str()),
            Carried::Binary(bytes) => {
                object.field("body", Base64(bytes));
                object.field("body_encoding", "base64");
            }
        }
    }
}

/// What is shown of `bytes`, and how many of them.
fn carried(bytes: &[u8], is_whole: bool) -> (Carried<'_>, usize) {
    let text = as_text(bytes, is_whole);
    text.map_or((Carried::Binary(bytes), bytes.len()), |text| (Carried::Text(text), text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cut_inside_a_character_ends_at_the_last_whole_one() {
        // U+20AC is E2 82 AC.
        assert_eq!(carried(b"price \xe2\x82", false), (Carried::Text("price "), 6));
    }

    #[test]
    fn a_whole_body_that_ends_inside_a_character_is_binary() {
        let bytes = b"price \xe2\x82";
        assert_eq!(carried(bytes, true), (Carried::Binary(bytes), 8));
    }

    #[test]
    fn a_cut_character_alone_is_kept_as_binary() {
        assert_eq!(carried(b"\xe2\x82", false), (Carried::Binary(b"\xe2\x82"), 2));
    }

    #[test]
    fn an_invalid_byte_before_the_cut_makes_it_binary() {
        assert_eq!(carried(b"a\xffb", false), (Carried::Binary(b"a\xffb"), 3));
    }
}
