//! Every seed of every fuzz target as an ordinary test: what fuzzing found stays found.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use std::fs;
use std::path::Path;

/// Runs the target on each of its seeds; the name of the seed under test is printed on failure.
fn run(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        check(&fs::read(path).unwrap());
        seeds += 1;
    }
    assert!(seeds > 0, "{target} has no seeds");
}

#[test]
fn http() {
    run("http", gatetap::http::fuzz::observer);
}

#[test]
fn content() {
    run("content", gatetap::http::fuzz::content);
}

#[test]
fn frames() {
    run("frames", gatetap::flow::fuzz::fuzz_frames);
}

#[test]
fn reassembly() {
    run("reassembly", gatetap::flow::fuzz::fuzz_reassembly);
}

#[test]
fn redaction() {
    run("redaction", gatetap::policy::fuzz::redaction);
}
