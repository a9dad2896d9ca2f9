//! What is wrong with settings, and where it stands.

use std::fmt::{self, Display};

/// What is wrong with settings: `gatetap.yaml:12: sinks[0].tcp.port: 99999 is not …`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problem {
    file: Option<String>,
    line: Option<u64>,
    /// The way to the key, as `sinks[0].tcp.port`; empty for the whole.
    key: String,
    message: String,
}

impl Problem {
    /// Something that concerns the whole.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// Something that concerns a key; `message` says what is wrong and what is allowed.
    #[must_use]
    pub fn at(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into(), ..Self::default() }
    }

    /// Something of which an error tells the key itself, as `filter.include: what is wrong`; where it
    /// tells none below `group`, it concerns the group.
    #[must_use]
    pub fn told(group: &str, error: &dyn Display) -> Self {
        let text = error.to_string();
        match text.split_once(": ") {
            Some((key, message)) if key.starts_with(group) => Self::at(key, message),
            _ => Self::at(group, text),
        }
    }

    /// The same, seen from the one around it: its key stands below `key`.
    #[must_use]
    pub fn below(mut self, key: &str) -> Self {
        let is_joined = self.key.is_empty() || self.key.starts_with('[');
        let separator = if is_joined { "" } else { "." };
        self.key = format!("{key}{separator}{}", self.key);
        self
    }

    /// The same below an entry of a list.
    #[must_use]
    pub fn below_entry(self, index: usize) -> Self {
        self.below(&format!("[{index}]"))
    }

    /// On this line, unless a more exact one is known.
    #[must_use]
    pub fn or_at(mut self, line: Option<u64>) -> Self {
        self.line = self.line.or(line);
        self
    }

    /// In this file.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// The way to the key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(formatter, "{file}:{line}: ")?,
            (Some(file), None) => write!(formatter, "{file}: ")?,
            (None, Some(line)) => write!(formatter, "line {line}: ")?,
            (None, None) => {}
        }
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

/// What types of settings say while they are read, in words for people.
impl serde::de::Error for Problem {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(
        unexpected: serde::de::Unexpected<'_>,
        expected: &dyn serde::de::Expected,
    ) -> Self {
        Self::new(format!("this is {unexpected}; use {expected}"))
    }

    fn invalid_value(
        unexpected: serde::de::Unexpected<'_>,
        expected: &dyn serde::de::Expected,
    ) -> Self {
        let expected = expected.to_string();
        if expected.starts_with("a nonzero") {
            return Self::new("0 is impossible here; use a whole number from 1");
        }
        Self::new(format!("{unexpected} is impossible; use {expected}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let nearest = nearest(variant, expected);
        Self::new(format!("`{variant}` is unknown{nearest}; use {}", listed(expected)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        unknown_key(field, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::at(field, "this key is missing")
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::at(field, "this key is given twice")
    }
}

/// A key is none of those that are known where it stands.
#[must_use]
pub fn unknown_key(key: &str, known: &[&str]) -> Problem {
    let nearest = nearest(key, known);
    Problem::at(key, format!("this key is unknown{nearest}; known here: {}", listed(known)))
}

/// A proposal, if a known name is a slip of the fingers away (one, and one more for each five
/// letters), or begins in the same way.
fn nearest(name: &str, known: &[&str]) -> String {
    let distance = |candidate: &str| strsim::osa_distance(name, candidate);
    let is_near = |candidate: &str| {
        let is_beginning = name.len() >= 3 && candidate.starts_with(name);
        is_beginning || distance(candidate) <= 1 + name.len() / 5
    };
    let near = known.iter().filter(|candidate| name.len() > 1 && is_near(candidate));
    near.min_by_key(|candidate| distance(candidate))
        .map_or_else(String::new, |candidate| format!(" (did you mean `{candidate}`?)"))
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_file_line_key_message() {
        let problem = Problem::at("port", "use 1 to 65535");
        assert_eq!(problem.to_string(), "port: use 1 to 65535");
        let problem = problem.below("tcp").below_entry(0).below("sinks").or_at(Some(12));
        assert_eq!(problem.to_string(), "line 12: sinks[0].tcp.port: use 1 to 65535");
        let problem = problem.or_at(Some(1)).in_file("gatetap.yaml");
        assert_eq!(problem.to_string(), "gatetap.yaml:12: sinks[0].tcp.port: use 1 to 65535");
    }

    #[test]
    fn the_nearest_name_is_proposed_and_none_that_is_far() {
        assert_eq!(nearest("body_cup", &["ring_size", "body_cap"]), " (did you mean `body_cap`?)");
        assert_eq!(nearest("sink", &["sinks", "source"]), " (did you mean `sinks`?)");
        assert_eq!(nearest("kye", &["key", "keep"]), " (did you mean `key`?)");
        assert_eq!(nearest("queue", &["name", "queue_bytes"]), " (did you mean `queue_bytes`?)");
        assert_eq!(nearest("zzz", &["sinks", "source"]), "");
    }
}
