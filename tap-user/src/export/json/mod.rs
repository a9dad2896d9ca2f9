//! JSON appended straight to a page of bytes: no tree of values, no allocation per field.
//!
//! Whatever the bytes, the result is one line of valid JSON (RFC 8259): control characters are
//! escaped, so it holds no raw line break, and bytes that are no UTF-8 never get in unaltered.
//! A type says how it is written by implementing [`Value`].

mod base64;
mod escape;
mod number;
mod page;
mod plain;
#[cfg(target_arch = "x86_64")]
mod shuffle;
mod text;
mod time;

pub(super) use number::{Seconds, append_address, append_number, milliseconds};
pub(super) use page::Page;
pub(super) use text::{Base64, Exact, Lossy, LowerCase, Shown, Text, escape_lossy, quoted};

/// Something that can be written as a JSON value.
pub(super) trait Value {
    /// Appends the value and a comma behind it.
    fn write(self, out: &mut Page);
}

/// An object that is being written. Each member ends with a comma; that of the last one gives way
/// to the bracket.
pub(super) struct Object<'a> {
    out: &'a mut Page,
}

impl Object<'_> {
    /// Keys of records are plain literals, which need no escaping.
    // Inlined everywhere, so that of each literal only a few stores remain.
    #[inline(always)]
    fn key(&mut self, key: &'static str) -> &mut Page {
        debug_assert!(!key.bytes().any(escape::needs_escape));
        let length = key.len() + "\"\":".len();
        if let Some([quotation_mark, rest @ ..]) =
            self.out.ahead(length).and_then(|room| room.get_mut(..length))
            && let Some((name, end)) = rest.split_at_mut_checked(key.len())
        {
            *quotation_mark = b'"';
            name.copy_from_slice(key.as_bytes());
            end.copy_from_slice(b"\":");
        }
        self.out.advance(length);
        self.out
    }

    /// A member whose name comes from captured bytes.
    pub(super) fn named(&mut self, name: impl Text, value: impl Value) {
        name.write(self.out);
        if let Some(comma) = self.out.last_mut() {
            *comma = b':';
        }
        value.write(self.out);
    }

    /// Members that are written already, by [`members`].
    pub(super) fn written(&mut self, members: &[u8]) {
        self.out.extend(members);
    }

    /// A member.
    #[inline(always)]
    pub(super) fn field(&mut self, key: &'static str, value: impl Value) {
        value.write(self.key(key));
    }

    /// A member that is one of our own words; like keys, these need no escaping.
    #[inline(always)]
    pub(super) fn word(&mut self, key: &'static str, word: &'static str) {
        debug_assert!(!word.bytes().any(escape::needs_escape));
        self.key(key).push(b'"');
        self.out.extend(word.as_bytes());
        self.out.extend(b"\",");
    }

    /// A member, left out where it is unknown.
    #[inline(always)]
    pub(super) fn optional(&mut self, key: &'static str, value: Option<impl Value>) {
        if let Some(value) = value {
            self.field(key, value);
        }
    }

    /// A member that is left out unless it is true.
    #[inline(always)]
    pub(super) fn flag(&mut self, key: &'static str, value: bool) {
        self.optional(key, value.then_some(true));
    }

    /// A member that is left out when it is zero.
    #[inline(always)]
    pub(super) fn nonzero(&mut self, key: &'static str, value: u64) {
        self.optional(key, (value != 0).then_some(value));
    }

    /// A member that is an object.
    #[inline(always)]
    pub(super) fn object(&mut self, key: &'static str, fill: impl FnOnce(&mut Object<'_>)) {
        object(self.key(key), fill);
    }

    /// A member that is an array.
    #[inline(always)]
    pub(super) fn array(&mut self, key: &'static str, fill: impl FnOnce(&mut Array<'_>)) {
        array(self.key(key), fill);
    }
}

/// An array that is being written; as an object.
pub(super) struct Array<'a> {
    out: &'a mut Page,
}

impl Array<'_> {
    /// An element.
    pub(super) fn item(&mut self, value: impl Value) {
        value.write(self.out);
    }

    /// An element that is an object.
    pub(super) fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) {
        object(self.out, fill);
    }

    /// An element that is an array.
    pub(super) fn array(&mut self, fill: impl FnOnce(&mut Array<'_>)) {
        array(self.out, fill);
    }
}

/// Appends an object with the members that `fill` gives it, alone on its page or line.
pub(super) fn document(out: &mut Page, fill: impl FnOnce(&mut Object<'_>)) {
    object(out, fill);
    out.pop();
}

/// Appends the members that `fill` gives an object, for [`Object::written`].
pub(super) fn members(out: &mut Page, fill: impl FnOnce(&mut Object<'_>)) {
    fill(&mut Object { out });
}

/// Appends an object with the members that `fill` gives it, and a comma.
#[inline(always)]
fn object(out: &mut Page, fill: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    fill(&mut Object { out });
    close(out, b'}');
}

/// Appends an array with the elements that `fill` gives it, and a comma.
#[inline(always)]
pub(super) fn array(out: &mut Page, fill: impl FnOnce(&mut Array<'_>)) {
    out.push(b'[');
    fill(&mut Array { out });
    close(out, b']');
}

/// Puts the bracket in the place of the last comma, or behind the opening one.
#[inline(always)]
fn close(out: &mut Page, bracket: u8) {
    match out.last_mut() {
        Some(last) if *last == b',' => {
            *last = bracket;
            out.push(b',');
        }
        _ => out.extend(&[bracket, b',']),
    }
}

impl Value for bool {
    #[inline(always)]
    fn write(self, out: &mut Page) {
        if self {
            out.extend(b"true,");
        } else {
            out.extend(b"false,");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Time;

    fn written(value: impl Value) -> String {
        let mut out = Page::default();
        value.write(&mut out);
        out.pop();
        String::from_utf8(out.written().to_vec()).unwrap()
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
        let mut out = Page::default();
        document(&mut out, |o| {
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
        assert_eq!(out.written(), br#"{"a":1,"d":["x",[],{"y":true}],"e":{}}"#);
    }
}
