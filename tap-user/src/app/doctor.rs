//! What works on this machine, what does not, and what to do about it.

use super::Failure;
use super::arguments::DoctorArguments;
use super::settings::select;
use crate::capture::interface::filter::Program;
use crate::capture::interface::{Interface, InterfaceSettings};
use crate::capture::owners;
use crate::capture::selection::{Found, Selection, scan};
use std::process::ExitCode;

/// One thing that was looked at.
struct Finding {
    works: bool,
    what: String,
    /// What to do if it does not work.
    advice: &'static str,
}

/// Looks at everything that a run needs; the exit code is 0 if a run would work.
pub(super) fn examine(arguments: &DoctorArguments) -> ExitCode {
    if arguments.probe_check {
        return check_probes();
    }
    let selection = match select(&arguments.selection) {
        Ok(selection) => selection,
        Err(error) => {
            eprintln!("gatetap: {error}");
            return ExitCode::FAILURE;
        }
    };
    let findings =
        [kernel(), user(), btf(), control_groups(), probes(), packets(), owners_of_connections()];
    for finding in &findings {
        show(finding);
    }
    show_gateway(&selection);
    if findings.iter().all(|finding| finding.works) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn show(finding: &Finding) {
    println!("{:8} {}", if finding.works { "ok" } else { "MISSING" }, finding.what);
    if !finding.works {
        println!("{:8} → {}", "", finding.advice);
    }
}

fn check_probes() -> ExitCode {
    let finding = probes();
    if finding.works {
        return ExitCode::SUCCESS;
    }
    eprintln!("{}", finding.what);
    ExitCode::FAILURE
}

fn kernel() -> Finding {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    Finding {
        works: version(release) >= Some((6, 3)),
        what: format!("kernel {release} (6.3 or newer has the tracepoints of sends and receives)"),
        advice: "use a host with Linux 6.3 or newer",
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn user() -> Finding {
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    let effective = status.map(|status| status.capeff).unwrap_or(0);
    let missing: Vec<&str> = CAPABILITIES
        .iter()
        .filter(|(bit, _)| effective >> bit & 1 == 0)
        .map(|(_, name)| *name)
        .collect();
    let what = if missing.is_empty() {
        "capabilities CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE".to_owned()
    } else {
        format!("capabilities: without {}", missing.join(", "))
    };
    Finding {
        works: missing.is_empty(),
        what,
        advice: "run as root, or as a privileged container with hostPID",
    }
}

/// Capabilities by bit (linux/capability.h): to load programs, to read the gateway's memory when
/// a call ends, and to see who listens.
const CAPABILITIES: [(u32, &str); 3] =
    [(39, "CAP_BPF"), (38, "CAP_PERFMON"), (19, "CAP_SYS_PTRACE")];

fn btf() -> Finding {
    let path = "/sys/kernel/btf/vmlinux";
    Finding {
        works: std::fs::File::open(path).is_ok(),
        what: format!("the kernel's description of itself ({path})"),
        advice: "use a kernel built with CONFIG_DEBUG_INFO_BTF; in a container mount /sys",
    }
}

fn control_groups() -> Finding {
    let places = ["/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs"];
    let found = places.iter().any(|place| std::path::Path::new(place).exists());
    Finding {
        works: true,
        what: if found {
            "control groups version 2 (--cgroup works)".to_owned()
        } else {
            "no control groups version 2: --cgroup does not work, everything else does".to_owned()
        },
        advice: "",
    }
}

#[cfg(feature = "probes")]
fn probes() -> Finding {
    use crate::capture::probes::{ProbeSettings, Probes};
    // A selection that nobody can match: nothing is looked at while trying.
    let nobody = Selection { names: vec!["gatetap-doctor-".to_owned()], ..Selection::default() };
    let settings = ProbeSettings {
        selection: nobody,
        legs: crate::segment::Legs::BOTH,
        body_cap: 0,
        ring_bytes: 64 * 1024,
    };
    let what = match Probes::start(&settings) {
        Ok(_) => "hook set `sockets`: loaded, attached and removed again".to_owned(),
        Err(error) => {
            let what = format!("hook set `sockets`: {}", super::with_causes(&error));
            return Finding { works: false, what, advice: PROBES_ADVICE };
        }
    };
    Finding { works: true, what, advice: PROBES_ADVICE }
}

#[cfg(feature = "probes")]
const PROBES_ADVICE: &str = "see above; a locked-down kernel or a security module may refuse BPF \
                             even to root";

#[cfg(not(feature = "probes"))]
fn probes() -> Finding {
    Finding {
        works: false,
        what: "this build has no kernel probes".to_owned(),
        advice: "build with the feature `probes` (`cargo xtask setup` installs what it needs)",
    }
}

/// Whether live packets can be captured. Not needed for probes, so this never fails the whole.
fn packets() -> Finding {
    let what = match try_packets() {
        Ok(()) => "packets (--source interface): socket, filter and ring were accepted".to_owned(),
        Err(error) => format!("no packets, --source interface does not work: {error}"),
    };
    Finding { works: true, what, advice: "" }
}

/// Captures what nobody sends, on the loopback interface, for a moment.
fn try_packets() -> Result<(), Failure> {
    let settings = InterfaceSettings {
        interface: Some("lo".to_owned()),
        filter: Program::for_ports(&[UNUSED_PORT], 0)?,
        ring_bytes: 256 * 1024,
        namespace: None,
    };
    Interface::open(&settings)?;
    Ok(())
}

/// Whether packets get the process that they belong to. Records come without it too, and say so.
fn owners_of_connections() -> Finding {
    let what = match owners::finds_connections() {
        Ok(true) => "owners of connections that packets show (sock_diag)".to_owned(),
        Ok(false) => {
            "no owners of connections that packets show: a connection of this process was not \
             found (are the kernel's modules inet_diag and tcp_diag loaded?)"
                .to_owned()
        }
        Err(error) => format!("no owners of connections that packets show: {error}"),
    };
    Finding { works: true, what, advice: "" }
}

/// Port 0 is reserved: no TCP packet has it.
const UNUSED_PORT: u16 = 0;

fn show_gateway(selection: &Selection) {
    let found = scan(selection);
    if found.is_empty() {
        println!(
            "{:8} no process matches now; one that starts to listen later is picked up then",
            "gateway"
        );
    }
    for Found { pid, name, network_namespace, ports } in found {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        println!(
            "{:8} pid {pid} {name}, listens on {}, network namespace {network_namespace}",
            "gateway",
            if ports.is_empty() { "nothing".to_owned() } else { ports.join(" ") }
        );
    }
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn kernel_versions() {
        assert_eq!(version("6.18.44-fc"), Some((6, 18)));
        assert_eq!(version("5.4.0"), Some((5, 4)));
        assert!(version("6.2.16") < Some((6, 3)) && version("6.10") > Some((6, 3)));
        assert_eq!(version(""), None);
    }
}
