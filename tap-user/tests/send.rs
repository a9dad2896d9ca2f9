//! `gatetap send` as its users run it.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use xtask::requirement;

/// Where the corpus lies beside the project, unless the environment says otherwise.
const DEFAULT_CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus");
/// Formats that are compared, one file each.
const FORMATS: [&str; 7] = [
    "native",
    "kong",
    "tcp-body-log",
    "tcp-body-log-strict",
    "runscope",
    "traceable",
    "traceable-marked",
];

fn gatetap(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gatetap"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A golden record on one line, with that id.
fn line(golden: &str, id: &str) -> String {
    let mut record: Value = serde_json::from_str(golden).unwrap();
    record["id"] = id.into();
    format!("{record}\n")
}

fn native(id: &str) -> String {
    line(include_str!("golden/native.json"), id)
}

fn values(lines: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(lines).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(output: &Output) -> Vec<String> {
    let records = values(&output.stdout).into_iter();
    records.map(|record| record["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn records_keep_their_bytes_and_their_order() {
    let input = [native("a"), line(include_str!("golden/native_upstream.json"), "b"), native("c")];
    let written = gatetap(&["send", "-"], input.concat().as_bytes()).stdout;
    let output = gatetap(&["send", "-"], &written);
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(String::from_utf8(output.stdout.clone()), String::from_utf8(written));
    assert_eq!(values(&output.stdout), values(input.concat().as_bytes()));
    assert!(told(&output).contains("records    3 read, 0 lines are none"), "{}", told(&output));
}

#[test]
fn lines_that_are_no_records_are_told_and_counted_and_the_others_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.ndjson");
    let kong = line(include_str!("golden/kong.json"), "k");
    let torn = native("t");
    let lines = [&native("a"), "\n", &kong, &native("b"), "no record\n", &torn[..99]];
    std::fs::write(&path, lines.concat()).unwrap();
    let totals = folder.path().join("totals.json");
    let path = path.to_str().unwrap();
    let output = gatetap(&["send", "--totals-file", totals.to_str().unwrap(), path], b"");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(ids(&output), ["a", "b"]);
    let told = told(&output);
    for bad in ["line 3: no native record", "line 5: column ", "line 6: column 99: EOF"] {
        assert!(told.contains(&format!("gatetap: {path}: {bad}")), "{bad}: {told}");
    }
    let totals: Value = serde_json::from_slice(&std::fs::read(totals).unwrap()).unwrap();
    assert_eq!(
        (&totals["files"][0]["records"], &totals["files"][0]["bad_lines"]),
        (&2.into(), &3.into())
    );
    assert_eq!(totals["sinks"][0]["delivered"], 2);
}

#[test]
fn compressed_files_are_read_and_missing_ones_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.ndjson.gz");
    let mut coded = GzEncoder::new(std::fs::File::create(&path).unwrap(), Compression::fast());
    coded.write_all(native("a").as_bytes()).unwrap();
    coded.finish().unwrap();
    let missing = folder.path().join("missing");
    let output = gatetap(&["send", missing.to_str().unwrap(), path.to_str().unwrap()], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("missing: No such file"), "{}", told(&output));
    assert_eq!(ids(&output), ["a"]);
}

/// What a record was allowed to show when it was written, it may not be allowed to show now.
#[test]
fn redaction_looks_at_records_again() {
    let mut record: Value = serde_json::from_str(include_str!("golden/native.json")).unwrap();
    record["request"]["headers"] =
        serde_json::json!([["Cookie", "s=1"], ["X-Api-Key", "REDACTED"]]);
    record.as_object_mut().unwrap().remove("redacted");
    let input = record.to_string();
    let shown = |output: Output| -> Value { serde_json::from_slice(&output.stdout).unwrap() };
    let sent = shown(gatetap(&["send", "-"], input.as_bytes()));
    assert_eq!(
        sent["request"]["headers"],
        serde_json::json!([["Cookie", "REDACTED"], ["X-Api-Key", "REDACTED"]])
    );
    assert_eq!(sent["redacted"], serde_json::json!({"header:cookie": 1}));
    let sent = shown(gatetap(&["send", "--no-redact", "-"], input.as_bytes()));
    assert_eq!(sent["request"]["headers"], record["request"]["headers"]);
}

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("GATETAP_CORPUS").map_or(DEFAULT_CORPUS.into(), PathBuf::from);
    let missing =
        || format!("there is no corpus in {} (GATETAP_CORPUS names its folder)", folder.display());
    let is_there = folder.join("pcap").is_dir();
    requirement::met(is_there.then_some(&folder).ok_or_else(missing)).cloned()
}

/// One sink for each format, with its file in `folder`.
fn sinks(folder: &Path) -> Vec<String> {
    let sink = |format| format!("--sink=file:{}/{format},format={format}", folder.display());
    FORMATS.map(sink).to_vec()
}

/// Settings with rules that look into bodies.
const STRICT: &str = "
redaction:
  form: [password, user, name]
  json: [$..id, $..name, $..token]
  patterns: [card_number, bearer_token, jwt]
";

/// The records of foreign captures in all formats are the same, whether they come from the packets or
/// from native records: also where redaction looked into bodies, and does so again.
#[test]
fn records_of_captures_are_the_same_when_they_are_sent_again() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "0123456789abcdef0123456789abcdef").unwrap();
    let hashed = folder.path().join("hashed.yaml");
    let hashes = format!("  hash: {{key_file: {}}}\n", key.display());
    std::fs::write(&hashed, format!("{STRICT}{hashes}")).unwrap();
    for (name, options) in [
        ("standard", vec![]),
        ("open", vec!["--no-redact".to_owned()]),
        ("hashed", vec![format!("--config={}", hashed.display())]),
        ("cut", vec!["--body-cap=100".to_owned(), format!("--config={}", hashed.display())]),
    ] {
        let (live, sent) = (folder.path().join(name), folder.path().join(format!("{name}-sent")));
        for folder in [&live, &sent] {
            std::fs::create_dir(folder).unwrap();
        }
        let mut read = vec!["read".to_owned()];
        read.extend(options.clone().into_iter().chain(sinks(&live)));
        let files = std::fs::read_dir(corpus.join("pcap")).unwrap();
        read.extend(files.map(|file| file.unwrap().path().display().to_string()));
        let read: Vec<&str> = read.iter().map(String::as_str).collect();
        let captures = gatetap(&read, b"");
        assert!(told(&captures).starts_with("exchanges"), "{name}: {}", told(&captures));
        let mut send = vec!["send".to_owned()];
        let options = options.into_iter().filter(|it| !it.starts_with("--body-cap"));
        send.extend(options.chain(sinks(&sent)).chain([live.join("native").display().to_string()]));
        let send: Vec<&str> = send.iter().map(String::as_str).collect();
        let output = gatetap(&send, b"");
        assert!(output.status.success(), "{name}: {}", told(&output));
        FORMATS.iter().for_each(|format| assert_same(&live.join(format), &sent.join(format)));
    }
}

fn assert_same(live: &Path, sent: &Path) {
    let [live_records, sent_records] =
        [live, sent].map(|file| String::from_utf8(std::fs::read(file).unwrap()).unwrap());
    let name = sent.display();
    let differ = |(live, sent): &(&str, &str)| live != sent;
    let different = live_records.lines().zip(sent_records.lines()).filter(differ);
    let different: Vec<_> = different.take(3).map(|(a, b)| format!("{a}\n{b}")).collect();
    assert!(different.is_empty(), "{name}:\n{}", different.join("\n\n"));
    assert_eq!(live_records.lines().count(), sent_records.lines().count(), "{name}");
    assert!(live_records.lines().count() > 500, "{name}");
}
