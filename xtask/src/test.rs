//! `cargo xtask test`: the same checks and tests for people and for CI.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use xtask::requirement::{self, REQUIRE_LIVE};

use crate::{bench, python, setup, step};

/// Integration tests of tap-user whose file name begins so need the kernel and real programs.
const LIVE_PREFIX: &str = "live_";
const PACKAGES: [&str; 3] = ["tap-ebpf", "tap-user", "xtask"];

/// Runs everything that this machine allows, cheapest first.
///
/// # Errors
/// When a check or a test fails, or live tests cannot run although they are required.
pub(crate) fn run() -> Result<()> {
    let toolchain = setup::bpf_toolchain();
    let with_probes = toolchain.is_ok();
    let setup = toolchain.and_then(|_| setup::test_programs()).and_then(|()| python::install());
    if let Err(reason) = &setup {
        eprintln!("\n{reason:#}\n\nUntil then only what needs no kernel is tested.");
    }

    format_is_clean()?;
    clippy_is_silent(with_probes)?;
    tests_without_kernel(with_probes)?;
    match setup {
        Ok(()) => live_tests().and_then(|()| bench::smoke()),
        Err(reason) if requirement::is_required() => {
            Err(reason.context(format!("live tests cannot run, and {REQUIRE_LIVE}=1")))
        }
        Err(_) => {
            println!("skipped: live tests (see above for what is missing)");
            Ok(())
        }
    }
}

fn format_is_clean() -> Result<()> {
    step::announce("Format");
    step::run(step::cargo().args(["fmt", "--all", "--check"]))
}

fn clippy_is_silent(with_probes: bool) -> Result<()> {
    step::announce("Lints");
    let mut command = cargo_for_workspace("clippy", with_probes);
    step::run(command.args(["--all-targets", "--", "-D", "warnings"]))
}

/// Unit, property and documentation tests.
fn tests_without_kernel(with_probes: bool) -> Result<()> {
    step::announce("Tests without kernel");
    let mut command = cargo_for_workspace("test", with_probes);
    command.args(["--no-fail-fast", "--lib", "--bins"]);
    for name in integration_tests()?.iter().filter(|name| !name.starts_with(LIVE_PREFIX)) {
        command.args(["--test", name]);
    }
    step::run(&mut command)?;
    step::run(cargo_for_workspace("test", with_probes).arg("--doc"))
}

/// One after another, because they measure; optimised, because that is what people run.
fn live_tests() -> Result<()> {
    step::announce("Live tests");
    if !integration_tests()?.iter().any(|name| name.starts_with(LIVE_PREFIX)) {
        bail!("there are no live tests: tap-user/tests/{LIVE_PREFIX}*.rs");
    }
    let mut command = step::cargo();
    command.args(["test", "--release", "--no-fail-fast", "--package", "tap-user", "--test"]);
    command.arg(format!("{LIVE_PREFIX}*"));
    // What they measured, and why one was skipped, is worth reading when all is well, too.
    step::run(command.args(["--", "--show-output", "--test-threads=1"]))
}

fn cargo_for_workspace(subcommand: &str, with_probes: bool) -> Command {
    let mut command = step::cargo();
    command.args([subcommand, "--workspace"]);
    if !with_probes {
        command.arg("--no-default-features");
    }
    command
}

/// Names of all integration tests: `tests/<name>.rs` and `tests/<name>/main.rs`.
fn integration_tests() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for folder in PACKAGES.map(|package| step::project().join(package).join("tests")) {
        if folder.is_dir() {
            names.extend(tests_in(&folder).with_context(|| folder.display().to_string())?);
        }
    }
    names.sort();
    Ok(names)
}

fn tests_in(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_test = path.extension() == Some(OsStr::new("rs")) || path.join("main.rs").is_file();
        if let Some(name) = path.file_stem().filter(|_| is_test) {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integration_tests_are_files_and_folders_with_a_main() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["live_nginx.rs", "golden/main.rs", "common/mod.rs", "records.ndjson"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let mut names = tests_in(folder.path()).unwrap();
        names.sort();
        assert_eq!(names, ["golden", "live_nginx"]);
    }
}
