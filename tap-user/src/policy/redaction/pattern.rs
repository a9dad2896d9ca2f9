//! Secrets by what they look like, wherever they stand: in targets, header values and bodies.

use super::card;
use super::edits::{Edits, Rule};
use regex::bytes::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Memory that one expression may take, compiled, in bytes.
const PATTERN_BYTES: usize = 1 << 20;
/// Group of an expression that is replaced, where it has one of that name, instead of all of it.
const VALUE_GROUP: &str = "value";
/// Longest end of a body that is cut which counts as one word, in bytes.
const WORD_LIMIT: usize = 8 * 1024;

/// RFC 6750, section 2.1, in the spellings of JSON and of URLs too.
const BEARER_TOKEN: &str =
    r"(?i-u)\bbearer(?:[ \t+]|%20)+(?<value>(?:[a-z0-9._~+/=-]|\\/|%[0-9a-f]{2})+)";
/// RFC 7515, section 7.1, and RFC 7516: a header in base64url, which begins with an object, then one
/// to four more parts.
const JSON_WEB_TOKEN: &str =
    r"(?-u)e(?:yJ|yA|yI|w0|wo|wk)[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){0,3}";

/// A pattern: one of those that are built in, or a regular expression with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PatternSettings {
    /// One that is built in.
    BuiltIn(BuiltIn),
    /// A regular expression.
    Named(NamedPattern),
}

/// Patterns that are built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BuiltIn {
    /// Payment cards: 13 to 19 digits, also in groups, of a known scheme and with the right check digit.
    CardNumber,
    /// What follows the word `Bearer`.
    BearerToken,
    /// JSON web tokens, signed or encrypted.
    Jwt,
}

/// A regular expression with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedPattern {
    /// Name of the rule, for records and totals: letters, digits, `_` and `-`.
    pub name: String,
    /// The expression, in the syntax of the Rust crate `regex`. If it has a group named `value`, only that
    /// is replaced.
    pub regex: String,
}

/// A pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Its name would not do as a label.
    #[error("pattern name `{0}`: use 1 to 64 letters, digits, `_` and `-`")]
    Name(String),
    /// It is no expression, or too large a one.
    #[error("pattern `{name}`: {error}")]
    Syntax {
        /// The pattern's name.
        name: String,
        /// What is wrong, and where.
        error: String,
    },
    /// It would match between any two bytes.
    #[error("pattern `{0}` matches the empty text: let it match at least one character")]
    Empty(String),
}

/// A pattern ready for use.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) rule: Rule,
    matcher: Matcher,
}

#[derive(Debug, Clone)]
enum Matcher {
    Card,
    Whole(Regex),
    /// Only the group `value` is replaced.
    Group(Regex),
}

impl Pattern {
    /// The rule of a pattern is `pattern:` and its name.
    pub(super) fn new(settings: &PatternSettings) -> Result<Self, InvalidPattern> {
        let named =
            |name: &str, regex: &str| NamedPattern { name: name.into(), regex: regex.into() };
        let NamedPattern { name, regex } = match settings {
            PatternSettings::BuiltIn(BuiltIn::CardNumber) => {
                return Ok(Self { rule: "pattern:card_number".into(), matcher: Matcher::Card });
            }
            PatternSettings::BuiltIn(BuiltIn::BearerToken) => named("bearer_token", BEARER_TOKEN),
            PatternSettings::BuiltIn(BuiltIn::Jwt) => named("jwt", JSON_WEB_TOKEN),
            PatternSettings::Named(named) => named.clone(),
        };
        let is_label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_label) {
            return Err(InvalidPattern::Name(name));
        }
        let compiled = RegexBuilder::new(&regex).size_limit(PATTERN_BYTES).build();
        let regex = match compiled {
            Ok(regex) if regex.is_match(b"") => return Err(InvalidPattern::Empty(name)),
            Ok(regex) => regex,
            Err(error) => return Err(InvalidPattern::Syntax { name, error: error.to_string() }),
        };
        let has_group = regex.capture_names().any(|group| group == Some(VALUE_GROUP));
        let matcher = if has_group { Matcher::Group(regex) } else { Matcher::Whole(regex) };
        Ok(Self { rule: format!("pattern:{name}").into(), matcher })
    }

    /// Finds all matches in `text`.
    pub(super) fn find(&self, text: &[u8], edits: &mut Edits<'_>) {
        let mut replace = |place: Range<usize>| {
            let secret = text.get(place.clone()).unwrap_or_default();
            if !secret.is_empty() {
                edits.replace(place, secret, &self.rule);
            }
        };
        match &self.matcher {
            Matcher::Card => card::find(text, replace),
            Matcher::Whole(regex) => regex.find_iter(text).for_each(|it| replace(it.range())),
            Matcher::Group(regex) => {
                let values = regex.captures_iter(text).filter_map(|it| it.name(VALUE_GROUP));
                values.for_each(|it| replace(it.range()));
            }
        }
    }
}

/// The word at the end of a text that is cut: it may be the beginning of what a pattern would match if
/// all of it were here. Digits in groups are one word.
pub(super) fn cut_word(text: &[u8]) -> Option<Range<usize>> {
    let byte = |place: usize| text.get(place).copied().unwrap_or_default();
    let lowest = text.len().saturating_sub(WORD_LIMIT);
    let mut start = text.len();
    while start > lowest {
        let between_digits = start < text.len() && start >= 2 && {
            byte(start).is_ascii_digit() && byte(start - 2).is_ascii_digit()
        };
        let before = byte(start - 1);
        let joins = before == b' ' && between_digits;
        if !is_word(before) && !joins {
            break;
        }
        start -= 1;
    }
    (start < text.len()).then_some(start..text.len())
}

/// Bytes of tokens, in plain and in percent-encoded form, and all of UTF-8 beyond ASCII.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'.' | b'_' | b'~' | b'+' | b'/' | b'=' | b'-' | b'%' | b'\\')
        || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::super::replacement::Replacement;
    use super::*;

    fn redacted(settings: &PatternSettings, text: &str) -> String {
        let word = Replacement::word();
        let mut edits = Edits::new(&word);
        Pattern::new(settings).unwrap().find(text.as_bytes(), &mut edits);
        let altered = edits.apply(text.as_bytes(), |_| {});
        altered.map_or(text.to_owned(), |altered| String::from_utf8(altered).unwrap())
    }

    fn named(name: &str, regex: &str) -> PatternSettings {
        PatternSettings::Named(NamedPattern { name: name.into(), regex: regex.into() })
    }

    /// RFC 6750, section 2.1.
    #[test]
    fn bearer_tokens() {
        let bearer = |text| redacted(&PatternSettings::BuiltIn(BuiltIn::BearerToken), text);
        assert_eq!(bearer("Bearer mF_9.B5f-4.1JqM"), "Bearer REDACTED");
        assert_eq!(bearer("{\"a\":\"bearer  ab\\/c+d==\"}"), "{\"a\":\"bearer  REDACTED\"}");
        assert_eq!(bearer("h=Bearer%20ab%2Fc&x"), "h=Bearer%20REDACTED&x");
        assert_eq!(bearer("the bearer"), "the bearer");
    }

    /// The example of RFC 7519, section 3.1.
    #[test]
    fn json_web_tokens() {
        let jwt = |text: &str| redacted(&PatternSettings::BuiltIn(BuiltIn::Jwt), text);
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(jwt(&format!("a {token} b")), "a REDACTED b");
        assert_eq!(jwt(&format!("{{\"t\":\"{token}\"}}")), "{\"t\":\"REDACTED\"}");
        assert_eq!(jwt("eyJhbGciOiJub25lIn0.eyJhIjoxfQ."), "REDACTED");
        assert_eq!(jwt("money.key.value"), "money.key.value");
    }

    #[test]
    fn expressions() {
        assert_eq!(
            redacted(&named("ssn", r"\d{3}-\d{2}-\d{4}"), "a 078-05-1120 b"),
            "a REDACTED b"
        );
        assert_eq!(redacted(&named("pin", r"pin=(?<value>\d+)"), "pin=123&a"), "pin=REDACTED&a");
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let refused = |name, regex| Pattern::new(&named(name, regex)).unwrap_err();
        assert!(matches!(refused("a b", "x"), InvalidPattern::Name(_)));
        assert!(matches!(refused("a", "x*"), InvalidPattern::Empty(_)));
        assert!(matches!(refused("a", "("), InvalidPattern::Syntax { .. }));
        assert!(matches!(refused("a", r"\w{1000}{1000}"), InvalidPattern::Syntax { .. }));
    }

    #[test]
    fn the_last_word_of_a_text_that_is_cut() {
        let word = |text: &str| cut_word(text.as_bytes()).map(|place| text[place].to_owned());
        assert_eq!(word("see eyJhbGci.eyJ").as_deref(), Some("eyJhbGci.eyJ"));
        assert_eq!(word("card 4111 1111 11").as_deref(), Some("4111 1111 11"));
        assert_eq!(word("{\"a\":\"4111"), Some("4111".to_owned()));
        assert_eq!(word("done. "), None);
        assert_eq!(word(""), None);
        assert_eq!(cut_word(&[b'x'; 10_000]).map(|place| place.len()), Some(WORD_LIMIT));
    }
}
