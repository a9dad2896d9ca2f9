//! The task that owns the connection: it connects, writes, looks for acknowledgements, and
//! sends again what may be lost.

use super::address::{Address, Ring};
use super::attempts::{Attempts, Job};
use super::connect::connect;
use super::connection::{Connection, Progress};
use super::failure::{ConnectError, Ended, TcpFailure};
use super::ledger::{Completed, Ledger};
use super::pace::Pace;
use super::settings::TcpSettings;
use super::watch::{Due, Watch, Work};
use crate::export::sink::retry::Retry;
use crate::export::totals::Counters;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

/// How long a collector is given to end its side of a connection that was ended on this side.
const FAREWELL: Duration = Duration::from_secs(1);
/// A collector that closes may still be working on what it read within that time before. If
/// it was killed that is lost, so what was acknowledged goes again.
const DIGESTION: Duration = Duration::from_secs(1);
/// A connection that held for less time counts as one more failure in a row.
const STABLE_AFTER: Duration = Duration::from_secs(1);
/// The TLS layer is flushed after so many bytes, so that acknowledgements can be told apart.
const FLUSH_BYTES: usize = 256 << 10;

/// What the worker is asked for.
pub(super) enum Request {
    /// To deliver records.
    Deliver(Job),
    /// To end in good order, and to say when.
    Close(oneshot::Sender<()>),
}

pub(super) struct Worker {
    settings: Arc<TcpSettings>,
    requests: mpsc::UnboundedReceiver<Request>,
    counters: Arc<Counters>,
    ring: Ring,
    ledger: Ledger,
    attempts: Attempts,
    pace: Pace,
    /// Connections in a row that could not be made, or ended in doubt soon.
    failures: u32,
    closing: Option<oneshot::Sender<()>>,
    last_chance_taken: bool,
}

/// A connection with what is known of it.
struct Open {
    address: Address,
    connection: Connection,
    watch: Watch,
    since: Instant,
    /// Bytes that the TLS layer may hold.
    unflushed: usize,
    /// Whether a record was acknowledged.
    useful: bool,
}

enum Event {
    Request(Option<Request>),
    Progress(Result<Progress, Ended>),
    Time,
}

/// How a connection came to its end.
enum End {
    /// By itself, or by the collector.
    Ended(Ended),
    /// There was nothing to do for a while, or the sink is closed.
    Finished,
    /// Nobody wants anything any more.
    Abandoned,
}

impl Worker {
    pub(super) fn new(
        settings: Arc<TcpSettings>,
        requests: mpsc::UnboundedReceiver<Request>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            requests,
            counters,
            ring: Ring::new(settings.addresses()),
            ledger: Ledger::new(settings.replay.0),
            attempts: Attempts::default(),
            pace: Pace::new(),
            failures: 0,
            closing: None,
            last_chance_taken: false,
            settings,
        }
    }

    /// Works until the sink is closed or gone.
    pub(super) async fn run(mut self) {
        while self.has_reason_to_connect().await {
            match self.connect().await {
                Ok(open) => self.serve(open).await,
                Err(error) => self.unreachable(error),
            }
        }
        if let Some(done) = self.closing {
            // Whoever waited may have given up.
            let _ = done.send(());
        }
    }

    /// Waits for something to send; `false` once nothing will come.
    async fn has_reason_to_connect(&mut self) -> bool {
        loop {
            if !self.attempts.is_empty() {
                return true;
            }
            if self.closing.is_some() {
                return self.takes_last_chance();
            }
            let retry = Instant::now() + Retry::default().wait_after(self.failures, None);
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => self.admit(request),
                    None => return false,
                },
                () = sleep_until(retry), if self.ledger.has_waiting() => return true,
            }
        }
    }

    /// At the end, what is to be sent again has one more chance.
    fn takes_last_chance(&mut self) -> bool {
        match self.ledger.replays() {
            0 => false,
            _ if !self.last_chance_taken => {
                self.last_chance_taken = true;
                true
            }
            replays => {
                self.counters.unconfirmed(replays);
                false
            }
        }
    }

    fn admit(&mut self, request: Request) {
        match request {
            Request::Deliver(job) => {
                self.attempts.begin(job).into_iter().for_each(|record| self.ledger.push(record));
            }
            Request::Close(done) => self.closing = Some(done),
        }
    }

    /// Tries all addresses, once each.
    async fn connect(&mut self) -> Result<Open, ConnectError> {
        let mut addresses = self.ring.in_turn().into_iter().peekable();
        loop {
            let Some(address) = addresses.next() else { return Err(ConnectError::NoAddress) };
            match connect(&address, &self.settings).await {
                Ok(connection) => return Ok(self.opened(address, connection)),
                Err(error) if addresses.peek().is_none() => return Err(error),
                Err(error) => self.counters.unreachable(&error),
            }
        }
    }

    fn opened(&mut self, address: Address, connection: Connection) -> Open {
        self.ring.stay_with(&address);
        self.counters.opened();
        let replays = self.ledger.replays();
        if replays > 0 {
            self.counters.replaying(replays, &address);
        }
        let TcpSettings { timeout, keepalive, .. } = *self.settings;
        let since = Instant::now();
        let watch = Watch::new(timeout.0, keepalive.0, since);
        Open { address, connection, watch, since, unflushed: 0, useful: false }
    }

    fn unreachable(&mut self, error: ConnectError) {
        self.failures = self.failures.saturating_add(1);
        if self.attempts.is_empty() {
            self.counters.unreachable(&error);
        }
        self.give_back(TcpFailure::Connect(error));
    }

    /// Leaves the records of attempts to those who try again.
    fn give_back(&mut self, failure: TcpFailure) {
        self.ledger.release_attempts();
        self.attempts.fail(failure);
    }

    async fn serve(&mut self, mut open: Open) {
        let end = loop {
            if let Some(end) = self.step(&mut open).await {
                break end;
            }
        };
        match end {
            End::Ended(ended) => self.ended(&mut open, ended),
            End::Finished => self.finish(&mut open).await,
            End::Abandoned => {}
        }
    }

    /// Does what is due, and waits until something else can be done.
    async fn step(&mut self, open: &mut Open) -> Option<End> {
        self.look(open);
        let now = Instant::now();
        let work = self.work(open);
        match open.watch.due(work, now) {
            Some(Due::Stalled) => {
                return Some(End::Ended(Ended::Stalled(self.settings.timeout.0)));
            }
            Some(Due::Idle) => return Some(End::Finished),
            Some(Due::Resume) => self.pace.resume(),
            None => self.pause_if_due(open, now),
        }
        if self.closing.is_some() && self.ledger.is_settled() && !open.watch.is_pausing() {
            return Some(End::Finished);
        }
        let event = self.next_event(open, work, now).await;
        self.handle(open, event)
    }

    fn work(&self, open: &Open) -> Work {
        Work {
            is_outstanding: open.connection.sent() > open.watch.acknowledged(),
            is_unsettled: !self.ledger.is_settled(),
        }
    }

    fn pause_if_due(&mut self, open: &mut Open, now: Instant) {
        let is_over = !self.ledger.has_in_flight() && !open.watch.is_pausing();
        if let Some(pause) = self.pace.pause().filter(|_| is_over) {
            open.watch.pause(pause, now);
        }
    }

    async fn next_event(&mut self, open: &mut Open, work: Work, now: Instant) -> Event {
        let Open { connection, watch, unflushed, .. } = open;
        let allowance = if watch.is_pausing() { 0 } else { self.pace.allowance() };
        let can_write = allowance > 0 && self.ledger.has_waiting();
        let flush = *unflushed > 0 && (*unflushed >= FLUSH_BYTES || !can_write);
        let pieces = if flush { Vec::new() } else { self.ledger.pieces(allowance) };
        tokio::select! {
            request = self.requests.recv(), if self.closing.is_none() => Event::Request(request),
            progress = connection.work(&pieces, flush) => Event::Progress(progress),
            () = sleep_until(watch.wake(work, now)) => Event::Time,
        }
    }

    fn handle(&mut self, open: &mut Open, event: Event) -> Option<End> {
        match event {
            Event::Time => {}
            Event::Request(None) => return Some(End::Abandoned),
            Event::Request(Some(request)) => {
                if self.ledger.is_settled() {
                    open.watch.progress(Instant::now());
                }
                self.admit(request);
            }
            Event::Progress(Ok(Progress::Took(bytes))) => {
                open.watch.progress(Instant::now());
                open.unflushed = open.unflushed.saturating_add(bytes);
                self.pace.wrote(self.ledger.written(bytes));
            }
            Event::Progress(Ok(Progress::Flushed)) => {
                open.unflushed = 0;
                self.ledger.flushed(open.connection.sent());
            }
            Event::Progress(Err(ended)) => return Some(End::Ended(ended)),
        }
        None
    }

    /// Looks how far the peer's TCP has come.
    fn look(&mut self, open: &mut Open) {
        if open.connection.sent() > open.watch.acknowledged() {
            // It cannot fail for a TCP socket; if it does, nothing more counts as acknowledged.
            let acknowledged = open.connection.acknowledged().unwrap_or_default();
            open.watch.look(acknowledged, Instant::now());
        }
        let completed = self.ledger.acknowledged(open.watch.acknowledged());
        open.useful |= completed != Completed::default();
        self.attempts.delivered(completed.of_attempts);
        self.counters.replayed(completed.replays);
    }

    /// The connection ended, and not from this side.
    fn ended(&mut self, open: &mut Open, ended: Ended) {
        self.look(open);
        let has_read_all = self.has_read_all(open, &ended);
        if has_read_all {
            self.trust()
        } else {
            self.doubt(open)
        }
        if has_read_all && open.useful {
            self.failures = 0;
            return;
        }
        let was_stable = open.since.elapsed() >= STABLE_AFTER;
        self.failures = if was_stable { 1 } else { self.failures.saturating_add(1) };
        self.ring.turn();
        self.give_back(TcpFailure::Ended { address: open.address.clone(), ended });
    }

    /// Whether the collector had read everything that its kernel acknowledged.
    ///
    /// A process that closes a connection, or that is killed, before it has read everything
    /// makes its kernel send a reset instead of the end of the stream (RFC 1122, section
    /// 4.2.2.13). What it had read shortly before, however, it may not have stored yet. When the
    /// pace is careful it has been asked about that already.
    fn has_read_all(&self, open: &Open, ended: &Ended) -> bool {
        let is_outstanding = open.connection.sent() > open.watch.acknowledged();
        let had_time = open.watch.quiet(Instant::now()) >= DIGESTION;
        matches!(ended, Ended::Closed) && !is_outstanding && (had_time || self.pace.is_careful())
    }

    fn trust(&mut self) {
        self.ledger.rewind();
        self.ledger.received();
        self.pace.trust();
    }

    fn doubt(&mut self, open: &Open) {
        self.ledger.replay();
        if open.connection.sent() > 0 {
            self.pace.doubt();
        }
    }

    /// Ends the connection in good order.
    async fn finish(&mut self, open: &mut Open) {
        match timeout(FAREWELL, open.connection.close()).await {
            Ok(Ended::Closed) => self.trust(),
            // A collector that does not answer may still read; nobody will be there to see.
            Err(_) if self.closing.is_some() => self.trust(),
            Ok(_) | Err(_) => self.doubt(open),
        }
        self.ring.start_over();
        self.failures = 0;
    }
}
