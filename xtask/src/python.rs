//! Python tools that tests ask: from PyPI, into a folder of the project.

use std::fs;
use std::process::Command;

use anyhow::Result;
use xtask::toolchain::TOOLS_FOLDER;

use crate::packages::PYTHON;
use crate::{setup, step};

/// Debian's interpreter: the tools hold parts compiled for it.
const INTERPRETER: &str = "/usr/bin/python3";
/// Folder of the tools inside [`TOOLS_FOLDER`]; tests name it as PYTHONPATH.
const FOLDER: &str = "python";
/// What is installed there: validates manifests against the schemas of Kubernetes, which it carries.
const TOOLS: [&str; 1] = ["kubernetes-validate==1.37.0"];
/// Written when all is there, with the list of what that is.
const MARK: &str = "installed.txt";

/// Installs the tools unless they are there.
///
/// # Errors
/// When Python is missing and cannot be installed, or when the tools cannot be had.
pub(crate) fn install() -> Result<()> {
    let folder = step::project().join(TOOLS_FOLDER).join(FOLDER);
    let (mark, list) = (folder.join(MARK), TOOLS.join("\n"));
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == list) {
        return Ok(());
    }
    setup::programs(PYTHON)?;
    step::announce("Installing Python tools for tests into the project's own folder");
    let mut command = Command::new(INTERPRETER);
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    command.args(["--root-user-action=ignore", "--upgrade", "--target"]).arg(&folder).args(TOOLS);
    step::run_to_the_end(&mut command)?;
    Ok(fs::write(mark, list)?)
}
