//! Names with values as Lua tables have them, and so Kong's and Runscope's records: a name given
//! once has a string, a name given several times an array of strings.

use super::repeated;
use crate::export::json::{Lossy, LowerCase, Object, Page, Value, array};
use crate::http::{Headers, urlencoded};
use std::ops::Range;

/// Beyond that many headers or arguments the rest is left out: the default of nginx's Lua module
/// (`ngx.req.get_headers`, `ngx.req.get_uri_args`), and so what Kong logs.
pub(super) const LIMIT: usize = 100;
/// Room set aside per field for name and value, in bytes; more is made where it is needed.
const USUAL_LENGTH: usize = 48;

/// Writes the first [`LIMIT`] header fields as the members of an object, names in lower case.
pub(super) fn write_headers(object: &mut Object<'_>, headers: &Headers) {
    let fields = || headers.iter().take(LIMIT);
    let repeats = || headers.may_repeat() && repeated::is_any(|| fields().map(|(name, _)| name));
    // Names that are not ASCII may look the same although they are not.
    if headers.is_ascii() && !repeats() {
        fields().for_each(|(name, value)| object.named(LowerCase(name), Lossy(value)));
    } else {
        Pairs::of_headers(headers).write(object);
    }
}

/// Names with values, in the order in which they came; bytes that are no UTF-8 are U+FFFD.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    text: String,
    entries: Vec<(Range<usize>, Option<Range<usize>>)>,
}

impl Pairs {
    fn with_capacity(entries: usize) -> Self {
        let text = String::with_capacity(entries.saturating_mul(USUAL_LENGTH));
        Self { text, entries: Vec::with_capacity(entries) }
    }

    /// The first [`LIMIT`] header fields, names in lower case.
    fn of_headers(headers: &Headers) -> Self {
        let mut pairs = Self::with_capacity(headers.len().min(LIMIT));
        for (name, value) in headers.iter().take(LIMIT) {
            let name = pairs.push(name);
            pairs.text.get_mut(name.clone()).unwrap_or_default().make_ascii_lowercase();
            let value = pairs.push(value);
            pairs.entries.push((name, Some(value)));
        }
        pairs
    }

    /// The first [`LIMIT`] arguments of a query or an urlencoded form, decoded as nginx's Lua
    /// module does: a name without `=` has the value `true`, an empty name is left out.
    pub(super) fn of_arguments(encoded: &[u8]) -> Self {
        let mut pairs = Self::default();
        if encoded.is_empty() {
            return pairs;
        }
        let mut decoded = Vec::new();
        for argument in encoded.split(|&byte| byte == b'&').take(LIMIT) {
            let mut parts = argument.splitn(2, |&byte| byte == b'=');
            let name = parts.next().unwrap_or_default();
            if name.is_empty() {
                continue;
            }
            let name = pairs.push(decode(name, &mut decoded));
            let value = parts.next().map(|value| pairs.push(decode(value, &mut decoded)));
            pairs.entries.push((name, value));
        }
        pairs
    }

    fn push(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(&String::from_utf8_lossy(bytes));
        start..self.text.len()
    }

    fn slice(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    fn name(&self, entry: usize) -> &str {
        self.entries.get(entry).map_or("", |(name, _)| self.slice(name))
    }

    /// Writes them as the members of an object.
    pub(super) fn write(&self, object: &mut Object<'_>) {
        for index in 0..self.entries.len() {
            let name = self.name(index);
            if (0..index).any(|earlier| self.name(earlier) == name) {
                continue;
            }
            object.named(name, Values { pairs: self, name, first: index });
        }
    }
}

/// All values of a name.
struct Values<'a> {
    pairs: &'a Pairs,
    name: &'a str,
    first: usize,
}

impl<'a> Values<'a> {
    fn iter(&self) -> impl Iterator<Item = Single<'a>> {
        let (pairs, name) = (self.pairs, self.name);
        pairs
            .entries
            .iter()
            .skip(self.first)
            .filter(move |(other, _)| pairs.slice(other) == name)
            .map(|(_, value)| Single(value.as_ref().map(|value| pairs.slice(value))))
    }
}

impl Value for Values<'_> {
    fn write(self, out: &mut Page) {
        let mut values = self.iter();
        match (values.next(), values.next()) {
            (Some(only), None) => only.write(out),
            _ => array(out, |array| self.iter().for_each(|value| array.item(value))),
        }
    }
}

/// One value: a string, or `true` where none was given.
struct Single<'a>(Option<&'a str>);

impl Value for Single<'_> {
    fn write(self, out: &mut Page) {
        match self.0 {
            Some(text) => text.write(out),
            None => true.write(out),
        }
    }
}

/// `+` and percent signs undone, in a buffer that is used again.
fn decode<'a>(encoded: &[u8], decoded: &'a mut Vec<u8>) -> &'a [u8] {
    decoded.clear();
    urlencoded::decode(encoded, decoded);
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::json::document;
    use serde_json::{Value as Json, json};

    fn arguments(encoded: &str) -> Json {
        let mut out = Page::default();
        document(&mut out, |object| Pairs::of_arguments(encoded.as_bytes()).write(object));
        serde_json::from_slice(out.written()).unwrap()
    }

    /// The examples of `ngx.req.get_uri_args` in the documentation of lua-nginx-module.
    #[test]
    fn documented_examples() {
        assert_eq!(
            arguments("foo=bar&bar=baz&bar=blah"),
            json!({"foo": "bar", "bar": ["baz", "blah"]})
        );
        assert_eq!(arguments("a%20b=1%61+2"), json!({"a b": "1a 2"}));
        assert_eq!(arguments("foo&bar"), json!({"foo": true, "bar": true}));
        assert_eq!(arguments("foo=&bar="), json!({"foo": "", "bar": ""}));
        assert_eq!(arguments("=hello&=world"), json!({}));
    }

    #[test]
    fn odd_arguments() {
        assert_eq!(arguments(""), json!({}));
        assert_eq!(arguments("&&a=b=c&"), json!({"a": "b=c"}));
        assert_eq!(
            arguments("a=%&b=%4&c=%zz&d=%c3%bc"),
            json!({"a": "%", "b": "%4", "c": "%zz", "d": "ü"})
        );
        assert_eq!(arguments("a=1&a&a=%ff"), json!({"a": ["1", true, "\u{FFFD}"]}));
    }

    #[test]
    fn arguments_beyond_the_limit_are_left_out() {
        let encoded: Vec<String> = (0..150).map(|number| format!("n{number}={number}")).collect();
        let parsed = arguments(&encoded.join("&"));
        let object = parsed.as_object().unwrap();
        assert_eq!(object.len(), 100);
        assert!(object.contains_key("n99") && !object.contains_key("n100"));
    }
}
