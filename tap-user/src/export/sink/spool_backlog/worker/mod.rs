//! The thread that does all file work of a spool.

mod ending;
mod writing;

use super::shared::{READY_BYTES, Shared};
use super::syncer::Syncer;
use crate::export::record::Record;
use crate::export::sink::room::Room;
use crate::export::totals::Counters;
use crate::spool::{Damage, Entry, FileSystem, Spool};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// After the first record came, that long more may come before they are appended with one write.
const LINGER: Duration = Duration::from_millis(10);
/// Records that are appended or read at once at most.
const BATCH_RECORDS: usize = 1_024;
/// How often positions are stored, files removed, and results looked at, while there is anything.
const TICK: Duration = Duration::from_millis(200);
/// How long a disk that failed is left alone.
const DISK_PAUSE: Duration = Duration::from_secs(1);
/// After so long without a record the last file goes too.
const QUIET: Duration = Duration::from_secs(2);

pub(super) struct Worker<F: FileSystem> {
    spool: Spool<F>,
    shared: Arc<Shared>,
    intake: mpsc::UnboundedReceiver<Record>,
    is_open: bool,
    /// Bytes that are in memory only.
    room: Arc<Room>,
    counters: Arc<Counters>,
    syncer: Syncer<F>,
    /// Came, and not appended yet.
    unwritten: VecDeque<Record>,
    /// When the disk that failed is tried again.
    resume: Option<Instant>,
    /// When a segment that could not be read is tried again.
    read_resume: Option<Instant>,
    next_tick: Instant,
    last_record: Instant,
    told: Damage,
}

impl<F: FileSystem> Worker<F> {
    pub(super) fn new(
        spool: Spool<F>,
        shared: Arc<Shared>,
        intake: mpsc::UnboundedReceiver<Record>,
        room: Arc<Room>,
        counters: Arc<Counters>,
        syncer: Syncer<F>,
    ) -> Self {
        let now = Instant::now();
        let mut worker = Self {
            spool,
            shared,
            intake,
            is_open: true,
            room,
            counters,
            syncer,
            unwritten: VecDeque::new(),
            resume: None,
            read_resume: None,
            next_tick: now,
            last_record: now,
            told: Damage::default(),
        };
        worker.begin();
        worker
    }

    /// Says at the start what was found, and whether the disk can be written.
    fn begin(&mut self) {
        self.counters.spool.opened(self.spool.unread());
        if self.spool.damage().position {
            self.counters.spool.position_damaged();
        }
        self.tell();
        let result = self.spool.check_writable();
        self.note(result);
    }

    pub(super) async fn run(mut self) {
        while self.shared.state().given_up.is_none() {
            self.work();
            self.wait().await;
        }
        self.end();
    }

    fn work(&mut self) {
        self.receive();
        self.acknowledge();
        self.write();
        self.pass_on_unwritten();
        self.refill();
        if Instant::now() >= self.next_tick {
            self.next_tick = Instant::now() + TICK;
            self.tick();
        }
        self.tell();
        self.tell_the_end();
    }

    /// Waits for the next record, a word of the driver, or the next tick if there is need of one.
    async fn wait(&mut self) {
        let is_busy = self.is_busy();
        let until_tick = self.next_tick.saturating_duration_since(Instant::now());
        tokio::select! {
            received = self.intake.recv(), if self.is_open => match received {
                Some(record) => {
                    self.unwritten.push_back(record);
                    // Over before, if there is plenty or the source waits.
                    let _ = timeout(LINGER, self.room.plenty()).await;
                }
                None => self.is_open = false,
            },
            () = self.shared.worker.notified() => {}
            () = sleep(until_tick), if is_busy => {}
        }
    }

    /// Whether anything is left to do without a word from anybody.
    fn is_busy(&self) -> bool {
        !self.unwritten.is_empty()
            || !self.spool.is_settled()
            || self.resume.is_some()
            || !self.shared.state().is_idle()
    }

    fn receive(&mut self) {
        while let Ok(record) = self.intake.try_recv() {
            self.unwritten.push_back(record);
        }
    }

    fn acknowledge(&mut self) {
        let mut state = self.shared.state();
        if let Some(place) = state.released.take() {
            self.spool.acknowledge(place);
        }
        // Also past what is missing at the end.
        if state.is_idle() {
            self.spool.acknowledge(self.spool.cursor());
        }
    }

    /// Reads back what the driver comes to next.
    fn refill(&mut self) {
        if self.read_resume.is_some_and(|resume| Instant::now() < resume) {
            return;
        }
        self.read_resume = None;
        while !self.spool.is_read() {
            let ready = self.shared.state().ready_bytes;
            if ready > READY_BYTES / 2 {
                return;
            }
            match self.spool.read(BATCH_RECORDS, (READY_BYTES - ready) as usize) {
                Ok(read) => self.push_read(read),
                Err(error) => {
                    self.counters.spool.read_failed(&error);
                    self.read_resume = Some(Instant::now() + DISK_PAUSE);
                    return;
                }
            }
        }
    }

    fn push_read(&self, read: Vec<crate::spool::Read>) {
        let mut state = self.shared.state();
        for read in read {
            let record = record(read.entry);
            self.counters.queued(record.length());
            state.push(record, Some(read.place));
        }
        drop(state);
        self.shared.driver.notify_one();
    }

    /// What need not happen at once.
    fn tick(&mut self) {
        if let Some(Err(error)) = self.syncer.result() {
            self.counters.spool.sync_failed(&error);
            self.spool.leave_segment();
        }
        if self.syncer.is_due() {
            self.syncer.begin(self.spool.take_unsynced());
        }
        if self.resume.is_none_or(|resume| Instant::now() >= resume) {
            let result = self.tidy();
            self.note(result);
        }
    }

    fn tidy(&mut self) -> io::Result<()> {
        self.spool.store_position()?;
        if self.last_record.elapsed() >= QUIET && self.shared.state().is_idle() {
            return self.spool.tidy_all();
        }
        self.spool.tidy()
    }

    /// Whether the disk works is said when that changes.
    fn note(&mut self, result: io::Result<()>) {
        match result {
            Ok(()) => {
                if self.resume.take().is_some() {
                    self.counters.spool.works_again();
                }
            }
            Err(error) => {
                self.counters.spool.write_failed(&error, self.resume.is_none());
                self.resume = Some(Instant::now() + DISK_PAUSE);
            }
        }
    }

    /// Keeps the counters up to date.
    fn tell(&mut self) {
        let damage = self.spool.damage();
        if damage != self.told {
            self.counters
                .spool
                .damaged(damage.records - self.told.records, damage.bytes - self.told.bytes);
            self.told = damage;
        }
        let waiting = self.spool.waiting();
        self.counters.spool.holds(self.spool.unread(), waiting.records, waiting.bytes);
    }

    /// Once the intake is closed and all is ready, the driver need not wait for more.
    fn tell_the_end(&self) {
        if !self.is_open && self.unwritten.is_empty() && self.spool.is_read() {
            self.shared.state().ended = true;
            self.shared.driver.notify_one();
        }
    }
}

fn record(entry: Entry) -> Record {
    let Entry { id, duration_ns, bytes } = entry;
    Record { id, duration_ns, bytes }
}
