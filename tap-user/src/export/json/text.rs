//! Text and bytes as strings.

use super::page::Page;
use super::{Value, base64, escape, object, plain};
use std::fmt::Display;
use std::io::Write;

/// A value that is a string, and so may be the name of a member.
pub(in crate::export) trait Text: Value {}

impl Text for &str {}
impl Text for Lossy<'_> {}
impl Text for LowerCase<'_> {}

impl Value for &str {
    fn write(self, out: &mut Page) {
        if !plain::put_string(out, self.as_bytes()) {
            quoted(out, |out| escape::escape(out, self));
        }
    }
}

/// Bytes exactly: a string where they are UTF-8, else `{"base64":"…"}`.
pub(in crate::export) struct Exact<'a>(pub(in crate::export) &'a [u8]);

impl Value for Exact<'_> {
    fn write(self, out: &mut Page) {
        match str::from_utf8(self.0) {
            Ok(text) => text.write(out),
            Err(_) => object(out, |o| o.field("base64", Base64(self.0))),
        }
    }
}

/// Bytes as a string in any case: each stretch that is no UTF-8 becomes U+FFFD.
pub(in crate::export) struct Lossy<'a>(pub(in crate::export) &'a [u8]);

impl Value for Lossy<'_> {
    fn write(self, out: &mut Page) {
        if !plain::put_string(out, self.0) {
            quoted(out, |out| escape_strange(out, self.0));
        }
    }
}

/// The same with the letters of ASCII in lower case.
pub(in crate::export) struct LowerCase<'a>(pub(in crate::export) &'a [u8]);

impl LowerCase<'_> {
    /// Appends it as the inside of a string.
    pub(in crate::export) fn append(self, out: &mut Page) {
        if !plain::put_lower_text(out, self.0) {
            escape_strange(out, &self.0.to_ascii_lowercase());
        }
    }
}

impl Value for LowerCase<'_> {
    fn write(self, out: &mut Page) {
        if !plain::put_lower_string(out, self.0) {
            Lossy(&self.0.to_ascii_lowercase()).write(out);
        }
    }
}

/// Bytes as a string in base64 (RFC 4648, section 4, with padding).
pub(in crate::export) struct Base64<'a>(pub(in crate::export) &'a [u8]);

impl Value for Base64<'_> {
    fn write(self, out: &mut Page) {
        quoted(out, |out| base64::encode(out, self.0));
    }
}

/// A value that shows itself in characters that need no escaping, as a string.
pub(in crate::export) struct Shown<T: Display>(pub(in crate::export) T);

impl<T: Display> Value for Shown<T> {
    fn write(self, out: &mut Page) {
        // Writing to a page cannot fail.
        quoted(out, |out| drop(write!(out, "{}", self.0)));
    }
}

/// Appends a string whose content `fill` gives, already escaped, and a comma.
#[inline(always)]
pub(in crate::export) fn quoted(out: &mut Page, fill: impl FnOnce(&mut Page)) {
    out.push(b'"');
    fill(out);
    out.extend(b"\",");
}

/// Appends the bytes as the inside of a string; each stretch that is no UTF-8 becomes U+FFFD.
pub(in crate::export) fn escape_lossy(out: &mut Page, bytes: &[u8]) {
    if !plain::put_text(out, bytes) {
        escape_strange(out, bytes);
    }
}

/// The same of bytes that are long or not plain.
fn escape_strange(out: &mut Page, bytes: &[u8]) {
    match str::from_utf8(bytes) {
        Ok(text) => escape::escape(out, text),
        Err(_) => escape::escape(out, &String::from_utf8_lossy(bytes)),
    }
}
