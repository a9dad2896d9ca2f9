//! `--filter` and `--snap-length` of live packets, beside tcpdump with the same expression.
//! Everything happens in a network namespace of the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod live;

use live::mix::Mix;
use live::requirements::require_packets;
use live::site::Site;
use live::tap::Outcome;
use live::{Tap, exclusive, namespace, traffic};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{ChildStderr, Command, Stdio};
use std::thread;
use std::time::Duration;
use xtask::rig::OwnedChild;

/// Clients that work at once.
const CLIENTS: usize = 2;
/// Last packets of closing connections.
const SETTLING: Duration = Duration::from_millis(500);

#[test]
fn a_filter_lets_through_what_tcpdump_captures_with_it() {
    let _alone = exclusive();
    if !require_packets() {
        return;
    }
    namespace::enter();
    let site = Site::start();
    let plans = Mix::new(site.ports, "filter").light_plans(100);
    // Neither IPv6, nor the second listener, nor the gateway's upstream connections.
    let expression = format!("ip and tcp port {}", site.ports.gateway);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tcpdump.pcap");
    let tcpdump = Tcpdump::start(&file, &expression);
    let pid = site.gateway.master_pid().to_string();
    let arguments = ["--source", "interface", "--interface", "lo", "--pid", &pid, "--filter"];
    let tap = Tap::start(&owned(&arguments, &[&expression]));
    let accounts = traffic::run(plans, CLIENTS);
    thread::sleep(SETTLING);
    let outcome = tap.stop();
    let captured = tcpdump.stop();

    assert!(captured > 100, "tcpdump has only {captured} packets");
    assert_eq!(outcome.total("/packets/passed"), captured, "totals: {}", outcome.totals);
    assert_eq!(outcome.total("/packets/dropped"), 0);
    let chosen = accounts.iter().filter(|account| account.server == site.ports.v4()).count();
    let lines = lines(&outcome);
    assert!(chosen > 0 && chosen < accounts.len());
    assert_eq!(lines.len(), chosen);
    for line in &lines {
        let server = &line["connection"]["server"];
        assert_eq!(server["address"], "127.0.0.1", "{line}");
        assert_eq!(server["port"], site.ports.gateway, "{line}");
    }
}

#[test]
fn packets_cut_at_the_snap_length_are_holes_that_say_so() {
    let _alone = exclusive();
    if !require_packets() {
        return;
    }
    namespace::enter();
    let site = Site::start();
    let port = site.ports.gateway.to_string();
    let arguments = ["--source", "interface", "--interface", "lo", "--port", &port];
    let tap = Tap::start(&owned(&arguments, &["--snap-length", "1KiB"]));
    let mut client = TcpStream::connect(site.ports.v4()).unwrap();
    let long = ask(&mut client, "/files/long.txt");
    let short = ask(&mut client, "/files/short.txt");
    let large = ask(&mut client, "/files/huge.bin");
    let last = ask(&mut client, "/direct/");
    drop(client);
    thread::sleep(SETTLING);
    let outcome = tap.stop();

    let lines = lines(&outcome);
    let bodies: Vec<&Value> = lines.iter().map(|line| &line["response"]["body"]).collect();
    let [first, second, third, fourth] = bodies[..] else { panic!("{lines:#?}") };
    assert_cut(first, &long);
    assert_whole(second, &short);
    assert_cut(third, &large);
    assert_whole(fourth, &last);
    assert_eq!(outcome.total("/packets/dropped"), 0);
    let lost = outcome.total("/bytes/lost_by_cause/snap_length");
    assert_eq!(lost, outcome.total("/bytes/lost"), "totals: {}", outcome.totals);
    assert_eq!(lost, first["lost"].as_u64().unwrap() + third["lost"].as_u64().unwrap());
}

#[test]
fn what_tcpdump_writes_to_a_pipe_is_read_while_it_runs() {
    let _alone = exclusive();
    if !require_packets() {
        return;
    }
    namespace::enter();
    let site = Site::start();
    let expression = format!("tcp port {}", site.ports.gateway);
    let mut tcpdump = tcpdump(Path::new("-"), &expression);
    tcpdump.arg("-U").stdout(Stdio::piped());
    let mut tcpdump = Tcpdump::wait_for(OwnedChild::spawn(tcpdump).unwrap());
    let mut reader = Command::new(env!("CARGO_BIN_EXE_gatetap"));
    reader.args(["read", "-"]).stdin(tcpdump.0.take_stdout().unwrap());
    reader.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut reader = OwnedChild::spawn(reader).unwrap();
    let mut records = BufReader::new(reader.take_stdout().unwrap()).lines();
    let mut client = TcpStream::connect(site.ports.v4()).unwrap();
    for target in ["/direct/", "/files/short.txt"] {
        let body = ask(&mut client, target);
        // The connection goes on, and so does tcpdump.
        let record: Value = serde_json::from_str(&records.next().unwrap().unwrap()).unwrap();
        assert_eq!(record["request"]["target"], target);
        assert_whole(&record["response"]["body"], &body);
    }
    tcpdump.stop();
    assert!(records.next().is_none());
    let status = reader.wait_for_end(Duration::from_secs(10)).unwrap();
    assert!(status.is_some_and(|status| status.success()));
}

/// Nothing of a body but a true beginning, and the rest is told as lost.
#[track_caller]
fn assert_cut(told: &Value, body: &[u8]) {
    let number = |key: &str| told[key].as_u64().unwrap_or_default();
    assert_eq!(told["length"], body.len());
    assert_eq!(told["lost_cause"], "snap_length");
    let shown = match told["text"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => decoded(told["base64"].as_str().expect("a beginning is shown")),
    };
    assert_eq!(shown.len() as u64, number("captured"));
    assert!(!shown.is_empty() && shown.len() < 1_024 && body.starts_with(&shown));
    // nginx sends some 4 KiB at once and more, of which less than 1 KiB was captured.
    assert!(number("lost") > number("length") / 2 && number("lost") < number("length"));
}

#[track_caller]
fn assert_whole(told: &Value, body: &[u8]) {
    assert_eq!(told["text"].as_str().unwrap().as_bytes(), body);
    assert_eq!((&told["complete"], told.get("lost")), (&true.into(), None));
}

fn owned(arguments: &[&str], more: &[&str]) -> Vec<String> {
    arguments.iter().chain(more).map(|argument| (*argument).to_owned()).collect()
}

fn decoded(base64: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(base64).unwrap()
}

/// Asks on a connection that goes on; yields the body of the response.
fn ask(client: &mut TcpStream, target: &str) -> Vec<u8> {
    write!(client, "GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut reader = BufReader::new(client);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    body
}

fn lines(outcome: &Outcome) -> Vec<Value> {
    let text = fs::read_to_string(outcome.records_path()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn tcpdump(file: &Path, expression: &str) -> Command {
    let mut command = Command::new("tcpdump");
    // Without "immediate" it ends without what waits in its ring.
    command.args(["-i", "lo", "-n", "-B", "65536", "-Z", "root", "--immediate-mode", "-w"]);
    command.arg(file).stdin(Stdio::null()).stderr(Stdio::piped());
    command.args(expression.split(' '));
    command
}

/// A running tcpdump on the loopback interface.
struct Tcpdump(OwnedChild, BufReader<ChildStderr>);

impl Tcpdump {
    fn start(file: &Path, expression: &str) -> Self {
        Self::wait_for(OwnedChild::spawn(tcpdump(file, expression)).unwrap())
    }

    fn wait_for(mut child: OwnedChild) -> Self {
        let mut said = BufReader::new(child.take_stderr().unwrap());
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "tcpdump ended");
        }
        Self(child, said)
    }

    /// Ends it; yields how many packets it captured.
    fn stop(mut self) -> u64 {
        self.0.signal(libc::SIGINT).unwrap();
        let mut report = String::new();
        self.1.read_to_string(&mut report).unwrap();
        assert!(report.contains("0 packets dropped by kernel"), "{report}");
        let count = report.lines().find_map(|line| line.strip_suffix(" packets captured"));
        count.unwrap().trim().parse().unwrap()
    }
}
