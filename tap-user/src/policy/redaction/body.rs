//! Secrets in bodies: in forms by name, in JSON by path, anywhere by pattern.
//!
//! Rules look at what a record would show: codings undone, text in UTF-8. Where a coding cannot be
//! undone nobody knows what is inside, so the body is withheld.

use super::Rules;
use super::edits::Edits;
use super::json;
use super::multipart;
use super::parameters::{Parameters, Place};
use super::pattern::cut_word;
use crate::gateway::{AlteredContent, Instead, Redacted, ReplacedBody};
use crate::http::content::{Content, as_text, charset_of, to_text, wide_charset_of};
use crate::http::{Body, Headers};
use std::borrow::Cow;
use std::ops::Range;

const FORM: &[u8] = b"application/x-www-form-urlencoded";
const MULTIPART: &[u8] = b"multipart/";
/// What the names of media types have inside that carry JSON; the second one for JSON in a call.
const JSON: [&[u8]; 2] = [b"json", b"javascript"];

impl Rules {
    /// What is to stand in the place of a body; `None`: the body itself.
    pub(super) fn body(
        &self,
        headers: &Headers,
        body: &Body,
        content: &Content,
        redacted: &mut Redacted,
    ) -> Option<ReplacedBody> {
        let is_coded = content.content_coding.is_some() || content.transfer_coding.is_some();
        let instead = match &content.decoded {
            None if is_coded => Some(Instead::Withheld),
            decoded => {
                let bytes = decoded.as_deref().unwrap_or(&body.bytes);
                let is_whole = body.is_whole() && !content.truncated;
                self.content(headers, bytes, is_whole, redacted)
            }
        };
        let instead = match instead? {
            Instead::Altered(altered) if content.decoded.is_some() => {
                let decoded_length = Some(altered.captured);
                let captured = body.bytes.len();
                Instead::Altered(AlteredContent { captured, decoded_length, ..altered })
            }
            Instead::Withheld => {
                redacted.count(&self.withheld, 1);
                Instead::Withheld
            }
            instead => instead,
        };
        Some(ReplacedBody { content: Content { decoded: None, ..content.clone() }, instead })
    }

    /// The same for what stands in the place of a body already.
    pub(super) fn replaced_body(
        &self,
        headers: &Headers,
        replaced: &mut ReplacedBody,
        redacted: &mut Redacted,
    ) {
        let (Instead::Altered(known) | Instead::Recorded(known)) = &replaced.instead else {
            return;
        };
        let instead = match &known.charset {
            // In UTF-8 by now, whatever the headers say.
            Some(_) => {
                let content_type = headers.get("content-type").unwrap_or_default();
                let bytes = self.alter(&known.bytes, content_type, known.is_whole, redacted);
                bytes.map(|bytes| AlteredContent { bytes, ..known.clone() }).map(Instead::Altered)
            }
            None => self.content(headers, &known.bytes, known.is_whole, redacted),
        };
        match instead {
            Some(Instead::Altered(AlteredContent { bytes, .. })) => {
                let altered = AlteredContent { bytes, ..known.clone() };
                replaced.instead = Instead::Altered(altered);
            }
            Some(instead) => {
                redacted.count(&self.withheld, 1);
                replaced.instead = instead;
            }
            None => {}
        }
    }

    fn content(
        &self,
        headers: &Headers,
        bytes: &[u8],
        is_whole: bool,
        redacted: &mut Redacted,
    ) -> Option<Instead> {
        let readable = Readable::of(headers, bytes, is_whole);
        let content_type = headers.get("content-type").unwrap_or_default();
        if readable.is_doubtful
            && self.alter(bytes, content_type, is_whole, &mut Redacted::default()).is_some()
        {
            return Some(Instead::Withheld);
        }
        let altered = self.alter(&readable.text, content_type, is_whole, redacted)?;
        Some(Instead::Altered(AlteredContent {
            bytes: altered,
            captured: readable.length,
            decoded_length: None,
            charset: readable.charset,
            is_whole,
        }))
    }

    /// `text` with all secrets replaced; `None` if there are none.
    fn alter(
        &self,
        text: &[u8],
        content_type: &[u8],
        is_whole: bool,
        redacted: &mut Redacted,
    ) -> Option<Vec<u8>> {
        let mut edits = Edits::new(&self.replacement);
        self.find_in_form(text, content_type, &mut edits);
        self.find_in_json(text, content_type, &mut edits);
        let altered = edits.apply(text, |rule| redacted.count(rule, 1));
        let text = altered.as_deref().unwrap_or(text);
        let mut edits = self.find_patterns(text);
        if let Some(place) = self.cut_word(text).filter(|_| !is_whole) {
            let secret = text.get(place.clone()).unwrap_or_default();
            edits.replace(place, secret, &self.cut_word);
        }
        edits.apply(text, |rule| redacted.count(rule, 1)).or(altered)
    }

    fn cut_word(&self, text: &[u8]) -> Option<Range<usize>> {
        let is_asked = !self.patterns.is_empty() && !self.replacement.keeps_end_of(text);
        cut_word(text).filter(|_| is_asked)
    }

    fn find_in_form(&self, text: &[u8], content_type: &[u8], edits: &mut Edits<'_>) {
        if contains(content_type, FORM) && !self.form.is_empty() {
            Parameters { names: &self.form, user: None }.find(text, Place::Form, edits);
        }
        let has_parts = content_type.get(..MULTIPART.len());
        if !has_parts.is_some_and(|it| it.eq_ignore_ascii_case(MULTIPART)) {
            return;
        }
        for part in multipart::parts(content_type, text) {
            let content = text.get(part.content.clone()).unwrap_or_default();
            let rule = part.name.as_ref().and_then(|name| self.form.find(name));
            if let Some(rule) = rule.filter(|_| !content.is_empty()) {
                edits.replace(part.content, content, rule);
            } else {
                let mut inside = edits.another();
                self.find_in_json(content, &[], &mut inside);
                edits.take_in(inside, part.content.start);
            }
        }
    }

    fn find_in_json(&self, text: &[u8], content_type: &[u8], edits: &mut Edits<'_>) {
        let is_json = || JSON.iter().any(|name| contains(content_type, name));
        if !self.paths.is_empty() && (is_json() || json::looks_like_json(text)) {
            json::find(text, &self.paths, &self.too_deep, edits);
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

/// A content as rules read it.
struct Readable<'a> {
    text: Cow<'a, [u8]>,
    /// The charset that it was converted from.
    charset: Option<String>,
    /// Bytes of the content that `text` stands for.
    length: usize,
    /// It may not be of the charset that it claims, and then says something else.
    is_doubtful: bool,
}

impl<'a> Readable<'a> {
    fn of(headers: &Headers, bytes: &'a [u8], is_whole: bool) -> Self {
        let claimed = charset_of(headers);
        let seen = wide_charset_of(bytes);
        // Any pair of bytes is a character of UTF-16, also where it is two of ASCII.
        let is_wide = claimed.or(seen).is_some_and(|it| it.name().starts_with("UTF-16"));
        let is_doubtful = is_wide && claimed.is_some() != seen.is_some();
        let converted = claimed.or(seen).and_then(|charset| to_text(charset, bytes, is_whole));
        if let Some(converted) = converted {
            let text = converted.text.into_bytes().into();
            let charset = Some(converted.charset);
            return Self { text, charset, length: bytes.len(), is_doubtful };
        }
        let text = as_text(bytes, is_whole).map_or(bytes, str::as_bytes);
        Self { text: text.into(), charset: None, length: text.len(), is_doubtful: false }
    }
}
