//! The edges of what is watched: other protocols, other programs, namespaces and control groups,
//! answers without end, and more events than the ring can hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod live;

use live::mix::Mix;
use live::site::{self, Site};
use live::tap::Outcome;
use live::traffic::{self, Client, Plan, Step};
use live::{Tap, attempt, exclusive, fixture, require_live};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use xtask::rig::{Nginx, NginxConfig, OwnedChild, free_port};

/// The consumer stands still for seconds while the gateway works on: what the ring cannot hold is missing,
/// and every byte of it is accounted for; the clients notice nothing. Afterwards the next message on each
/// connection is whole again, also on those that lost some.
#[test]
fn what_the_ring_cannot_hold_is_accounted_for() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let site = Site::start();
    let pid = site.gateway.master_pid().to_string();
    let tap = Tap::start(&["--pid", &pid, "--ring-size", "256KiB"].map(str::to_owned));
    let mut mix = Mix::new(site.ports, "overload");
    let mut gets = |count: usize| {
        let steps = (0..count).map(|_| Step::Ask(mix.get_file("page.bin"))).collect();
        Client::open(Plan { to: site.ports.v4(), steps })
    };
    let (mut accounts, mut before, mut during) = (Vec::new(), Vec::new(), Vec::new());
    let mut kept_open = gets(BATCH + AFTERWARDS);
    for _round in 0..9 {
        before.push(timed(|| accounts.extend(gets(BATCH).finish())));
        signal(tap.pid(), libc::SIGSTOP);
        during.push(timed(|| accounts.extend(gets(BATCH).finish())));
        thread::sleep(STANDSTILL);
        signal(tap.pid(), libc::SIGCONT);
        thread::sleep(SETTLING);
    }
    signal(tap.pid(), libc::SIGSTOP);
    accounts.extend(kept_open.before_tap(BATCH));
    thread::sleep(LONG_STANDSTILL);
    signal(tap.pid(), libc::SIGCONT);
    thread::sleep(SETTLING);
    let missed = accounts.len();
    accounts.extend(kept_open.finish());
    let outcome = tap.stop();

    let moved = traffic::bytes_moved(&accounts) + site::bytes_moved(&site.origin);
    assert_eq!(outcome.total("/bytes/seen"), moved, "totals: {}", outcome.totals);
    assert!(outcome.total("/bytes/lost") > 0, "the ring held everything: {}", outcome.totals);
    assert!(outcome.total("/kernel/reservation_failures") > 0);
    assert_eq!(outcome.total("/kernel/closes_lost"), 0);
    assert_eq!(outcome.total("/kernel/runs_missed"), 0);
    assert_eq!(accounts.len() - missed, AFTERWARDS);
    let records = outcome.records();
    for account in accounts.iter().skip(missed) {
        let id = Some(account.request.id.as_str());
        for leg in ["client", "upstream"] {
            let of_this = |record: &&live::record::Record| {
                record.leg == leg && record.request_header("X-Test-Id") == id
            };
            let record = records.iter().find(of_this).unwrap_or_else(|| panic!("{id:?}: {leg}"));
            assert!(record.complete, "{record:?}");
        }
    }
    let (before, during) = (median(before), median(during));
    println!("{BATCH} requests took {before:?}, and {during:?} while the tap stood still");
    assert!(during < before * 3 / 2, "{during:?} instead of {before:?}");
}

/// Requests whose bytes the ring cannot hold.
const BATCH: usize = 300;
/// Requests on a connection that lost some before.
const AFTERWARDS: usize = 20;
/// How long the consumer stands still beyond that, each time and the last time.
const STANDSTILL: Duration = Duration::from_millis(300);
const LONG_STANDSTILL: Duration = Duration::from_secs(3);
/// How long it takes at most to take in what is in the ring.
const SETTLING: Duration = Duration::from_millis(500);

fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn signal(pid: u32, signal: i32) {
    // SAFETY: signals a process that this test started and still owns.
    let result = unsafe { libc::kill(i32::try_from(pid).unwrap(), signal) };
    assert_eq!(result, 0);
}

/// First bytes that are not HTTP, and what they are counted as.
const FOREIGN: &[(&str, &[u8])] = &[
    ("tls", b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03 and so on"),
    ("redis", b"*1\r\n$4\r\nPING\r\n"),
    ("postgres", b"\x00\x00\x00\x08\x04\xd2\x16\x2f"),
    ("http2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("other", b"\x01\x02\x03\x04 something else entirely, and more of it\r\n\r\n"),
];

#[test]
fn connections_that_do_not_speak_http_are_counted_by_kind() {
    const CHATTER: usize = 200_000;
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let listener = attempt(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let address = attempt(listener.local_addr());
    // This test is the watched process itself: it serves, another program is the client.
    let tap = Tap::start(&["--pid", &std::process::id().to_string()].map(str::to_owned));
    for (_, first_bytes) in FOREIGN {
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut served = attempt(listener.accept()).0;
                let mut rest = Vec::new();
                attempt(served.read_to_end(&mut rest));
            });
            let mut client = attempt(TcpStream::connect(address));
            attempt(client.write_all(first_bytes));
            // The verdict reaches the kernel; what follows is not copied any more.
            thread::sleep(Duration::from_millis(300));
            attempt(client.write_all(&vec![b'x'; CHATTER]));
        });
    }
    let outcome = tap.stop();

    // Both ends belong to this process: every connection is seen as client and as upstream leg.
    for (kind, _) in FOREIGN {
        assert_eq!(outcome.total(&format!("/connections/{kind}")), 2, "{}", outcome.totals);
    }
    assert_eq!(outcome.records().len(), 0);
    let chatter = 2 * FOREIGN.len() * CHATTER;
    assert!(outcome.total("/kernel/bytes_copied") < chatter as u64 / 10, "{}", outcome.totals);
}

#[test]
fn a_proxy_protocol_header_is_read_and_reported() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let port = attempt(free_port());
    let server = format!("server {{ listen 127.0.0.1:{port} proxy_protocol; return 200 ok; }}");
    let nginx = attempt(Nginx::start(NginxConfig { workers: 1, http: server, ..plain() }));
    let tap = Tap::start(&["--pid".to_owned(), nginx.master_pid().to_string()]);
    let curl = Command::new("curl")
        .args(["--silent", "--haproxy-protocol", &format!("http://127.0.0.1:{port}/proxied")])
        .output();
    assert_eq!(attempt(curl).stdout, b"ok");
    let records = raw_records(&tap.stop());

    let [record] = records.as_slice() else {
        panic!("not one record: {records:?}");
    };
    let proxied = &record["connection"]["proxied"];
    assert_eq!(proxied["client"], record["connection"]["client"], "{record}");
    assert_eq!(proxied["server"]["port"], port);
    assert_eq!(record["request"]["target"], "/proxied");
}

/// A child that becomes another program is not the gateway any more. The shell's own request is
/// the control: it is seen.
#[test]
fn a_child_that_becomes_another_program_is_dropped() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let port = attempt(free_port());
    let server = format!("server {{ listen 127.0.0.1:{port}; return 200 ok; }}");
    let _nginx = attempt(Nginx::start(NginxConfig { workers: 1, http: server, ..plain() }));
    let script = format!(
        "read go; exec 3<>/dev/tcp/127.0.0.1/{port}; \
         printf 'GET /own HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n' >&3; read -r status <&3; \
         curl --silent http://127.0.0.1:{port}/child"
    );
    let mut command = Command::new("bash");
    command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = attempt(command.spawn());
    let tap = Tap::start(&["--pid".to_owned(), shell.id().to_string()]);
    attempt(shell.stdin.take().unwrap().write_all(b"go\n"));
    let output = attempt(shell.wait_with_output());
    assert_eq!(output.stdout, b"ok", "curl did not reach the server");
    let records = raw_records(&tap.stop());

    let targets: Vec<&Value> = records.iter().map(|record| &record["request"]["target"]).collect();
    assert_eq!(targets, ["/own"]);
}

/// Two gateways share a port number, in two network namespaces and two control groups.
#[test]
fn namespace_and_control_group_narrow_the_selection() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let port = attempt(free_port());
    let group = ControlGroup::create();
    let here = Isolated::start(port, "here", &["sh", "-c", &group.entering("exec \"$0\" \"$@\"")]);
    let bring_up = "ip link set lo up && exec \"$0\" \"$@\"";
    let there = Isolated::start(port, "there", &["unshare", "--net", "sh", "-c", bring_up]);
    let namespace = attempt(std::fs::metadata(format!("/proc/{}/ns/net", there.pid()))).ino();

    let port_option = ["--port".to_owned(), port.to_string()];
    let by_namespace = ["--netns".to_owned(), namespace.to_string()];
    let by_path = ["--netns".to_owned(), format!("/proc/{}/ns/net", there.pid())];
    let by_group = ["--cgroup".to_owned(), group.name()];
    for (narrowed, expected) in [(by_namespace, "/there"), (by_path, "/there"), (by_group, "/here")]
    {
        let tap = Tap::start(&[port_option.as_slice(), narrowed.as_slice()].concat());
        here.ask();
        there.ask();
        let records = raw_records(&tap.stop());
        let targets: Vec<&Value> =
            records.iter().map(|record| &record["request"]["target"]).collect();
        assert_eq!(targets, [expected], "narrowed by {narrowed:?}");
    }
}

/// A listener that was opened by another program, which then became the gateway: the new program
/// is not selected by what it does, but a scan finds it within a second.
#[test]
fn an_inherited_listener_is_found() {
    const OPEN_AND_BECOME: &str = "use Socket; use Fcntl; my $port = shift; \
        socket(S, PF_INET, SOCK_STREAM, 0); setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1); \
        bind(S, sockaddr_in($port, INADDR_LOOPBACK)) or die; listen(S, 64); \
        fcntl(S, F_SETFD, 0); $ENV{NGINX} = fileno(S) . ';'; exec @ARGV";
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let port = attempt(free_port());
    let tap = Tap::start(&["--port".to_owned(), port.to_string()]);
    let by_way_of = ["perl", "-e", OPEN_AND_BECOME, &port.to_string()];
    let gateway = Isolated::start(port, "early", &by_way_of);
    thread::sleep(Duration::from_millis(1_200));
    assert!(gateway.answers_at("found"));
    let records = raw_records(&tap.stop());

    let last = records.last().unwrap_or_else(|| panic!("no record"));
    assert_eq!(last["request"]["target"], "/found");
}

/// An answer that goes on for longer than the age limit is shown as it is, and again at its end.
#[test]
fn an_answer_without_end_is_shown_before_it_ends() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let origin = attempt(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let origin_port = attempt(origin.local_addr()).port();
    let port = attempt(free_port());
    let server = format!(
        "server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{origin_port}; \
         proxy_http_version 1.1; proxy_buffering off; }} }}"
    );
    let nginx = attempt(Nginx::start(NginxConfig { workers: 1, http: server, ..plain() }));
    let arguments = ["--port", &port.to_string(), "--age-limit", "1s"].map(str::to_owned);
    let tap = Tap::start(&arguments);
    thread::scope(|scope| {
        scope.spawn(|| send_events(&origin));
        let curl = Command::new("curl")
            .args(["--silent", "--no-buffer", &format!("http://127.0.0.1:{port}/events")])
            .output();
        assert_eq!(attempt(curl).stdout, b"data: 1\n\ndata: 2\n\n");
    });
    drop(nginx);
    let records = raw_records(&tap.stop());

    let clients: Vec<&Value> = records.iter().filter(|record| record["leg"] == "client").collect();
    let [early, whole] = clients.as_slice() else {
        panic!("not two records: {clients:?}");
    };
    assert_eq!(early["id"], whole["id"]);
    assert_eq!(early["correlation_id"], whole["correlation_id"]);
    assert_eq!((&early["complete"], &early["outcome"]), (&false.into(), &"ongoing".into()));
    assert_eq!(early["response"]["body"]["text"], "data: 1\n\n");
    assert_eq!((&whole["complete"], &whole["outcome"]), (&true.into(), &"complete".into()));
    assert_eq!(whole["response"]["body"]["text"], "data: 1\n\ndata: 2\n\n");
}

/// Serves one request with two events, 2.5 seconds apart.
fn send_events(origin: &TcpListener) {
    let (mut stream, _) = attempt(origin.accept());
    attempt(stream.read(&mut [0; 4096]));
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    attempt(write!(stream, "{head}9\r\ndata: 1\n\n\r\n"));
    thread::sleep(Duration::from_millis(2_500));
    attempt(write!(stream, "9\r\ndata: 2\n\n\r\n0\r\n\r\n"));
}

fn plain() -> NginxConfig {
    NginxConfig { workers: 1, http: String::new(), main: String::new() }
}

fn raw_records(outcome: &Outcome) -> Vec<Value> {
    let text = attempt(std::fs::read_to_string(outcome.records_path()));
    text.lines().map(|line| attempt(serde_json::from_str(line))).collect()
}

/// A control group (version 2) of this test's own, removed in the end.
struct ControlGroup {
    folder: PathBuf,
}

impl ControlGroup {
    fn create() -> Self {
        let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let mount = mounts.into_iter().find(|mount| mount.join("cgroup.procs").exists());
        let name = format!("gatetap-test-{}", std::process::id());
        let folder = mount.expect("no control groups version 2 here").join(name);
        attempt(std::fs::create_dir(&folder));
        Self { folder }
    }

    fn name(&self) -> String {
        self.folder.file_name().unwrap().to_string_lossy().into_owned()
    }

    /// A shell command that runs inside the group.
    fn entering(&self, command: &str) -> String {
        format!("echo $$ > {}/cgroup.procs && {command}", self.folder.display())
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // Its processes have been ended; the kernel may take a moment to notice.
        fixture::wait_until(Duration::from_secs(3), || std::fs::remove_dir(&self.folder).is_ok());
    }
}

/// An nginx that was started by way of another program, which puts it somewhere special.
struct Isolated {
    nginx: OwnedChild,
    name: &'static str,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Isolated {
    fn start(port: u16, name: &'static str, by_way_of: &[&str]) -> Self {
        let folder = attempt(tempfile::Builder::new().prefix("gatetap-live-").tempdir());
        let place = folder.path().display();
        let config = format!(
            "daemon off; pid {place}/pid; error_log {place}/error.log; \
             events {{}} http {{ access_log off; client_body_temp_path {place}/b; \
             proxy_temp_path {place}/p; fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; \
             scgi_temp_path {place}/s; server {{ listen 127.0.0.1:{port}; return 200 ok; }} }}"
        );
        let config_path = folder.path().join("nginx.conf");
        attempt(std::fs::write(&config_path, config));
        let mut command = Command::new(by_way_of[0]);
        command.args(&by_way_of[1..]).args(["/usr/sbin/nginx", "-c"]).arg(&config_path);
        let nginx = attempt(OwnedChild::spawn(command));
        let isolated = Self { nginx, name, port, _folder: folder };
        let is_up = fixture::wait_until(Duration::from_secs(5), || isolated.answers());
        assert!(is_up, "nginx `{name}` does not answer");
        isolated
    }

    fn pid(&self) -> u32 {
        self.nginx.pid()
    }

    fn ask(&self) {
        assert!(self.answers());
    }

    fn answers(&self) -> bool {
        self.answers_at(self.name)
    }

    /// Asks from inside the server's own network namespace.
    fn answers_at(&self, path: &str) -> bool {
        let url = format!("http://{}/{path}", SocketAddr::from(([127, 0, 0, 1], self.port)));
        let output = Command::new("nsenter")
            .args([&format!("--net=/proc/{}/ns/net", self.pid()), "curl", "--silent", &url])
            .output();
        attempt(output).stdout == b"ok"
    }
}

impl Drop for Isolated {
    /// In good order, because only the master knows its workers.
    fn drop(&mut self) {
        let _ = self.nginx.signal(libc::SIGTERM);
        let _ = self.nginx.wait_for_end(Duration::from_secs(5));
    }
}
