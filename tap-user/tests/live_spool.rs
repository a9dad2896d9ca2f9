//! `kill -9` of a tap with a spool, at any moment, under traffic: no record is missing of an exchange
//! that ended more than a second before, by nginx's log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod live;

use live::client::Connection;
use live::collector::Collector;
use live::random::Random;
use live::request::TEST_ID;
use live::site::{Site, log_of};
use live::tap::gatetap;
use live::{attempt, exclusive, fixture, require_live};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use xtask::rig::{LogEntry, OwnedChild};

/// What is safe: exchanges that ended so long before a kill, in milliseconds.
const SAFE_AFTER_MS: u64 = 1_000;
/// nginx's clock ticks once per round of its event loop.
const CLOCK_TICK_MS: u64 = 10;
const KILLS: usize = 10;
const CLIENTS: usize = 4;
/// Between two requests of a client.
const PAUSE: Duration = Duration::from_millis(4);
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long the last records may take.
const END_LIMIT: Duration = Duration::from_secs(20);

#[test]
fn nothing_is_missing_after_ten_kills() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let trial = Trial::run(KILLS, &mut Random::new(seed()), true, |_| {});
    let Verdict { expected, missing, invented } = trial.judge();
    eprintln!("{expected} exchanges were safe, {} arrived", trial.arrived.len());
    assert!(expected > 2_000, "only {expected} exchanges");
    assert_eq!((missing, invented), (Vec::new(), Vec::new()), "missing and invented");
}

/// The judge can fail: a spool that loses a file between a kill and the next start is convicted.
#[test]
fn a_spool_that_loses_records_is_noticed() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let trial = Trial::run(1, &mut Random::new(1), false, |spool| {
        let files = attempt(std::fs::read_dir(spool)).map(|file| attempt(file).path());
        let largest = files.max_by_key(|file| attempt(file.metadata()).len()).unwrap();
        attempt(std::fs::remove_file(largest));
    });
    let Verdict { expected, missing, invented } = trial.judge();
    eprintln!("{} of {expected} are missing", missing.len());
    assert!(!missing.is_empty() && invented.is_empty());
}

/// Another one each time; a failure shows it.
fn seed() -> u64 {
    let seed = now_ms();
    eprintln!("seed {seed}");
    seed
}

fn now_ms() -> u64 {
    let now = attempt(SystemTime::now().duration_since(UNIX_EPOCH));
    u64::try_from(now.as_millis()).unwrap()
}

/// What happened.
struct Trial {
    log: Vec<LogEntry>,
    /// From when to when a tap watched and what it saw had to be safe, in Unix milliseconds.
    watched: Vec<(u64, u64)>,
    arrived: BTreeSet<String>,
}

struct Verdict {
    expected: usize,
    missing: Vec<String>,
    /// Arrived, and nobody asked.
    invented: Vec<String>,
}

impl Trial {
    /// Kills a tap that often under traffic; `damage` is done to the spool after each kill.
    fn run(kills: usize, random: &mut Random, has_collector: bool, damage: impl Fn(&Path)) -> Self {
        let site = Site::start();
        let folder = attempt(tempfile::tempdir());
        let spool = folder.path().join("spool");
        let mut destination = Destination::new();
        let clients = Clients::start(site.ports.v4());
        let mut watched = Vec::new();
        for _ in 0..kills {
            destination.be_there(has_collector && random.below(2) == 0);
            let mut tap = Tap::start(&site, destination.address, &spool);
            let attached = now_ms();
            sleep_ms(1_100 + random.below(1_000));
            if has_collector && random.below(2) == 0 {
                destination.be_there(destination.collector.is_none());
            }
            sleep_ms(random.below(1_000));
            let killed = now_ms();
            tap.kill();
            watched.push((attached, killed.saturating_sub(SAFE_AFTER_MS + CLOCK_TICK_MS)));
            damage(&spool);
        }
        let asked = clients.stop();
        let log = log_of(&site.gateway, asked);
        let mut trial = Self { log, watched, arrived: BTreeSet::new() };
        destination.be_there(true);
        let tap = Tap::start(&site, destination.address, &spool);
        trial.arrived = destination.take_all(&trial.expected());
        drop(tap);
        trial
    }

    fn expected(&self) -> Vec<String> {
        let is_safe = |entry: &&LogEntry| {
            let end = milliseconds(entry.text("msec"));
            let begin = end.saturating_sub(milliseconds(entry.text("request_time")));
            self.watched.iter().any(|(from, to)| *from < begin && end < *to)
        };
        self.log.iter().filter(is_safe).map(id).collect()
    }

    fn judge(&self) -> Verdict {
        let expected = self.expected();
        let asked: BTreeSet<String> = self.log.iter().map(id).collect();
        Verdict {
            expected: expected.len(),
            missing: expected.into_iter().filter(|id| !self.arrived.contains(id)).collect(),
            invented: self.arrived.difference(&asked).cloned().collect(),
        }
    }
}

fn id(entry: &LogEntry) -> String {
    entry.text("http_x_test_id").to_owned()
}

/// nginx writes seconds with three decimals.
fn milliseconds(seconds: &str) -> u64 {
    attempt(seconds.replace('.', "").parse())
}

fn sleep_ms(milliseconds: usize) {
    thread::sleep(Duration::from_millis(milliseconds as u64));
}

/// A collector that is sometimes there, always at the same address.
struct Destination {
    address: SocketAddr,
    collector: Option<Collector>,
    arrived: BTreeSet<String>,
}

impl Destination {
    fn new() -> Self {
        let collector = Collector::that_reads();
        Self { address: collector.address(), collector: Some(collector), arrived: BTreeSet::new() }
    }

    fn be_there(&mut self, is_there: bool) {
        match (is_there, self.collector.take()) {
            (true, None) => self.collector = Some(Collector::at(self.address)),
            (false, Some(collector)) => self.arrived.extend(collector.leave()),
            (_, collector) => self.collector = collector,
        }
    }

    /// Waits for what is still expected; all that ever arrived.
    fn take_all(mut self, expected: &[String]) -> BTreeSet<String> {
        let awaited: Vec<_> =
            expected.iter().filter(|id| !self.arrived.contains(*id)).cloned().collect();
        let collector = self.collector.take().unwrap();
        fixture::wait_until(END_LIMIT, || collector.has_all(&awaited));
        self.arrived.extend(collector.close());
        self.arrived
    }
}

/// Clients that ask without end, each request with an id of its own.
struct Clients {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<usize>>,
}

impl Clients {
    fn start(gateway: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |number| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || ask(gateway, number, &stop))
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { stop, clients }
    }

    /// Number of requests that were answered.
    fn stop(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        self.clients.into_iter().map(|client| client.join().unwrap()).sum()
    }
}

fn ask(gateway: SocketAddr, client: usize, stop: &AtomicBool) -> usize {
    let mut connection = Connection::open(gateway);
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        // nginx closes a connection after a thousand requests.
        if count % 500 == 499 {
            connection = Connection::open(gateway);
        }
        let head =
            format!("GET /direct/ HTTP/1.1\r\nHost: h\r\n{TEST_ID}: {client}-{count}\r\n\r\n");
        attempt(connection.write(head.as_bytes()));
        assert_eq!(attempt(connection.read_reply("GET")).status, 200);
        count += 1;
        thread::sleep(PAUSE);
    }
    count
}

/// A tap that is there to be killed.
struct Tap(OwnedChild);

impl Tap {
    fn start(site: &Site, collector: SocketAddr, spool: &Path) -> Self {
        let sink = format!("tcp:{collector},format=native,spool={}", spool.display());
        let mut command = gatetap();
        command.args(["run", "--admin", "off", "--sink", &sink, "--pid"]);
        command.arg(site.gateway.master_pid().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = attempt(OwnedChild::spawn(command));
        let (tell, told) = mpsc::channel();
        let lines = BufReader::new(process.take_stderr().unwrap()).lines();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let mut words = Vec::new();
        while let Ok(line) = told.recv_timeout(START_LIMIT) {
            words.push(line);
            if words.last().is_some_and(|line| line.starts_with("gatetap: watching")) {
                return Self(process);
            }
        }
        panic!("gatetap did not attach: {}", words.join("\n"));
    }

    fn kill(&mut self) {
        attempt(self.0.signal(libc::SIGKILL));
        attempt(self.0.wait_for_end(START_LIMIT)).expect("a killed process ends");
    }
}
