//! What a run saw, skipped, lost and delivered: for people on standard error, for programs as JSON.

use crate::capture::traffic::Traffic;
use crate::export::SinkTotals;
use crate::http::{Exchange, Outcome};
use crate::segment::{Connection, Leg};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Exchanges by leg. One that was exported unfinished counts once, when it ends.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Exchanges {
    client: u64,
    upstream: u64,
    /// Of both: exported before their end, to come again.
    exported_early: u64,
}

impl Exchanges {
    pub(super) fn count(&mut self, connection: &Connection, exchange: &Exchange) {
        match (exchange.outcome, connection.leg) {
            (Outcome::Ongoing, _) => self.exported_early += 1,
            (_, Leg::Client) => self.client += 1,
            (_, Leg::Upstream) => self.upstream += 1,
        }
    }
}

/// Bytes of the watched connections.
#[derive(Debug, Serialize)]
pub(super) struct Bytes {
    pub(super) seen: u64,
    pub(super) captured: u64,
    pub(super) skipped: u64,
    pub(super) lost: u64,
    pub(super) lost_by_cause: BTreeMap<&'static str, u64>,
    pub(super) ignored: u64,
}

impl From<&Traffic> for Bytes {
    fn from(traffic: &Traffic) -> Self {
        let lost = traffic.lost.iter();
        Self {
            seen: traffic.seen,
            captured: traffic.captured,
            skipped: traffic.skipped,
            lost: traffic.lost.values().sum(),
            lost_by_cause: lost.map(|(cause, bytes)| (cause.name(), *bytes)).collect(),
            ignored: traffic.ignored,
        }
    }
}

/// What a source saw.
#[derive(Debug, Serialize)]
pub(super) struct Seen {
    pub(super) bytes: Bytes,
    /// Only of probes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kernel: Option<Kernel>,
    /// Only of packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) packets: Option<Packets>,
}

/// Packets of an interface.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Packets {
    /// Passed the filter, dropped ones included.
    pub(super) passed: u64,
    /// Dropped by the kernel, because the ring was full.
    pub(super) dropped: u64,
    /// Left out, because another interface had shown them.
    pub(super) copies: u64,
    /// Connections whose process was not found.
    pub(super) pid_unknown: u64,
}

/// Counters of the kernel side of probes.
#[derive(Debug, Serialize)]
pub(super) struct Kernel {
    pub(super) events: u64,
    pub(super) bytes_copied: u64,
    pub(super) reservation_failures: u64,
    pub(super) unreadable: u64,
    pub(super) sockets_full: u64,
    pub(super) concurrent_calls: u64,
    pub(super) closes_kept: u64,
    pub(super) closes_lost: u64,
    pub(super) processes: Vec<ProcessBytes>,
}

/// Bytes copied from one process.
#[derive(Debug, Serialize)]
pub(super) struct ProcessBytes {
    pub(super) pid: u32,
    pub(super) bytes_copied: u64,
}

/// One sink's records.
#[derive(Debug, Serialize)]
pub(super) struct Sink {
    name: String,
    delivered: u64,
    delivered_bytes: u64,
    dropped: u64,
    dropped_queue_full: u64,
    dropped_at_shutdown: u64,
    reconnects: u64,
    failures: u64,
}

impl From<SinkTotals> for Sink {
    fn from(totals: SinkTotals) -> Self {
        Self {
            delivered: totals.delivered_records,
            delivered_bytes: totals.delivered_bytes,
            dropped: totals.dropped.total(),
            dropped_queue_full: totals.dropped.queue_full,
            dropped_at_shutdown: totals.dropped.shutdown,
            reconnects: totals.reconnects,
            failures: totals.failures,
            name: totals.name,
        }
    }
}

/// All of a run.
#[derive(Debug, Serialize)]
pub(super) struct Totals {
    pub(super) exchanges: Exchanges,
    #[serde(flatten)]
    pub(super) seen: Seen,
    pub(super) connections: BTreeMap<&'static str, u64>,
    pub(super) sinks: Vec<Sink>,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Exchanges { client, upstream, .. } = self.exchanges;
        writeln!(f, "exchanges  {} ({client} client, {upstream} upstream)", client + upstream)?;
        let Bytes { seen, captured, skipped, lost, ignored, .. } = self.seen.bytes;
        writeln!(
            f,
            "bytes      {seen} seen, {captured} captured, {skipped} skipped, {lost} lost, \
             {ignored} of no interest"
        )?;
        for (cause, bytes) in &self.seen.bytes.lost_by_cause {
            writeln!(f, "  lost     {bytes} {cause}")?;
        }
        write!(f, "connections")?;
        for (protocol, count) in &self.connections {
            write!(f, " {count} {protocol}")?;
        }
        if let Some(Kernel { events, reservation_failures, .. }) = &self.seen.kernel {
            write!(
                f,
                "\nkernel     {events} events, {reservation_failures} refused by a full ring"
            )?;
        }
        if let Some(Packets { passed, dropped, copies, .. }) = &self.seen.packets {
            write!(
                f,
                "\npackets    {passed} passed the filter, {dropped} dropped, {copies} copies"
            )?;
        }
        for sink in &self.sinks {
            let Sink { name, delivered, dropped, .. } = sink;
            write!(f, "\nsink       {name}: {delivered} records delivered, {dropped} dropped")?;
        }
        Ok(())
    }
}
