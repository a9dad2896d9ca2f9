//! Sets of names that are looked up for every header field and parameter: by length first, so
//! that most are told apart from all of the set at once.

use super::edits::Rule;

/// Longest name of a set, in bytes.
pub(super) const NAME_LIMIT: usize = 256;

/// Names with the rules that they stand for; compared without regard to ASCII case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// The names of each length.
    by_length: Vec<Vec<(Box<str>, Rule)>>,
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
                set.by_length.resize_with(name.len() + 1, Vec::new);
            }
            let rule = format!("{kind}:{name}").into();
            if let Some(names) = set.by_length.get_mut(name.len()) {
                names.push((name.into(), rule));
            }
        }
        set
    }

    /// The rule of that name.
    pub(super) fn find(&self, name: &[u8]) -> Option<&Rule> {
        let names = self.by_length.get(name.len())?;
        let found = names.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        found.map(|(_, rule)| rule)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_length.is_empty()
    }

    /// All rules.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.by_length.iter().flatten().map(|(_, rule)| rule)
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
