//! Header fields as an object of strings: names in lower case, the values of a repeated name
//! joined by `;`.

use crate::export::json::Object;
use crate::http::Headers;

/// Stands between the values of a repeated name.
const SEPARATOR: char = ';';

/// Names with their values, in the order in which the names came first; bytes that are no UTF-8
/// are U+FFFD.
#[derive(Debug, Default)]
pub(super) struct Joined(Vec<(String, String)>);

impl Joined {
    /// All header fields.
    pub(super) fn of_headers(headers: &Headers) -> Self {
        let mut joined = Self::default();
        for (name, value) in headers.iter() {
            joined.push(name, value);
        }
        joined
    }

    /// One more field. Looks through all there are: a head has few hundred at most.
    pub(super) fn push(&mut self, name: &[u8], value: &[u8]) {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let value = String::from_utf8_lossy(value);
        match self.0.iter_mut().find(|(other, _)| *other == name) {
            Some((_, values)) => {
                values.push(SEPARATOR);
                values.push_str(&value);
            }
            None => self.0.push((name, value.into_owned())),
        }
    }

    /// The same but for one name, which is in lower case.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(other, _)| other != name);
        self
    }

    /// Writes them as the members of an object.
    pub(super) fn write(&self, object: &mut Object<'_>) {
        self.0.iter().for_each(|(name, value)| object.named(name.as_str(), value.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::json::{Page, document};
    use serde_json::{Value, json};

    fn written(joined: &Joined) -> Value {
        let mut out = Page::default();
        document(&mut out, |object| joined.write(object));
        serde_json::from_slice(out.written()).unwrap()
    }

    #[test]
    fn values_of_a_repeated_name_are_joined_in_their_order() {
        let mut joined = Joined::default();
        joined.push(b"Accept", b"a");
        joined.push(b"Host", b"h");
        joined.push(b"accept", b"");
        joined.push(b"ACCEPT", b"b;c");
        assert_eq!(written(&joined), json!({"accept": "a;;b;c", "host": "h"}));
        assert_eq!(written(&joined.without("accept").without("absent")), json!({"host": "h"}));
    }
}
