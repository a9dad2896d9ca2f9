//! YAML as a tree with lines. Anchors, merge keys and the limits of what a file may ask for are
//! the library's; what a plain scalar means is decided where it is read.

use super::Problem;
use super::node::{Entry, Node, Scalar, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Error, Spanned, UserMessageFormatter};
use std::fmt;

/// Reads a YAML document; an empty one is a map without keys.
///
/// # Errors
/// The text is not YAML: the line, and what is wrong there.
pub fn parse_yaml(text: &str) -> Result<Node, Problem> {
    // The error must not show pieces of the file, which may hold secrets.
    let options = serde_saphyr::options! { with_snippet: false };
    let document: Option<Spanned<Parsed>> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| problem(&error))?;
    Ok(match document {
        Some(document) => node(document, text),
        None => Node::empty(),
    })
}

fn problem(error: &Error) -> Problem {
    use serde_saphyr::MessageFormatter;
    let error = error.without_snippet();
    let line = error.location().map(|location| location.line());
    Problem::new(UserMessageFormatter.format_message(error)).or_at(line)
}

/// A value as the library reads it: types by the core schema.
enum Parsed {
    Null,
    Text(String),
    /// A number or a truth value; how it was written stands in the file.
    Other(String),
    List(Vec<Spanned<Parsed>>),
    Map(Vec<(Spanned<String>, Spanned<Parsed>)>),
}

fn node(parsed: Spanned<Parsed>, file: &str) -> Node {
    let written = written(&parsed, file);
    let line = Some(parsed.referenced.line()).filter(|&line| line > 0);
    let value = match parsed.value {
        Parsed::Null => Value::Null,
        Parsed::Text(text) => {
            let is_quoted =
                written.is_some_and(|written| written.starts_with(['"', '\'', '|', '>']));
            Value::Scalar(Scalar { text, is_quoted, is_option: false })
        }
        Parsed::Other(text) => {
            let text = written.map_or(text, str::to_owned);
            Value::Scalar(Scalar { text, is_quoted: false, is_option: false })
        }
        Parsed::List(list) => Value::List(list.into_iter().map(|item| node(item, file)).collect()),
        Parsed::Map(map) => Value::Map(map.into_iter().map(|pair| entry(pair, file)).collect()),
    };
    Node { line, value }
}

fn entry((key, value): (Spanned<String>, Spanned<Parsed>), file: &str) -> Entry {
    let line = Some(key.referenced.line()).filter(|&line| line > 0);
    Entry { key: key.value, line, value: node(value, file) }
}

/// The bytes of the file that a scalar was read from.
fn written<'a>(parsed: &Spanned<Parsed>, file: &'a str) -> Option<&'a str> {
    let span = parsed.defined.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    file.get(start..start.checked_add(length)?)
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Parsed;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Parsed, E> {
        Ok(Parsed::Null)
    }

    fn visit_none<E>(self) -> Result<Parsed, E> {
        Ok(Parsed::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Parsed, D::Error> {
        Parsed::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Parsed, E> {
        Ok(Parsed::Other(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Parsed, E> {
        Ok(Parsed::Other(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Parsed, E> {
        Ok(Parsed::Other(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Parsed, E> {
        Ok(Parsed::Other(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Parsed, E> {
        Ok(Parsed::Other(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Parsed, E> {
        Ok(Parsed::Other(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Parsed, E> {
        Ok(Parsed::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Parsed, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = sequence.next_element()? {
            list.push(item);
        }
        Ok(Parsed::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parsed, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Parsed::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::read;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        port: u16,
        name: String,
        #[serde(default)]
        ratio: Option<f64>,
        #[serde(default)]
        on: bool,
        #[serde(default)]
        list: Vec<i32>,
        #[serde(default)]
        labels: BTreeMap<String, String>,
        #[serde(default)]
        choice: Option<Choice>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case", deny_unknown_fields)]
    enum Choice {
        Plain,
        Keyed { key: String },
    }

    fn sample(yaml: &str) -> Result<Sample, String> {
        let node = parse_yaml(yaml).map_err(|problem| problem.to_string())?;
        read(&node).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_scalar_is_what_its_reader_expects() {
        let read = sample(
            "port: 8000\nname: 0123e4\nratio: 0.5\non: true\nlist: [-1, 2]\n\
             labels: {a: yes, b: 1.50}\nchoice: plain\n",
        )
        .unwrap();
        assert_eq!((read.port, read.name.as_str()), (8000, "0123e4"));
        assert_eq!((read.ratio, read.on, read.list), (Some(0.5), true, vec![-1, 2]));
        assert_eq!((read.labels["a"].as_str(), read.labels["b"].as_str()), ("yes", "1.50"));
        assert_eq!(read.choice, Some(Choice::Plain));
        let read = sample("{port: 1, name: |-\n  é\n , choice: {keyed: {key: ~}}}");
        assert!(read.is_err());
        let read = sample("port: 1\nname: |-\n  é\nchoice: {keyed: {key: 'ü'}}\n").unwrap();
        assert_eq!(
            (read.name.as_str(), read.choice),
            ("é", Some(Choice::Keyed { key: "ü".into() }))
        );
    }

    #[test]
    fn anchors_and_merge_keys_are_followed() {
        let read = sample("labels: &l {x: &y why}\n<<: {port: 9}\nname: *y\n").unwrap();
        assert_eq!((read.port, read.name.as_str()), (9, "why"));
    }

    #[test]
    fn problems_name_line_and_key_and_what_is_allowed() {
        for (yaml, expected) in [
            (
                "port: 1\nnaem: x\n",
                "line 2: naem: this key is unknown (did you mean `name`?); known here: port, name, ratio, on, list, labels, choice",
            ),
            (
                "port: 99999\nname: x\n",
                "line 1: port: `99999` is impossible here; use a whole number from 0 to 65535",
            ),
            (
                "port: '80'\nname: x\n",
                "line 1: port: \"80\" in quotes is text; use a whole number from 0 to 65535 without quotes",
            ),
            ("name: x\nport:\n", "line 2: port: this is empty; use a whole number"),
            ("name: x\n", "line 1: port: this key is missing"),
            ("port: 1\nname: [x]\n", "line 2: name: this is a list; use a text"),
            (
                "port: 1\nname: x\non: maybe\n",
                "line 3: on: `maybe` is impossible here; use true or false",
            ),
            (
                "port: 1\nname: x\nlist:\n  - 1\n  - two\n",
                "line 5: list[1]: `two` is impossible here; use a whole number from -2147483648 to 2147483647",
            ),
            (
                "port: 1\nname: x\nlist: 5\n",
                "line 3: list: this is a single value; use a list, as [one, two]",
            ),
            (
                "port: 1\nname: x\nchoice: plan\n",
                "line 3: choice: `plan` is unknown (did you mean `plain`?); use plain, keyed",
            ),
            (
                "port: 1\nname: x\nchoice:\n  keyed:\n    kye: 1\n",
                "line 5: choice.keyed.kye: this key is unknown (did you mean `key`?); known here: key",
            ),
            (
                "port: 1\nname: x\nchoice: {keyed: {}}\n",
                "line 3: choice.keyed.key: this key is missing",
            ),
            ("[]", "line 1: this is a list; use keys with values"),
        ] {
            assert_eq!(sample(yaml).unwrap_err(), expected, "{yaml}");
        }
    }

    #[test]
    fn what_is_not_yaml_names_its_line() {
        for (yaml, line) in
            [("a: 1\nb: [1, 2\n", "line"), ("a: 1\na: 2\n", "line 2: "), ("a: *b\n", "line 1: ")]
        {
            let problem = sample(yaml).unwrap_err();
            assert!(problem.starts_with(line), "{problem}");
        }
    }

    #[test]
    fn an_empty_file_has_no_keys() {
        for yaml in ["", "# nothing\n", "---\n", "~\n"] {
            assert_eq!(
                read::<BTreeMap<String, String>>(&parse_yaml(yaml).unwrap()).unwrap().len(),
                0
            );
        }
    }
}
