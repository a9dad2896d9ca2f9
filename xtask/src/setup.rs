//! `cargo xtask setup`: what is missing, why it is needed, and how it comes here.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use xtask::toolchain::{TOOLS_FOLDER, Toolchain};

use crate::packages::{self, BPF_TOOLCHAIN, GATEWAY_PROGRAMS, Package, TEST_PROGRAMS};
use crate::{python, step};

const LINKER_VERSION: &str = "0.13.0";
/// The LLVM of Debian's rustc-web, from the package llvm-22-dev.
const LLVM_FEATURE: &str = "llvm-22";
const LLVM_PREFIX: &str = "/usr/lib/llvm-22";

/// Sets up everything.
///
/// # Errors
/// When something is missing that this machine does not let us install; the error says what to do.
pub(crate) fn run() -> Result<()> {
    let toolchain = bpf_toolchain();
    let programs = test_programs().and_then(|()| python::install());
    let toolchain = toolchain?;
    programs?;
    step::announce(&format!("Ready: {toolchain}"));
    Ok(())
}

/// Finds or installs the toolchain that compiles the kernel programs.
///
/// # Errors
/// As [`run`].
pub(crate) fn bpf_toolchain() -> Result<Toolchain> {
    let project = step::project();
    if let Some(toolchain) = Toolchain::find(&project) {
        return Ok(toolchain);
    }
    if !packages::is_debian() {
        bail!("the BPF toolchain is missing. Run:\n{}", rustup_commands());
    }
    let missing = missing_of(BPF_TOOLCHAIN);
    if !missing.is_empty() && !is_root() {
        bail!(
            "the BPF toolchain is missing. As root, run `cargo xtask setup`, or:\n  {}\n\
             and then `cargo xtask setup` once more. With rustup instead:\n{}",
            packages::install_command(&missing),
            rustup_commands()
        );
    }
    if !missing.is_empty() {
        packages::install(&missing)?;
    }
    if Toolchain::find(&project).is_none() {
        build_linker(&project)?;
    }
    Toolchain::find(&project).context("the BPF toolchain was installed but is not found")
}

/// Finds or installs everything that tests run.
///
/// # Errors
/// As [`run`].
pub(crate) fn test_programs() -> Result<()> {
    programs(GATEWAY_PROGRAMS)?;
    programs(TEST_PROGRAMS)
}

/// Finds or installs programs that a command runs.
///
/// # Errors
/// As [`run`].
pub(crate) fn programs(needed: &'static [Package]) -> Result<()> {
    let missing = missing_of(needed);
    if missing.is_empty() {
        return Ok(());
    }
    if packages::is_debian() && is_root() {
        return packages::install(&missing);
    }
    let list = missing.iter().map(|package| format!("  {}: {}", package.name, package.reason));
    bail!(
        "programs are missing:\n{}\nOn Debian, run:\n  {}",
        list.collect::<Vec<_>>().join("\n"),
        packages::install_command(&missing)
    )
}

/// Whether this process may install packages and load kernel programs.
pub(crate) fn is_root() -> bool {
    // SAFETY: geteuid takes nothing, touches no memory and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

fn missing_of(packages: &'static [Package]) -> Vec<&'static Package> {
    packages.iter().filter(|package| package.is_missing()).collect()
}

/// The finished bpf-linker, because building it needs an LLVM of the nightly's own version.
fn rustup_commands() -> &'static str {
    "  rustup toolchain install nightly --component rust-src\n  \
     cargo install cargo-binstall && cargo binstall bpf-linker"
}

/// Builds bpf-linker into the project's own folder, in about a minute.
fn build_linker(project: &Path) -> Result<()> {
    step::announce(&format!(
        "Building bpf-linker {LINKER_VERSION} into {TOOLS_FOLDER}: it turns what the compiler \
         makes of the kernel programs into one BPF object (about a minute)"
    ));
    let tools = project.join(TOOLS_FOLDER);
    let build_folder = tools.join("build");
    let built = step::run(
        step::cargo()
            .args(["install", "bpf-linker", "--version", LINKER_VERSION, "--locked", "--quiet"])
            .args(["--no-default-features", "--features", LLVM_FEATURE, "--force"])
            .arg("--root")
            .arg(&tools)
            .env("LLVM_PREFIX", LLVM_PREFIX)
            .env("CARGO_TARGET_DIR", &build_folder)
            .env_remove("RUSTFLAGS"),
    );
    // Several hundred megabytes that nobody needs again.
    let cleaned = fs::remove_dir_all(&build_folder);
    built?;
    cleaned.with_context(|| format!("removing {}", build_folder.display()))
}
