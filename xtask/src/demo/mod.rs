//! `cargo xtask demo`: a gateway of our own, watched from outside, from setup to totals.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Error, Result, anyhow, ensure};

use crate::{build, interrupt, setup, step};

mod report;
mod requests;
mod servers;
mod watcher;

use servers::Servers;
use watcher::Watcher;

/// How long the last records may take to arrive before gatetap is asked for what it has.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(3);
/// How often is looked whether they have.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Runs the demonstration. Everything it starts and writes is gone when it returns.
///
/// # Errors
/// When something is missing (the error says what to do), fails or is interrupted.
pub(crate) fn run() -> Result<()> {
    ensure!(
        setup::is_root(),
        "the demo loads kernel programs, which needs root. Run it as root, for example:\n  \
         sudo env \"PATH=$PATH\" \"HOME=$HOME\" cargo xtask demo"
    );
    setup::run()?;
    let gatetap = build::run()?;

    step::announce("Starting an nginx gateway and its upstream on loopback");
    let servers = Servers::start()?;
    eprintln!("    {servers}");

    step::announce("Attaching gatetap to that gateway only");
    let folder = tempfile::Builder::new().prefix("gatetap-demo-").tempdir()?;
    let mut watcher = Watcher::start(&gatetap, servers.gateway_pid(), folder.path())
        .map_err(|error| explain(error, &gatetap))?;

    step::announce("Sending requests");
    let sent = requests::send_all(servers.client_port())?;
    // Each request passes the gateway's client leg and its upstream leg.
    wait_for_lines(&watcher, 2 * sent)?;
    let lines = watcher.stop()?;

    report::show_lines(&lines);
    report::show_one_in_full(&watcher.records()?)?;
    report::show_totals(&watcher.totals()?)?;
    ensure!(!lines.is_empty(), "no record came out: `gatetap doctor` says what works here");
    Ok(())
}

fn wait_for_lines(watcher: &Watcher, expected: usize) -> Result<()> {
    let deadline = Instant::now() + ARRIVAL_LIMIT;
    while watcher.line_count() < expected && Instant::now() < deadline {
        interrupt::check()?;
        thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// Adds what gatetap itself says about this machine.
fn explain(error: Error, gatetap: &Path) -> Error {
    if interrupt::requested() {
        return error;
    }
    let output = Command::new(gatetap).arg("doctor").output();
    let findings = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let findings = findings.unwrap_or_else(|error| error.to_string());
    anyhow!("gatetap could not attach: {error:#}\n\n`gatetap doctor` says:\n{findings}")
}
