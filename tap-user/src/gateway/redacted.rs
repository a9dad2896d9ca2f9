//! What was replaced in an exchange before it leaves, as plain facts that records tell.

use crate::http::content::Content;
use std::sync::Arc;

/// What is not in an exchange any more because it was secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redacted {
    /// How many values each rule replaced, by the rule's name.
    pub rules: Vec<(Arc<str>, u64)>,
    /// What is shown in the place of the request's body; `None`: the body itself.
    pub request_body: Option<ReplacedBody>,
    /// What is shown in the place of the response's body; `None`: the body itself.
    pub response_body: Option<ReplacedBody>,
}

impl Redacted {
    /// Counts `times` for the rule of that name.
    pub fn count(&mut self, rule: &Arc<str>, times: u64) {
        match self.rules.iter_mut().find(|(name, _)| name == rule) {
            Some((_, count)) => *count = count.saturating_add(times),
            None => self.rules.push((Arc::clone(rule), times)),
        }
    }
}

/// What is shown in the place of a body. The body's own bytes are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacedBody {
    /// What is known of the body's codings; nothing is in `decoded`.
    pub content: Content,
    /// What there is instead.
    pub instead: Instead,
}

/// What there is instead of a body's own bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instead {
    /// The content with values replaced.
    Altered(AlteredContent),
    /// The content as a record showed it, nothing replaced: of a record that was read again, whose
    /// body was coded on the wire.
    Recorded(AlteredContent),
    /// Nothing: rules for bodies could not look inside.
    Withheld,
}

/// Content in the place of a body, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlteredContent {
    /// The content, in UTF-8 if it was in another charset.
    pub bytes: Vec<u8>,
    /// Bytes of the body, as coded, that it stands for.
    pub captured: usize,
    /// Bytes of content that it stands for, where codings were undone.
    pub decoded_length: Option<usize>,
    /// The charset that it was converted from.
    pub charset: Option<String>,
    /// Whether it stands for all of the content.
    pub is_whole: bool,
}
