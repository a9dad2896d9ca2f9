//! Receivers of records over HTTP that check every call against the contract of who they stand
//! for, and that can misbehave. They share no code with the sinks: the HTTP server is a small
//! strict one of their own.
//!
//! A test starts one with a [`Contract`] and a script, sends through it, and asks afterwards what
//! it took ([`Receiver::taken`]) and what was wrong ([`Receiver::violations`]).
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod http;
pub(crate) mod runscope;
pub(crate) mod traceable;

use http::{Call, read_call};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// Who a receiver stands for.
pub(crate) trait Contract: Send + Sync + 'static {
    /// Everything that is wrong with a call; empty where nothing is.
    fn check(&self, call: &Call, record: &Value) -> Vec<String>;
    /// The record's id, by which doubles are told.
    fn id(&self, call: &Call, record: &Value) -> Option<String>;
    /// What is answered where all is well: the body of a reply with status 200.
    fn success(&self, id: &str) -> String;
}

/// What a receiver does with a call.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    /// Takes it and says so.
    Take,
    /// Answers with another status, header lines and a body, and takes nothing.
    Answer(u16, &'static [(&'static str, &'static str)], &'static str),
    /// Takes it and answers 200 with that body, whatever it says.
    TakeAndSay(String),
    /// Answers 200 with that body and takes nothing.
    Refuse(String),
    /// Reads the call and never answers.
    Stall,
    /// Resets the connection in the middle of the call's body.
    CutCall,
    /// Takes it and closes without a word.
    TakeAndClose,
    /// Takes it, and closes in the middle of the reply's body.
    CutReply,
    /// Takes it and sends the reply byte by byte, with that pause between them.
    Drip(Duration),
    /// Takes it, says so, and closes the connection without having announced that.
    LastOfConnection,
}

/// Which behaviour for the call with that number (from 0, over all connections).
pub(crate) type Script = Arc<dyn Fn(usize) -> Behaviour + Send + Sync>;

/// What was seen so far.
#[derive(Debug, Default)]
struct Seen {
    calls: usize,
    connections: usize,
    /// Ids in the order in which they were taken, doubles included.
    taken: Vec<String>,
    records: Vec<Value>,
    violations: Vec<String>,
    times: Vec<Instant>,
}

/// A receiver that runs until it is dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Starts on a free port of 127.0.0.1.
    pub(crate) async fn start(contract: impl Contract, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, contract, script, None)
    }

    /// The same with TLS.
    pub(crate) async fn start_tls(
        contract: impl Contract,
        script: Script,
        acceptor: TlsAcceptor,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, contract, script, Some(acceptor))
    }

    /// Starts on a port that was in use a moment ago.
    pub(crate) fn start_again(port: u16, contract: impl Contract, script: Script) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(([127, 0, 0, 1], port).into()).unwrap();
        Self::on(socket.listen(64).unwrap(), contract, script, None)
    }

    fn on(
        listener: TcpListener,
        contract: impl Contract,
        script: Script,
        acceptor: Option<TlsAcceptor>,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let server =
            Server { contract: Arc::new(contract), script, seen: Arc::clone(&seen), acceptor };
        let task = tokio::spawn(server.run(listener));
        Self { address, seen, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ids of the records it took, doubles included.
    pub(crate) fn taken(&self) -> Vec<String> {
        self.seen.lock().unwrap().taken.clone()
    }

    /// The records it took.
    pub(crate) fn records(&self) -> Vec<Value> {
        self.seen.lock().unwrap().records.clone()
    }

    /// What was wrong with calls.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.seen.lock().unwrap().violations.clone()
    }

    pub(crate) fn calls(&self) -> usize {
        self.seen.lock().unwrap().calls
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// When each call was complete.
    pub(crate) fn times(&self) -> Vec<Instant> {
        self.seen.lock().unwrap().times.clone()
    }

    /// Waits until it has taken so many different records; fails after half a minute.
    pub(crate) async fn wait_for(&self, count: usize) {
        let waiting = async {
            while self.distinct() < count {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = timeout(Duration::from_secs(30), waiting).await;
        assert!(waited.is_ok(), "{} of {count} records came", self.distinct());
    }

    fn distinct(&self) -> usize {
        self.taken().into_iter().collect::<std::collections::HashSet<_>>().len()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Server {
    contract: Arc<dyn Contract>,
    script: Script,
    seen: Arc<Mutex<Seen>>,
    acceptor: Option<TlsAcceptor>,
}

impl Server {
    async fn run(self, listener: TcpListener) {
        // Connections end with the receiver.
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            self.seen.lock().unwrap().connections += 1;
            let server = self.clone();
            connections.spawn(async move {
                match server.acceptor.clone() {
                    None => server.serve(stream).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            server.serve(stream).await;
                        }
                    }
                }
            });
        }
    }

    /// Serves calls until one side closes.
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S) {
        loop {
            let head = match http::read_head(&mut stream).await {
                Ok(Some(head)) => head,
                Ok(None) => return,
                Err(violation) => return self.violated(violation),
            };
            let behaviour = (self.script)(self.next_call());
            if matches!(behaviour, Behaviour::CutCall) {
                let half = head.content_length().unwrap_or(0) / 2;
                let _ = stream.read_exact(&mut vec![0; half]).await;
                // What is unread when it is closed makes the kernel reset the connection.
                return;
            }
            let call = match read_call(head, &mut stream).await {
                Ok(call) => call,
                Err(violation) => return self.violated(violation),
            };
            if !self.behave(&behaviour, call, &mut stream).await {
                return;
            }
        }
    }

    fn next_call(&self) -> usize {
        let mut seen = self.seen.lock().unwrap();
        seen.calls += 1;
        seen.calls - 1
    }

    fn violated(&self, violation: String) {
        self.seen.lock().unwrap().violations.push(violation);
    }

    /// `false` if the connection ends.
    async fn behave(
        &self,
        behaviour: &Behaviour,
        call: Call,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> bool {
        let id = self.look_at(&call, behaviour.takes());
        let success = reply(200, &[], &self.contract.success(&id));
        let (bytes, goes_on) = match behaviour {
            Behaviour::Take => (success, true),
            Behaviour::Answer(status, headers, body) => (reply(*status, headers, body), true),
            Behaviour::TakeAndSay(body) | Behaviour::Refuse(body) => (reply(200, &[], body), true),
            Behaviour::Stall => {
                sleep(Duration::from_secs(3600)).await;
                return false;
            }
            Behaviour::CutCall | Behaviour::TakeAndClose => return false,
            Behaviour::CutReply => (success[..success.len() - 3].to_vec(), false),
            Behaviour::LastOfConnection => (success, false),
            Behaviour::Drip(pause) => {
                for byte in success {
                    sleep(*pause).await;
                    if stream.write_all(&[byte]).await.is_err() {
                        return false;
                    }
                }
                return true;
            }
        };
        stream.write_all(&bytes).await.is_ok() && goes_on
    }

    /// Checks a call, and notes its record if it is taken; yields its id.
    fn look_at(&self, call: &Call, taken: bool) -> String {
        let mut seen = self.seen.lock().unwrap();
        seen.times.push(Instant::now());
        let record: Value = match serde_json::from_slice(&call.body) {
            Ok(record) => record,
            Err(error) => {
                seen.violations.push(format!("the body is no JSON: {error}"));
                Value::Null
            }
        };
        let id = self.contract.id(call, &record).unwrap_or_default();
        let violations = self.contract.check(call, &record);
        seen.violations.extend(violations.into_iter().map(|one| format!("{id}: {one}")));
        if taken {
            seen.taken.push(id.clone());
            seen.records.push(record);
        }
        id
    }
}

impl Behaviour {
    fn takes(&self) -> bool {
        match self {
            Self::Answer(..) | Self::Refuse(_) | Self::Stall | Self::CutCall => false,
            Self::Take
            | Self::TakeAndSay(_)
            | Self::TakeAndClose
            | Self::CutReply
            | Self::Drip(_)
            | Self::LastOfConnection => true,
        }
    }
}

fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let fields: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\n{fields}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// The same behaviour for every call.
pub(crate) fn always(behaviour: Behaviour) -> Script {
    Arc::new(move |_| behaviour.clone())
}

/// That behaviour for the first calls, then all is well.
pub(crate) fn at_first(calls: usize, behaviour: Behaviour) -> Script {
    Arc::new(move |call| if call < calls { behaviour.clone() } else { Behaviour::Take })
}

/// That behaviour for every so manieth call.
pub(crate) fn every(calls: usize, behaviour: Behaviour) -> Script {
    Arc::new(
        move |call| {
            if call % calls == calls - 1 { behaviour.clone() } else { Behaviour::Take }
        },
    )
}

/// Compares the keys of an object with those there must be, and those there may be.
pub(crate) fn check_keys(
    place: &str,
    object: &Value,
    required: &[&str],
    optional: &[&str],
    violations: &mut Vec<String>,
) {
    let Some(object) = object.as_object() else {
        violations.push(format!("{place} is no object: {object}"));
        return;
    };
    for key in required.iter().filter(|key| !object.contains_key(**key)) {
        violations.push(format!("{place}.{key} is missing"));
    }
    let known = |key: &str| required.contains(&key) || optional.contains(&key);
    for key in object.keys().filter(|key| !known(key)) {
        violations.push(format!("{place}.{key} is not in the contract"));
    }
}

/// Notes what does not hold.
pub(crate) fn expect(holds: bool, violations: &mut Vec<String>, what: impl Into<String>) {
    if !holds {
        violations.push(what.into());
    }
}

/// Header fields that every call of a sink over HTTP has.
pub(crate) fn check_call(call: &Call, target: &str, violations: &mut Vec<String>) {
    expect(call.method == "POST", violations, format!("method {}", call.method));
    expect(call.target == target, violations, format!("target {}", call.target));
    expect(call.version == "HTTP/1.1", violations, format!("version {}", call.version));
    let json = call.header("content-type");
    expect(json == ["application/json"], violations, format!("content-type {json:?}"));
    let length = call.header("content-length");
    expect(length.len() == 1, violations, format!("content-length {length:?}"));
    expect(call.header("host").len() == 1, violations, "host");
    for name in ["transfer-encoding", "expect", "cookie", "content-encoding", "proxy-authorization"]
    {
        expect(call.header(name).is_empty(), violations, format!("{name} is there"));
    }
}
