//! A tree of keys and scalars, each with the line where it stands.

use super::Problem;

/// A value with the line where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// From 1; `None` for what was not read from a file.
    pub(super) line: Option<u64>,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A scalar as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Whether its form says that it is text (quotes, a block).
    pub(super) is_quoted: bool,
    /// Whether it may stand for a list of one (there are no brackets on the command line).
    pub(super) is_option: bool,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: Option<u64>,
    pub(super) value: Node,
}

impl Node {
    /// A map without keys: what is built from options, or an empty file.
    #[must_use]
    pub fn empty() -> Self {
        Self { line: None, value: Value::Map(Vec::new()) }
    }

    /// A text, which may also be read as a number or whatever its reader wants.
    #[must_use]
    fn option(text: &str) -> Self {
        let text = text.to_owned();
        let value = Value::Scalar(Scalar { text, is_quoted: false, is_option: true });
        Self { line: None, value }
    }

    /// The line where it stands, from 1, if it was read from a file.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.line
    }

    /// Sets a key, dots leading to inner ones (`tls.ca`). A key that has a value already becomes a
    /// list of both.
    ///
    /// # Errors
    /// The key has a value and is to have keys below it, or the other way round.
    pub fn set(&mut self, path: &str, text: &str) -> Result<(), Problem> {
        let Value::Map(entries) = &mut self.value else {
            return Err(Problem::new("this has a value already and cannot have keys below it"));
        };
        let (key, rest) = match path.split_once('.') {
            Some((key, rest)) => (key, Some(rest)),
            None => (path, None),
        };
        let known = entries.iter_mut().find(|entry| entry.key == key);
        match (known, rest) {
            (Some(entry), Some(rest)) => entry.value.set(rest, text).map_err(|p| p.below(key)),
            (Some(entry), None) => entry.value.add(text).map_err(|problem| problem.below(key)),
            (None, _) => {
                let value = match rest {
                    Some(rest) => {
                        let mut below = Self::empty();
                        below.set(rest, text).map_err(|problem| problem.below(key))?;
                        below
                    }
                    None => Self::option(text),
                };
                entries.push(Entry { key: key.to_owned(), line: None, value });
                Ok(())
            }
        }
    }

    /// Makes a key that has no keys below it yet.
    pub fn set_map(&mut self, key: &str) {
        if let Value::Map(entries) = &mut self.value {
            entries.push(Entry { key: key.to_owned(), line: None, value: Self::empty() });
        }
    }

    fn add(&mut self, text: &str) -> Result<(), Problem> {
        match &mut self.value {
            Value::Map(_) => Err(Problem::new("this has keys below it and cannot have a value")),
            Value::List(list) => {
                list.push(Self::option(text));
                Ok(())
            }
            Value::Null | Value::Scalar(_) => {
                let first = std::mem::replace(&mut self.value, Value::Null);
                let first = Self { line: None, value: first };
                self.value = Value::List(vec![first, Self::option(text)]);
                Ok(())
            }
        }
    }

    /// Whether there is this key.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Values of all keys, however deep, whose name is wanted.
    #[must_use]
    pub fn values_of(&self, is_wanted: &dyn Fn(&str) -> bool) -> Vec<&str> {
        match &self.value {
            Value::Null | Value::Scalar(_) => Vec::new(),
            Value::List(list) => list.iter().flat_map(|node| node.values_of(is_wanted)).collect(),
            Value::Map(entries) => entries
                .iter()
                .flat_map(|entry| match &entry.value.value {
                    Value::Scalar(scalar) if is_wanted(&entry.key) => vec![scalar.text.as_str()],
                    _ => entry.value.values_of(is_wanted),
                })
                .collect(),
        }
    }

    /// The line where a key stands (`sinks[0].tcp.port`), or where the nearest one around it does.
    #[must_use]
    pub fn line_of(&self, path: &str) -> Option<u64> {
        let (step, rest) = first_step(path);
        let below = match step {
            Step::Here => return self.line,
            Step::Key(key) => self.entry(key).map(|entry| (entry.line, &entry.value)),
            Step::Index(index) => match &self.value {
                Value::List(list) => list.get(index).map(|node| (node.line, node)),
                _ => None,
            },
        };
        let Some((line, node)) = below else { return self.line };
        if rest.is_empty() { line } else { node.line_of(rest).or(line) }
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }
}

enum Step<'a> {
    Here,
    Key(&'a str),
    Index(usize),
}

/// Splits `sinks[0].tcp` into `sinks` and `[0].tcp`.
fn first_step(path: &str) -> (Step<'_>, &str) {
    if path.is_empty() {
        return (Step::Here, "");
    }
    if let Some((index, rest)) = path.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let rest = rest.strip_prefix('.').unwrap_or(rest);
        return (index.parse().map_or(Step::Here, Step::Index), rest);
    }
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (key, rest) = path.split_at_checked(end).unwrap_or((path, ""));
    (Step::Key(key), rest.strip_prefix('.').unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use crate::document::parse_yaml;

    #[test]
    fn lines_of_keys_are_found_and_else_those_around() {
        let node = parse_yaml("a: 1\nsinks:\n  - tcp:\n      host: h\n      port: 1\n").unwrap();
        for (path, line) in [
            ("a", 1),
            ("sinks", 2),
            ("sinks[0]", 3),
            ("sinks[0].tcp", 3),
            ("sinks[0].tcp.port", 5),
            ("sinks[0].tcp.timeout", 4),
            ("sinks[0].tcp.port.deeper", 5),
            ("other", 1),
        ] {
            assert_eq!(node.line_of(path), Some(line), "{path}");
        }
    }
}
