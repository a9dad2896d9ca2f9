//! What a test needs of the machine. Where it is missing the test says so and returns, unless
//! `GATETAP_REQUIRE_LIVE=1` makes that a failure.

use super::attempt;
use super::tap::gatetap;
use std::path::Path;

/// Everything that it takes to run the tap.
pub(crate) fn require_live() -> bool {
    met(has_nginx().and_then(|()| is_root()).and_then(|()| can_load_probes()))
}

/// A gateway to send traffic through.
pub(crate) fn require_nginx() -> bool {
    met(has_nginx())
}

/// The right to look at BPF objects.
pub(crate) fn require_root() -> bool {
    met(is_root())
}

fn met(requirement: Result<(), String>) -> bool {
    let Err(reason) = requirement else {
        return true;
    };
    let required = std::env::var("GATETAP_REQUIRE_LIVE").is_ok_and(|value| value == "1");
    assert!(!required, "GATETAP_REQUIRE_LIVE=1, but {reason}");
    eprintln!("skipped: {reason}");
    false
}

fn has_nginx() -> Result<(), String> {
    let programs = ["/usr/sbin/nginx", "/usr/bin/wrk"];
    match programs.into_iter().find(|path| !Path::new(path).exists()) {
        Some(path) => Err(format!("{path} is not installed: run `cargo xtask setup`")),
        None => Ok(()),
    }
}

fn is_root() -> Result<(), String> {
    // SAFETY: takes and touches nothing.
    match unsafe { libc::geteuid() } {
        0 => Ok(()),
        _ => Err("only root can load BPF programs".into()),
    }
}

fn can_load_probes() -> Result<(), String> {
    let output = attempt(gatetap().args(["doctor", "--probe-check"]).output());
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(format!("`gatetap doctor --probe-check` says {}: {words}", output.status))
}
