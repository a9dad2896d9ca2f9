//! Who is watched: an nginx gateway in front of a second nginx, the origin.

use super::random::Random;
use super::{attempt, fixture};
use std::fs::{self, File};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, SystemTime};
use xtask::rig::{ACCESS_LOG, LogEntry, Nginx, NginxConfig, free_port};

/// Modification time of every file, so that a client can ask `If-Modified-Since`.
pub(crate) const LAST_MODIFIED: &str = "Wed, 21 Oct 2015 07:28:00 GMT";
const LAST_MODIFIED_UNIX: Duration = Duration::from_secs(1_445_412_480);

/// Files that the origin serves: lengths around every limit on the way (nginx's buffers of 4, 8
/// and 16 KiB, the tap's body cap of 128 KiB). Text comes in chunks where gzip is accepted.
pub(crate) const SMALL_FILES: &[(&str, usize)] = &[
    ("empty.bin", 0),
    ("one.bin", 1),
    ("tiny.txt", 63),
    ("short.txt", 400),
    ("page.bin", 4096),
    ("page.txt", 4097),
    ("buffers.bin", 8193),
    ("long.txt", 16_384),
    ("more.bin", 65_536),
];
/// See [`SMALL_FILES`]; these are asked for less often.
pub(crate) const LARGE_FILES: &[(&str, usize)] = &[
    ("below-cap.bin", 128 * 1024 - 1),
    ("cap.bin", 128 * 1024),
    ("above-cap.bin", 128 * 1024 + 1),
    ("large.txt", 300_000),
    ("huge.txt", 1_000_001),
    ("huge.bin", 1_048_577),
];
pub(crate) const LARGEST_FILE: (&str, usize) = ("largest.bin", 5_000_000);

/// Gateway, origin, and an upstream that never answers.
pub(crate) struct Site {
    pub(crate) gateway: Nginx,
    pub(crate) origin: Nginx,
    pub(crate) ports: Ports,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    /// The gateway at 127.0.0.1 and `[::1]`.
    pub(crate) gateway: u16,
    /// A second listener of the gateway, at `[::]` for both families: IPv4 clients come with
    /// mapped addresses.
    pub(crate) mapped: u16,
    pub(crate) origin: u16,
    /// Takes requests whole for the origin.
    pub(crate) sink: u16,
    /// Accepts, reads nothing, never answers.
    pub(crate) silent: u16,
}

impl Ports {
    pub(crate) fn v4(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.gateway).into()
    }

    pub(crate) fn v6(&self) -> SocketAddr {
        (Ipv6Addr::LOCALHOST, self.gateway).into()
    }

    pub(crate) fn mapped(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.mapped).into()
    }
}

impl Site {
    pub(crate) fn start() -> Self {
        let [gateway, mapped, origin, sink] = [(); 4].map(|()| attempt(free_port()));
        let ports = Ports { gateway, mapped, origin, sink, silent: start_silent_upstream() };
        let origin = attempt(Nginx::start(origin_config(&ports)));
        make_files(&origin);
        let gateway = attempt(Nginx::start(gateway_config(&ports)));
        Self { gateway, origin, ports }
    }

    /// What the origin stored for `PUT /store/NAME`.
    pub(crate) fn stored(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.origin.dir().join("html/store").join(name)).ok()
    }
}

/// The log of an nginx, once it has `count` lines or does not grow any more.
pub(crate) fn log_of(nginx: &Nginx, count: usize) -> Vec<LogEntry> {
    let enough = || nginx.access_log().is_ok_and(|log| log.len() >= count);
    fixture::wait_until(Duration::from_secs(3), enough);
    attempt(nginx.access_log())
}

/// Bytes that an nginx received and sent, by its own log.
pub(crate) fn bytes_moved(nginx: &Nginx) -> u64 {
    let number = |line: &LogEntry, variable| line.number(variable).unwrap();
    let moved = |line| number(line, "request_length") + number(line, "bytes_sent");
    log_of(nginx, 0).iter().map(moved).sum()
}

/// The gateway: two workers, as Kong configures nginx where it matters to a tap (no sendfile,
/// kept-alive upstream connections, buffered bodies, and one place each where they are streamed).
pub(crate) fn gateway_config(ports: &Ports) -> NginxConfig {
    let Ports { gateway, mapped, origin, silent, .. } = ports;
    let http = format!(
        r#"{ACCESS_LOG}
        sendfile off;
        client_max_body_size 0;
        keepalive_timeout 60s;
        upstream origin {{ server 127.0.0.1:{origin}; keepalive 16; }}
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        server {{
            listen 127.0.0.1:{gateway} reuseport;
            listen [::1]:{gateway};
            listen [::]:{mapped} ipv6only=off;
            location / {{ proxy_pass http://origin; }}
            location /streamed/ {{
                proxy_request_buffering off;
                proxy_buffering off;
                proxy_pass http://origin/;
            }}
            location /silent {{ proxy_pass http://127.0.0.1:{silent}; }}
            location /direct/ {{ default_type text/plain; return 200 "answered by the gateway\n"; }}
            location /direct/nothing {{ return 204; }}
            location /direct/elsewhere {{ return 302 /direct/; }}
        }}"#
    );
    NginxConfig { workers: 2, http, main: "worker_shutdown_timeout 5s;".into() }
}

/// The origin: files, a store, and `/accept`, which reads a request's body to its end by passing
/// it on to a last server (`return` alone would discard it uncounted).
fn origin_config(ports: &Ports) -> NginxConfig {
    let Ports { origin, sink, .. } = ports;
    let http = format!(
        r#"{ACCESS_LOG}
        client_max_body_size 0;
        keepalive_timeout 60s;
        types {{ text/plain txt; application/octet-stream bin; }}
        gzip on; gzip_proxied any; gzip_types text/plain; gzip_min_length 1;
        root html;
        server {{
            listen 127.0.0.1:{origin};
            location /store/ {{ dav_methods PUT DELETE; create_full_put_path on; }}
            location /accept {{ proxy_pass http://127.0.0.1:{sink}; }}
        }}
        server {{
            listen 127.0.0.1:{sink};
            access_log off;
            location / {{ return 200 "accepted\n"; }}
        }}"#
    );
    NginxConfig { workers: 1, http, main: String::new() }
}

fn make_files(origin: &Nginx) {
    let mut random = Random::new(1);
    let folder = origin.dir().join("html/files");
    attempt(fs::create_dir_all(&folder));
    for &(name, length) in SMALL_FILES.iter().chain(LARGE_FILES).chain([&LARGEST_FILE]) {
        let is_text = name.ends_with(".txt");
        let bytes = if is_text { random.text(length) } else { random.binary(length) };
        make_file(folder.join(name), &bytes);
    }
}

fn make_file(path: PathBuf, bytes: &[u8]) {
    attempt(fs::write(&path, bytes));
    let file = attempt(File::options().write(true).open(path));
    attempt(file.set_modified(SystemTime::UNIX_EPOCH + LAST_MODIFIED_UNIX));
}

fn start_silent_upstream() -> u16 {
    let listener = attempt(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let port = attempt(listener.local_addr()).port();
    // Holds its connections until the test program ends.
    thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    port
}
