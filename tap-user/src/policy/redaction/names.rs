//! Sets of names that are looked up for every header field and parameter: by length first, so
//! that most are told apart from all of the set at once.

use super::edits::Rule;

/// Longest name of a set, in bytes.
pub(super) const NAME_LIMIT: usize = 256;

/// Names with the rules that they stand for; compared without regard to ASCII case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names {
    by_length: Vec<Alike>,
}

/// Names of one length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Alike {
    /// One bit for each pair of a first and a last letter: most names end there.
    letters: u64,
    names: Vec<(Box<str>, Rule)>,
}

/// The bit of a name's first and last letter, the same for both cases.
fn letters(name: &[u8]) -> u64 {
    let letter = |byte: Option<&u8>| byte.map_or(0, |byte| u32::from(byte & 0x1f));
    1 << ((letter(name.first()) * 2 + letter(name.last())) % u64::BITS)
}

impl Names {
    /// The rule of a name is `kind:name`, with the name in lower case.
    pub(super) fn new<'a>(kind: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut set = Self::default();
        for name in names {
            let name = name.to_ascii_lowercase();
            if set.find(name.as_bytes()).is_some() || name.len() > NAME_LIMIT {
                continue;
            }
            if set.by_length.len() <= name.len() {
                set.by_length.resize_with(name.len() + 1, Alike::default);
            }
            let rule = format!("{kind}:{name}").into();
            if let Some(alike) = set.by_length.get_mut(name.len()) {
                alike.letters |= letters(name.as_bytes());
                alike.names.push((name.into(), rule));
            }
        }
        set
    }

    /// Whether the name may be one of the set: most are not, which a look at two letters tells.
    #[inline]
    pub(super) fn may_hold(&self, name: &[u8]) -> bool {
        let alike = self.by_length.get(name.len());
        alike.is_some_and(|alike| alike.letters & letters(name) != 0)
    }

    /// The rule of that name.
    pub(super) fn find(&self, name: &[u8]) -> Option<&Rule> {
        let alike = self.by_length.get(name.len()).filter(|_| self.may_hold(name))?;
        let found =
            alike.names.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        found.map(|(_, rule)| rule)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_length.is_empty()
    }

    /// All rules.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.by_length.iter().flat_map(|alike| &alike.names).map(|(_, rule)| rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_without_case_and_count_once() {
        let names = Names::new("header", ["Cookie", "COOKIE", "x-api-key"]);
        assert_eq!(names.find(b"cOOkie").map(|rule| &**rule), Some("header:cookie"));
        assert_eq!(names.find(b"cookies"), None);
        assert_eq!(names.rules().count(), 2);
    }
}
