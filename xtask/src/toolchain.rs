//! Finds a toolchain that compiles Rust for the BPF target.
//!
//! `tap-user/build.rs` includes this file by path, so it uses nothing but the standard library.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Folder of the project for tools that `cargo xtask setup` builds; git ignores it.
pub const TOOLS_FOLDER: &str = ".tools";
/// Debian's compiler, from the package rustc-web.
pub const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// Debian's `core` for the BPF target, from the package libstd-rust-web-dev-bpf.
pub const DEBIAN_BPF_CORE: &str = "/usr/lib/rustlib/bpfel-unknown-none/lib";

const LINKER: &str = "bpf-linker";

/// A compiler for the BPF target and the linker that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolchain {
    /// A rustup nightly with rust-src: `core` is built on the way.
    Nightly {
        /// Path of bpf-linker.
        linker: PathBuf,
    },
    /// Debian's rustc, which has a ready `core` for the BPF target.
    Debian {
        /// Path of bpf-linker.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// Looks for a complete toolchain on this machine; `project` is the root of the repository.
    ///
    /// A linker has to understand the bitcode of its compiler: the one that the user installed is
    /// taken to belong to their nightly, the project's own was built for Debian's compiler.
    pub fn find(project: &Path) -> Option<Self> {
        let own = own_linker(project);
        let installed = linker_in_path();
        let nightly = |linker| nightly_has_sources().then_some(Self::Nightly { linker });
        let debian = |linker| debian_is_installed().then_some(Self::Debian { linker });

        (installed.clone().and_then(nightly))
            .or_else(|| own.clone().and_then(debian))
            .or_else(|| installed.and_then(debian))
            .or_else(|| own.and_then(nightly))
    }

    /// Path of bpf-linker.
    pub fn linker(&self) -> &Path {
        match self {
            Self::Nightly { linker } | Self::Debian { linker } => linker,
        }
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compiler = match self {
            Self::Nightly { .. } => "rustup's nightly with rust-src",
            Self::Debian { .. } => DEBIAN_RUSTC,
        };
        write!(formatter, "{compiler} with {}", self.linker().display())
    }
}

fn own_linker(project: &Path) -> Option<PathBuf> {
    Some(project.join(TOOLS_FOLDER).join("bin").join(LINKER)).filter(|linker| runs(linker))
}

fn linker_in_path() -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(LINKER)).find(|linker| runs(linker))
}

/// A linker whose shared LLVM is gone is as good as none.
fn runs(program: &Path) -> bool {
    program.is_file() && output_of(Command::new(program).arg("--version")).is_some()
}

fn nightly_has_sources() -> bool {
    let mut rustc = Command::new("rustup");
    rustc.args(["run", "nightly", "rustc", "--print", "sysroot"]);
    // Looking for a toolchain must not download one.
    rustc.env("RUSTUP_AUTO_INSTALL", "0");
    let library = |sysroot: String| Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library");
    output_of(&mut rustc).map(library).is_some_and(|folder| folder.join("core").is_dir())
}

fn debian_is_installed() -> bool {
    Path::new(DEBIAN_RUSTC).is_file() && Path::new(DEBIAN_BPF_CORE).is_dir()
}

/// Standard output of a command that succeeded.
fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
