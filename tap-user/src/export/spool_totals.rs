//! What a sink's spool holds, and what it cost.

use serde::Serialize;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// What a spool holds, and what it cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SpoolTotals {
    /// Records that an earlier run had left in it.
    pub found_records: u64,
    /// Records that were appended.
    pub written_records: u64,
    /// Bytes of these.
    pub written_bytes: u64,
    /// Records that are on disk and not in memory.
    pub unread_records: u64,
    /// Records that are not acknowledged: those in memory besides.
    pub waiting_records: u64,
    /// Bytes of these on disk.
    pub waiting_bytes: u64,
    /// Records that were dropped because it was full.
    pub dropped_records: u64,
    /// Bytes of these on disk.
    pub dropped_bytes: u64,
    /// Records that were missing between others.
    pub missing_records: u64,
    /// Bytes that were no record.
    pub damaged_bytes: u64,
    /// Appends, removals and syncs that failed.
    pub write_failures: u64,
    /// Reads that failed.
    pub read_failures: u64,
}

/// The live numbers behind [`SpoolTotals`].
#[derive(Debug, Default)]
pub(super) struct SpoolCounters {
    sink: String,
    /// Set if there is a spool.
    found_records: OnceLock<u64>,
    written_records: AtomicU64,
    written_bytes: AtomicU64,
    unread_records: AtomicU64,
    waiting_records: AtomicU64,
    waiting_bytes: AtomicU64,
    dropped_records: AtomicU64,
    dropped_bytes: AtomicU64,
    missing_records: AtomicU64,
    damaged_bytes: AtomicU64,
    write_failures: AtomicU64,
    read_failures: AtomicU64,
    /// It was said that the spool is full.
    is_full: AtomicBool,
}

impl SpoolCounters {
    pub(super) fn new(sink: String) -> Self {
        Self { sink, ..Self::default() }
    }

    /// There is a spool, and an earlier run had left so many records in it.
    pub(super) fn opened(&self, found: u64) {
        self.found_records.get_or_init(|| found);
    }

    /// A record of `bytes` bytes was appended.
    pub(super) fn written(&self, bytes: u64) {
        self.written_records.fetch_add(1, Relaxed);
        self.written_bytes.fetch_add(bytes, Relaxed);
    }

    /// What it holds now.
    pub(super) fn holds(&self, unread: u64, waiting_records: u64, waiting_bytes: u64) {
        self.unread_records.store(unread, Relaxed);
        self.waiting_records.store(waiting_records, Relaxed);
        self.waiting_bytes.store(waiting_bytes, Relaxed);
        if waiting_records == 0 {
            self.is_full.store(false, Relaxed);
        }
    }

    /// Its bound cost records. Said once, until it was empty again.
    pub(super) fn full(&self, records: u64, bytes: u64) {
        self.dropped_records.fetch_add(records, Relaxed);
        self.dropped_bytes.fetch_add(bytes, Relaxed);
        if records > 0 && !self.is_full.swap(true, Relaxed) {
            tracing::warn!(sink = self.sink, "the spool is full: records are dropped");
        }
    }

    /// So much of it is unreadable.
    pub(super) fn damaged(&self, missing_records: u64, bytes: u64) {
        self.missing_records.fetch_add(missing_records, Relaxed);
        self.damaged_bytes.fetch_add(bytes, Relaxed);
        let sink = &self.sink;
        tracing::warn!(sink, missing_records, bytes, "skipped what is damaged in the spool");
    }

    /// It does not know what is delivered.
    pub(super) fn position_damaged(&self) {
        let sink = &self.sink;
        tracing::warn!(sink, "the spool's position is damaged: all in it is delivered again");
    }

    /// It cannot be written; `first` of a series of failures.
    pub(super) fn write_failed(&self, error: &io::Error, first: bool) {
        self.write_failures.fetch_add(1, Relaxed);
        if first {
            tracing::error!(
                sink = self.sink,
                %error,
                "cannot write to the spool: until it can, new records wait in memory only"
            );
        }
    }

    /// It can be written again.
    pub(super) fn works_again(&self) {
        tracing::warn!(sink = self.sink, "the spool can be written again");
    }

    /// The disk does not say that it has what was written.
    pub(super) fn sync_failed(&self, error: &io::Error) {
        self.write_failures.fetch_add(1, Relaxed);
        let sink = &self.sink;
        tracing::error!(sink, %error, "cannot sync the spool: a power cut may cost records");
    }

    /// A segment cannot be read.
    pub(super) fn read_failed(&self, error: &io::Error) {
        self.read_failures.fetch_add(1, Relaxed);
        tracing::error!(sink = self.sink, %error, "cannot read from the spool: trying again");
    }

    pub(super) fn dropped_records(&self) -> u64 {
        self.dropped_records.load(Relaxed)
    }

    pub(super) fn missing_records(&self) -> u64 {
        self.missing_records.load(Relaxed)
    }

    pub(super) fn totals(&self) -> Option<SpoolTotals> {
        Some(SpoolTotals {
            found_records: *self.found_records.get()?,
            written_records: self.written_records.load(Relaxed),
            written_bytes: self.written_bytes.load(Relaxed),
            unread_records: self.unread_records.load(Relaxed),
            waiting_records: self.waiting_records.load(Relaxed),
            waiting_bytes: self.waiting_bytes.load(Relaxed),
            dropped_records: self.dropped_records(),
            dropped_bytes: self.dropped_bytes.load(Relaxed),
            missing_records: self.missing_records(),
            damaged_bytes: self.damaged_bytes.load(Relaxed),
            write_failures: self.write_failures.load(Relaxed),
            read_failures: self.read_failures.load(Relaxed),
        })
    }
}
