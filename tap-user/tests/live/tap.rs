//! The tap as a user runs it: the `gatetap` binary, from outside.

use super::record::{self, Record};
use super::{attempt, kernel};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tempfile::TempDir;
use xtask::rig::OwnedChild;

/// What `gatetap run` writes on standard error once it is attached.
const READY: &str = "gatetap: watching";
/// How long attaching may take; the verifier is slow in virtual machines.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long the last records may take.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Programs are freed in the background after their last reference has gone.
const FREE_LIMIT: Duration = Duration::from_secs(5);

/// A running `gatetap run` with a file sink.
pub(crate) struct Tap {
    process: OwnedChild,
    folder: TempDir,
    stderr: JoinHandle<Vec<String>>,
    objects: BTreeSet<kernel::Object>,
}

/// What a tap leaves behind when it has ended.
pub(crate) struct Outcome {
    folder: TempDir,
    pub(crate) totals: Value,
    pub(crate) stderr: Vec<String>,
}

impl Tap {
    /// Starts the tap with these arguments and a file sink, and waits until it is attached.
    #[track_caller]
    pub(crate) fn start(arguments: &[String]) -> Self {
        Self::start_by(&[], arguments)
    }

    /// The same by a program that starts the tap in other circumstances, such as `unshare -n`.
    #[track_caller]
    pub(crate) fn start_by(starter: &[&str], arguments: &[String]) -> Self {
        let folder = attempt(tempfile::Builder::new().prefix("gatetap-live-").tempdir());
        let sink = format!("file:{},queue={QUEUE}", folder.path().join(RECORDS).display());
        let mut command = started_by(starter);
        command.arg("run").args(arguments).args(["--sink", &sink]).arg("--totals-file");
        command.arg(folder.path().join(TOTALS)).args(["--no-redact"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = attempt(OwnedChild::spawn(command));
        let (stderr, ready) = follow(process.take_stderr().unwrap());
        let is_ready = ready.recv_timeout(START_LIMIT).is_ok();
        let objects = kernel::held_by(process.pid());
        let tap = Self { process, folder, stderr, objects };
        if !is_ready {
            tap.give_up();
        }
        tap
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Records that are in the file by now.
    pub(crate) fn records_so_far(&self) -> usize {
        let bytes = std::fs::read(self.folder.path().join(RECORDS)).unwrap_or_default();
        bytes.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Ends the tap as a user would; fails if anything of it stays behind.
    pub(crate) fn stop(mut self) -> Outcome {
        attempt(self.process.signal(libc::SIGTERM));
        let status = attempt(self.process.wait_for_end(STOP_LIMIT));
        let pid = self.process.pid();
        drop(self.process);
        let stderr = self.stderr.join().unwrap();
        let ended_well = status.is_some_and(|status: ExitStatus| status.success());
        assert!(ended_well, "gatetap ended with {status:?}: {}", stderr.join("\n"));
        let totals: Value = {
            let bytes = attempt(std::fs::read(self.folder.path().join(TOTALS)));
            attempt(serde_json::from_slice(&bytes))
        };
        // Packets need none.
        let has_probes = totals.get("kernel").is_some();
        assert!(!has_probes || !self.objects.is_empty(), "gatetap held no BPF object");
        assert_nothing_left(pid, &self.objects);
        Outcome { folder: self.folder, totals, stderr }
    }

    fn give_up(self) -> ! {
        drop(self.process);
        let stderr = self.stderr.join().unwrap_or_default();
        panic!("gatetap did not attach: {}", stderr.join("\n"));
    }
}

impl Outcome {
    pub(crate) fn records_path(&self) -> PathBuf {
        self.folder.path().join(RECORDS)
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        record::read(&self.records_path())
    }

    /// A number of the totals by its JSON pointer, for example `/bytes/lost`.
    #[track_caller]
    pub(crate) fn total(&self, pointer: &str) -> u64 {
        let value = self.totals.pointer(pointer).and_then(Value::as_u64);
        value.unwrap_or_else(|| panic!("no number at {pointer} in {}", self.totals))
    }

    /// Totals of the sink whose name begins so.
    #[track_caller]
    pub(crate) fn sink(&self, name: &str) -> &Value {
        let sinks = self.totals["sinks"].as_array().map(Vec::as_slice).unwrap_or_default();
        let named = |sink: &&Value| sink["name"].as_str().is_some_and(|n| n.starts_with(name));
        sinks.iter().find(named).unwrap_or_else(|| panic!("no sink {name} in {}", self.totals))
    }

    /// Bytes that the kernel side copied from each process.
    pub(crate) fn copied_from(&self) -> Vec<(u64, u64)> {
        let processes = self.totals["kernel"]["processes"].as_array();
        let number = |value: &Value, name: &str| value[name].as_u64().unwrap();
        let pair = |value: &Value| (number(value, "pid"), number(value, "bytes_copied"));
        processes.unwrap().iter().map(pair).collect()
    }
}

/// Bodies in full for seconds at a disk's speed: a test asks for more than most users need.
const QUEUE: &str = "1GiB";
const RECORDS: &str = "records.ndjson";
const TOTALS: &str = "totals.json";

pub(crate) fn gatetap() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gatetap"))
}

fn started_by(starter: &[&str]) -> Command {
    let Some((program, arguments)) = starter.split_first() else { return gatetap() };
    let mut command = Command::new(program);
    command.args(arguments).arg(env!("CARGO_BIN_EXE_gatetap"));
    command
}

/// Collects the lines of standard error, and tells when the tap is attached.
fn follow(stderr: impl std::io::Read + Send + 'static) -> (JoinHandle<Vec<String>>, Receiver<()>) {
    let (ready, attached) = mpsc::channel();
    let lines = BufReader::new(stderr).lines().map_while(Result::ok);
    let collect = move || {
        let tell = |line: &String| {
            if line.starts_with(READY) {
                // Nobody listens any more when it took too long.
                let _ = ready.send(());
            }
        };
        lines.inspect(tell).collect()
    };
    (thread::spawn(collect), attached)
}

/// No process of the tap's group (it leads one) and none of its kernel objects.
fn assert_nothing_left(pid: u32, objects: &BTreeSet<kernel::Object>) {
    // SAFETY: signal 0 only asks whether the process group exists.
    let group = unsafe { libc::kill(-pid.cast_signed(), 0) };
    assert_eq!(group, -1, "a child of gatetap is still there");
    let left = || kernel::all().intersection(objects).copied().collect::<Vec<_>>();
    super::fixture::wait_until(FREE_LIMIT, || left().is_empty());
    assert_eq!(left(), Vec::new(), "gatetap left BPF objects in the kernel");
}
