//! Secrets in URLs and forms: parameters by name (WHATWG URL, section 5.1; also behind `#` and, in a
//! path, behind `;`), and users with passwords before a host (RFC 3986, section 3.2.1).
//!
//! What servers read differently is read in every way: a name may begin behind `?`, `#`, `&` and `;`,
//! but a secret value ends at `&` only. Names are compared with their percent signs undone, and in
//! brackets (`user[password]`, `token[]`) as well. A value that holds a URL in turn is looked into.

use super::edits::{Edits, Rule};
use super::names::Names;
use crate::http::urlencoded;
use crate::scan::any_byte;

/// URLs inside values of URLs are looked at down to here.
const NESTING_LIMIT: usize = 3;

/// Where a text with parameters stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A request target, or a header whose whole value is a URL.
    Url,
    /// A header in which a URL may stand among other text.
    Prose,
    /// An urlencoded form, or what looks like one: a name stands at its beginning.
    Form,
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameters<'a> {
    pub(super) names: &'a Names,
    /// The rule for users with passwords, where they are looked for.
    pub(super) user: Option<&'a Rule>,
}

impl Parameters<'_> {
    /// Finds all secrets in `text`.
    pub(super) fn find(&self, text: &[u8], place: Place, edits: &mut Edits<'_>) {
        self.find_nested(text, place, edits, 0);
    }

    fn find_nested(&self, text: &[u8], place: Place, edits: &mut Edits<'_>, depth: usize) {
        if place != Place::Form && !may_hold_any(text) {
            return;
        }
        if let Some(rule) = self.user {
            find_users(text, rule, edits);
        }
        self.find_parameters(text, place, edits, depth);
    }

    fn find_parameters(&self, text: &[u8], place: Place, edits: &mut Edits<'_>, depth: usize) {
        let mut in_path = place != Place::Form;
        let mut next = if in_path { name_start(text, 0, &mut in_path) } else { Some(0) };
        while let Some(start) = next {
            let name_end = position(text, start, |byte| byte == b'=' || ends_name(byte, place));
            let mut behind = name_end;
            if text.get(name_end) == Some(&b'=') {
                let parameter = Parameter { text, start, name_end, place, in_path };
                behind = self.find_in(&parameter, edits, depth);
            }
            next = name_start(text, behind, &mut in_path);
        }
    }

    /// Looks at one parameter; yields where the next may begin.
    fn find_in(&self, parameter: &Parameter<'_>, edits: &mut Edits<'_>, depth: usize) -> usize {
        let value_start = parameter.name_end.saturating_add(1);
        if let Some(rule) = self.rule(parameter.name()) {
            let end = position(parameter.text, value_start, |byte| parameter.ends_secret(byte));
            let value = parameter.text.get(value_start..end).unwrap_or_default();
            if !value.is_empty() {
                edits.replace(value_start..end, &decoded(value), rule);
            }
            return end;
        }
        let end = position(parameter.text, value_start, |byte| {
            matches!(byte, b';' | b'?' | b'#') || parameter.ends_secret(byte)
        });
        let value = parameter.text.get(value_start..end).unwrap_or_default();
        if depth < NESTING_LIMIT && may_hold_parameters(value) {
            let mut inside = edits.another();
            self.find_nested(&revealed(value), Place::Form, &mut inside, depth + 1);
            if let Some(rule) = inside.first_rule() {
                edits.replace(value_start..end, &decoded(value), rule);
                return end;
            }
        }
        value_start
    }

    fn rule(&self, name: &[u8]) -> Option<&Rule> {
        let is_plain = |byte: &u8| !matches!(byte, b'%' | b'+' | b'[');
        if name.iter().all(is_plain) {
            return self.names.find(name);
        }
        let name = decoded(name);
        let base = name.strip_suffix(b"[]").unwrap_or(&name);
        let inner =
            base.strip_suffix(b"]").and_then(|base| base.rsplit(|byte| *byte == b'[').next());
        let found = self.names.find(&name).or_else(|| self.names.find(base));
        found.or_else(|| self.names.find(inner?))
    }
}

/// A parameter with a value.
struct Parameter<'a> {
    text: &'a [u8],
    start: usize,
    name_end: usize,
    place: Place,
    in_path: bool,
}

impl<'a> Parameter<'a> {
    fn name(&self) -> &'a [u8] {
        self.text.get(self.start..self.name_end).unwrap_or_default()
    }

    fn ends_secret(&self, byte: u8) -> bool {
        match byte {
            b'&' => true,
            b'/' | b';' | b'?' | b'#' => self.in_path,
            _ => self.place == Place::Prose && ends_url(byte),
        }
    }
}

/// Whether a text may hold a parameter or a user, unless it is a form.
pub(super) fn may_hold_any(text: &[u8]) -> bool {
    any_byte(text, is_mark)
}

/// Bytes without which there is neither a parameter nor a user.
fn is_mark(byte: u8) -> bool {
    (byte == b'?') | (byte == b'#') | (byte == b';') | (byte == b'@')
}

/// Bytes that no URL has (RFC 3986, section 2), and that so end one among other text.
fn ends_url(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'"' | b'<' | b'>')
}

fn ends_name(byte: u8, place: Place) -> bool {
    matches!(byte, b'&' | b';' | b'?' | b'#' | b'/') || place == Place::Prose && ends_url(byte)
}

/// Where the next name begins from `from` on.
fn name_start(text: &[u8], from: usize, in_path: &mut bool) -> Option<usize> {
    let path = *in_path;
    let is_start = |byte: u8| matches!(byte, b'?' | b'#' | b';') || byte == b'&' && !path;
    let mark = position(text, from, is_start);
    *in_path = path && text.get(mark).is_none_or(|byte| *byte == b';');
    (mark < text.len()).then(|| mark.saturating_add(1))
}

/// Place of the first such byte from `from` on, or the end.
fn position(text: &[u8], from: usize, is_wanted: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let found = rest.iter().position(|byte| is_wanted(*byte));
    found.map_or(text.len(), |place| from.saturating_add(place))
}

/// Whether a value holds a `=` or a `@` that is hidden behind a percent sign.
fn may_hold_parameters(value: &[u8]) -> bool {
    let hidden = |it: &[u8]| matches!(it, b"%3D" | b"%3d" | b"%40" | b"%25");
    value.windows(3).any(hidden)
}

/// A value with its percent signs undone until parameters show, or as often as values are nested.
fn revealed(value: &[u8]) -> Vec<u8> {
    let mut revealed = decoded(value);
    for _ in 1..NESTING_LIMIT {
        if revealed.contains(&b'=') || !may_hold_parameters(&revealed) {
            break;
        }
        revealed = decoded(&revealed);
    }
    revealed
}

/// Users with or without passwords in front of a host: `//user:password@host`.
fn find_users(text: &[u8], rule: &Rule, edits: &mut Edits<'_>) {
    let mut from = 0;
    while let Some(slashes) =
        text.get(from..).and_then(|it| it.windows(2).position(|it| it == b"//"))
    {
        let start = from.saturating_add(slashes).saturating_add(2);
        let is_end = |byte| matches!(byte, b'/' | b'?' | b'#' | b',') || ends_url(byte);
        let end = position(text, start, is_end);
        find_user(text, start, end, rule, edits);
        // An end that is a slash may begin the next pair.
        from = end.max(start);
    }
}

/// The user of the authority at that place.
pub(super) fn find_user(text: &[u8], start: usize, end: usize, rule: &Rule, edits: &mut Edits<'_>) {
    let authority = text.get(start..end).unwrap_or_default();
    if let Some(at) = authority.iter().rposition(|byte| *byte == b'@').filter(|at| *at > 0) {
        let user = authority.get(..at).unwrap_or_default();
        edits.replace(start..start.saturating_add(at), user, rule);
    }
}

/// `+` and percent signs undone.
pub(super) fn decoded(encoded: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(encoded.len());
    urlencoded::decode(encoded, &mut decoded);
    decoded
}

#[cfg(test)]
mod tests {
    use super::super::replacement::Replacement;
    use super::*;
    use proptest::prelude::*;

    fn redacted(text: &str, place: Place) -> String {
        let names = Names::new("query", ["token", "password", "jsessionid"]);
        let user: Rule = "userinfo".into();
        let word = Replacement::word();
        let mut edits = Edits::new(&word);
        Parameters { names: &names, user: Some(&user) }.find(text.as_bytes(), place, &mut edits);
        let altered = edits.apply(text.as_bytes(), |_| {});
        altered.map_or(text.to_owned(), |altered| String::from_utf8(altered).unwrap())
    }

    fn url(text: &str) -> String {
        redacted(text, Place::Url)
    }

    proptest! {
        /// Where no mark is, a look without this shortcut finds nothing either.
        #[test]
        fn the_look_for_marks_hides_nothing(
            text in "([a-z/:.,=&%?#;@ \\[\\]]|//|token=|%3D|%40|u:p){0,12}",
            prose in any::<bool>(),
        ) {
            let place = if prose { Place::Prose } else { Place::Url };
            let names = Names::new("query", ["token", "password", "jsessionid"]);
            let user: Rule = "userinfo".into();
            let word = Replacement::word();
            let mut edits = Edits::new(&word);
            let parameters = Parameters { names: &names, user: Some(&user) };
            find_users(text.as_bytes(), &user, &mut edits);
            parameters.find_parameters(text.as_bytes(), place, &mut edits, 0);
            let altered = edits.apply(text.as_bytes(), |_| {});
            let thorough = altered.map_or(text.clone(), |it| String::from_utf8(it).unwrap());
            prop_assert_eq!(redacted(&text, place), thorough);
        }
    }

    #[test]
    fn parameters_by_name() {
        assert_eq!(url("/a?x=1&token=abc&y=2"), "/a?x=1&token=REDACTED&y=2");
        assert_eq!(url("/a?TOKEN=abc"), "/a?TOKEN=REDACTED");
        assert_eq!(url("/a?tokens=abc&xtoken=b&token"), "/a?tokens=abc&xtoken=b&token");
        assert_eq!(url("/a?token="), "/a?token=");
        assert_eq!(url("/a?token=a=b?c"), "/a?token=REDACTED");
        assert_eq!(url("/token=abc"), "/token=abc");
    }

    /// The percent signs of a name are undone before it means anything (WHATWG URL, 5.1).
    #[test]
    fn names_in_other_spellings() {
        assert_eq!(url("/?pass%77ord=a"), "/?pass%77ord=REDACTED");
        assert_eq!(url("/?%74%6F%6b%65%6E=a"), "/?%74%6F%6b%65%6E=REDACTED");
        assert_eq!(url("/?user[password]=a"), "/?user[password]=REDACTED");
        assert_eq!(url("/?user%5Bpassword%5D=a"), "/?user%5Bpassword%5D=REDACTED");
        assert_eq!(url("/?token[]=a&token%5B%5D=b"), "/?token[]=REDACTED&token%5B%5D=REDACTED");
    }

    /// Some servers separate by `;`, others make it a part of the value.
    #[test]
    fn what_servers_read_differently_is_read_in_every_way() {
        assert_eq!(url("/?x=1;token=a"), "/?x=1;token=REDACTED");
        assert_eq!(url("/?token=a;b&c=1"), "/?token=REDACTED&c=1");
        assert_eq!(url("/cb#token=a"), "/cb#token=REDACTED");
        assert_eq!(url("/cb#x=1&token=a"), "/cb#x=1&token=REDACTED");
        assert_eq!(url("/a;jsessionid=a/b;c?d=1"), "/a;jsessionid=REDACTED/b;c?d=1");
    }

    #[test]
    fn urls_inside_of_urls() {
        assert_eq!(url("/?next=/cb?token=a"), "/?next=/cb?token=REDACTED");
        assert_eq!(url("/?next=%2Fcb%3Ftoken%3Dabc&x=1"), "/?next=REDACTED&x=1");
        assert_eq!(url("/?next=%252Fcb%253Ftoken%253Dabc"), "/?next=REDACTED");
        assert_eq!(url("/?next=%2Fcb%3Fx%3Dabc"), "/?next=%2Fcb%3Fx%3Dabc");
        assert_eq!(url("/?to=https%3A%2F%2Fu%3Ap%40h%2F"), "/?to=REDACTED");
    }

    #[test]
    fn users_with_passwords() {
        assert_eq!(url("http://u:p@h:1/a"), "http://REDACTED@h:1/a");
        assert_eq!(url("http://u:p@q@h/a@b"), "http://REDACTED@h/a@b");
        assert_eq!(url("http://h/a@b"), "http://h/a@b");
        assert_eq!(url("/?mail=a@b"), "/?mail=a@b");
        assert_eq!(url("/?to=ftp://u@h/"), "/?to=ftp://REDACTED@h/");
    }

    #[test]
    fn urls_among_other_text() {
        let prose = |text| redacted(text, Place::Prose);
        let link = "<https://h/?token=a>; rel=next, <https://h/?x=a>; rel=prev";
        let expected = "<https://h/?token=REDACTED>; rel=next, <https://h/?x=a>; rel=prev";
        assert_eq!(prose(link), expected);
        assert_eq!(prose("GET /?token=a HTTP/1.1"), "GET /?token=REDACTED HTTP/1.1");
        assert_eq!(prose("text/html; charset=utf-8"), "text/html; charset=utf-8");
    }

    #[test]
    fn forms() {
        assert_eq!(redacted("password=a&x=1", Place::Form), "password=REDACTED&x=1");
        assert_eq!(redacted("x=1&password=cut of", Place::Form), "x=1&password=REDACTED");
        assert_eq!(redacted("", Place::Form), "");
    }

    /// WHATWG URL, 5.1: the example of the parser for `application/x-www-form-urlencoded`.
    #[test]
    fn decoding() {
        assert_eq!(decoded(b"a+b%20%C3%A4%2"), "a b ä%2".as_bytes());
    }

    /// Each parameter is looked at a bounded number of times, however they are arranged.
    #[test]
    fn a_megabyte_of_hostile_parameters_is_read_in_a_moment() {
        let begin = std::time::Instant::now();
        for unit in [";a=%3d", "&a=%25", "?=", ";=%40", "//@", "#a=%3D&"] {
            url(&unit.repeat((1 << 20) / unit.len()));
        }
        assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
    }
}
