//! What became of the records of a sink. Each event is counted and logged here, once.

use super::record::Record;
use super::sink::{Address, ConnectError, Failure, Rejection};
use super::spool_totals::{SpoolCounters, SpoolTotals};
use super::warnings::Warnings;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// What became of the records that a sink was given. Nothing goes missing: `given_records` is
/// `queued_records + delivered_records + rejected_records + dropped.total()`. With a spool
/// `spool.found_records` were there before, and `spool.unread_records` wait only on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkTotals {
    /// The sink as it is written in settings, without its options.
    pub name: String,
    /// Records that came for this sink.
    pub given_records: u64,
    /// Exchanges that its filter kept back; no records.
    pub filtered: u64,
    /// Exchanges of which its format has nothing to show (no request was seen); no records.
    pub left_out: u64,
    /// Records that wait in memory now.
    pub queued_records: u64,
    /// Bytes of these.
    pub queued_bytes: u64,
    /// Records delivered.
    pub delivered_records: u64,
    /// Bytes of these.
    pub delivered_bytes: u64,
    /// Of the delivered records: those about which the receiver warned, or of which it did not say
    /// in a known way what became of them.
    pub warned_records: u64,
    /// Records that the receiver will never take.
    pub rejected_records: u64,
    /// The same by kind of reason.
    pub rejected_by_kind: BTreeMap<&'static str, u64>,
    /// What became of these.
    pub dead_letter: DeadLetterTotals,
    /// Records given up.
    pub dropped: Dropped,
    /// Connections made after the first one.
    pub reconnects: u64,
    /// Records sent once more after they were acknowledged, because the receiver may have lost
    /// them.
    pub replayed_records: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// The same by kind.
    pub failures_by_kind: BTreeMap<&'static str, u64>,
    /// Attempts with records that an earlier attempt had not delivered.
    pub retries: u64,
    /// What the spool holds, if there is one.
    pub spool: Option<SpoolTotals>,
}

/// Records given up, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The queue had no room for them.
    pub queue_full: u64,
    /// They were still queued when the time for ending was over.
    pub shutdown: u64,
    /// The spool had no room for them, or for newer ones.
    pub spool_full: u64,
    /// They were missing or damaged in the spool.
    pub spool_damaged: u64,
}

impl Dropped {
    /// Records given up for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self { queue_full, shutdown, spool_full, spool_damaged } = *self;
        [shutdown, spool_full, spool_damaged].into_iter().fold(queue_full, u64::saturating_add)
    }
}

/// What became of rejected records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeadLetterTotals {
    /// Kept in the dead-letter file.
    pub kept: u64,
    /// Kept without their bytes, or not at all: there is no such file, the record is larger than
    /// it may be, or it cannot be written.
    pub lost: u64,
    /// Kept, and deleted since, because the file had reached its bound.
    pub discarded: u64,
}

/// The live numbers behind [`SinkTotals`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    name: String,
    given_records: AtomicU64,
    filtered: AtomicU64,
    left_out: AtomicU64,
    queued_records: AtomicU64,
    queued_bytes: AtomicU64,
    delivered_records: AtomicU64,
    delivered_bytes: AtomicU64,
    warned_records: AtomicU64,
    dropped_queue_full: AtomicU64,
    dropped_shutdown: AtomicU64,
    connections: AtomicU64,
    replayed_records: AtomicU64,
    retries: AtomicU64,
    pub(super) spool: SpoolCounters,
    rejected: Kinds,
    dead_letter_kept: AtomicU64,
    dead_letter_lost: AtomicU64,
    dead_letter_discarded: AtomicU64,
    failures: Kinds,
    full_warnings: Warnings,
    failure_warnings: Warnings,
    rejection_warnings: Warnings,
    doubt_warnings: Warnings,
    dead_letter_warnings: Warnings,
}

/// How often each kind of event happened: events that are rare, kinds from a closed set.
#[derive(Debug, Default)]
struct Kinds {
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Kinds {
    fn count(&self, kind: &'static str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(kind).or_default();
        *count = count.saturating_add(1);
    }

    fn now(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Counters {
    pub(super) fn new(name: String) -> Self {
        let spool = SpoolCounters::new(name.clone());
        Self { name, spool, ..Self::default() }
    }

    /// A record came for this sink.
    pub(super) fn given(&self) {
        self.given_records.fetch_add(1, Relaxed);
    }

    /// An exchange came that the sink's filter keeps back.
    pub(super) fn filtered(&self) {
        self.filtered.fetch_add(1, Relaxed);
    }

    /// An exchange came of which the sink's format has nothing to show.
    pub(super) fn left_out(&self) {
        self.left_out.fetch_add(1, Relaxed);
    }

    /// A record of `bytes` bytes was taken in.
    pub(super) fn queued(&self, bytes: u64) {
        self.queued_records.fetch_add(1, Relaxed);
        self.queued_bytes.fetch_add(bytes, Relaxed);
    }

    /// Records that were queued are delivered.
    pub(super) fn delivered(&self, records: &[Record]) {
        let bytes = records.iter().map(Record::length).sum();
        self.unqueued(records.len() as u64, bytes);
        self.delivered_records.fetch_add(records.len() as u64, Relaxed);
        self.delivered_bytes.fetch_add(bytes, Relaxed);
    }

    /// The receiver took a record, but warned, or said nothing that can be understood.
    pub(super) fn warned(&self, warning: &dyn Display) {
        self.warned_records.fetch_add(1, Relaxed);
        if let Some(records) = self.doubt_warnings.happened() {
            tracing::warn!(sink = self.name, records, %warning, "records were taken, but");
        }
    }

    /// The receiver will never take a queued record of `bytes` bytes.
    pub(super) fn rejected(&self, bytes: u64, reason: &Rejection) {
        self.unqueued(1, bytes);
        self.rejected.count(reason.kind());
        if let Some(times) = self.rejection_warnings.happened() {
            tracing::warn!(sink = self.name, times, %reason, "records are rejected for good");
        }
    }

    /// A rejected record is in the dead-letter file; `discarded` older ones went for it.
    pub(super) fn kept_in_dead_letter(&self, discarded: u64) {
        self.dead_letter_kept.fetch_add(1, Relaxed);
        self.discarded_from_dead_letter(discarded);
    }

    /// Of a rejected record the dead-letter file has at most its id.
    pub(super) fn lost_for_dead_letter(&self, discarded: u64) {
        self.dead_letter_lost.fetch_add(1, Relaxed);
        self.discarded_from_dead_letter(discarded);
    }

    fn discarded_from_dead_letter(&self, records: u64) {
        self.dead_letter_discarded.fetch_add(records, Relaxed);
        if records > 0 {
            tracing::warn!(sink = self.name, records, "the oldest dead letters are deleted");
        }
    }

    /// The dead-letter file cannot be written.
    pub(super) fn dead_letter_failed(&self, error: &io::Error) {
        self.lost_for_dead_letter(0);
        if let Some(times) = self.dead_letter_warnings.happened() {
            tracing::error!(sink = self.name, times, %error, "cannot keep rejected records");
        }
    }

    /// The queue had no room for a record.
    pub(super) fn dropped_at_full_queue(&self) {
        self.dropped_queue_full.fetch_add(1, Relaxed);
        if let Some(records) = self.full_warnings.happened() {
            tracing::warn!(sink = self.name, records, "queue is full: records are dropped");
        }
    }

    /// A record of `bytes` bytes was still queued at the end.
    pub(super) fn dropped_at_shutdown(&self, bytes: u64) {
        self.unqueued(1, bytes);
        self.dropped_shutdown.fetch_add(1, Relaxed);
    }

    /// Records are not in memory any more: done with, or on disk only.
    pub(super) fn unqueued(&self, records: u64, bytes: u64) {
        self.queued_records.fetch_sub(records, Relaxed);
        self.queued_bytes.fetch_sub(bytes, Relaxed);
    }

    /// The source waits for this sink, and nothing moves.
    pub(super) fn waited_for(&self) {
        let waiting = self.queued_records.load(Relaxed);
        let sink = &self.name;
        tracing::warn!(sink, waiting, "waiting for a sink that takes no records; a signal ends it");
    }

    /// The sink can be written to (again).
    pub(super) fn opened(&self) {
        self.connections.fetch_add(1, Relaxed);
        tracing::debug!(sink = self.name, "ready");
    }

    /// One of several addresses cannot be reached, or one that nobody waits for at the moment.
    pub(super) fn unreachable(&self, error: &ConnectError) {
        tracing::warn!(sink = self.name, %error, "going on with the next address");
    }

    /// Records that were acknowledged are sent again.
    pub(super) fn replaying(&self, records: usize, address: &Address) {
        tracing::info!(
            sink = self.name, %address, records,
            "the collector may have lost what it had acknowledged: sending it again"
        );
    }

    /// That many records were sent once more and acknowledged.
    pub(super) fn replayed(&self, records: usize) {
        self.replayed_records.fetch_add(records as u64, Relaxed);
    }

    /// At the end the collector may have lost records, and could not be reached again.
    pub(super) fn unconfirmed(&self, records: usize) {
        tracing::warn!(
            sink = self.name,
            records,
            "the collector acknowledged these last records, and may have lost them"
        );
    }

    /// The certificate of the collector is not verified.
    pub(super) fn unverified(&self) {
        tracing::warn!(
            sink = self.name,
            "tls_verify is off: whoever answers in the collector's place gets all records"
        );
    }

    /// An attempt failed, and another one will follow.
    pub(super) fn failed(&self, error: &Failure) {
        self.failures.count(error.kind());
        if let Some(times) = self.failure_warnings.happened() {
            tracing::warn!(sink = self.name, times, %error, "cannot deliver: trying again");
        }
    }

    /// An attempt begins with records that an earlier one did not deliver.
    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// The numbers now.
    pub(super) fn totals(&self) -> SinkTotals {
        let failures_by_kind = self.failures.now();
        let rejected_by_kind = self.rejected.now();
        SinkTotals {
            name: self.name.clone(),
            given_records: self.given_records.load(Relaxed),
            filtered: self.filtered.load(Relaxed),
            left_out: self.left_out.load(Relaxed),
            queued_records: self.queued_records.load(Relaxed),
            queued_bytes: self.queued_bytes.load(Relaxed),
            delivered_records: self.delivered_records.load(Relaxed),
            delivered_bytes: self.delivered_bytes.load(Relaxed),
            warned_records: self.warned_records.load(Relaxed),
            rejected_records: rejected_by_kind.values().sum(),
            rejected_by_kind,
            dead_letter: DeadLetterTotals {
                kept: self.dead_letter_kept.load(Relaxed),
                lost: self.dead_letter_lost.load(Relaxed),
                discarded: self.dead_letter_discarded.load(Relaxed),
            },
            dropped: Dropped {
                queue_full: self.dropped_queue_full.load(Relaxed),
                shutdown: self.dropped_shutdown.load(Relaxed),
                spool_full: self.spool.dropped_records(),
                spool_damaged: self.spool.missing_records(),
            },
            reconnects: self.connections.load(Relaxed).saturating_sub(1),
            replayed_records: self.replayed_records.load(Relaxed),
            failures: failures_by_kind.values().sum(),
            failures_by_kind,
            retries: self.retries.load(Relaxed),
            spool: self.spool.totals(),
        }
    }
}
