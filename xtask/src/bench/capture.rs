//! A capture file of real nginx traffic, made in a network namespace of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use xtask::rig::OwnedChild;

use super::content;
use crate::{interrupt, step};

/// Ports inside the namespace, where nobody else is.
const GATEWAY_PORT: u16 = 8000;
const UPSTREAM_PORT: u16 = 8081;
/// How long nginx and tcpdump may take to start or end.
const LIMIT: Duration = Duration::from_secs(20);
/// How long its file does not grow once tcpdump has caught up, on a busy machine too.
const QUIET: Duration = Duration::from_secs(2);
/// tcpdump's buffer in KiB: large enough that nothing is dropped.
const BUFFER_KIB: &str = "262144";
/// Rounds of load at most; each adds tens of megabytes.
const ROUND_LIMIT: usize = 200;
/// The files that nginx serves.
pub(super) const SMALL: &str = "small.json";
pub(super) const LARGE: &str = "large.bin";
/// What curl asks for in a round, on a connection that it keeps: small bodies make most of the
/// exchanges, large ones half of the bytes.
const LOADS: [(&str, u64); 2] = [(SMALL, 5_000), (LARGE, 100)];

/// A network namespace, removed in the end.
struct Namespace {
    name: String,
}

impl Namespace {
    /// With a loopback interface whose packets are as large as on Ethernet.
    fn create() -> Result<Self> {
        let name = format!("gatetap-bench-{}", std::process::id());
        step::run(Command::new("ip").args(["netns", "add", &name]))?;
        let namespace = Self { name };
        let set = ["ip", "link", "set", "lo", "mtu", "1500", "gso_max_segs", "1", "up"];
        step::run(namespace.command(&set).stdout(Stdio::null()))?;
        Ok(namespace)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).args(words);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let removed = Command::new("ip").args(["netns", "delete", &self.name]).status();
        if !removed.is_ok_and(|status| status.success()) {
            eprintln!("    please remove the network namespace {}", self.name);
        }
    }
}

/// A capture file, and how many exchanges are in it.
pub(super) struct Capture {
    pub(super) file: PathBuf,
    pub(super) exchanges: u64,
}

/// Captures at least `bytes` of traffic into a file in `folder`.
///
/// # Errors
/// When a program is missing or fails, or when the kernel dropped packets.
pub(super) fn make(folder: &Path, bytes: u64) -> Result<Capture> {
    let namespace = Namespace::create()?;
    let config = write_site(folder)?;
    let mut nginx = namespace.command(&["/usr/sbin/nginx", "-c"]);
    let _nginx = OwnedChild::spawn({
        nginx.arg(&config);
        nginx
    })?;
    let url = format!("http://127.0.0.1:{GATEWAY_PORT}");
    wait_until("nginx", || {
        let mut curl = namespace.command(&["curl", "--silent", "--output", "/dev/null", &url]);
        curl.status().is_ok_and(|status| status.success())
    })?;

    let file = folder.join("traffic.pcap");
    let mut tcpdump = start_tcpdump(&namespace, &file)?;
    let mut exchanges = 0;
    for _ in 0..ROUND_LIMIT {
        for (target, count) in LOADS {
            exchanges += count;
            let targets = format!("{url}/{target}?[1-{count}]");
            let load = ["curl", "--silent", "--output", "/dev/null", &targets];
            step::run(&mut namespace.command(&load))?;
        }
        if size(&file) >= bytes {
            break;
        }
    }
    stop_tcpdump(&mut tcpdump, folder)?;
    ensure!(size(&file) >= bytes, "the load did not make {bytes} bytes of traffic");
    Ok(Capture { file, exchanges })
}

fn start_tcpdump(namespace: &Namespace, file: &Path) -> Result<OwnedChild> {
    let filter = format!("tcp port {GATEWAY_PORT}");
    let mut command = namespace.command(&["tcpdump", "-i", "lo", "-n", "-B", BUFFER_KIB, "-Z"]);
    command.args(["root", "-w"]).arg(file).arg(filter);
    let report = fs::File::create(file.with_extension("log"))?;
    let tcpdump = OwnedChild::spawn({
        command.stderr(report);
        command
    })?;
    wait_until("tcpdump", || size(file) > 0 || file.exists())?;
    Ok(tcpdump)
}

/// Ends tcpdump once it has caught up (its file has stopped growing), and reads from its report that
/// nothing was dropped.
fn stop_tcpdump(tcpdump: &mut OwnedChild, folder: &Path) -> Result<()> {
    let file = folder.join("traffic.pcap");
    let mut before = 0;
    wait_until("the rest of the capture", || {
        thread::sleep(QUIET);
        std::mem::replace(&mut before, size(&file)) == size(&file)
    })?;
    tcpdump.signal(libc::SIGINT)?;
    ensure!(tcpdump.wait_for_end(LIMIT)?.is_some(), "tcpdump does not end");
    let report = fs::read_to_string(folder.join("traffic.log"))?;
    let dropped = report.lines().find(|line| line.ends_with("dropped by kernel"));
    let dropped = dropped.with_context(|| format!("tcpdump did not report drops: {report}"))?;
    ensure!(dropped.starts_with("0 "), "{dropped}: the capture is not whole, try again");
    Ok(())
}

/// Two bodies, and an nginx in front of another.
fn write_site(folder: &Path) -> Result<PathBuf> {
    let place = folder.display();
    fs::write(folder.join(SMALL), content::json(4 * 1024))?;
    fs::write(folder.join(LARGE), content::bytes(200 * 1024))?;
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {place}/{kind};"))
        .concat();
    let config = format!(
        "daemon off; worker_processes 1; user root; pid {place}/pid; error_log {place}/error.log;
         events {{}}
         http {{ access_log off; {temporary} types {{ application/json json; }} sendfile off;
         upstream origin {{ server 127.0.0.1:{UPSTREAM_PORT}; keepalive 16; }}
         server {{ listen 127.0.0.1:{UPSTREAM_PORT}; root {place}; }}
         server {{ listen 127.0.0.1:{GATEWAY_PORT};
           location = / {{ return 204; }}
           location / {{ proxy_pass http://origin; proxy_http_version 1.1;
                         proxy_set_header Connection \"\"; }} }} }}"
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, config)?;
    Ok(path)
}

fn size(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}

fn wait_until(what: &str, mut is_there: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while !is_there() {
        interrupt::check()?;
        if Instant::now() > deadline {
            bail!("{what} does not come up");
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
