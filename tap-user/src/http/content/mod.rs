//! Bodies as people read them: content and transfer codings undone, charsets known.
//!
//! ```text
//! captured prefix ─ coding (last applied first) ─┬─ deflate    gzip, zlib, raw
//!                                                ├─ brotli
//!                                                └─ zstandard
//! ```
//!
//! Pure, and not part of observing: a record format asks for the [`Content`] of a body when it
//! writes one, so whoever does not show bodies does not pay for them. A body that the capture cut
//! is decoded as far as it goes; the result is always an exact prefix of the content.
//!
//! Memory is bounded: each coding yields at most the cap (two buffers exist at a time), and a
//! decoder's window is at most [`zstandard::WINDOW_LIMIT`] or brotli's 16 MiB.

mod brotli;
mod charset;
mod coding;
mod contents;
mod deflate;
mod output;
#[cfg(test)]
mod tests;
mod zstandard;

pub use charset::{Converted, as_text, charset_of, media_parameter, to_text, wide_charset_of};
pub use contents::Contents;

use super::headers::Headers;
use coding::Coding;
use output::{Output, Stop};
use serde::Deserialize;

/// Most codings of one body that are undone.
const CODINGS_LIMIT: usize = 4;
/// A body may grow by this factor while it is decoded: no more than deflate can do anyway (1032).
const RATIO_LIMIT: usize = 1_000;
/// A body may grow to so many bytes whatever its own length is.
const RATIO_FLOOR: usize = 64 * 1024;

/// Why a body is not shown decoded, or what is odd about it although it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecodingError {
    /// A coding that is not known here.
    UnsupportedCoding,
    /// More codings than anybody needs.
    TooManyCodings,
    /// The bytes are not of that coding.
    Corrupt,
    /// The content does not have the checksum or length that the coding tells.
    ChecksumMismatch,
    /// A decoder would need more memory than a body is worth.
    WindowTooLarge,
    /// Bytes follow the end of the coded content. They are left out; the content is shown.
    TrailingBytes,
    /// The body was seen to its end, but the coding goes on. What is there is shown, unless it may
    /// be no such coding at all (deflate without header).
    UnexpectedEnd,
}

impl DecodingError {
    /// Stable name, as records carry it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnsupportedCoding => "unsupported_coding",
            Self::TooManyCodings => "too_many_codings",
            Self::Corrupt => "corrupt",
            Self::ChecksumMismatch => "checksum_mismatch",
            Self::WindowTooLarge => "window_too_large",
            Self::TrailingBytes => "trailing_bytes",
            Self::UnexpectedEnd => "unexpected_end",
        }
    }
}

/// What a body holds once its codings are undone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// `Content-Encoding` as on the wire; `None` if there is none but `identity`.
    pub content_coding: Option<String>,
    /// `Transfer-Encoding` as on the wire; `None` if there is none but `chunked`.
    pub transfer_coding: Option<String>,
    /// The content, an exact prefix of it; `None` if there is nothing to decode, if it failed, or
    /// if too little came to decode any of it.
    pub decoded: Option<Vec<u8>>,
    /// `decoded` may stop short of the content: the captured bytes ended, or the cap was reached.
    pub truncated: bool,
    /// What is wrong.
    pub error: Option<DecodingError>,
}

/// Undoes the codings that `headers` name. `bytes` is a prefix of the body, and all of it if
/// `whole`; of the content at most `cap` bytes are decoded.
#[must_use]
pub fn decode(headers: &Headers, bytes: &[u8], whole: bool, cap: usize) -> Content {
    let mut content = Content {
        content_coding: coding::as_on_wire(headers, coding::CONTENT),
        transfer_coding: coding::as_on_wire(headers, coding::TRANSFER),
        ..Content::default()
    };
    if bytes.is_empty() || (content.content_coding.is_none() && content.transfer_coding.is_none()) {
        return content;
    }
    match undo(coding::of(headers), bytes, cap) {
        Ok((decoded, stop)) => {
            let input_ended = matches!(stop, Stop::InputEnded | Stop::Unproven);
            content.truncated = input_ended || stop == Stop::Full;
            content.error = match stop {
                _ if input_ended && whole => Some(DecodingError::UnexpectedEnd),
                Stop::TrailingBytes => Some(DecodingError::TrailingBytes),
                _ => None,
            };
            // What is nothing, or may be of another kind, is better shown as it came.
            let is_vain = input_ended && decoded.is_empty() || stop == Stop::Unproven && whole;
            content.decoded = (!is_vain).then_some(decoded);
        }
        Err(error) => content.error = Some(error),
    }
    content
}

/// Undoes codings, the last applied first. Where one stops short, so do all.
fn undo(
    codings: impl DoubleEndedIterator<Item = Option<Coding>>,
    bytes: &[u8],
    cap: usize,
) -> Result<(Vec<u8>, Stop), DecodingError> {
    let (mut content, mut stop) = (None, Stop::Ended);
    for (number, coding) in codings.rev().enumerate() {
        if number >= CODINGS_LIMIT {
            return Err(DecodingError::TooManyCodings);
        }
        let coding = coding.ok_or(DecodingError::UnsupportedCoding)?;
        let input = content.as_deref().unwrap_or(bytes);
        let (decoded, this) = undo_one(coding, input, cap)?;
        stop = stop.and_then(this);
        content = Some(decoded);
    }
    Ok((content.unwrap_or_default(), stop))
}

fn undo_one(coding: Coding, input: &[u8], cap: usize) -> Result<(Vec<u8>, Stop), DecodingError> {
    let by_ratio = input.len().saturating_mul(RATIO_LIMIT).max(RATIO_FLOOR);
    let mut output = Output::new(cap.min(by_ratio));
    let stop = match coding {
        Coding::Gzip => deflate::gzip(input, &mut output),
        Coding::Deflate => deflate::zlib_or_raw(input, &mut output),
        Coding::Brotli => brotli::decode(input, &mut output),
        Coding::Zstandard => zstandard::decode(input, &mut output),
    }?;
    let stop = if output.is_exceeded() { Stop::Full } else { stop };
    Ok((output.into_bytes(), stop))
}
