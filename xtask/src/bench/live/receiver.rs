//! The collector: takes records on TCP, counts them and throws them away.

use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// What one read takes.
const READ_BYTES: usize = 1 << 20;
/// How long nothing may come before all has come.
const QUIET: Duration = Duration::from_millis(300);
/// How long to wait for that.
const LIMIT: Duration = Duration::from_secs(30);

/// What has come so far.
#[derive(Debug, Default)]
struct Counts {
    records: AtomicU64,
    bytes: AtomicU64,
}

/// A listening collector; its threads end with the process.
pub(super) struct Receiver {
    pub(super) port: u16,
    counts: Arc<Counts>,
}

impl Receiver {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counts = Arc::clone(&shared);
                thread::spawn(move || count(stream, &counts));
            }
        });
        Ok(Self { port, counts })
    }

    /// Records since the start: each ends with a line feed.
    pub(super) fn records(&self) -> u64 {
        self.counts.records.load(Relaxed)
    }

    /// Waits until nothing more comes, and says how many records there are.
    pub(super) fn settled(&self) -> u64 {
        let deadline = Instant::now() + LIMIT;
        let mut seen = self.counts.bytes.load(Relaxed);
        loop {
            thread::sleep(QUIET);
            let now = self.counts.bytes.load(Relaxed);
            if now == seen || Instant::now() > deadline {
                return self.records();
            }
            seen = now;
        }
    }
}

/// Priority of the collector: it stands for another machine, which the load here does not slow down.
const NICE: i32 = -10;

/// Gives the calling thread the collector's priority.
pub(super) fn take_priority() {
    // SAFETY: takes numbers and returns one; 0 is the calling thread. If it fails, all is slower.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

fn count(mut stream: TcpStream, counts: &Counts) {
    take_priority();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                let taken = buffer.get(..length).unwrap_or_default();
                let records = taken.iter().filter(|&&byte| byte == b'\n').count() as u64;
                counts.records.fetch_add(records, Relaxed);
                counts.bytes.fetch_add(length as u64, Relaxed);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
