//! Spools on real file systems, and processes that are really killed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail loudly")]

mod support;

use gatetap::export::{Exporter, SinkSpecification, SinkTotals};
use gatetap::gateway::Observation;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::kong_example;
use tokio::runtime::Handle;

/// Names the spool of a process that this test starts and kills.
const CHILD: &str = "GATETAP_TEST_SPOOL";
/// Longest time between the end of an exchange and its record's safety.
const SAFE_AFTER: Duration = Duration::from_secs(1);

fn exporter(sink: &str) -> Exporter {
    let sink: SinkSpecification = sink.parse().unwrap();
    Exporter::start(&Handle::current(), vec![sink]).unwrap()
}

fn export(exporter: &mut Exporter, numbers: std::ops::Range<usize>) {
    for number in numbers {
        exporter.export(&Observation { id: format!("r-{number}").into(), ..kong_example() });
    }
}

/// A sink that nobody listens for, with a spool.
fn dead_sink(spool: &Path) -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("tcp:127.0.0.1:{port},format=native,spool={}", spool.display())
}

/// Numbers of the records in a file.
fn numbers(file: &Path) -> Vec<usize> {
    let text = fs::read_to_string(file).unwrap();
    let number = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        record["id"].as_str().unwrap().strip_prefix("r-").unwrap().parse().unwrap()
    };
    text.lines().map(number).collect()
}

fn gatetap_spool(path: &Path) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatetap"));
    let output = command.arg("spool").arg("--json").arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice::<Value>(&output.stdout).unwrap()[0].take()
}

async fn until(exporter: &Exporter, what: impl Fn(&SinkTotals) -> bool) {
    let begin = Instant::now();
    while !what(&exporter.totals()[0]) {
        assert!(begin.elapsed() < Duration::from_secs(30), "{:#?}", exporter.totals());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_at_the_end_is_delivered_by_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let mut first = exporter(&dead_sink(&spool));
    export(&mut first, 0..2_000);
    let totals = first.shutdown(Duration::from_millis(200)).await.remove(0);
    assert_eq!((totals.dropped.total(), totals.spool.unwrap().waiting_records), (0, 2_000));

    let found = gatetap_spool(&spool);
    assert_eq!((&found["records"], &found["missing_records"]), (&2_000.into(), &0.into()));
    assert_eq!(fs::metadata(&spool).unwrap().mode() & 0o777, 0o700);
    for file in fs::read_dir(&spool).unwrap() {
        assert_eq!(file.unwrap().metadata().unwrap().mode() & 0o777, 0o600);
    }

    let delivered = folder.path().join("records.ndjson");
    let mut second = exporter(&format!("file:{},spool={}", delivered.display(), spool.display()));
    export(&mut second, 2_000..2_010);
    let totals = second.shutdown(Duration::from_secs(20)).await.remove(0);
    assert_eq!((totals.delivered_records, totals.spool.unwrap().found_records), (2_010, 2_000));
    assert_eq!(numbers(&delivered), Vec::from_iter(0..2_010));
    assert_eq!(gatetap_spool(&spool)["segments"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_cannot_have_one_spool() {
    let folder = tempfile::tempdir().unwrap();
    let _first = exporter(&dead_sink(folder.path()));
    let sink: SinkSpecification = dead_sink(folder.path()).parse().unwrap();
    let error = Exporter::start(&Handle::current(), vec![sink]).unwrap_err().to_string();
    assert!(error.contains("in use by another gatetap"), "{error}");
}

/// A change of settings: the new sink waits for the folder, and delivers what the old one could not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_with_other_settings_takes_its_spool_over() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, delivered) = (folder.path().join("spool"), folder.path().join("records.ndjson"));
    let mut exporter = exporter(&dead_sink(&spool));
    export(&mut exporter, 0..500);
    let changed = format!("file:{},spool={}", delivered.display(), spool.display());
    exporter.reconfigure(vec![changed.parse().unwrap()], Duration::from_secs(60)).unwrap();
    export(&mut exporter, 500..600);
    until(&exporter, |totals| totals.delivered_records == 600).await;
    assert_eq!(numbers(&delivered), Vec::from_iter(0..600));
    for totals in exporter.shutdown(Duration::from_secs(20)).await {
        assert_eq!(totals.dropped.total(), 0, "{totals:#?}");
    }
}

/// A change of settings that is taken back while the old sink still tries to deliver.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_was_removed_and_comes_back_takes_its_spool_over() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, delivered) = (folder.path().join("spool"), folder.path().join("records.ndjson"));
    let mut exporter = exporter(&dead_sink(&spool));
    export(&mut exporter, 0..500);
    exporter.reconfigure(Vec::new(), Duration::from_secs(60)).unwrap();
    let back = format!("file:{},spool={}", delivered.display(), spool.display());
    exporter.reconfigure(vec![back.parse().unwrap()], Duration::from_secs(60)).unwrap();
    export(&mut exporter, 500..600);
    until(&exporter, |totals| totals.delivered_records == 600).await;
    assert_eq!(numbers(&delivered), Vec::from_iter(0..600));
}

/// Not a test by itself: the process that the test below kills. Tells every record that it gives,
/// and when.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_to_be_killed() {
    let Some(spool) = std::env::var_os(CHILD) else { return };
    let mut exporter = exporter(&dead_sink(Path::new(&spool)));
    for number in 0..1_000_000 {
        export(&mut exporter, number..number + 1);
        println!("\ngave {number}");
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
}

#[test]
fn a_killed_process_loses_nothing_that_was_recorded_a_second_before() {
    for round in 0..10_u64 {
        let folder = tempfile::tempdir().unwrap();
        let spool = folder.path().join("spool");
        let given = run_and_kill(&spool, Duration::from_millis(1_300 + 97 * (round * 7 % 10)));
        let found = gatetap_spool(&spool);
        let records = found["records"].as_u64().unwrap();
        assert!(given > 0 && records >= given, "round {round}: {given} given, {found}");
        assert_eq!((&found["missing_records"], &found["damaged_bytes"]), (&0.into(), &0.into()));
    }
}

/// Says how many records the process had given more than a second before it was killed.
fn run_and_kill(spool: &Path, after: Duration) -> u64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", "a_process_to_be_killed"]);
    command.env(CHILD, spool).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = Killed(command.spawn().unwrap());
    let stdout = BufReader::new(child.0.stdout.take().unwrap());
    let reading = std::thread::spawn(move || {
        let given = |line: Result<String, _>| line.ok()?.strip_prefix("gave ")?.parse().ok();
        stdout.lines().filter_map(given).map(|number: u64| (number, Instant::now())).collect()
    });
    std::thread::sleep(after);
    child.0.kill().unwrap();
    let killed = Instant::now();
    child.0.wait().unwrap();
    let given: Vec<(u64, Instant)> = reading.join().unwrap();
    let safe = given.iter().filter(|(_, time)| killed.duration_since(*time) > SAFE_AFTER);
    safe.map(|(number, _)| number + 1).max().unwrap_or(0)
}

/// Ends with the test, however that ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A file system of one megabyte in memory; goes with this value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where only root could, unless `GATETAP_REQUIRE_LIVE=1` makes that a failure.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m,mode=0700", "gatetap-test"]).arg(folder.path());
        let mounted = mount.status().is_ok_and(|status| status.success());
        let disk = mounted.then(|| Self(folder));
        xtask::requirement::met(disk.ok_or_else(|| "only root can mount a file system".into()))
    }

    fn remount(&self, option: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{option}")]).arg(self.0.path());
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_really_full_disk_costs_nothing_while_there_is_memory() {
    let Some(disk) = SmallDisk::mount() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut first = exporter(&dead_sink(disk.0.path()));
    export(&mut first, 0..2_000);
    until(&first, |totals| totals.spool.unwrap().write_failures > 0).await;
    let written = first.totals()[0].spool.unwrap().written_records;
    assert!(written > 0 && written < 2_000);
    assert_eq!(first.totals()[0].dropped.total(), 0);
    disk.remount("size=64m");
    // But for those that were passed on from memory meanwhile, which nobody has taken: they are
    // written at the end.
    until(&first, |totals| totals.spool.unwrap().written_records > 1_500).await;
    drop(first.shutdown(Duration::from_millis(100)).await);

    // What waits on a disk that has become read-only is delivered, and so is what is new.
    disk.remount("ro");
    let delivered = folder.path().join("records.ndjson");
    let sink = format!("file:{},spool={}", delivered.display(), disk.0.path().display());
    let mut second = exporter(&sink);
    export(&mut second, 2_000..2_010);
    let totals = second.shutdown(Duration::from_secs(20)).await.remove(0);
    let mut numbers = numbers(&delivered);
    numbers.sort_unstable();
    assert_eq!(numbers, Vec::from_iter(0..2_010));
    assert_eq!((totals.delivered_records, totals.dropped.total()), (2_010, 0));
}
