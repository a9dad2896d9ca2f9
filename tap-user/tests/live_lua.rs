//! Two independent views of the same exchanges: what gatetap records from outside in the formats
//! `runscope` and `tcp-body-log`, and what a Lua program inside of nginx computes by the definitions of
//! the fields (`live_lua/logger.lua`). Compared key by key.
//!
//! Different by design, and nothing else is:
//! - `unique_identifier`, `tap` and `body_encoding` are gatetap's own.
//! - Response headers `date` and `server`: nginx adds them while it writes, Lua does not see them; and
//!   `connection`, which nginx has reset to `close` when Lua logs, whatever it wrote. Of these three
//!   gatetap has what was on the wire.
//! - Bodies with a content coding: gatetap shows them decoded.
//! - Request bodies that Lua does not get: those that nginx keeps in a file, and those that nginx refuses
//!   or answers before it reads them (`Kind::Unread`). gatetap has them.
//! - `url` of a request without `Host`: nginx takes the name of the server, gatetap its address.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod live;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use live::client::Connection;
use live::random::Random;
use live::request::TEST_ID;
use live::site::Site;
use live::{Tap, attempt, exclusive, fixture, require_live};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use xtask::requirement;
use xtask::rig::{Nginx, NginxConfig, free_port};

const LOGGER: &str = include_str!("live_lua/logger.lua");
/// Debian's places of the Lua module and of what it needs.
const MODULES: [&str; 2] =
    ["/usr/lib/nginx/modules/ndk_http_module.so", "/usr/lib/nginx/modules/ngx_http_lua_module.so"];
/// How far times may be apart, in seconds.
const TOLERANCE: f64 = 0.005;
/// Of so many times one may be further apart: nginx's clock stands still while it handles an event, such
/// as room to write megabytes, and while others have its processor.
const LATE_ONE_IN: usize = 50;
/// How often each request is made.
const ROUNDS: usize = 10;

/// What Lua gets of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    All,
    /// All but the body.
    Unread,
    /// All but the host.
    Nameless,
}

/// Requests of one connection, written at once, with their methods.
struct Ask {
    bytes: Vec<u8>,
    methods: Vec<&'static str>,
}

#[test]
fn records_are_what_a_plugin_inside_of_the_gateway_computes() {
    let _alone = exclusive();
    let modules = MODULES.into_iter().try_for_each(requirement::program);
    if !require_live() || requirement::met(modules).is_none() {
        return;
    }
    let site = Site::start();
    let folder = attempt(tempfile::tempdir());
    let lua = folder.path().join("lua.ndjson");
    let port = attempt(free_port());
    let gateway = attempt(Nginx::start(gateway_config(&site, port, folder.path(), &lua)));
    let ours = ["runscope", "tcp-body-log"].map(|format| (format, folder.path().join(format)));
    let mut arguments = vec!["--pid".to_owned(), gateway.master_pid().to_string()];
    arguments.extend(["--body-cap", "8MiB"].map(str::to_owned));
    for (format, path) in &ours {
        let sink = format!("file:{},format={format}", path.display());
        arguments.extend(["--sink".to_owned(), sink]);
    }

    let tap = Tap::start(&arguments);
    let kinds = ask((Ipv4Addr::LOCALHOST, port).into());
    fixture::wait_until(Duration::from_secs(5), || {
        lua.exists() && fixture::count_lines(&lua, "") >= kinds.len()
    });
    tap.stop();

    let lua = by_id(&lua);
    assert_eq!(lua.len(), kinds.len(), "Lua logged another number of requests");
    for (format, path) in &ours {
        let mut judge = Judge::default();
        let ours = by_id(path);
        assert_eq!(ours.keys().collect::<Vec<_>>(), lua.keys().collect::<Vec<_>>(), "{format}");
        for (id, lua) in &lua {
            judge.compare(id, kinds[id], &ours[id], lua);
        }
        eprintln!("{format}: {} exchanges, {} times apart", lua.len(), judge.late.len());
        judge.late.iter().for_each(|late| eprintln!("  {late}"));
        assert!(judge.differences.is_empty(), "{format}:\n{}", judge.differences.join("\n"));
        let times = 3 * lua.len();
        assert!(judge.late.len() <= times / LATE_ONE_IN, "{} of {times}", judge.late.len());
    }
}

/// The judge can fail: each key of a record matters.
#[test]
fn a_difference_in_any_key_is_noticed() {
    let lua: Value = serde_json::json!({
        "request": {"url": "u", "method": "POST", "headers": {"a": ["1", "2"]},
            "body_base64": "YQ==", "timestamp": 1.5, "form": {"a": "b"}},
        "response": {"status": 200, "headers": {}, "size_bytes": "1", "body_base64": "YQ==",
            "timestamp": 1.6, "response_time": 0.1},
    });
    let mut ours = lua.clone();
    for message in ["request", "response"] {
        ours[message].as_object_mut().unwrap().remove("body_base64");
        ours[message]["body"] = "a".into();
    }
    let judged = |ours: &Value| {
        let mut judge = Judge::default();
        judge.compare("id", Kind::All, ours, &lua);
        judge.differences.len() + judge.late.len()
    };
    assert_eq!(judged(&ours), 0);
    for message in ["request", "response"] {
        let keys: Vec<String> = ours[message].as_object().unwrap().keys().cloned().collect();
        for key in keys {
            let mut altered = ours.clone();
            altered[message][&key] = "other".into();
            assert_eq!(judged(&altered), 1, "{message}.{key}");
            altered[message].as_object_mut().unwrap().remove(&key);
            assert_eq!(judged(&altered), 1, "{message} without {key}");
        }
        let mut more = ours.clone();
        more[message]["surplus"] = true.into();
        assert_eq!(judged(&more), 1, "{message}");
    }
}

fn gateway_config(site: &Site, port: u16, folder: &Path, records: &Path) -> NginxConfig {
    let source = LOGGER.replace("RECORDS", &records.display().to_string());
    attempt(std::fs::write(folder.join("logger.lua"), source));
    let (origin, folder) = (site.ports.origin, folder.display());
    let http = format!(
        r#"access_log off; sendfile off; keepalive_timeout 60s;
        client_max_body_size 0; client_body_buffer_size 64k; proxy_http_version 1.1;
        lua_package_path '{folder}/?.lua;;';
        init_by_lua_block {{ logger = require 'logger' }}
        access_by_lua_block {{ logger.access() }}
        body_filter_by_lua_block {{ logger.body_filter() }}
        log_by_lua_block {{ logger.log() }}
        upstream origin {{ server 127.0.0.1:{origin}; keepalive 16; }}
        server {{
            listen 127.0.0.1:{port};
            server_name gateway.test;
            location / {{ proxy_pass http://origin; proxy_set_header Connection ""; }}
            location /direct/ {{ default_type text/plain; return 200 "answered by the gateway\n"; }}
            location /direct/nothing {{ return 204; }}
            location /missing/ {{ root html; }}
            location /small/ {{ client_max_body_size 10; proxy_pass http://origin; }}
        }}"#
    );
    let main = MODULES.map(|module| format!("load_module {module};\n")).concat();
    NginxConfig { workers: 1, http, main }
}

/// Makes all requests; what Lua gets of each, by id.
fn ask(gateway: SocketAddr) -> BTreeMap<String, Kind> {
    let mut kinds = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut asks = Asks::new(round);
        asks.add_all();
        kinds.extend(asks.kinds);
        // On one connection, as far as nginx keeps it.
        let mut connection = None;
        for Ask { bytes, methods } in asks.asks {
            let mut open = connection.take().unwrap_or_else(|| Connection::open(gateway));
            attempt(open.write(&bytes));
            let mut stays = true;
            for method in methods {
                let reply = attempt(open.read_reply(method));
                stays &= !matches!(reply.status, 400 | 413) && method != "OLD";
            }
            connection = stays.then_some(open);
        }
    }
    kinds
}

/// The requests of a round.
struct Asks {
    round: usize,
    random: Random,
    kinds: BTreeMap<String, Kind>,
    asks: Vec<Ask>,
}

impl Asks {
    fn new(round: usize) -> Self {
        let random = Random::new(round as u64);
        Self { round, random, kinds: BTreeMap::new(), asks: Vec::new() }
    }

    fn add_all(&mut self) {
        self.add_without_bodies();
        self.add_bodies();
        self.add_forms();
        self.add_refused();
    }

    fn add_without_bodies(&mut self) {
        for target in [
            "/files/short.txt?x=1&y=%20z&x=2&flag&=no&e=",
            "/files/page.bin",
            "/files/empty.bin",
            "/files/huge.bin",
            "/files/largest.bin",
            "/direct/",
            "/direct/nothing",
            "/missing/page",
            "/files/none",
            "//files//short.txt?a/b?c",
        ] {
            self.add("GET", target, "Host: Gateway.Test:1234\r\n", b"");
            self.add("HEAD", target, "Host: gateway.test\r\n", b"");
        }
        for coded in ["/files/tiny.txt", "/files/huge.txt"] {
            self.add("GET", coded, "Host: h\r\nAccept-Encoding: gzip\r\n", b"");
        }
        let many =
            "Host: h\r\nX-Twice: 1\r\nx-twice: 2\r\nX-TWICE: 3\r\nX-Empty:\r\nX-Odd: a,\"b\\;c\r\n";
        self.add("GET", "/files/one.bin", many, b"");
        self.add("OPTIONS", "/files/one.bin", "Host: h\r\n", b"");
        let first = self.head("GET", "/direct/", "Host: h\r\n", Kind::All);
        let second = self.head("GET", "/direct/nothing", "Host: h\r\n", Kind::All);
        let bytes = [first, second].map(|head| format!("{head}\r\n")).concat().into_bytes();
        self.asks.push(Ask { bytes, methods: vec!["GET", "GET"] });
    }

    fn add_bodies(&mut self) {
        let json = "Host: h\r\nContent-Type: application/json\r\n";
        self.add("POST", "/accept", json, "{\"a\":[1,\"ä\",\"\\u0001/\"]}".as_bytes());
        self.add("POST", "/accept", json, b"");
        let binary = self.random.binary(5_000);
        self.add("POST", "/accept", "Host: h\r\nContent-Type: image/png\r\n", &binary);
        self.add("PUT", &format!("/store/{}", self.round), "Host: h\r\n", &binary);
        self.add_chunked(b"chunk by chunk");
        self.add_chunked(b"");
        // More than nginx keeps in memory.
        let large = self.random.text(200_000);
        let head = format!("Host: h\r\nContent-Length: {}\r\n", large.len());
        let head = self.head("POST", "/accept", &head, Kind::Unread);
        self.push("POST", &head, &large);
    }

    fn add_forms(&mut self) {
        let form = "Host: h\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\r\n";
        for body in ["a=1&b=%C3%A4+x&a=2&flag&=no&e=&%zz=%4", "a", ""] {
            self.add("POST", "/accept", form, body.as_bytes());
        }
        let odd = form.replace("application", "Application");
        self.add("POST", "/accept", &odd, b"a=b");
    }

    fn add_refused(&mut self) {
        let head = self.head("POST", "/small/", "Host: h\r\nContent-Length: 11\r\n", Kind::Unread);
        self.push("POST", &head, b"hello world");
        let head = self.head("GET", "/direct/", "", Kind::Nameless);
        self.push("GET", &head, b"");
        let old =
            self.head("GET", "/files/short.txt", "Host: h\r\nConnection: close\r\n", Kind::All);
        let bytes = format!("{}\r\n", old.replace("HTTP/1.1", "HTTP/1.0")).into_bytes();
        self.asks.push(Ask { bytes, methods: vec!["OLD"] });
    }

    fn add(&mut self, method: &'static str, target: &str, fields: &str, body: &[u8]) {
        let length = match body.is_empty() && method != "POST" {
            true => String::new(),
            false => format!("Content-Length: {}\r\n", body.len()),
        };
        let head = self.head(method, target, &format!("{fields}{length}"), Kind::All);
        self.push(method, &head, body);
    }

    fn add_chunked(&mut self, content: &[u8]) {
        let fields = "Host: h\r\nTransfer-Encoding: chunked\r\n";
        let head = self.head("POST", "/accept", fields, Kind::All);
        let chunks = content.chunks(6);
        let mut body: Vec<u8> = chunks
            .flat_map(|chunk| {
                [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()
            })
            .collect();
        body.extend(b"0\r\n\r\n");
        self.push("POST", &head, &body);
    }

    fn head(&mut self, method: &str, target: &str, fields: &str, kind: Kind) -> String {
        let id = format!("{:02}-{:03}", self.round, self.kinds.len());
        self.kinds.insert(id.clone(), kind);
        format!("{method} {target} HTTP/1.1\r\n{TEST_ID}: {id}\r\n{fields}")
    }

    fn push(&mut self, method: &'static str, head: &str, body: &[u8]) {
        let bytes = [head.as_bytes(), b"\r\n", body].concat();
        self.asks.push(Ask { bytes, methods: vec![method] });
    }
}

/// Records of a file by the id of their request.
fn by_id(path: &Path) -> BTreeMap<String, Value> {
    let bytes = attempt(std::fs::read(path));
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let records = lines.filter(|line| !line.is_empty()).map(|line| {
        let record: Value = attempt(serde_json::from_slice(line));
        let id = record["request"]["headers"][TEST_ID.to_ascii_lowercase()].as_str();
        (id.expect("all requests have an id").to_owned(), record)
    });
    records.collect()
}

/// Finds differences.
#[derive(Default)]
struct Judge {
    differences: Vec<String>,
    /// Times that are too far apart.
    late: Vec<String>,
}

impl Judge {
    fn compare(&mut self, id: &str, kind: Kind, ours: &Value, lua: &Value) {
        for message in ["request", "response"] {
            let place = format!("{id} {message}");
            let mut ours = members(&ours[message]);
            let mut lua = members(&lua[message]);
            let coding = lua["headers"].get("content-encoding").cloned();
            let bodies = [body_of_ours(&mut ours), body_of_lua(&mut lua, coding.as_ref())];
            if !(kind == Kind::Unread && message == "request") {
                self.same(&format!("{place}.body"), &bodies[0], &bodies[1]);
            }
            if kind == Kind::Nameless {
                ours.remove("url");
                lua.remove("url");
            }
            if message == "response" {
                remove_unknown_headers(&mut ours);
                remove_unknown_headers(&mut lua);
            }
            for time in ["timestamp", "response_time"] {
                self.same_time(&format!("{place}.{time}"), ours.remove(time), lua.remove(time));
            }
            for key in ours.keys().chain(lua.keys().filter(|key| !ours.contains_key(*key))) {
                self.same(&format!("{place}.{key}"), &ours.get(key), &lua.get(key));
            }
        }
    }

    fn same<T: PartialEq + std::fmt::Debug>(&mut self, place: &str, ours: &T, lua: &T) {
        if ours != lua {
            let shown = |value: &T| format!("{value:?}").chars().take(300).collect::<String>();
            self.differences.push(format!("{place}: {} and {}", shown(ours), shown(lua)));
        }
    }

    fn same_time(&mut self, place: &str, ours: Option<Value>, lua: Option<Value>) {
        match (ours.as_ref().and_then(Value::as_f64), lua.as_ref().and_then(Value::as_f64)) {
            // Of numbers of milliseconds that are exactly so far apart, the difference may not be.
            (Some(a), Some(b)) if (a - b).abs() <= TOLERANCE + 1e-6 => {}
            (Some(a), Some(b)) => self.late.push(format!("{place}: {a} and {b}")),
            _ => self.same(place, &ours, &lua),
        }
    }
}

fn members(message: &Value) -> Map<String, Value> {
    message.as_object().cloned().unwrap_or_default()
}

/// Those of which Lua does not know what is on the wire.
fn remove_unknown_headers(response: &mut Map<String, Value>) {
    if let Some(headers) = response.get_mut("headers").and_then(Value::as_object_mut) {
        headers.retain(|name, _| !matches!(name.as_str(), "date" | "server" | "connection"));
    }
}

/// The bytes that a body of gatetap's stands for.
fn body_of_ours(message: &mut Map<String, Value>) -> Option<Vec<u8>> {
    let body = message.remove("body")?;
    let body = body.as_str()?.to_owned();
    match message.remove("body_encoding") {
        Some(encoding) => {
            assert_eq!(encoding, "base64");
            Some(attempt(STANDARD.decode(body)))
        }
        None => Some(body.into_bytes()),
    }
}

/// What Lua saw, its coding undone.
fn body_of_lua(message: &mut Map<String, Value>, coding: Option<&Value>) -> Option<Vec<u8>> {
    let bytes = attempt(STANDARD.decode(message.remove("body_base64")?.as_str()?));
    if coding.is_none_or(|coding| coding != "gzip") || bytes.is_empty() {
        return Some(bytes);
    }
    let mut content = Vec::new();
    attempt(GzDecoder::new(bytes.as_slice()).read_to_end(&mut content));
    Some(content)
}
