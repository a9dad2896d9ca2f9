//! Paths into JSON, after RFC 9535: `$.user.password`, `$..token`, `$.cards[*].number`,
//! `$.rows[0]['the name']`. Names compare without regard to ASCII case, so that a rule for
//! `password` finds `Password` too.

use crate::policy::redaction::edits::Rule;
use std::fmt;

/// Steps that all paths together may have: one bit each.
pub(super) const STEPS_LIMIT: usize = 127;

/// A path as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath {
    written: String,
    steps: Vec<Step>,
}

/// A path cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a path: write for example $.user.password, $..token, $.cards[*].number or \
     $.rows[0]['the name']"
)]
pub struct InvalidPath(String);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    /// At any depth below (`..`).
    descends: bool,
    selects: Selector,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Selector {
    Name(Box<str>),
    Index(u64),
    Any,
}

/// Where a value is, seen from the value that holds it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key<'a> {
    Name(&'a [u8]),
    Index(u64),
}

impl Selector {
    fn matches(&self, key: Key<'_>) -> bool {
        match (self, key) {
            (Self::Any, _) => true,
            (Self::Name(name), Key::Name(key)) => name.as_bytes().eq_ignore_ascii_case(key),
            (Self::Index(index), Key::Index(key)) => *index == key,
            _ => false,
        }
    }
}

impl std::str::FromStr for JsonPath {
    type Err = InvalidPath;

    fn from_str(written: &str) -> Result<Self, InvalidPath> {
        let invalid = || InvalidPath(written.to_owned());
        let mut rest = written.strip_prefix('$').ok_or_else(invalid)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, behind) = read_step(rest).ok_or_else(invalid)?;
            steps.push(step);
            rest = behind;
        }
        if steps.is_empty() || steps.len() > STEPS_LIMIT {
            return Err(invalid());
        }
        Ok(Self { written: written.to_owned(), steps })
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.written)
    }
}

fn read_step(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix("..") {
        let (selects, rest) =
            if rest.starts_with('[') { read_brackets(rest)? } else { read_name(rest)? };
        return Some((Step { descends: true, selects }, rest));
    }
    let (selects, rest) = match text.strip_prefix('.') {
        Some(rest) => read_name(rest)?,
        None => read_brackets(text)?,
    };
    Some((Step { descends: false, selects }, rest))
}

fn read_name(text: &str) -> Option<(Selector, &str)> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let is_name = !name.is_empty() && !name.contains([']', '\'', '"', ' ', '$']);
    let selector = if name == "*" { Selector::Any } else { Selector::Name(name.into()) };
    is_name.then_some((selector, rest))
}

fn read_brackets(text: &str) -> Option<(Selector, &str)> {
    let text = text.strip_prefix('[')?;
    for quote in ['\'', '"'] {
        if let Some(quoted) = text.strip_prefix(quote) {
            let (name, rest) = quoted.split_once(quote)?;
            return Some((Selector::Name(name.into()), rest.strip_prefix(']')?));
        }
    }
    let (inside, rest) = text.split_once(']')?;
    let selector =
        if inside == "*" { Selector::Any } else { Selector::Index(inside.parse().ok()?) };
    Some((selector, rest))
}

/// All paths as one automaton: a state is the set of steps that may come next.
#[derive(Debug, Clone, Default)]
pub(in crate::policy::redaction) struct Paths {
    steps: Vec<(Step, Option<Rule>)>,
    root: States,
}

/// Steps that may come next, by number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct States(u128);

impl States {
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The paths have too many steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the JSON paths have {0} steps together: at most {STEPS_LIMIT} are looked for")]
pub struct TooManySteps(usize);

impl Paths {
    /// The rule of a path is `json:` and the path.
    pub(in crate::policy::redaction) fn new(paths: &[JsonPath]) -> Result<Self, TooManySteps> {
        let mut all = Self::default();
        let count = paths.iter().map(|path| path.steps.len()).sum();
        if count > STEPS_LIMIT {
            return Err(TooManySteps(count));
        }
        for path in paths {
            all.root.0 |= 1 << all.steps.len();
            let rule: Rule = format!("json:{path}").into();
            let last = path.steps.len().saturating_sub(1);
            all.steps.extend(
                path.steps
                    .iter()
                    .enumerate()
                    .map(|(number, step)| (step.clone(), (number == last).then(|| rule.clone()))),
            );
        }
        Ok(all)
    }

    pub(in crate::policy::redaction) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(in crate::policy::redaction) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.steps.iter().filter_map(|(_, rule)| rule.as_ref())
    }

    /// What may come next at a value that nothing holds.
    pub(super) fn root(&self) -> States {
        self.root
    }

    /// What may come next below the value at `key`, and the rule that the value itself falls under.
    pub(super) fn step(&self, from: States, key: Key<'_>) -> (States, Option<&Rule>) {
        let (mut next, mut rule, mut rest) = (States::default(), None, from.0);
        while rest != 0 {
            let number = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let Some((step, ends)) = self.steps.get(number) else { break };
            if step.descends {
                next.0 |= 1 << number;
            }
            if step.selects.matches(key) {
                match ends {
                    Some(ends) => rule = rule.or(Some(ends)),
                    None => next.0 |= 2 << number,
                }
            }
        }
        (next, rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_path_is_refused() {
        for wrong in
            ["", "$", "user", "$.", "$..", "$.a[", "$.a[x]", "$.a]", "$['a'", "$.a b", "$x"]
        {
            let error = wrong.parse::<JsonPath>().unwrap_err().to_string();
            assert!(error.contains("$.user.password"), "{wrong}");
        }
        for right in ["$.a", "$..a", "$.*", "$[*]", "$[0].b", "$..['a b']", "$.a[*].b", "$..[1]"] {
            assert_eq!(
                right.parse::<JsonPath>().map(|path| path.to_string()),
                Ok(right.to_owned())
            );
        }
    }

    #[test]
    fn there_are_not_too_many_steps() {
        let path: JsonPath = "$..a.b".parse().unwrap();
        assert!(Paths::new(&vec![path.clone(); 63]).is_ok());
        assert_eq!(Paths::new(&vec![path; 64]).unwrap_err(), TooManySteps(128));
    }
}
