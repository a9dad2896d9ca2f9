//! What became of each sink's records.

use crate::export::{SinkTotals, SpoolTotals};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// One sink's records.
#[derive(Debug, Default, Serialize)]
pub(in crate::app) struct Sink {
    pub(in crate::app) name: String,
    pub(in crate::app) given: u64,
    /// Not delivered, and not lost either: they wait on disk.
    pub(in crate::app) waiting: u64,
    pub(in crate::app) delivered: u64,
    pub(in crate::app) delivered_bytes: u64,
    /// Of the delivered ones: the receiver warned, or did not say clearly that all is well.
    pub(in crate::app) warned: u64,
    /// The receiver will never take them.
    pub(in crate::app) rejected: u64,
    /// Exchanges that the sink's filter kept back.
    pub(in crate::app) filtered: u64,
    /// Exchanges of which the format has nothing to show.
    pub(in crate::app) left_out: u64,
    pub(in crate::app) dropped: u64,
    pub(in crate::app) dropped_queue_full: u64,
    pub(in crate::app) dropped_at_shutdown: u64,
    pub(in crate::app) dropped_spool_full: u64,
    pub(in crate::app) dropped_spool_damaged: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::app) spool: Option<SpoolTotals>,
    pub(in crate::app) rejected_by_kind: BTreeMap<&'static str, u64>,
    pub(in crate::app) dead_letters_kept: u64,
    pub(in crate::app) dead_letters_lost: u64,
    pub(in crate::app) dead_letters_discarded: u64,
    pub(in crate::app) reconnects: u64,
    /// Sent once more, because the receiver may have lost them.
    pub(in crate::app) replayed: u64,
    pub(in crate::app) failures: u64,
    pub(in crate::app) failures_by_kind: BTreeMap<&'static str, u64>,
    pub(in crate::app) retries: u64,
}

impl Sink {
    /// Records given up, by reason.
    pub(in crate::app) fn dropped_by_reason(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("queue_full", self.dropped_queue_full),
            ("shutdown", self.dropped_at_shutdown),
            ("spool_full", self.dropped_spool_full),
            ("spool_damaged", self.dropped_spool_damaged),
        ]
    }
}

impl From<SinkTotals> for Sink {
    fn from(totals: SinkTotals) -> Self {
        Self {
            given: totals.given_records,
            waiting: totals.queued_records,
            delivered: totals.delivered_records,
            delivered_bytes: totals.delivered_bytes,
            warned: totals.warned_records,
            rejected: totals.rejected_records,
            filtered: totals.filtered,
            left_out: totals.left_out,
            dropped: totals.dropped.total(),
            dropped_queue_full: totals.dropped.queue_full,
            dropped_at_shutdown: totals.dropped.shutdown,
            dropped_spool_full: totals.dropped.spool_full,
            dropped_spool_damaged: totals.dropped.spool_damaged,
            spool: totals.spool,
            reconnects: totals.reconnects,
            replayed: totals.replayed_records,
            rejected_by_kind: totals.rejected_by_kind,
            dead_letters_kept: totals.dead_letter.kept,
            dead_letters_lost: totals.dead_letter.lost,
            dead_letters_discarded: totals.dead_letter.discarded,
            failures: totals.failures,
            failures_by_kind: totals.failures_by_kind,
            retries: totals.retries,
            name: totals.name,
        }
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, delivered, dropped, rejected, .. } = self;
        write!(f, "\nsink       {name}: {delivered} records delivered, {dropped} dropped")?;
        if let Some(SpoolTotals { waiting_records, .. }) = self.spool {
            write!(f, ", {waiting_records} wait in its spool")?;
        }
        if *rejected > 0 {
            write!(f, ", {rejected} rejected")?;
        }
        Ok(())
    }
}
