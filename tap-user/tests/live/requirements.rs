//! What live tests need of the machine (`xtask::requirement` says what happens without).

use super::attempt;
use super::tap::gatetap;
use xtask::requirement::{met, program};

/// Everything that it takes to run the tap.
pub(crate) fn require_live() -> bool {
    met(has_nginx().and_then(|()| is_root()).and_then(|()| can_load_probes())).is_some()
}

/// A gateway to send traffic through.
pub(crate) fn require_nginx() -> bool {
    met(has_nginx()).is_some()
}

/// The right to look at BPF objects.
pub(crate) fn require_root() -> bool {
    met(is_root()).is_some()
}

fn has_nginx() -> Result<(), String> {
    ["/usr/sbin/nginx", "/usr/bin/wrk"].into_iter().try_for_each(program)
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
