//! `gatetap config` as a user runs it: what it says of settings that are wrong in many ways, and
//! whether an independent validator agrees with its schema.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

fn gatetap(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gatetap")).args(arguments).output().unwrap()
}

fn stdout(arguments: &[&str]) -> String {
    let output = gatetap(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A folder in which relative paths mean the same on every machine.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    fn check(&self, yaml: &str) -> Output {
        self.write("gatetap.yaml", yaml);
        Command::new(env!("CARGO_BIN_EXE_gatetap"))
            .args(["config", "check", "gatetap.yaml"])
            .env("EMPTY_SECRET", "")
            .env_remove("NO_SUCH_SECRET")
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }
}

/// Files that are wrong, a line of explanation before each.
const WRONG: &str = include_str!("config/wrong.yaml");

fn wrong() -> Vec<&'static str> {
    WRONG.split("\n---\n").map(str::trim_start).filter(|case| !case.is_empty()).collect()
}

#[test]
fn what_is_wrong_names_file_line_key_and_what_is_allowed() {
    let folder = Folder::new();
    folder.write("empty", "\n");
    let mut table = String::new();
    for case in wrong() {
        let output = folder.check(case);
        assert_eq!(output.status.code(), Some(1), "{case}");
        assert!(output.stdout.is_empty(), "{case}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.starts_with("gatetap: gatetap.yaml:"), "{message}");
        table.push_str(&format!("{}\n  {message}", case.lines().next().unwrap()));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn no_message_shows_a_secret() {
    let folder = Folder::new();
    for yaml in [
        "sinks:\n  - runscope: {bucket_key: k, access_token: [hunter2]}\n",
        "sinks:\n  - runscope: {bucket_key: k, access_token: {hunter: hunter2}}\n",
        "sinks:\n  - runscope: {bucket_key: k, access_token: \"hunter2\\u0001\"}\n",
        "sinks:\n  - runscope: {bucket_key: k, access_token: hunter2, access_token_env: HOME}\n",
        "sinks:\n  - runscope: {bucket_key: k, access_token: \"hunter2}\n",
        "sinks:\n  - runscope: {bucket_key: k, access_token: hunter2\n  - [\n",
    ] {
        let output = folder.check(yaml);
        assert_eq!(output.status.code(), Some(1), "{yaml}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("hunter2"), "{output:?}");
    }
    let output = folder.check("sinks:\n  - runscope: {bucket_key: k, access_token: hunter2}\n");
    assert!(output.status.success());
    assert!(!String::from_utf8_lossy(&output.stdout).contains("hunter2"));
}

#[test]
fn a_right_file_is_told_in_a_few_lines() {
    let folder = Folder::new();
    folder.write("token", "hunter2\n");
    set_mode(&folder.0.path().join("token"), 0o644);
    let output = folder.check(
        "select: {processes: [nginx], ports: [80]}\nsinks:\n\
         \x20 - {name: archive, file: {path: /nowhere/records}, format: tcp-body-log}\n\
         \x20 - tcp: {host: \"::1\", port: 9563}\n    queue_bytes: 1MiB\n\
         \x20 - runscope: {bucket_key: abc, access_token_file: token}\n",
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap());
    set_mode(&folder.0.path().join("token"), 0o600);
    let output = folder.check("sinks: [{runscope: {bucket_key: a, access_token_file: token}}]\n");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    // Nothing was opened to be written.
    assert_eq!(std::fs::read_dir(folder.0.path()).unwrap().count(), 2);
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn exit_codes_tell_a_wrong_file_from_a_wrong_command_line() {
    assert_eq!(gatetap(&["config", "check", "/nowhere.yaml"]).status.code(), Some(1));
    assert_eq!(gatetap(&["config", "check"]).status.code(), Some(2));
    assert_eq!(gatetap(&["config", "chekc", "x"]).status.code(), Some(2));
    let output = gatetap(&["run", "--sink", "tcp:h:1,timout=1s"]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("timout: this key is unknown (did you mean `timeout`?)"), "{message}");
}

/// The command line goes before the file, also in what is said to be wrong.
#[test]
fn what_only_the_command_line_says_names_its_flag() {
    let output = gatetap(&["run", "--filter", "tcp"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("gatetap: --filter: capture_filter: packets are"), "{message}");
}

#[test]
fn the_defaults_pass_the_check() {
    let folder = Folder::new();
    let output = folder.check(&stdout(&["config", "defaults"]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    insta::assert_snapshot!(stdout(&["config", "defaults"]));
}

/// Python's jsonschema (Debian: python3-jsonschema) judges: the schema is one of draft 2020-12, the
/// defaults and the documented example are valid, and each wrong file that a schema can find wrong
/// is found wrong.
#[test]
fn an_independent_validator_agrees_with_the_schema() {
    let Some(python) = xtask::requirement::met(python_with_jsonschema()) else { return };
    let page = include_str!("../../docs/settings.md");
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let right: Vec<Value> = [example, &stdout(&["config", "defaults"])].map(json).to_vec();
    // From there on they are wrong in a way that only resolving shows.
    let wrong: Vec<Value> = wrong()
        .into_iter()
        .take_while(|case| !case.starts_with("# beyond the schema"))
        .map(json)
        .collect();
    assert!(wrong.len() > 20);
    let schema: Value = serde_json::from_str(&stdout(&["config", "schema"])).unwrap();
    let cases = serde_json::json!({"schema": schema, "right": right, "wrong": wrong});
    let mut validator = Command::new(python)
        .args(["-c", include_str!("config/validate.py")])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    validator.stdin.take().unwrap().write_all(cases.to_string().as_bytes()).unwrap();
    assert!(validator.wait().unwrap().success());
}

fn json(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

fn python_with_jsonschema() -> Result<&'static str, String> {
    let has_it = |python: &&str| {
        let import = Command::new(python).args(["-c", "import jsonschema"]).output();
        import.is_ok_and(|output| output.status.success())
    };
    let found = ["/usr/bin/python3", "python3"].into_iter().find(has_it);
    found.ok_or_else(|| "python3-jsonschema is not installed".to_owned())
}
