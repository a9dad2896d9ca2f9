//! A body out of a record: its own bytes where the record shows them, else what it shows.

use super::RecordError;
use super::wire;
use crate::gateway::{AlteredContent, Instead, ReplacedBody};
use crate::http::content::{Content, charset_of, decode, to_text};
use crate::http::{Body, Framing, Headers};
use encoding_rs::Encoding;

/// A body, and what stands in its place.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) body: Body,
    /// What is known of its codings.
    pub(super) content: Content,
    /// `None`: the record shows the body's own bytes.
    pub(super) replaced: Option<ReplacedBody>,
}

impl Recorded {
    pub(super) fn new(body: wire::Body, headers: &Headers) -> Result<Self, RecordError> {
        let content = Content {
            truncated: body.decoded_truncated,
            error: body.decoding_error,
            // Of no bytes only the names of the codings come out.
            ..decode(headers, &[], false, 0)
        };
        let shown = Shown::new(&body, headers)?;
        let (bytes, instead) = match shown {
            Shown::Own(bytes) => (bytes, None),
            Shown::Instead(instead) => (Vec::new(), Some(instead)),
        };
        let replaced = instead.map(|instead| ReplacedBody { content: content.clone(), instead });
        Ok(Self { body: facts(body, bytes)?, content, replaced })
    }
}

enum Shown {
    Own(Vec<u8>),
    Instead(Instead),
}

impl Shown {
    fn new(body: &wire::Body, headers: &Headers) -> Result<Self, RecordError> {
        let bytes = match (&body.text, &body.base64) {
            (Some(_), Some(_)) => return Err(RecordError::TwoBodies),
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(base64)) => base64.0.clone(),
            (None, None) => Vec::new(),
        };
        if body.withheld {
            return Ok(Self::Instead(Instead::Withheld));
        }
        let is_own = !body.redacted && body.decoded_length.is_none();
        if let Some(charset) = &body.charset {
            let own = || original(body, headers, charset);
            if let Some(own) = is_own.then(own).flatten() {
                return Ok(Self::Own(own));
            }
        } else if is_own && bytes.len() != body.captured {
            let (captured, shown) = (body.captured, bytes.len());
            return Err(RecordError::Captured { captured, shown });
        } else if is_own {
            return Ok(Self::Own(bytes));
        }
        let is_all = body.complete && body.length == Some(body.captured as u64);
        let content = AlteredContent {
            bytes,
            captured: body.captured,
            decoded_length: body.decoded_length,
            charset: body.charset.clone(),
            is_whole: is_all && !body.decoded_truncated,
        };
        Ok(Self::Instead(match body.redacted {
            true => Instead::Altered(content),
            false => Instead::Recorded(content),
        }))
    }
}

/// The bytes that a text had in its charset, where it is certain that they were these: each
/// character of a charset with one byte per character has one byte only.
fn original(body: &wire::Body, headers: &Headers, charset: &str) -> Option<Vec<u8>> {
    let encoding = Encoding::for_label(charset.as_bytes())?;
    if !encoding.is_single_byte() || charset_of(headers) != Some(encoding) {
        return None;
    }
    let text = body.text.as_deref()?;
    let bytes = encoding.encode(text).0.into_owned();
    let again = to_text(encoding, &bytes, true)?;
    (again.text == text && bytes.len() == body.captured).then_some(bytes)
}

fn facts(body: wire::Body, bytes: Vec<u8>) -> Result<Body, RecordError> {
    Ok(Body {
        framing: match body.framing {
            wire::FramingName::None => Framing::None,
            wire::FramingName::ContentLength => Framing::ContentLength(
                body.content_length.ok_or(RecordError::Missing("content_length"))?,
            ),
            wire::FramingName::Chunked => Framing::Chunked,
            wire::FramingName::UntilClose => Framing::UntilClose,
        },
        bytes,
        length: body.length,
        wire_length: body.wire_length,
        skipped: body.skipped,
        lost: body.lost,
        lost_cause: body.lost_cause,
        complete: body.complete,
        end_inferred: body.end_inferred,
        memory_limited: body.memory_limited,
        malformed: body.malformed,
        trailers: super::headers(&body.trailers),
    })
}
