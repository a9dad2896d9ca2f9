//! One visible step: a line that says what and why, then a program whose failure ends the command.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::interrupt;

/// How often a running step is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Says what happens now.
pub(crate) fn announce(what: &str) {
    // Standard error, as cargo does; standard output carries results.
    eprintln!("\n==> {what}");
}

/// Runs a program to its end; an interrupt ends it early.
///
/// # Errors
/// When it cannot be started, fails or is interrupted.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let mut child = spawn(command)?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if interrupt::requested() {
            // On Ctrl-C the terminal has told the child as well; on SIGTERM nobody has.
            terminate(&child);
            break child.wait()?;
        }
        thread::sleep(POLL_INTERVAL);
    };
    verdict(command, status)
}

/// Runs a program that must not be ended half way, such as a package manager.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_to_the_end(command: &mut Command) -> Result<()> {
    let status = spawn(command)?.wait()?;
    verdict(command, status)
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(project());
    command
}

/// Root of the repository.
pub(crate) fn project() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn spawn(command: &mut Command) -> Result<Child> {
    interrupt::check()?;
    command.spawn().with_context(|| format!("starting {}", shown(command)))
}

fn terminate(child: &Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // SAFETY: kill takes two integers and touches no memory; the child is not reaped yet.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }
}

fn verdict(command: &Command, status: ExitStatus) -> Result<()> {
    interrupt::check()?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}
