//! A TCP collector of the tests' own.

use super::attempt;
use super::fixture::wait_until;
use super::request::TEST_ID;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long records may take to arrive; longer than the tap waits before it connects again.
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) struct Collector {
    address: SocketAddr,
    state: Arc<State>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    reads: bool,
    closing: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
    /// Test ids of the requests in the records that came.
    ids: Mutex<BTreeSet<String>>,
}

impl Collector {
    pub(crate) fn that_reads() -> Self {
        Self::start((Ipv4Addr::LOCALHOST, 0).into(), true)
    }

    /// Accepts connections, and that is all.
    pub(crate) fn that_never_reads() -> Self {
        Self::start((Ipv4Addr::LOCALHOST, 0).into(), false)
    }

    /// Where another one was before.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self::start(address, true)
    }

    fn start(address: SocketAddr, reads: bool) -> Self {
        let listener = attempt(TcpListener::bind(address));
        let address = attempt(listener.local_addr());
        let state = Arc::new(State { reads, ..State::default() });
        let shared = Arc::clone(&state);
        let acceptor = Some(thread::spawn(move || shared.accept(&listener)));
        Self { address, state, acceptor }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until records of all these requests are here; all that came so far.
    pub(crate) fn wait_for(&self, ids: &[String]) -> BTreeSet<String> {
        wait_until(PATIENCE, || self.has_all(ids));
        self.state.ids.lock().unwrap().clone()
    }

    /// Whether records of all these requests are here.
    pub(crate) fn has_all(&self, ids: &[String]) -> bool {
        let here = self.state.ids.lock().unwrap();
        ids.iter().all(|id| here.contains(id))
    }

    /// Closes the listener and all connections; all that came.
    pub(crate) fn close(mut self) -> BTreeSet<String> {
        self.end(Shutdown::Both);
        std::mem::take(&mut *self.state.ids.lock().unwrap())
    }

    /// The same in good order: says on each connection that it ends, and reads on until the tap has
    /// ended it too, so that nothing that was acknowledged stays unread.
    pub(crate) fn leave(mut self) -> BTreeSet<String> {
        self.end(Shutdown::Write);
        std::mem::take(&mut *self.state.ids.lock().unwrap())
    }

    fn end(&mut self, how: Shutdown) {
        self.state.closing.store(true, Ordering::SeqCst);
        for connection in self.state.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(how);
        }
        if let Some(acceptor) = self.acceptor.take() {
            // Wakes the acceptor, which then drops its listener.
            let _ = TcpStream::connect(self.address);
            acceptor.join().unwrap();
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.end(Shutdown::Both);
    }
}

impl State {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        let mut readers = Vec::new();
        for stream in listener.incoming().flatten() {
            if self.closing.load(Ordering::SeqCst) {
                break;
            }
            if self.reads {
                let (shared, stream) = (Arc::clone(&self), attempt(stream.try_clone()));
                readers.push(thread::spawn(move || shared.read(stream)));
            }
            self.connections.lock().unwrap().push(stream);
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    }

    fn read(&self, stream: TcpStream) {
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        // A connection that is cut may end in the middle of a record.
        let records = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        for id in records.filter_map(|record| test_id(&record)) {
            self.ids.lock().unwrap().insert(id);
        }
    }
}

/// The value of our header in a native record.
fn test_id(record: &Value) -> Option<String> {
    let headers = record["request"]["headers"].as_array()?;
    let ours = headers.iter().find(|pair| pair[0].as_str() == Some(TEST_ID))?;
    ours[1].as_str().map(str::to_owned)
}
