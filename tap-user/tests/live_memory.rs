//! Resident memory at most 64 MiB with default settings, however long bodies are and however many
//! connections are open. The kernel's own account of the process says how much it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod live;

use live::tap::Outcome;
use live::{Tap, attempt, exclusive, require_live};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;
use xtask::rig::{Nginx, NginxConfig, free_port};

/// What the tap may have resident, in KiB.
const RESIDENT_LIMIT: u64 = 64 * 1024;
/// What a second round may need beyond the first, in KiB: the allocator's grain.
const GRAIN: u64 = 1_024;
/// Length of a long body.
const LONG: u64 = 1 << 30;
/// Bytes of a body that records carry by default.
const BODY_CAP: u64 = 128 * 1024;
/// How long the last events may take from the kernel to the tap.
const SETTLING: Duration = Duration::from_millis(500);

/// A gigabyte in each direction, over both legs, several times: what is beyond the body cap is counted, not
/// kept, and the second round needs no more than the first.
#[test]
fn bodies_of_a_gigabyte_leave_memory_flat() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let [gateway, origin] = [(); 2].map(|()| attempt(free_port()));
    let serving = format!("root html; server {{ listen 127.0.0.1:{origin}; }}");
    let served = attempt(Nginx::start(NginxConfig { http: serving, ..NginxConfig::default() }));
    let taker = start_taker();
    let file = attempt(File::create(served.dir().join("html/long")));
    attempt(file.set_len(LONG));
    let proxy = attempt(Nginx::start(NginxConfig {
        http: format!(
            "server {{ listen 127.0.0.1:{gateway}; client_max_body_size 0; sendfile off;
             proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off;
             location / {{ proxy_pass http://127.0.0.1:{origin}; }}
             location /taken {{ proxy_pass http://127.0.0.1:{taker}; }} }}"
        ),
        ..NginxConfig::default()
    }));
    let tap = Tap::start(&["--pid".to_owned(), proxy.master_pid().to_string()]);
    let mut peaks = Vec::new();
    for _round in 0..2 {
        curl(&[&format!("http://127.0.0.1:{gateway}/long")]);
        let long = served.dir().join("html/long").display().to_string();
        curl(&["--upload-file", &long, &format!("http://127.0.0.1:{gateway}/taken")]);
        peaks.push(peak_kib(tap.pid()));
    }
    thread::sleep(SETTLING);
    let outcome = tap.stop();

    print_peaks("after rounds with bodies of 1 GiB", &peaks);
    assert!(peaks.iter().all(|&peak| peak <= RESIDENT_LIMIT), "{peaks:?} KiB");
    assert!(peaks.is_sorted_by(|first, second| *second <= first + GRAIN), "{peaks:?} KiB");
    let records = outcome.records();
    assert_eq!(records.len(), 8, "two legs, two directions, two rounds");
    for record in records {
        let (request, response) = (record.request.unwrap(), record.response.unwrap());
        let body = if request.method == "GET" { response.body } else { request.body };
        assert_eq!((body.length, body.lost, body.complete), (Some(LONG), 0, true), "{body:?}");
        assert_eq!(body.captured, BODY_CAP);
    }
}

/// Ten thousand clients that stay, each asking twice.
#[test]
fn ten_thousand_open_connections_fit() {
    const CONNECTIONS: usize = 10_000;
    const ROUNDS: usize = 2;
    let _alone = exclusive();
    if !require_live() || !allow_files(CONNECTIONS) {
        return;
    }
    let port = attempt(free_port());
    let server = format!(
        "keepalive_timeout 600s; keepalive_requests 1000;
         server {{ listen 127.0.0.1:{port} backlog=4096; return 200 \"{}\"; }}",
        "x".repeat(400)
    );
    let main = "worker_rlimit_nofile 16384;".to_owned();
    let nginx = attempt(Nginx::start(NginxConfig { workers: 2, http: server, main }));
    let tap = Tap::start(&["--pid".to_owned(), nginx.master_pid().to_string()]);
    let connect = |_| attempt(TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
    let mut clients: Vec<TcpStream> = (0..CONNECTIONS).map(connect).collect();
    for round in 0..ROUNDS {
        clients.iter_mut().for_each(|client| ask(client, round));
    }
    thread::sleep(SETTLING);
    let peak = peak_kib(tap.pid());
    drop(clients);
    thread::sleep(SETTLING);
    let outcome = tap.stop();

    print_peaks("with 10,000 open connections", &[peak]);
    assert!(peak <= RESIDENT_LIMIT, "{peak} KiB");
    let asked = (CONNECTIONS * ROUNDS) as u64;
    assert_eq!(outcome.total("/exchanges/client"), asked, "{}", outcome.totals);
    assert_eq!(outcome.total("/bytes/lost"), 0, "{}", outcome.totals);
    assert_eq!(lines(&outcome), asked);
}

/// Takes request bodies to their end, however long, and answers then.
fn start_taker() -> u16 {
    let listener = attempt(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let port = attempt(listener.local_addr()).port();
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| take(&stream)));
    port
}

fn take(stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = attempt(value.trim().parse());
        }
        line.clear();
    }
    let taken = attempt(std::io::copy(&mut reader.take(length), &mut std::io::sink()));
    assert_eq!(taken, length);
    attempt((&*stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntaken"));
}

fn curl(arguments: &[&str]) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--fail", "--output", "/dev/null", "--max-time", "120"]);
    let status = attempt(command.args(arguments).status());
    assert!(status.success(), "{command:?}: {status}");
}

fn ask(client: &mut TcpStream, round: usize) {
    let request = format!("GET /{round} HTTP/1.1\r\nHost: many\r\n\r\n");
    attempt(client.write_all(request.as_bytes()));
    let mut answer = [0; 4_096];
    let mut length = 0;
    while !answer.get(..length).unwrap().ends_with(&[b'x'; 400]) {
        let read = attempt(client.read(answer.get_mut(length..).unwrap()));
        assert!(read > 0, "the gateway closed");
        length += read;
    }
}

/// Largest resident set so far.
fn peak_kib(pid: u32) -> u64 {
    let status =
        attempt(fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")));
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    attempt(line.split_whitespace().next().unwrap().parse())
}

fn print_peaks(when: &str, peaks: &[u64]) {
    println!("resident at most {peaks:?} KiB {when}");
}

fn lines(outcome: &Outcome) -> u64 {
    let bytes = attempt(fs::read(outcome.records_path()));
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Raises the limit of open files; without enough, the test is skipped or fails as any other requirement.
fn allow_files(connections: usize) -> bool {
    let wanted = (connections + 1_000) as libc::rlim_t;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is valid for writing for the length of the call.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur = limit.rlim_max.min(wanted.max(limit.rlim_cur));
    // SAFETY: the structure is valid for reading for the length of the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    let is_enough = got == 0 && set == 0 && limit.rlim_cur >= wanted;
    let allowed = limit.rlim_cur;
    let need = || format!("{allowed} open files are allowed, {wanted} are needed (ulimit -Hn)");
    xtask::requirement::met(if is_enough { Ok(()) } else { Err(need()) }).is_some()
}
