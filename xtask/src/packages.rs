//! Debian packages: which ones, why, and how they are installed.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Once;

use anyhow::{Context, Result};

use crate::step;

/// The script that Debian's package scripts ask whether they may start a service.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// "Action forbidden by policy."
const POLICY_DENIES: &str = "#!/bin/sh\nexit 101\n";

/// A Debian package that this project needs.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
    /// Where this program exists the package is not needed, wherever the program came from.
    program: Option<&'static str>,
}

/// What compiles the kernel programs, where there is no rustup nightly with rust-src.
pub(crate) static BPF_TOOLCHAIN: &[Package] = &[
    Package {
        name: "rustc-web",
        reason: "a Rust compiler that knows the BPF target",
        program: None,
    },
    Package {
        name: "libstd-rust-web-dev-bpf",
        reason: "Rust's core library, ready for the BPF target",
        program: None,
    },
    Package {
        name: "llvm-22-dev",
        reason: "bpf-linker links against this LLVM, the one of that compiler",
        program: None,
    },
];

/// What the demo, the benches and the live tests run.
pub(crate) static GATEWAY_PROGRAMS: &[Package] = &[
    Package {
        name: "nginx-light",
        reason: "the gateway and its upstream in demo and live tests",
        program: Some("/usr/sbin/nginx"),
    },
    Package {
        name: "curl",
        reason: "the client in the demo and in live tests",
        program: Some("/usr/bin/curl"),
    },
    Package { name: "wrk", reason: "load in live tests", program: Some("/usr/bin/wrk") },
];

/// What only tests run.
pub(crate) static TEST_PROGRAMS: &[Package] = &[
    Package {
        name: "kubernetes-client",
        reason: "kubectl renders the manifests as it would apply them",
        program: Some("/usr/bin/kubectl"),
    },
    Package {
        name: "systemd",
        reason: "systemd-analyze verifies the unit",
        program: Some("/usr/bin/systemd-analyze"),
    },
    Package {
        name: "iproute2",
        reason: "network namespaces of the tests' own",
        program: Some("/usr/sbin/ip"),
    },
    Package {
        name: "python3-jsonschema",
        reason: "judges the schema of the settings independently",
        program: None,
    },
    Package {
        name: "rsyslog",
        reason: "a TCP collector in tests of sinks",
        program: Some("/usr/sbin/rsyslogd"),
    },
    Package {
        name: "openssl",
        reason: "certificates, and a collector that speaks TLS, in tests of sinks",
        program: Some("/usr/bin/openssl"),
    },
    Package {
        name: "libnginx-mod-http-lua",
        reason: "computes inside of nginx what gatetap records from outside",
        program: None,
    },
    Package { name: "lua-cjson", reason: "the JSON of that program", program: None },
    Package {
        name: "libpcap0.8",
        reason: "compiles the expressions of --filter; the tests try them",
        program: None,
    },
    Package {
        name: "tcpdump",
        reason: "compiles and captures the same, for comparison",
        program: Some("/usr/bin/tcpdump"),
    },
];

/// What installs Python tools for tests.
pub(crate) static PYTHON: &[Package] = &[
    Package {
        name: "python3",
        reason: "runs the validator of Kubernetes manifests",
        program: Some("/usr/bin/python3"),
    },
    Package { name: "python3-pip", reason: "installs that validator", program: None },
];

/// What `bench read` runs besides.
pub(crate) static BENCH_PROGRAMS: &[Package] = &[
    Package {
        name: "tcpdump",
        reason: "makes the capture file",
        program: Some("/usr/bin/tcpdump"),
    },
    Package {
        name: "iproute2",
        reason: "a network namespace for the traffic",
        program: Some("/usr/sbin/ip"),
    },
];

/// What `bench read` measures beside gatetap.
pub(crate) static COMPARED_PROGRAMS: &[Package] = &[Package {
    name: "tshark",
    reason: "reads it side by side",
    program: Some("/usr/bin/tshark"),
}];

/// What `bench live` runs besides.
pub(crate) static LIVE_BENCH_PROGRAMS: &[Package] = &[
    Package {
        name: "libnginx-mod-http-lua",
        reason: "the logger inside the gateway that gatetap is measured beside",
        program: None,
    },
    Package { name: "lua-cjson", reason: "the JSON of that logger", program: None },
];

impl Package {
    pub(crate) fn is_missing(&self) -> bool {
        let program_exists = self.program.is_some_and(|program| Path::new(program).exists());
        !program_exists && !self.is_installed()
    }

    fn is_installed(&self) -> bool {
        let query =
            Command::new("dpkg-query").args(["-W", "-f=${db:Status-Status}", self.name]).output();
        query.is_ok_and(|output| output.stdout == b"installed")
    }
}

/// Whether this is a Debian machine.
pub(crate) fn is_debian() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    release.lines().any(|line| line == "ID=debian")
}

/// Installs packages, starting none of the services that they bring.
///
/// # Errors
/// When the package manager fails.
pub(crate) fn install(packages: &[&Package]) -> Result<()> {
    step::announce("Installing Debian packages");
    for package in packages {
        eprintln!("    {:24} {}", package.name, package.reason);
    }
    update_lists();
    let _no_services = ServicePolicy::deny()?;
    let names = packages.iter().map(|package| package.name);
    step::run_to_the_end(apt_get().args(["install", "--no-install-recommends"]).args(names))
}

/// The same by hand.
pub(crate) fn install_command(packages: &[&Package]) -> String {
    let names: Vec<_> = packages.iter().map(|package| package.name).collect();
    format!(
        "sudo apt-get update && sudo apt-get install --no-install-recommends {}",
        names.join(" ")
    )
}

/// Once in a run. An update that fails is no reason to stop: the lists may be good enough.
fn update_lists() {
    static UPDATED: Once = Once::new();
    UPDATED.call_once(|| {
        if let Err(error) = step::run_to_the_end(apt_get().arg("update")) {
            eprintln!("    going on with the package lists at hand: {error:#}");
        }
    });
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.args(["--quiet=2", "--yes", "-o", "Dpkg::Use-Pty=0"]);
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    command
}

/// While this lives, installing a package starts no service.
struct ServicePolicy {
    is_ours: bool,
}

impl ServicePolicy {
    /// A policy that exists already is somebody's decision and stays as it is.
    fn deny() -> Result<Self> {
        let file = File::options().write(true).create_new(true).mode(0o755).open(POLICY);
        match file {
            Ok(mut file) => {
                let policy = Self { is_ours: true };
                file.write_all(POLICY_DENIES.as_bytes())?;
                Ok(policy)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Self { is_ours: false }),
            Err(error) => Err(error).with_context(|| format!("writing {POLICY}")),
        }
    }
}

impl Drop for ServicePolicy {
    fn drop(&mut self) {
        if self.is_ours && fs::remove_file(POLICY).is_err() {
            eprintln!("    please remove {POLICY}: it keeps services from starting");
        }
    }
}
