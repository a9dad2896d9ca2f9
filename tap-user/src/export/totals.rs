//! What became of the records of a sink. Each event is counted and logged here, once.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What became of the records that a sink was given. Nothing goes missing: what was given is
/// `queued_records + delivered_records + dropped.total()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkTotals {
    /// The sink as it is written in settings, without its options.
    pub name: String,
    /// Records that wait in memory now.
    pub queued_records: u64,
    /// Bytes of these.
    pub queued_bytes: u64,
    /// Records handed to the kernel in full.
    pub delivered_records: u64,
    /// Bytes of these.
    pub delivered_bytes: u64,
    /// Records given up.
    pub dropped: Dropped,
    /// Connections made after the first one.
    pub reconnects: u64,
    /// Attempts to connect or to write that failed.
    pub failures: u64,
}

/// Records given up, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The queue had no room for them.
    pub queue_full: u64,
    /// They were still queued when the time for ending was over.
    pub shutdown: u64,
}

impl Dropped {
    /// Records given up for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.queue_full.saturating_add(self.shutdown)
    }
}

/// The live numbers behind [`SinkTotals`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    name: String,
    queued_records: AtomicU64,
    queued_bytes: AtomicU64,
    delivered_records: AtomicU64,
    delivered_bytes: AtomicU64,
    dropped_queue_full: AtomicU64,
    dropped_shutdown: AtomicU64,
    connections: AtomicU64,
    failures: AtomicU64,
}

impl Counters {
    pub(super) fn new(name: String) -> Self {
        Self { name, ..Self::default() }
    }

    /// Bytes that wait in memory now.
    pub(super) fn queued_bytes(&self) -> u64 {
        self.queued_bytes.load(Relaxed)
    }

    /// A record of `bytes` bytes was taken in.
    pub(super) fn queued(&self, bytes: u64) {
        self.queued_records.fetch_add(1, Relaxed);
        self.queued_bytes.fetch_add(bytes, Relaxed);
    }

    /// A record of `bytes` bytes was handed to the kernel in full.
    pub(super) fn delivered(&self, bytes: u64) {
        self.unqueued(bytes);
        self.delivered_records.fetch_add(1, Relaxed);
        self.delivered_bytes.fetch_add(bytes, Relaxed);
    }

    /// The queue had no room for a record; `first` of a series of such.
    pub(super) fn dropped_at_full_queue(&self, first: bool) {
        self.dropped_queue_full.fetch_add(1, Relaxed);
        if first {
            tracing::warn!(sink = self.name, "queue is full: records are being dropped");
        }
    }

    /// A record of `bytes` bytes was still queued at the end.
    pub(super) fn dropped_at_shutdown(&self, bytes: u64) {
        self.unqueued(bytes);
        self.dropped_shutdown.fetch_add(1, Relaxed);
    }

    fn unqueued(&self, bytes: u64) {
        self.queued_records.fetch_sub(1, Relaxed);
        self.queued_bytes.fetch_sub(bytes, Relaxed);
    }

    /// The sink can be written to (again).
    pub(super) fn opened(&self) {
        self.connections.fetch_add(1, Relaxed);
        tracing::debug!(sink = self.name, "ready");
    }

    /// An attempt to open or to write failed.
    pub(super) fn failed(&self, what: &'static str, error: &dyn Display) {
        self.failures.fetch_add(1, Relaxed);
        tracing::warn!(sink = self.name, %error, "cannot {what}: trying again");
    }

    /// The numbers now.
    pub(super) fn totals(&self) -> SinkTotals {
        SinkTotals {
            name: self.name.clone(),
            queued_records: self.queued_records.load(Relaxed),
            queued_bytes: self.queued_bytes.load(Relaxed),
            delivered_records: self.delivered_records.load(Relaxed),
            delivered_bytes: self.delivered_bytes.load(Relaxed),
            dropped: Dropped {
                queue_full: self.dropped_queue_full.load(Relaxed),
                shutdown: self.dropped_shutdown.load(Relaxed),
            },
            reconnects: self.connections.load(Relaxed).saturating_sub(1),
            failures: self.failures.load(Relaxed),
        }
    }
}
