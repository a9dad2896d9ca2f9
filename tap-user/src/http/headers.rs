//! The field lines of a message.

use std::ops::Range;

/// Places of a name and its value.
pub(super) type Field = (Range<u32>, Range<u32>);

/// Field lines in wire order: one buffer and the places of names and values in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    raw: Box<[u8]>,
    fields: Vec<Field>,
    names: NameSet,
    may_repeat: bool,
}

/// Which names may be among the fields: one bit for each length with first and last letter. Most of the names
/// that somebody asks for are not there, and this tells so without a look at the fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct NameSet(u64);

/// With these steps, hardly any of the common names meet.
const LENGTH_STEP: usize = 18;
const LAST_STEP: usize = 37;

impl NameSet {
    fn of(name: &[u8]) -> Self {
        // Five bits that both cases of a letter have in common.
        let letter = |byte: Option<&u8>| byte.map_or(0, |byte| usize::from(byte & 0x1f));
        let steps = name.len().wrapping_mul(LENGTH_STEP);
        let place = letter(name.first()).wrapping_add(steps);
        Self(1 << (place.wrapping_add(letter(name.last()) * LAST_STEP) % 64))
    }

    /// Adds a name; says whether it may have been there.
    fn insert(&mut self, name: &[u8]) -> bool {
        let before = self.0;
        self.0 |= Self::of(name).0;
        self.0 == before
    }

    fn may_hold(self, name: &[u8]) -> bool {
        self.0 & Self::of(name).0 != 0
    }
}

impl Headers {
    /// Fields of `raw` at the given places (name, value).
    #[must_use]
    pub fn new(raw: Box<[u8]>, fields: Vec<(Range<u32>, Range<u32>)>) -> Self {
        let (mut names, mut may_repeat) = (NameSet::default(), false);
        fields.iter().for_each(|(name, _)| may_repeat |= names.insert(bytes(&raw, name)));
        Self { raw, fields, names, may_repeat }
    }

    /// All bytes that any name or value is a part of, and perhaps others.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Names and values as on the wire (names keep their case), in wire order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|(name, value)| (bytes(&self.raw, name), bytes(&self.raw, value)))
    }

    /// Whether there may be a field of that name: of most names that are not there, it is known.
    #[inline]
    pub(crate) fn may_have(&self, name: &str) -> bool {
        self.names.may_hold(name.as_bytes())
    }

    /// Value of the first field of that name; names compare without regard to ASCII case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// Values of all fields of that name, in wire order.
    pub(crate) fn all<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl DoubleEndedIterator<Item = &'a [u8]> + use<'a, 'n> {
        let name = name.as_bytes();
        let fields = if self.names.may_hold(name) { self.fields.as_slice() } else { &[] };
        let is_wanted = move |(other, _): &&Field| {
            (other.end as usize).checked_sub(other.start as usize) == Some(name.len())
                && bytes(&self.raw, other).eq_ignore_ascii_case(name)
        };
        fields.iter().filter(is_wanted).map(|(_, value)| bytes(&self.raw, value))
    }

    /// Whether nothing but ASCII is there, the start line included if it stands in the same buffer.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.raw.is_ascii()
    }

    /// Whether two fields may have the same name, apart from the case of ASCII letters. Of most
    /// heads it is known that none do.
    pub(crate) fn may_repeat(&self) -> bool {
        self.may_repeat
    }

    /// Number of field lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// The same fields with other values at the given places (number of the field, value).
    #[must_use]
    pub fn with_values(&self, values: &[(usize, Vec<u8>)]) -> Self {
        let fields = self.iter().enumerate().map(|(number, (name, value))| {
            let other = values.iter().find(|(place, _)| *place == number);
            (name, other.map_or(value, |(_, value)| value.as_slice()))
        });
        fields.collect()
    }

    /// Whether there is no field line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

fn bytes<'a>(raw: &'a [u8], range: &Range<u32>) -> &'a [u8] {
    raw.get(range.start as usize..range.end as usize).unwrap_or_default()
}

/// Fields from names and values.
impl<'a> FromIterator<(&'a [u8], &'a [u8])> for Headers {
    fn from_iter<I: IntoIterator<Item = (&'a [u8], &'a [u8])>>(fields: I) -> Self {
        let mut raw = Vec::new();
        let mut push = |bytes: &[u8]| {
            let start = u32::try_from(raw.len()).unwrap_or(u32::MAX);
            raw.extend_from_slice(bytes);
            start..u32::try_from(raw.len()).unwrap_or(u32::MAX)
        };
        let fields = fields.into_iter().map(|(name, value)| (push(name), push(value))).collect();
        Self::new(raw.into(), fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        /// What is asked by name is what a look at every field finds.
        #[test]
        fn the_set_of_names_hides_no_field(
            fields in vec(("[A-Za-z-]{0,3}", "[a-z]{0,2}"), 0..8),
            wanted in "[A-Za-z-]{0,3}",
        ) {
            let pairs = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            let headers: Headers = pairs.clone().collect();
            let is_wanted = |name: &[u8]| name.eq_ignore_ascii_case(wanted.as_bytes());
            let expected: Vec<_> =
                pairs.filter(|(name, _)| is_wanted(name)).map(|(_, value)| value).collect();
            prop_assert_eq!(headers.get(&wanted), expected.first().copied());
            prop_assert_eq!(headers.all(&wanted).collect::<Vec<_>>(), expected);
            let times = fields.iter().filter(|(name, _)| is_wanted(name.as_bytes())).count();
            prop_assert!(headers.may_repeat() || times <= 1);
        }
    }

    #[test]
    fn a_range_that_is_none_is_empty() {
        let backward = Range { start: 3, end: 1 };
        let headers = Headers::new(b"abc".as_slice().into(), vec![(backward, 0..9)]);
        assert_eq!(headers.iter().next(), Some((&b""[..], &b""[..])));
        assert_eq!(headers.get("ab"), None);
    }
}
