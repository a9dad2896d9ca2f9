//! Places of a text that are replaced. Nothing is copied before something is.

use super::replacement::Replacement;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// Name of a rule.
pub(super) type Rule = Arc<str>;

/// A place and what stands there instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) place: Range<usize>,
    pub(super) value: Cow<'static, [u8]>,
    pub(super) rule: Rule,
}

/// Places of one text, in any order; where they overlap, all that they cover is replaced.
#[derive(Debug)]
pub(super) struct Edits<'a> {
    replacement: &'a Replacement,
    edits: Vec<Edit>,
}

impl<'a> Edits<'a> {
    pub(super) fn new(replacement: &'a Replacement) -> Self {
        Self { replacement, edits: Vec::new() }
    }

    /// The same replacement, without any place.
    pub(super) fn another(&self) -> Self {
        Self::new(self.replacement)
    }

    /// The rule of the first place.
    pub(super) fn first_rule(&self) -> Option<&Rule> {
        self.edits.first().map(|edit| &edit.rule)
    }

    /// At `place`, which holds `secret` in some spelling, its replacement is to stand.
    pub(super) fn replace(&mut self, place: Range<usize>, secret: &[u8], rule: &Rule) {
        if self.replacement.keeps(secret) {
            return;
        }
        let value = self.replacement.of(secret);
        self.edits.push(Edit { place, value, rule: Arc::clone(rule) });
    }

    /// The same for a value of JSON, which becomes a string.
    pub(super) fn replace_with_string(&mut self, place: Range<usize>, secret: &[u8], rule: &Rule) {
        if self.replacement.keeps(secret) {
            return;
        }
        let value = [b"\"", &*self.replacement.of(secret), b"\""].concat();
        self.edits.push(Edit { place, value: value.into(), rule: Arc::clone(rule) });
    }

    /// Takes in places of a part of the text that begins at `start`.
    pub(super) fn take_in(&mut self, part: Self, start: usize) {
        self.edits.extend(part.edits.into_iter().map(|edit| {
            let place =
                edit.place.start.saturating_add(start)..edit.place.end.saturating_add(start);
            Edit { place, ..edit }
        }));
    }

    /// `text` with everything replaced, each replacement told to `count`; `None` if there is none.
    pub(super) fn apply(mut self, text: &[u8], mut count: impl FnMut(&Rule)) -> Option<Vec<u8>> {
        if self.edits.is_empty() {
            return None;
        }
        self.edits.sort_by_key(|edit| edit.place.start);
        let mut altered = Vec::with_capacity(text.len());
        let mut behind = 0;
        for Edit { place, value, rule } in self.edits {
            count(&rule);
            if place.start >= behind {
                altered.extend_from_slice(text.get(behind..place.start).unwrap_or_default());
                altered.extend_from_slice(&value);
            }
            behind = behind.max(place.end);
        }
        altered.extend_from_slice(text.get(behind..).unwrap_or_default());
        Some(altered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_is_replaced_as_a_whole() {
        let word = Replacement::word();
        let mut edits = Edits::new(&word);
        let rule: Rule = "rule".into();
        for place in [6..8, 2..4, 3..5, 2..3] {
            edits.replace(place, b"", &rule);
        }
        let mut count = 0;
        let altered = edits.apply(b"0123456789", |_| count += 1).unwrap();
        assert_eq!((altered.as_slice(), count), (&b"01REDACTED5REDACTED89"[..], 4));
    }
}
