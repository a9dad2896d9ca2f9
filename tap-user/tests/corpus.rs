//! `gatetap read` over public captures whose contents are known (the corpus' README tells how).
//! Where the truth is wrong, `corpus/known_differences.tsv` says so with the evidence; a
//! difference that is not listed there fails, and so does a line there that is no difference.
//!
//! The corpus lies outside of the project; `GATETAP_CORPUS` names its folder. Without it these tests
//! are skipped, or fail under `GATETAP_REQUIRE_LIVE=1`.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

#[path = "corpus/comparison.rs"]
mod comparison;
#[path = "corpus/exchanges.rs"]
mod exchanges;
#[path = "corpus/known.rs"]
mod known;

use exchanges::Exchange;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use xtask::requirement;

/// Where the corpus lies beside the project, unless the environment says otherwise.
const DEFAULT_CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus");

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("GATETAP_CORPUS").map_or(DEFAULT_CORPUS.into(), PathBuf::from);
    let missing =
        || format!("there is no corpus in {} (GATETAP_CORPUS names its folder)", folder.display());
    let is_there = folder.join("pcap").is_dir();
    requirement::met(is_there.then_some(&folder).ok_or_else(missing)).cloned()
}

fn captures(corpus: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(corpus.join("pcap")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The records of `gatetap read FILE`, one a line.
fn read(file: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_gatetap"))
        // What the truth files tell is told as it was seen.
        .args(["read", "--no-redact", "--sink", "stdout"])
        .arg(file)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", file.display());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_exchange_is_found_with_its_status_and_lengths() {
    let Some(corpus) = corpus() else { return };
    let known = known::read();
    let (mut new, mut met) = (Vec::new(), BTreeSet::new());
    let (mut files, mut exchanges) = (0, 0);
    for file in captures(&corpus) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let ours = exchanges::of_records(&read(&file));
        let truth = exchanges::of_truth(&corpus.join("truth").join(format!("{name}.jsonl")));
        files += 1;
        exchanges += truth.iter().filter(|exchange| exchange.method.is_some()).count();
        for difference in comparison::compare(&truth, &ours) {
            let mut line = format!("{name}\t{difference}");
            while met.contains(&line) {
                line.push_str(" (again)");
            }
            if known.contains_key(&line) {
                met.insert(line);
            } else {
                new.push(line);
            }
        }
    }
    let stale: Vec<_> = known.keys().filter(|line| !met.contains(*line)).collect();
    println!("{files} files, {exchanges} exchanges, {} known differences", met.len());
    assert!(files >= 380 && exchanges >= 1_700, "{files} files, {exchanges} exchanges");
    assert!(new.is_empty(), "not listed:\n{}", new.join("\n"));
    assert!(stale.is_empty(), "listed, but no difference any more:\n{stale:#?}");
}

/// The corpus' own program counts no more missing exchanges and wrong values than are listed.
#[test]
fn the_second_opinion_agrees() {
    let Some(corpus) = corpus() else { return };
    let python = Command::new("python3").arg("--version").output();
    let missing = |error| format!("there is no python3 to run the corpus' compare.py: {error}");
    if requirement::met(python.map_err(missing)).is_none() {
        return;
    }
    let mut ours = tempfile::NamedTempFile::new().unwrap();
    for file in captures(&corpus) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        for exchange in exchanges::of_records(&read(&file)) {
            writeln!(ours, "{}", exchange.for_compare(&name)).unwrap();
        }
    }
    let output = Command::new("python3")
        .arg(corpus.join("compare.py"))
        .args([&corpus.join("truth"), ours.path()])
        .output()
        .unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let total = table.lines().find(|line| line.starts_with("TOTAL")).unwrap();
    let counts: Vec<usize> =
        total.split_whitespace().skip(1).map(|count| count.parse().unwrap()).collect();
    // truth matched missing weak extra badst stnull badreq badresp unk sha …
    let [_, _, missing, _, extra, status, _, request, response, ..] = *counts else {
        panic!("{total}");
    };
    let listed = known::read().len();
    assert_eq!(missing + extra + status + request + response, listed, "{table}");
}

#[test]
fn a_file_gives_the_same_bytes_each_time_and_from_standard_input() {
    let Some(corpus) = corpus() else { return };
    for file in captures(&corpus).iter().step_by(40) {
        let once = read(file);
        assert_eq!(read(file), once, "{}", file.display());
        assert_eq!(read_from_pipe(&std::fs::read(file).unwrap()), once, "{}", file.display());
    }
}

fn read_from_pipe(bytes: &[u8]) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gatetap"))
        .args(["read", "--no-redact", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// So that a mistake in the comparison itself does not pass for agreement.
#[test]
fn the_comparison_finds_what_differs() {
    let exchange = |target: &str, status| Exchange {
        client: "10.0.0.1:1".to_owned(),
        server: "10.0.0.2:80".to_owned(),
        method: Some("GET".to_owned()),
        target: target.to_owned(),
        status,
        request_length: Some(0),
        response_length: Some(5),
    };
    let (first, second) = (exchange("/a", Some(200)), exchange("http://h/b?x", Some(404)));
    let truth = [first.clone(), second.clone()];
    assert!(comparison::compare(&truth, &[first.clone(), exchange("/b?x", Some(404))]).is_empty());
    let missing = comparison::compare(&truth, std::slice::from_ref(&second));
    assert_eq!(missing, ["10.0.0.1:1\tGET /a\tmissing"]);
    let extra = comparison::compare(&truth, &[first.clone(), second.clone(), first.clone()]);
    assert_eq!(extra, ["10.0.0.1:1\tGET /a\textra"]);
    let longer = Exchange { response_length: Some(6), ..second.clone() };
    let wrong = comparison::compare(&truth, &[exchange("/a", None), longer]);
    assert_eq!(
        wrong,
        [
            "10.0.0.1:1\tGET /a\tstatus: truth 200, ours none",
            "10.0.0.1:1\tGET /b?x\tresponse length: truth 5, ours 6",
        ]
    );
    let unknown = Exchange { response_length: None, ..second };
    assert!(comparison::compare(&truth, &[first, unknown]).is_empty(), "a hole is no difference");
}
