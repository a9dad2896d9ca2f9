//! A small HTTP server that moves its bytes with the calls it is told to, in a process of its own.

use super::attempt;
use super::call_families::{Give, Take, discard, recv, splice_in};
use super::random::Random;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use xtask::rig::OwnedChild;

/// Set for a test program that shall be the server.
const ROLE: &str = "GATETAP_TEST_CALL_SERVER";
/// Begins each line that the server has to tell: its process id, then its addresses.
const TOLD: &str = "told: ";
const HEAD_LIMIT: usize = 16 * 1024;
/// Many small calls, so that two threads often come in each other's way.
const SMALL: usize = 100;
/// After this silence a thread that shares a socket looks whether all is there.
const SILENCE: Duration = Duration::from_millis(30);

/// Ends a target after whose response the server ends its side, reads, and only then closes.
pub(crate) const IN_STEPS: &str = "/in-steps";

/// The calls that a connection is served with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calls(pub(crate) Take, pub(crate) Give);

/// The server's process.
pub(crate) struct CallServer {
    process: OwnedChild,
    /// Its process id as it sees it itself.
    pub(crate) own_pid: u32,
    /// One address for each [`Calls`], in the order given.
    pub(crate) addresses: Vec<SocketAddr>,
}

impl CallServer {
    /// Starts this test program again; its test `entry` must call [`serve_if_told`].
    pub(crate) fn start(entry: &str, name: &str, calls: &[Calls]) -> Self {
        Self::spawn(Command::new(attempt(std::env::current_exe())), entry, name, calls)
    }

    /// As [`Self::start`], in a PID namespace of its own.
    pub(crate) fn start_in_namespace(entry: &str, name: &str, calls: &[Calls]) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child"]).arg(attempt(std::env::current_exe()));
        Self::spawn(command, entry, name, calls)
    }

    fn spawn(mut command: Command, entry: &str, name: &str, calls: &[Calls]) -> Self {
        command.args(["--exact", entry, "--ignored", "--nocapture"]).env(ROLE, name);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = attempt(OwnedChild::spawn(command));
        let lines = BufReader::new(process.take_stdout().unwrap()).lines();
        let words = lines
            .map_while(Result::ok)
            .filter_map(|line| Some(line.strip_prefix(TOLD)?.to_owned()));
        let told: Vec<_> = words.take(1 + calls.len()).collect();
        let [own_pid, addresses @ ..] = told.as_slice() else {
            panic!("the server did not start");
        };
        let addresses = addresses.iter().map(|address| attempt(address.parse())).collect();
        Self { process, own_pid: attempt(own_pid.parse()), addresses }
    }

    /// Its process id as we see it; in a namespace, that of the only child of the process which
    /// made it.
    pub(crate) fn pid(&self) -> u32 {
        let pid = self.process.pid();
        let children = attempt(std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")));
        children.trim().parse().unwrap_or(pid)
    }
}

/// The response body of that length, for server and client alike.
pub(crate) fn answer(length: usize) -> Vec<u8> {
    Random::new(length as u64).binary(length)
}

/// Serves until the process is ended, if it was started by [`CallServer::start`].
pub(crate) fn serve_if_told(all_calls: &[Calls]) {
    let Ok(name) = std::env::var(ROLE) else {
        return;
    };
    attempt(std::fs::write("/proc/self/comm", name));
    let listeners: Vec<_> = all_calls.iter().map(|calls| (*calls, listen())).collect();
    println!("\n{TOLD}{}", std::process::id());
    for (_, listener) in &listeners {
        println!("{TOLD}{}", attempt(listener.local_addr()));
    }
    thread::scope(|scope| {
        for (calls, listener) in listeners {
            scope.spawn(move || accept(calls, &listener));
        }
    });
}

fn listen() -> TcpListener {
    attempt(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
}

fn accept(calls: Calls, listener: &TcpListener) {
    for stream in listener.incoming() {
        serve(calls, &attempt(stream));
    }
}

fn serve(Calls(take, give): Calls, stream: &TcpStream) {
    attempt(stream.set_nodelay(true));
    let socket = stream.as_raw_fd();
    let mut buffer = Vec::new();
    while let Some(target) = attempt(read_request(take, socket, &mut buffer)) {
        let length = target.trim_start_matches('/').trim_end_matches(IN_STEPS);
        attempt(respond(give, socket, &answer(length.parse().unwrap_or(0))));
        if target.ends_with(IN_STEPS) {
            return attempt(close_in_steps(stream));
        }
    }
}

/// As nginx closes when it does not know whether the client will send more. The pause lets the
/// client's own end come first.
fn close_in_steps(stream: &TcpStream) -> io::Result<()> {
    thread::sleep(SILENCE);
    stream.shutdown(Shutdown::Write)?;
    let count = recv(stream.as_raw_fd(), &mut [0; SMALL], 0)?;
    assert_eq!(count, 0, "the client has ended its side");
    Ok(())
}

/// Reads a request whole; its target, or `None` at the end of the connection.
fn read_request(take: Take, socket: RawFd, buffer: &mut Vec<u8>) -> io::Result<Option<String>> {
    let Some(head_length) = read_head(take, socket, buffer)? else {
        return Ok(None);
    };
    let head: Vec<u8> = buffer.drain(..head_length).collect();
    let head = String::from_utf8_lossy(&head).into_owned();
    let field = |line: &str| line.strip_prefix("Content-Length: ").and_then(|n| n.parse().ok());
    let length: usize = head.lines().find_map(field).unwrap_or(0);
    read_body(take, socket, buffer, length)?;
    Ok(head.split(' ').nth(1).map(str::to_owned))
}

fn read_head(take: Take, socket: RawFd, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
    loop {
        if let Some(length) = head_length(buffer) {
            return Ok(Some(length));
        }
        let count = match take {
            Take::WaitForAll | Take::Discard | Take::Splice | Take::TwoThreads => {
                recv_only_head(socket, buffer)?
            }
            _ => take.call(socket, buffer)?,
        };
        if count == 0 {
            return Ok(None);
        }
    }
}

/// Takes exactly the head, so that the body can be moved in another way.
fn recv_only_head(socket: RawFd, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let mut seen = vec![0; HEAD_LIMIT];
    let peeked = recv(socket, &mut seen, libc::MSG_PEEK)?;
    let length = head_length(&seen[..peeked]).unwrap_or(peeked);
    let count = recv(socket, &mut seen[..length], 0)?;
    buffer.extend(&seen[..count]);
    Ok(count)
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|start| start + 4)
}

fn read_body(take: Take, socket: RawFd, buffer: &mut Vec<u8>, length: usize) -> io::Result<()> {
    match take {
        Take::Discard => repeat(length, |left| discard(socket, left)),
        Take::Splice => repeat(length, |left| splice_in(socket, left)),
        Take::WaitForAll if length > 0 => {
            let count = recv(socket, &mut vec![0; length], libc::MSG_WAITALL)?;
            assert_eq!(count, length, "MSG_WAITALL");
            Ok(())
        }
        Take::TwoThreads if length > 0 => read_by_two(socket, length),
        _ => {
            let missing = length.saturating_sub(buffer.len());
            repeat(missing, |_| take.call(socket, buffer))?;
            buffer.drain(..length);
            Ok(())
        }
    }
}

/// Calls until `length` bytes were moved.
fn repeat(length: usize, mut call: impl FnMut(usize) -> io::Result<usize>) -> io::Result<()> {
    let mut left = length;
    while left > 0 {
        match call(left)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => left -= count,
        }
    }
    Ok(())
}

/// Both threads wait inside `recv` before the client is told to go on.
fn read_by_two(socket: RawFd, length: usize) -> io::Result<()> {
    set_receive_timeout(socket, SILENCE)?;
    let left = AtomicUsize::new(length);
    let take = || {
        while left.load(Ordering::SeqCst) > 0 {
            if let Ok(count) = recv(socket, &mut [0; SMALL], 0) {
                left.fetch_sub(count, Ordering::SeqCst);
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(take);
        scope.spawn(take);
        thread::sleep(SILENCE / 3);
        Give::Write.all(socket, b"HTTP/1.1 100 Continue\r\n\r\n")
    })?;
    set_receive_timeout(socket, Duration::ZERO)
}

fn set_receive_timeout(socket: RawFd, timeout: Duration) -> io::Result<()> {
    let micros = timeout.as_micros() as libc::suseconds_t;
    let value = libc::timeval { tv_sec: 0, tv_usec: micros };
    let size = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the option's value is a live structure of the size given.
    let result = unsafe {
        let value = (&raw const value).cast();
        libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_RCVTIMEO, value, size)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn respond(give: Give, socket: RawFd, body: &[u8]) -> io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    match give {
        Give::Sendfile | Give::Splice | Give::IoUring => {
            Give::Write.all(socket, head.as_bytes())?;
            give.all(socket, body)
        }
        _ => give.all(socket, &[head.as_bytes(), body].concat()),
    }
}
