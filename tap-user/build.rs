//! Builds the BPF programs and leaves them in `OUT_DIR/gatetap-programs.o`, where the binary
//! embeds them from. Does nothing without the feature `probes`.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use toolchain::Toolchain;

#[path = "../xtask/src/toolchain.rs"]
#[allow(unreachable_pub, reason = "the file is a public module of xtask")]
mod toolchain;

const TARGET: &str = "bpfel-unknown-none";
const PROGRAMS: &str = "gatetap-programs";

/// Settings of the enclosing cargo that are meant for the machine's own target.
const FOREIGN_SETTINGS: [&str; 11] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_UNSTABLE_BUILD_STD",
    "CLIPPY_ARGS",
    "RUSTC",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

/// The profile that BPF needs, whatever the workspace says: no unwinding, everything inlined, and
/// the debug information that bpf-linker makes BTF from.
const PROFILE: [(&str, &str); 6] = [
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "2"),
    ("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "false"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_PROBES").is_none() {
        return;
    }
    if let Err(error) = build_programs() {
        // This fails the build; a failing exit status would bury the message in a dump of
        // everything the script printed.
        for line in error.to_string().lines() {
            println!("cargo::error={line}");
        }
    }
}

fn build_programs() -> Result<(), Box<dyn Error>> {
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let project = package.parent().ok_or("the package has no parent folder")?;
    let out_folder = PathBuf::from(variable("OUT_DIR")?);
    watch_for_changes(project);

    let toolchain = Toolchain::find(project).ok_or(
        "the BPF toolchain is missing: run `cargo xtask setup` (it installs it or says how), \
         or build without kernel probes: --no-default-features",
    )?;
    println!("cargo::rerun-if-changed={}", toolchain.linker().display());

    let target_folder = shared_target_folder(&out_folder);
    let mut command = cargo(&toolchain, project, &target_folder)?;
    let output = command.output().map_err(|error| format!("starting {command:?}: {error}"))?;
    let messages = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("building the BPF programs with {toolchain}:\n{messages}").into());
    }
    for warning in messages.lines().filter(|line| line.starts_with("warning")) {
        println!("cargo::warning=tap-ebpf: {warning}");
    }
    let built = target_folder.join(TARGET).join("release").join(PROGRAMS);
    fs::copy(built, out_folder.join(format!("{PROGRAMS}.o")))?;
    Ok(())
}

fn watch_for_changes(project: &Path) {
    for path in ["tap-ebpf", "Cargo.lock", "xtask/src/toolchain.rs"] {
        println!("cargo::rerun-if-changed={}", project.join(path).display());
    }
}

/// One folder for debug, release and clippy builds, because the programs are the same in all:
/// `target/bpf`, seen from `target/<profile>/build/<package>/out`. Cargo locks it.
fn shared_target_folder(out_folder: &Path) -> PathBuf {
    out_folder.ancestors().nth(4).unwrap_or(out_folder).join("bpf")
}

fn cargo(
    toolchain: &Toolchain,
    project: &Path,
    target_folder: &Path,
) -> Result<Command, Box<dyn Error>> {
    let mut command = match toolchain {
        Toolchain::Nightly { .. } => {
            let mut command = Command::new("rustup");
            command.args(["run", "nightly", "cargo", "build", "-Zbuild-std=core"]);
            command
        }
        // The user's own cargo with Debian's compiler; the bootstrap variable admits the unstable
        // features that every BPF program needs.
        Toolchain::Debian { .. } => {
            let mut command = Command::new(variable("CARGO")?);
            command.arg("build");
            command
        }
    };
    command
        .args(["--release", "--package", "tap-ebpf", "--bin", PROGRAMS, "--features", "programs"])
        .args(["--target", TARGET])
        .arg("--manifest-path")
        .arg(project.join("tap-ebpf/Cargo.toml"))
        .arg("--target-dir")
        .arg(target_folder)
        .current_dir(project);
    for name in FOREIGN_SETTINGS {
        command.env_remove(name);
    }
    command
        .envs(PROFILE)
        // Empty rather than absent: a wrapper may also stand in the user's configuration.
        .env("RUSTC_WRAPPER", "")
        .env("RUSTC_WORKSPACE_WRAPPER", "")
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(toolchain))
        .env("AYA_BPF_TARGET_ARCH", variable("CARGO_CFG_TARGET_ARCH")?);
    if let Toolchain::Debian { .. } = toolchain {
        command.env("RUSTC", toolchain::DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
    }
    Ok(command)
}

/// In cargo's encoding, where a flag may contain spaces: separated by the character 0x1f.
fn rustflags(toolchain: &Toolchain) -> OsString {
    let mut flags = OsString::from("-Clinker=");
    flags.push(toolchain.linker());
    // v3: 32-bit registers and atomics that return the old value; kernels since 5.12 have both.
    flags.push("\x1f-Clink-arg=--btf\x1f-Ctarget-cpu=v3");
    flags
}

fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("cargo did not set {name}"))
}
