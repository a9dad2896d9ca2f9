//! Requests that peers read differently, given to the real nginx: what it accepts and passes on
//! must be what the observer read, and what it refuses must be known as odd.
//!
//! Skipped where nginx is not installed.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use gatetap::http::{Anomaly, Limits, MemoryBudget, Observer, Request};
use gatetap::segment::{Close, ClosedBy, Content, Direction, Segment, Time};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;
use xtask::requirement;
use xtask::rig::{Nginx, NginxConfig, free_port};

/// Longest wait for a peer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Request heads behind `POST / HTTP/1.1`, with `Host`; bodies included.
const REQUESTS: &[&str] = &[
    // Clean.
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
    // Start lines.
    "\r\n\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
    "POST   / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
    "POST / HTTP/1.1 \r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
    "POST /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.2\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
    "POST / HTTP/1.10\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
    // Lines.
    "POST / HTTP/1.1\nHost: a\nContent-Length: 1\n\nx",
    "POST / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nX: a\x01b\r\nContent-Length: 1\r\n\r\nx",
    "POST / HTTP/1.1\r\n X: a\r\nHost: b\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nnocolon\r\nContent-Length: 1\r\n\r\nx",
    "POST / HTTP/1.1\r\nHost: a\r\nContent(Length: 9\r\nContent-Length: 1\r\n\r\nx",
    "POST / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n",
    // Whom it is for.
    "POST / HTTP/1.1\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    // How long it is.
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nx",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0001\r\n\r\nx",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0cchunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
];

/// Bodies of chunked requests.
const CHUNKED: &[&str] = &[
    "1\r\nx\r\n0\r\n\r\n",
    "0000000000000000000001\r\nx\r\n0\r\n\r\n",
    "1;a=b\r\nx\r\n0\r\n\r\n",
    "1 \r\nx\r\n0\r\n\r\n",
    "1 zz\r\nx\r\n0\r\n\r\n",
    "1\nx\r\n0\r\n\r\n",
    "1\r\nx\n0\r\n\r\n",
    "1\r\nx\r\n0\r\n\n",
    "1;a\nx\r\n0\r\n\r\n",
    "1;a\rb\r\nx\r\n0\r\n\r\n",
    "1\rb\r\nx\r\n0\r\n\r\n",
    "0x1\r\nx\r\n0\r\n\r\n",
    "-1\r\nx\r\n0\r\n\r\n",
    " 1\r\nx\r\n0\r\n\r\n",
    "\r\n1\r\nx\r\n0\r\n\r\n",
    "1\r\nxy\r\n0\r\n\r\n",
    "0\r\nT : x\r\n\r\n",
];

/// The one transfer coding list that nginx refuses (501) although it is clean: it does not know
/// gzip there.
const CLEAN_BUT_REFUSED: &str =
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n";

#[test]
fn the_observer_reads_what_nginx_reads() {
    if requirement::met(requirement::program("/usr/sbin/nginx")).is_none() {
        return;
    }
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream_port = upstream.local_addr().unwrap().port();
    let port = free_port().unwrap();
    let http = format!(
        "access_log off; server {{ listen 127.0.0.1:{port}; \
         location / {{ proxy_pass http://127.0.0.1:{upstream_port}; }} }}"
    );
    let _nginx = Nginx::start(NginxConfig { http, ..NginxConfig::default() }).unwrap();
    thread::spawn(move || upstream.incoming().for_each(|stream| echo(stream.unwrap())));

    let prefix = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunked = CHUNKED.iter().map(|body| format!("{prefix}{body}"));
    let requests = REQUESTS.iter().map(|request| (*request).to_owned()).chain(chunked);
    let (mut accepted, mut refused) = (0, 0);
    for request in requests {
        let (status, body) = ask(port, &request);
        let read = observe(request.as_bytes());
        let shown = request.escape_debug();
        match (status, read) {
            (200, Some(read)) => {
                accepted += 1;
                assert!(read.body.complete, "{shown}");
                assert_eq!(read.body.bytes, body, "{shown}");
            }
            (200, None) => panic!("nginx accepts what was not read: {shown}"),
            (400 | 501, Some(read)) => {
                refused += 1;
                assert!(!read.anomalies.is_empty(), "{shown}");
            }
            (400 | 501, None) => refused += 1,
            (status, _) => panic!("{status}: {shown}"),
        }
    }
    assert!(accepted > 15 && refused > 25, "{accepted} accepted, {refused} refused");
    assert_eq!(ask(port, CLEAN_BUT_REFUSED).0, 501);
    assert_eq!(
        observe(CLEAN_BUT_REFUSED.as_bytes()).unwrap().anomalies.iter().next(),
        None::<Anomaly>
    );
}

/// Answers with the body that came. nginx always tells its length when it passes a body on.
fn echo(mut stream: TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (_, body) = read_message(&mut stream);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes()).unwrap();
}

/// What nginx answers: status, and the body that it passed on.
fn ask(port: u16, request: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let (head, body) = read_message(&mut stream);
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.into_bytes())
}

/// Head and body; the body as far as it comes, if the peer ends the connection.
fn read_message(stream: &mut TcpStream) -> (String, String) {
    let mut message = Vec::new();
    loop {
        let mut piece = [0; 4096];
        // A refusal may end with a reset, because nginx did not read everything.
        let length = stream.read(&mut piece).unwrap_or_default();
        message.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&message);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let announced = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let announced = announced.map_or(0, |length| length.parse().unwrap());
            if body.len() >= announced || length == 0 {
                return (head.to_owned(), body.to_owned());
            }
        }
        assert!(length > 0, "{text:?}");
    }
}

/// The request that these bytes are.
fn observe(bytes: &[u8]) -> Option<Request> {
    let mut observer = Observer::new(Limits::default(), MemoryBudget::default(), false);
    observer.handle_segment(&Segment {
        direction: Direction::ToServer,
        offset: 0,
        time: Time::default(),
        at_boundary: true,
        content: Content::Bytes(bytes),
    });
    observer.handle_close(Close { by: ClosedBy::Client, reset: false }, Time::default());
    observer.poll().and_then(|exchange| exchange.request)
}
