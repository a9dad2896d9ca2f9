//! SIGHUP while packets of the loopback interface are watched: sinks change between two exchanges
//! and none is missed. A server and a client of the test's own say what happened; the records, the
//! tap's words and its totals must tell the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Enough for anything here; a test that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Answers each connection once, and tells what it was sent.
fn server() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, heads) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
            // Who has gone needs no answer.
            let _ = stream.write_all(answer.as_bytes());
            if sender.send(head).is_err() {
                return;
            }
        }
    });
    (port, heads)
}

fn request(port: u16, path: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: test\r\nx-first: a{path}\r\nx-second: b{path}\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("ok"));
}

struct Tap {
    process: Child,
    words: Receiver<String>,
}

impl Tap {
    fn start(settings: &Path, totals: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_gatetap"))
            .arg("run")
            .arg("--config")
            .arg(settings)
            .arg("--totals-file")
            .arg(totals)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (sender, words) = channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, words }
    }

    /// Waits for a line with these words.
    fn says(&self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.words.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("gatetap never said: {words}"));
            if line.contains(words) {
                return line;
            }
        }
    }

    fn signal(&self, signal: i32) {
        let id = libc::pid_t::try_from(self.process.id()).unwrap();
        // SAFETY: sends a signal to a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(id, signal) }, 0);
    }

    fn stop(mut self) {
        self.signal(libc::SIGTERM);
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits for as many records and tells of each its path and correlation id.
fn records(path: &Path, count: usize) -> Vec<(String, String)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= count && text.ends_with('\n') {
            return text.lines().map(told).collect();
        }
        assert!(Instant::now() < deadline, "{count} records in {}: {text}", path.display());
        thread::sleep(Duration::from_millis(10));
    }
}

fn told(line: &str) -> (String, String) {
    let record: Value = serde_json::from_str(line).unwrap();
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let target = text("/request/target").expect("a record has a target");
    (target, text("/correlation_id").expect("a record has an id"))
}

fn is_root() -> Result<(), String> {
    // SAFETY: takes and touches nothing.
    match unsafe { libc::geteuid() } {
        0 => Ok(()),
        _ => Err("only root can capture packets".into()),
    }
}

struct Stage {
    folder: tempfile::TempDir,
    gateway: u16,
    runscope: u16,
}

impl Stage {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes settings with records in `file`.
    fn settings(&self, file: &str, header: &str, more: &str) {
        let Self { gateway, runscope, .. } = self;
        let yaml = format!(
            "source: interface\ninterface: lo\nselect: {{ports: [{gateway}]}}\n{more}\n\
             correlation: {{header: {header}}}\nsinks:\n\
             \x20 - name: records\n    file: {{path: {}}}\n    format: native\n\
             \x20 - runscope:\n      bucket_key: key\n      access_token_file: {}\n\
             \x20     api_endpoint: http://127.0.0.1:{runscope}\n",
            self.path(file).display(),
            self.path("token").display(),
        );
        std::fs::write(self.path("gatetap.yaml"), yaml).unwrap();
    }
}

/// Waits for a message that carries this token.
fn authorized(heads: &Receiver<String>, token: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let head = heads.recv_timeout(left).unwrap_or_else(|_| panic!("no message with {token}"));
        if head.to_lowercase().contains(&format!("authorization: bearer {token}\r\n")) {
            return;
        }
    }
}

#[test]
fn sinks_change_while_exchanges_come_and_wrong_settings_change_nothing() {
    if xtask::requirement::met(is_root()).is_none() {
        return;
    }
    let ((gateway, _requests), (runscope, messages)) = (server(), server());
    let stage = Stage { folder: tempfile::tempdir().unwrap(), gateway, runscope };
    std::fs::write(stage.path("token"), "one\n").unwrap();
    stage.settings("first", "X-First", "");
    let totals = stage.path("totals.json");
    let tap = Tap::start(&stage.path("gatetap.yaml"), &totals);
    tap.says("watching packets");
    request(gateway, "/1");
    assert_eq!(records(&stage.path("first"), 1), [("/1".to_owned(), "a/1".to_owned())]);
    authorized(&messages, "one");

    // Another file, another header, another token; the ring stays as it is.
    std::fs::write(stage.path("token"), "two\n").unwrap();
    stage.settings("second", "X-Second", "ring_size: 32MiB");
    tap.signal(libc::SIGHUP);
    let words = tap.says("settings read again");
    for part in ["sink records with other settings", "sink runscope:key with other secrets"] {
        assert!(words.contains(part), "{words}");
    }
    assert!(words.contains("correlation.header is now \"X-Second\""), "{words}");
    let words = tap.says("restart to apply");
    assert!(words.ends_with("changed: ring_size"), "{words}");
    request(gateway, "/2");
    assert_eq!(records(&stage.path("second"), 1), [("/2".to_owned(), "b/2".to_owned())]);
    authorized(&messages, "two");

    // Wrong settings: told, and nothing else happens.
    stage.settings("third", "X-Third", "body_cup: 1MiB");
    tap.signal(libc::SIGHUP);
    let words = tap.says("nothing is changed");
    assert!(words.contains("gatetap.yaml:4: body_cup: this key is unknown"), "{words}");
    stage.settings("missing/third", "X-Third", "");
    tap.signal(libc::SIGHUP);
    tap.says("nothing is changed: cannot open");
    request(gateway, "/3");
    assert_eq!(records(&stage.path("second"), 2)[1], ("/3".to_owned(), "b/3".to_owned()));

    // As logrotate does it.
    std::fs::rename(stage.path("second"), stage.path("second.1")).unwrap();
    stage.settings("second", "X-Second", "");
    tap.signal(libc::SIGHUP);
    tap.says("settings read again: no change");
    request(gateway, "/4");
    assert_eq!(records(&stage.path("second"), 1), [("/4".to_owned(), "b/4".to_owned())]);
    assert_eq!(records(&stage.path("second.1"), 2).len(), 2);
    assert_eq!(records(&stage.path("first"), 1).len(), 1);

    tap.stop();
    let totals: Value = serde_json::from_slice(&std::fs::read(totals).unwrap()).unwrap();
    assert_eq!(totals.pointer("/exchanges/client"), Some(&4.into()), "{totals}");
    let delivered = |sink: &Value| (sink["name"] == "records").then(|| sink["delivered"].as_u64());
    let sinks = totals["sinks"].as_array().unwrap();
    assert_eq!(sinks.iter().filter_map(delivered).flatten().sum::<u64>(), 4, "{totals}");
}
