//! The tables of keys in docs/settings.md, made from the schema. Only the test that compares them
//! (and writes them) needs these.

use super::documentation::scalar;
use super::schema::{Key, Values, schema};
use serde_json::Value;

/// The tables of keys: of the file, and of a sink.
pub(super) fn key_tables() -> (String, String) {
    let root = schema();
    let file = Values::of_file(&root);
    let sink = file.keys().into_iter().find(|key| key.name == "sinks");
    let sink = sink.and_then(|key| key.values.entries());
    let mut keys =
        String::from("| key | flag | value | default | meaning |\n|---|---|---|---|---|\n");
    rows(&file, "", true, &mut keys);
    let mut sinks = String::from("| key | value | default | meaning |\n|---|---|---|---|\n");
    sink.iter().for_each(|sink| rows(sink, "", false, &mut sinks));
    (keys, sinks)
}

fn rows(values: &Values<'_>, prefix: &str, has_flags: bool, table: &mut String) {
    for key in values.keys() {
        let path = format!("{prefix}{}", key.name);
        if !key.values.is_object() || key.values.is_optional {
            table.push_str(&row(&key, &path, has_flags));
        }
        if key.values.is_object() {
            rows(&key.values, &format!("{path}."), has_flags, table);
        }
    }
}

fn row(key: &Key<'_>, path: &str, has_flags: bool) -> String {
    let flag = key.flag().map_or_else(String::new, |flag| format!("`{flag}`"));
    let flag = if has_flags { format!(" {flag} |") } else { String::new() };
    let default = match key.default() {
        _ if key.is_required => "required".to_owned(),
        Some(Value::Array(list)) if list.is_empty() => "none".to_owned(),
        Some(value) => format!("`{}`", scalar(value)),
        None => String::new(),
    };
    let values = key.values.in_words();
    let cells = format!("| `{path}` |{flag} {values} | {default} | {} |\n", key.meaning());
    cells.replace("  ", " ")
}

impl<'a> Values<'a> {
    /// What can be written, in few words.
    pub(super) fn in_words(&self) -> String {
        let named: Vec<String> = self.names().iter().map(|name| format!("`{name}`")).collect();
        if let Some(entries) = self.entries() {
            return format!("list: {}", entries.in_words());
        }
        if !named.is_empty() {
            return named.join(", ");
        }
        if let Some(title) = self.schema["title"].as_str() {
            return title.to_owned();
        }
        let first = match &self.schema["type"] {
            Value::Array(types) => types[0].as_str(),
            other => other.as_str(),
        };
        match first {
            Some("boolean") => "`true`, `false`",
            Some("integer") => "whole number",
            Some("number") => "number",
            Some("object") => "keys",
            _ => "text",
        }
        .to_owned()
    }

    /// The names of a choice.
    fn names(&self) -> Vec<&'a str> {
        let listed = self.schema["enum"].as_array().into_iter().flatten();
        let described = self.schema["oneOf"].as_array().into_iter().flatten();
        let described = described.flat_map(|one| {
            let constant = one.get("const").into_iter();
            constant.chain(one["enum"].as_array().into_iter().flatten())
        });
        listed.chain(described).filter_map(Value::as_str).collect()
    }
}

impl<'a> Key<'a> {
    pub(super) fn flag(&self) -> Option<&'a str> {
        self.stated["x-flag"].as_str()
    }
}
