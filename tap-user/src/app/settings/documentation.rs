//! A settings file with every key at its default and what the schema says of it.

use super::schema::{Key, Values, schema};
use serde_json::Value;
use std::fmt::Write;

/// Widest line of a comment in the settings file.
const COMMENT_WIDTH: usize = 96;

/// A settings file with every key at its default; what has no default is a comment with an example.
pub(crate) fn defaults() -> String {
    let root = schema();
    let mut text = String::from(
        "# Settings of gatetap: every key at its default. `gatetap config check FILE` checks a file,\n\
         # `gatetap config schema` shows what editors need to complete and check it. `#key:` without a space\n\
         # is an example of what has no default.\n",
    );
    for key in Values::of_file(&root).keys() {
        text.push('\n');
        write_key(&key, 0, &mut text);
    }
    text
}

fn write_key(key: &Key<'_>, indent: usize, text: &mut String) {
    write_comment(&key.meaning(), indent, text);
    let space = " ".repeat(indent);
    let name = key.name;
    if key.values.is_object() {
        if key.values.is_optional {
            return write_commented(&block(key, 0), indent, text);
        }
        let _ = writeln!(text, "{space}{name}:");
        return key.values.keys().iter().for_each(|key| write_key(key, indent + 2, text));
    }
    let entries = key.values.entries();
    if let Some(entries) = entries.filter(|entries| !entries.choices().is_empty()) {
        let _ = writeln!(text, "{space}{name}:");
        return write_list(&entries, indent + 2, text);
    }
    match (key.is_required, key.default(), key.example()) {
        (false, Some(value), _) => {
            let _ = writeln!(text, "{space}{name}: {}", scalar(value));
        }
        (false, None, None) => {
            let _ = writeln!(text, "{space}{name}: null");
        }
        (is_required, _, example) => {
            let example = example.map_or_else(|| "…".to_owned(), scalar);
            let mark = if is_required { "" } else { "#" };
            let _ = writeln!(text, "{space}{mark}{name}: {example}");
        }
    }
}

/// The first choice of the entries stands as it is, the others as comments.
fn write_list(entries: &Values<'_>, indent: usize, text: &mut String) {
    let choices = entries.choices();
    let (chosen, common): (Vec<_>, Vec<_>) =
        entries.keys().into_iter().partition(|key| choices.contains(&key.name));
    let space = " ".repeat(indent);
    if let Some(first) = chosen.first() {
        write_comment(&first.meaning(), indent, text);
        let _ = writeln!(text, "{space}- {}: {{}}", first.name);
    }
    common.iter().for_each(|key| write_key(key, indent + 2, text));
    for other in chosen.iter().skip(1) {
        let mut entry = String::new();
        for (number, line) in block(other, 0).lines().enumerate() {
            let _ = writeln!(entry, "{}{line}", if number == 0 { "- " } else { "  " });
        }
        write_comment(&other.meaning(), indent, text);
        write_commented(&entry, indent, text);
    }
}

/// A key with those below it, at their defaults or else with examples.
fn block(key: &Key<'_>, indent: usize) -> String {
    let mut text = format!("{}{}:\n", " ".repeat(indent), key.name);
    key.values.keys().iter().for_each(|key| write_key(key, indent + 2, &mut text));
    text
}

fn write_commented(block: &str, indent: usize, text: &mut String) {
    for line in block.lines() {
        let _ = writeln!(text, "{}#{line}", " ".repeat(indent));
    }
}

fn write_comment(meaning: &str, indent: usize, text: &mut String) {
    let space = " ".repeat(indent);
    let mut line = format!("{space}#");
    for word in meaning.split_whitespace() {
        if line.len() + 1 + word.len() > COMMENT_WIDTH {
            let _ = writeln!(text, "{line}");
            line = format!("{space}#");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
}

/// A value as YAML on one line.
pub(super) fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        // JSON is YAML.
        other => other.to_string(),
    }
}

/// Whether a text means itself in YAML without quotes.
fn is_plain(text: &str) -> bool {
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || "/._#-".contains(c);
    let is_word = !["", "true", "false", "null"].contains(&text);
    let is_number = text.parse::<f64>().is_ok();
    is_word && !is_number && !text.starts_with(['-', '#', '.']) && text.chars().all(is_harmless)
}

#[cfg(test)]
mod tests;
