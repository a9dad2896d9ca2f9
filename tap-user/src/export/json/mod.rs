//! JSON appended straight to a byte buffer: no tree of values, no allocation per field.
//!
//! Whatever the bytes, the result is one line of valid JSON (RFC 8259): control characters are
//! escaped, so it holds no raw line break, and bytes that are no UTF-8 never get in unaltered.
//! A type says how it is written by implementing [`Value`].

mod base64;
mod escape;

use crate::segment::Time;
use escape::{escape, needs_escape};
use std::fmt::Display;
use std::io::Write;

const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;
const MILLISECONDS_PER_SECOND: u64 = 1_000;

/// Something that can be written as a JSON value.
pub(super) trait Value {
    /// Appends the value.
    fn write(self, out: &mut Vec<u8>);
}

/// An object that is being written.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl Object<'_> {
    /// Keys of records are plain literals, which need no escaping.
    fn key(&mut self, key: &'static str) -> &mut Vec<u8> {
        debug_assert!(!key.bytes().any(needs_escape));
        separate(self.out, &mut self.empty);
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A member whose name comes from captured bytes.
    pub(super) fn named(&mut self, name: &str, value: impl Value) {
        separate(self.out, &mut self.empty);
        name.write(self.out);
        self.out.push(b':');
        value.write(self.out);
    }

    /// A member.
    pub(super) fn field(&mut self, key: &'static str, value: impl Value) {
        value.write(self.key(key));
    }

    /// A member, left out where it is unknown.
    pub(super) fn optional(&mut self, key: &'static str, value: Option<impl Value>) {
        if let Some(value) = value {
            self.field(key, value);
        }
    }

    /// A member that is left out unless it is true.
    pub(super) fn flag(&mut self, key: &'static str, value: bool) {
        self.optional(key, value.then_some(true));
    }

    /// A member that is left out when it is zero.
    pub(super) fn nonzero(&mut self, key: &'static str, value: u64) {
        self.optional(key, (value != 0).then_some(value));
    }

    /// A member that is an object.
    pub(super) fn object(&mut self, key: &'static str, fill: impl FnOnce(&mut Object<'_>)) {
        object(self.key(key), fill);
    }

    /// A member that is an array.
    pub(super) fn array(&mut self, key: &'static str, fill: impl FnOnce(&mut Array<'_>)) {
        array(self.key(key), fill);
    }
}

/// An array that is being written.
pub(super) struct Array<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl Array<'_> {
    /// An element.
    pub(super) fn item(&mut self, value: impl Value) {
        separate(self.out, &mut self.empty);
        value.write(self.out);
    }

    /// An element that is an object.
    pub(super) fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) {
        separate(self.out, &mut self.empty);
        object(self.out, fill);
    }

    /// An element that is an array.
    pub(super) fn array(&mut self, fill: impl FnOnce(&mut Array<'_>)) {
        separate(self.out, &mut self.empty);
        array(self.out, fill);
    }
}

fn separate(out: &mut Vec<u8>, empty: &mut bool) {
    if !*empty {
        out.push(b',');
    }
    *empty = false;
}

/// Appends an object with the members that `fill` gives it.
pub(super) fn object(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    fill(&mut Object { out, empty: true });
    out.push(b'}');
}

/// Appends an array with the elements that `fill` gives it.
pub(super) fn array(out: &mut Vec<u8>, fill: impl FnOnce(&mut Array<'_>)) {
    out.push(b'[');
    fill(&mut Array { out, empty: true });
    out.push(b']');
}

impl Value for &str {
    fn write(self, out: &mut Vec<u8>) {
        quoted(out, |out| escape(out, self));
    }
}

impl Value for bool {
    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self { b"true" } else { b"false" });
    }
}

macro_rules! integer_values {
    ($($integer:ty),*) => {$(
        impl Value for $integer {
            fn write(self, out: &mut Vec<u8>) {
                out.extend_from_slice(itoa::Buffer::new().format(self).as_bytes());
            }
        }
    )*};
}
integer_values!(u16, u32, u64, usize, i64);

/// Bytes exactly: a string where they are UTF-8, else `{"base64":"…"}`.
pub(super) struct Exact<'a>(pub(super) &'a [u8]);

impl Value for Exact<'_> {
    fn write(self, out: &mut Vec<u8>) {
        match str::from_utf8(self.0) {
            Ok(text) => text.write(out),
            Err(_) => object(out, |o| o.field("base64", Base64(self.0))),
        }
    }
}

/// Bytes as a string in any case: each stretch that is no UTF-8 becomes U+FFFD.
pub(super) struct Lossy<'a>(pub(super) &'a [u8]);

impl Value for Lossy<'_> {
    fn write(self, out: &mut Vec<u8>) {
        quoted(out, |out| escape_lossy(out, self.0));
    }
}

/// Bytes as a string in base64 (RFC 4648, section 4, with padding).
pub(super) struct Base64<'a>(pub(super) &'a [u8]);

impl Value for Base64<'_> {
    fn write(self, out: &mut Vec<u8>) {
        quoted(out, |out| base64::encode(out, self.0));
    }
}

/// A value that shows itself in characters that need no escaping, as a string.
pub(super) struct Shown<T: Display>(pub(super) T);

impl<T: Display> Value for Shown<T> {
    fn write(self, out: &mut Vec<u8>) {
        // Writing to a vector cannot fail.
        quoted(out, |out| drop(write!(out, "{}", self.0)));
    }
}

/// A time as RFC 3339 in UTC with nine decimals.
impl Value for Time {
    fn write(self, out: &mut Vec<u8>) {
        const PRINTER: jiff::fmt::temporal::DateTimePrinter =
            jiff::fmt::temporal::DateTimePrinter::new().precision(Some(9));
        // Cannot be out of range: 2^64 ns end in the year 2554.
        let time = jiff::Timestamp::from_nanosecond(i128::from(self.unix_ns)).unwrap_or_default();
        quoted(out, |out| drop(PRINTER.print_timestamp(&time, out)));
    }
}

/// Nanoseconds as a number of seconds with exactly three decimals (cut, not rounded: nginx's
/// clock has whole milliseconds too).
pub(super) struct Seconds(pub(super) u64);

impl Value for Seconds {
    fn write(self, out: &mut Vec<u8>) {
        let milliseconds = self.0 / NANOSECONDS_PER_MILLISECOND;
        let (seconds, rest) =
            (milliseconds / MILLISECONDS_PER_SECOND, milliseconds % MILLISECONDS_PER_SECOND);
        // Writing to a vector cannot fail.
        let _ = write!(out, "{seconds}.{rest:03}");
    }
}

/// Nanoseconds as a whole number of milliseconds, cut.
pub(super) fn milliseconds(nanoseconds: u64) -> u64 {
    nanoseconds / NANOSECONDS_PER_MILLISECOND
}

/// Appends a string whose content `fill` gives, already escaped.
pub(super) fn quoted(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    fill(out);
    out.push(b'"');
}

/// Appends the bytes as the inside of a string; each stretch that is no UTF-8 becomes U+FFFD.
pub(super) fn escape_lossy(out: &mut Vec<u8>, bytes: &[u8]) {
    escape(out, &String::from_utf8_lossy(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: impl Value) -> String {
        let mut out = Vec::new();
        value.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_character_survives_a_foreign_parser() {
        let all: String = (0..=0x2_FFFF).filter_map(char::from_u32).collect();
        let parsed: String = serde_json::from_str(&written(all.as_str())).unwrap();
        assert!(parsed == all);
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(written("a\"b\\c\n\r\t\0\u{1f}/"), r#""a\"b\\c\n\r\t\u0000\u001f/""#);
    }

    #[test]
    fn bytes_that_are_no_text() {
        assert_eq!(written(Exact(b"\xff")), r#"{"base64":"/w=="}"#);
        assert_eq!(written(Lossy(b"a\xff\"b")), "\"a\u{FFFD}\\\"b\"");
    }

    #[test]
    fn times_have_nine_decimals_and_seconds_three() {
        let time = Time { monotonic_ns: 0, unix_ns: 1_700_000_000_120_000_000 };
        assert_eq!(written(time), r#""2023-11-14T22:13:20.120000000Z""#);
        assert_eq!(written(Seconds(time.unix_ns)), "1700000000.120");
        assert_eq!(written(Seconds(1_999_999)), "0.001");
    }

    #[test]
    fn members_and_elements_are_separated() {
        let mut out = Vec::new();
        object(&mut out, |o| {
            o.field("a", 1_u64);
            o.flag("b", false);
            o.nonzero("c", 0);
            o.array("d", |a| {
                a.item("x");
                a.array(|_| {});
                a.object(|o| o.optional("y", Some(true)));
            });
            o.object("e", |_| {});
        });
        assert_eq!(out, br#"{"a":1,"d":["x",[],{"y":true}],"e":{}}"#);
    }
}
