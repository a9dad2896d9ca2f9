use super::*;
use crate::app::settings::SettingsFile;
use crate::app::settings::tables::key_tables;
use crate::document::{parse_yaml, read};
use clap::CommandFactory;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/settings.md");
const MEND: &str =
    "GATETAP_WRITE_DOCS=1 cargo test -p tap-user --no-default-features --lib documentation";

fn settings(yaml: &str) -> SettingsFile {
    let node = parse_yaml(yaml).unwrap_or_else(|problem| panic!("{problem}\n{yaml}"));
    read(&node).unwrap_or_else(|problem| panic!("{problem}\n{yaml}"))
}

/// `page` with `table` between the markers of that name.
fn with_table(page: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: generated -->\n"), format!("<!-- {name}: end -->"));
    let (head, rest) = page.split_once(&begin).expect("the page has the marker");
    let (_, tail) = rest.split_once(&end).expect("the page has the end marker");
    format!("{head}{begin}{table}{end}{tail}")
}

#[test]
fn the_documented_keys_are_those_of_the_schema() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (keys, sinks) = key_tables();
    let right = with_table(&with_table(&page, "keys", &keys), "sinks", &sinks);
    if std::env::var_os("GATETAP_WRITE_DOCS").is_some() {
        std::fs::write(PAGE, right).unwrap();
    } else {
        assert!(
            page == right,
            "docs/settings.md is not what the code says; mend it with\n  {MEND}"
        );
    }
}

#[test]
fn every_key_has_a_meaning_and_a_value_in_words() {
    fn check(values: &Values<'_>, prefix: &str) {
        for key in values.keys() {
            let path = format!("{prefix}{}", key.name);
            assert!(key.meaning().len() > 3, "{path} has no comment");
            assert!(key.is_required || key.values.is_optional || key.default().is_some(), "{path}");
            assert!(!key.is_required || key.example().is_some(), "{path} has no example");
            check(&key.values, &format!("{path}."));
            key.values.entries().iter().for_each(|entries| check(entries, &format!("{path}[].")));
        }
    }
    check(&Values::of_file(&schema()), "");
}

#[test]
fn flags_beside_keys_exist() {
    fn flags(values: &Values<'_>, found: &mut Vec<String>) {
        for key in values.keys() {
            found.extend(key.flag().map(|flag| flag.trim_start_matches("--").to_owned()));
            flags(&key.values, found);
        }
    }
    let mut found = Vec::new();
    flags(&Values::of_file(&schema()), &mut found);
    assert!(found.len() > 10);
    let command = crate::app::arguments::Arguments::command();
    let run = command.find_subcommand("run").unwrap();
    let known: Vec<&str> = run.get_arguments().filter_map(|argument| argument.get_long()).collect();
    for flag in found {
        assert!(known.contains(&flag.as_str()), "--{flag}");
    }
}

#[test]
fn the_defaults_are_the_defaults() {
    let mut read = settings(&defaults());
    let sinks = std::mem::take(&mut read.sinks);
    assert_eq!(read, SettingsFile::default());
    assert_eq!(sinks, [crate::export::SinkSettings::stdout()]);
}

/// What stands there as a comment would be right without its comment sign: each example is put in
/// the place of the only sink.
#[test]
fn the_examples_in_comments_are_valid() {
    let text = defaults();
    let mut examples: Vec<String> = Vec::new();
    // A comment has one space behind its sign, an example none, or several.
    let is_example = |line: &&str| !line.starts_with(' ') || line.starts_with("  ");
    let lines = text.lines().filter_map(|line| line.strip_prefix("  #")).filter(is_example);
    for line in lines {
        if line.starts_with("- ") {
            examples.push(String::new());
        }
        if let Some(example) = examples.last_mut() {
            example.push_str(&format!("  {line}\n"));
        }
    }
    assert!(examples.len() >= 2);
    for example in examples {
        let sinks = settings(&format!("sinks:\n{example}")).sinks;
        assert_eq!(sinks.len(), 1, "{example}");
    }
}

#[test]
fn the_documented_example_is_valid() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    // With its comments taken away as well.
    for yaml in [example.to_owned(), example.replace("\n  # ", "\n  ")] {
        assert_eq!(settings(&yaml).sinks.len(), 2);
    }
}
