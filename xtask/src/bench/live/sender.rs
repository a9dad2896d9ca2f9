//! Sends as many bytes to the collector as gatetap did, without watching anything: what the way of the
//! records alone costs, which no tap can avoid.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::receiver;

/// How often it sends: as gatetap does.
const INTERVAL: Duration = Duration::from_millis(5);

/// A stream of bytes that ends when it is dropped.
pub(super) struct Sender {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
    since: Instant,
}

impl Sender {
    /// Sends that many bytes per second to a port of loopback.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(super) fn start(port: u16, bytes_per_second: f64) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        let burst = vec![b'x'; (bytes_per_second * INTERVAL.as_secs_f64()) as usize];
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || send(stream, &burst, &told));
        Ok(Self { stop, thread: Some(thread), since: Instant::now() })
    }

    /// Ends it, and says how many bytes per second the collector's kernel took.
    pub(super) fn finish(mut self) -> f64 {
        let sent = self.end();
        sent as f64 / self.since.elapsed().as_secs_f64()
    }

    fn end(&mut self) -> u64 {
        self.stop.store(true, Relaxed);
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or(0)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sends until it is stopped or refused; returns the bytes sent.
fn send(mut stream: TcpStream, burst: &[u8], stop: &AtomicBool) -> u64 {
    receiver::take_priority();
    let mut sent = 0;
    let mut due = Instant::now();
    while !stop.load(Relaxed) && stream.write_all(burst).is_ok() {
        sent += burst.len() as u64;
        due += INTERVAL;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    sent
}
