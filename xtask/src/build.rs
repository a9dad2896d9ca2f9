//! `cargo xtask build`: gatetap with its kernel programs, optimised.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{setup, step};

/// Builds gatetap and returns where the program is.
///
/// # Errors
/// When the toolchain is missing or the build fails.
pub(crate) fn run() -> Result<PathBuf> {
    setup::bpf_toolchain()?;
    step::announce("Building gatetap");
    // Ctrl-C reaches cargo through the terminal; its own messages go to standard error.
    let output = step::cargo()
        .args(["build", "--release", "--package", "tap-user", "--bin", "gatetap"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .context("starting cargo")?;
    crate::interrupt::check()?;
    ensure!(output.status.success(), "building gatetap failed");
    let program = executable(&output.stdout).context("cargo did not say where gatetap is")?;
    eprintln!("    {}", program.display());
    Ok(program)
}

/// The program that cargo's messages name; the target folder can be anywhere.
fn executable(messages: &[u8]) -> Option<PathBuf> {
    let messages = String::from_utf8_lossy(messages);
    let mut paths = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_gatetap = message.pointer("/target/name")? == "gatetap";
        let path = message.get("executable")?.as_str()?;
        is_gatetap.then(|| PathBuf::from(path))
    });
    paths.next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shortened from what cargo 1.95 prints.
    const MESSAGES: &[u8] = br#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"gatetap"},"executable":null,"fresh":true}
{"reason":"build-script-executed","package_id":"path+file:///p/tap-user#0.1.0","out_dir":"/t/out"}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"other"},"executable":"/t/release/other"}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"gatetap"},"executable":"/t/release/gatetap"}
{"reason":"build-finished","success":true}
"#;

    #[test]
    fn the_program_is_where_cargo_says() {
        assert_eq!(executable(MESSAGES), Some(PathBuf::from("/t/release/gatetap")));
    }
}
