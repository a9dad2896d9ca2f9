//! The thread that does all file work of a spool.

use super::shared::{READY_BYTES, Ready, Shared};
use super::syncer::Syncer;
use crate::export::record::Record;
use crate::export::sink::room::Room;
use crate::export::totals::Counters;
use crate::spool::{AppendError, Damage, Entry, FileSystem, Spool};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// After the first record came, that long more may come before they are appended with one write.
const LINGER: Duration = Duration::from_millis(10);
/// Bytes that are appended at once at most, plus one record.
const BATCH_BYTES: u64 = 1 << 20;
/// Records that are appended or read at once at most.
const BATCH_RECORDS: usize = 1_024;
/// Bytes that are passed on at once while they are not on disk, plus one record.
const PASSED_ON_BYTES: u64 = 256 << 10;
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

    /// Appends what has come.
    fn write(&mut self) {
        if self.resume.is_some_and(|resume| Instant::now() < resume) {
            return;
        }
        while !self.unwritten.is_empty() {
            if let Err(error) = self.write_batch() {
                self.note(Err(error));
                return;
            }
            self.note(Ok(()));
        }
    }

    fn write_batch(&mut self) -> io::Result<()> {
        self.last_record = Instant::now();
        let (entries, bytes) = self.next_batch();
        let dropped = self.spool.make_room(bytes);
        self.counters.spool.full(dropped.records, dropped.bytes);
        let was_read = self.spool.is_read();
        let appended = self.spool.append(&entries, now_ns());
        let written = appended.places.len();
        let records: Vec<_> = self.unwritten.drain(..written.min(self.unwritten.len())).collect();
        let passed_on = self.pass_on(records, &appended.places, was_read);
        if let Some(place) = passed_on.checked_sub(1).and_then(|last| appended.places.get(last)) {
            self.spool.skip_to(*place);
        }
        match appended.error {
            None => Ok(()),
            Some(AppendError::Io(error)) => Err(error),
            Some(AppendError::Full | AppendError::TooLarge) => {
                self.refuse();
                Ok(())
            }
        }
    }

    /// The next records, and how much room they need.
    fn next_batch(&self) -> (Vec<Entry>, u64) {
        let limit = BATCH_BYTES.min(self.spool.segment_bytes());
        let (mut entries, mut bytes) = (Vec::new(), 0_u64);
        for record in self.unwritten.iter().take(BATCH_RECORDS) {
            let entry = entry(record);
            let length = Spool::<F>::bytes_of(&entry);
            if !entries.is_empty() && bytes.saturating_add(length) > limit {
                break;
            }
            bytes = bytes.saturating_add(length);
            entries.push(entry);
        }
        (entries, bytes)
    }

    /// Makes records ready that are on disk now, as long as nothing older waits there and there
    /// is room; says how many. The others are forgotten until their turn.
    fn pass_on(
        &self,
        records: Vec<Record>,
        places: &[crate::spool::Place],
        was_read: bool,
    ) -> usize {
        let mut state = self.shared.state();
        let mut passed_on = 0;
        let mut goes_on = was_read;
        for (record, &place) in records.into_iter().zip(places) {
            self.room.release(record.length());
            self.counters.spool.written(record.length());
            goes_on = goes_on && state.has_room();
            if goes_on {
                state.push(record, Some(place));
                passed_on += 1;
            } else {
                self.counters.unqueued(1, record.length());
            }
        }
        drop(state);
        self.shared.driver.notify_one();
        passed_on
    }

    /// The first record finds no room.
    fn refuse(&mut self) {
        if let Some(record) = self.unwritten.pop_front() {
            self.room.release(record.length());
            self.counters.unqueued(1, record.length());
            self.counters.spool.full(1, record.length());
        }
    }

    /// While the disk takes nothing, records are delivered from memory: few at once, those included
    /// that the driver has taken already, so that the others get to the disk when it takes them again.
    fn pass_on_unwritten(&mut self) {
        let mut state = self.shared.state();
        if self.resume.is_none() || !self.spool.is_read() || !state.ready.is_empty() {
            return;
        }
        let mut bytes = state.unplaced_bytes();
        while bytes < PASSED_ON_BYTES
            && let Some(record) = self.unwritten.pop_front()
        {
            bytes = bytes.saturating_add(record.length());
            state.push(record, None);
        }
        drop(state);
        self.shared.driver.notify_one();
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

    /// Everything that is not released stays on disk, or gets there now.
    fn end(mut self) {
        self.intake.close();
        self.receive();
        self.acknowledge();
        let kept = self.sort_out();
        self.resume = None;
        self.write_last();
        let result = self.tidy_last();
        self.note(result);
        let waiting = self.spool.waiting();
        let unread = self.spool.unread().saturating_add(kept);
        self.counters.spool.holds(unread, waiting.records, waiting.bytes);
    }

    /// Puts what is only in memory back in front of what is unwritten; says how many of the
    /// records in memory are on disk as well.
    fn sort_out(&mut self) -> u64 {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        let mut unfinished = state.given_up.take().unwrap_or_default().into_iter().peekable();
        let mut in_memory = Vec::new();
        for taken in std::mem::take(&mut state.taken) {
            let is_unfinished = |record: &Record| record.id == taken.id;
            if let Some(record) = unfinished.next_if(is_unfinished) {
                in_memory.push(Ready { record, place: taken.place });
            }
        }
        in_memory.extend(std::mem::take(&mut state.ready));
        let (on_disk, only_here): (Vec<_>, Vec<_>) =
            in_memory.into_iter().partition(|ready| ready.place.is_some());
        for ready in &on_disk {
            self.counters.unqueued(1, ready.record.length());
        }
        for ready in only_here.into_iter().rev() {
            self.unwritten.push_front(ready.record);
        }
        on_disk.len() as u64
    }

    /// One last try; what the disk does not take now is lost.
    fn write_last(&mut self) {
        // So that nothing is passed on any more.
        self.shared.state().ready_bytes = READY_BYTES;
        self.write();
        for record in self.unwritten.drain(..) {
            self.counters.dropped_at_shutdown(record.length());
        }
    }

    fn tidy_last(&mut self) -> io::Result<()> {
        self.spool.store_position()?;
        self.spool.tidy_all()?;
        self.spool.take_unsynced().sync()
    }
}

fn entry(record: &Record) -> Entry {
    let Record { id, duration_ns, bytes } = record.clone();
    Entry { id, duration_ns, bytes }
}

fn record(entry: Entry) -> Record {
    let Entry { id, duration_ns, bytes } = entry;
    Record { id, duration_ns, bytes }
}

/// The time now, in nanoseconds since 1970.
fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
