//! What live tests need of the machine (`xtask::requirement` says what happens without).

use super::attempt;
use super::tap::gatetap;
use xtask::requirement::{met, program};

/// Everything that it takes to run the tap.
pub(crate) fn require_live() -> bool {
    met(has_nginx().and_then(|()| is_root()).and_then(|()| can_load_probes())).is_some()
}

/// What it takes to capture packets, with a filter, beside another program that does.
pub(crate) fn require_packets() -> bool {
    met(has_nginx().and_then(|()| is_root()).and_then(|()| has_tcpdump())).is_some()
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

/// tcpdump comes with the libpcap that the tap loads.
fn has_tcpdump() -> Result<(), String> {
    program("/usr/bin/tcpdump")
}

fn is_root() -> Result<(), String> {
    // SAFETY: takes and touches nothing.
    match unsafe { libc::geteuid() } {
        0 => Ok(()),
        _ => Err("only root can load BPF programs and capture packets".into()),
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
