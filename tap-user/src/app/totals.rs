//! What a run saw, skipped, lost and delivered: for people on standard error, for programs as JSON.

use super::Failure;
use crate::capture::traffic::Traffic;
use crate::export::{SinkTotals, SpoolTotals};
use crate::flow::FlowCounters;
use crate::flow::decode::DecodeCounters;
use crate::http::{Exchange, Outcome};
use crate::policy::PolicyTotals;
use crate::segment::{Connection, Leg};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Exchanges by leg. One that was exported unfinished counts once, when it ends.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Exchanges {
    pub(super) client: u64,
    pub(super) upstream: u64,
    /// Of both: exported before their end, to come again.
    pub(super) exported_early: u64,
    /// Of both: how they ended is not known, because the tap looked no longer.
    abandoned: u64,
}

impl Exchanges {
    /// Of both legs.
    pub(super) fn total(&self) -> u64 {
        self.client + self.upstream
    }

    pub(super) fn count(&mut self, connection: &Connection, exchange: &Exchange) {
        self.abandoned += u64::from(matches!(exchange.outcome, Outcome::Abandoned(_)));
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

/// Counters of the kernel side.
#[cfg(feature = "probes")]
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
#[cfg(feature = "probes")]
#[derive(Debug, Serialize)]
pub(super) struct ProcessBytes {
    pub(super) pid: u32,
    pub(super) bytes_copied: u64,
}

/// One sink's records.
#[derive(Debug, Default, Serialize)]
pub(super) struct Sink {
    pub(super) name: String,
    pub(super) given: u64,
    /// Not delivered, and not lost either: they wait on disk.
    pub(super) waiting: u64,
    pub(super) delivered: u64,
    pub(super) delivered_bytes: u64,
    /// Of the delivered ones: the receiver warned, or did not say clearly that all is well.
    pub(super) warned: u64,
    /// The receiver will never take them.
    pub(super) rejected: u64,
    /// Exchanges that the sink's filter kept back.
    pub(super) filtered: u64,
    /// Exchanges of which the format has nothing to show.
    pub(super) left_out: u64,
    pub(super) dropped: u64,
    pub(super) dropped_queue_full: u64,
    pub(super) dropped_at_shutdown: u64,
    pub(super) dropped_spool_full: u64,
    pub(super) dropped_spool_damaged: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spool: Option<SpoolTotals>,
    pub(super) rejected_by_kind: BTreeMap<&'static str, u64>,
    pub(super) dead_letters_kept: u64,
    pub(super) dead_letters_lost: u64,
    pub(super) dead_letters_discarded: u64,
    pub(super) reconnects: u64,
    /// Sent once more, because the receiver may have lost them.
    pub(super) replayed: u64,
    pub(super) failures: u64,
    pub(super) failures_by_kind: BTreeMap<&'static str, u64>,
    pub(super) retries: u64,
}

impl Sink {
    /// Records given up, by reason.
    pub(super) fn dropped_by_reason(&self) -> Vec<(&'static str, u64)> {
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

/// All of a run.
#[derive(Debug, Serialize)]
pub(super) struct Totals {
    pub(super) exchanges: Exchanges,
    pub(super) connections: BTreeMap<&'static str, u64>,
    pub(super) policy: Policy,
    #[serde(flatten)]
    pub(super) source: Source,
    pub(super) sinks: Vec<Sink>,
}

/// What did not leave, and what was replaced in what did.
#[derive(Debug, Serialize)]
pub(super) struct Policy {
    /// Exchanges, by reason.
    pub(super) dropped: BTreeMap<&'static str, u64>,
    dropped_early: u64,
    /// Values, by rule; only rules that replaced something.
    pub(super) redacted: BTreeMap<String, u64>,
}

impl From<PolicyTotals> for Policy {
    fn from(totals: PolicyTotals) -> Self {
        let redacted = totals.redacted.iter().filter(|(_, count)| **count > 0);
        Self {
            dropped: totals.dropped.iter().map(|(why, count)| (why.name(), *count)).collect(),
            dropped_early: totals.dropped_early,
            redacted: redacted.map(|(rule, count)| (rule.to_string(), *count)).collect(),
        }
    }
}

/// What the source itself counted.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Source {
    /// Kernel probes.
    #[cfg(feature = "probes")]
    Probes { bytes: Bytes, kernel: Kernel },
    /// Packets of an interface.
    Interface(Interface),
    /// Packets in files.
    Packets(Packets),
    /// Records in files.
    Records(Records),
}

/// Files with records.
#[derive(Debug, Serialize)]
pub(super) struct Records {
    pub(super) files: Vec<SentFile>,
}

/// One file with records.
#[derive(Debug, Default, Serialize)]
pub(super) struct SentFile {
    pub(super) name: String,
    pub(super) records: u64,
    /// Lines that are no native record.
    pub(super) bad_lines: u64,
    /// Why its rest could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// Counters of live packets, decoding and reassembly.
#[derive(Debug, Serialize)]
pub(super) struct Interface {
    pub(super) bytes: Bytes,
    pub(super) packets: LivePackets,
    #[serde(serialize_with = "decoding")]
    pub(super) decoding: DecodeCounters,
    #[serde(serialize_with = "reassembly")]
    pub(super) reassembly: FlowCounters,
}

/// Packets as the kernel counted them.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct LivePackets {
    /// Passed the filter, dropped ones included.
    pub(super) passed: u64,
    /// Dropped by the kernel, because the ring was full.
    pub(super) dropped: u64,
    /// Left out, because another interface had shown them.
    pub(super) copies: u64,
    /// Connections whose process was not found.
    pub(super) pid_unknown: u64,
}

/// Counters of files, decoding and reassembly.
#[derive(Debug, Serialize)]
pub(super) struct Packets {
    pub(super) files: Vec<ReadFile>,
    /// Packets left out because they do not match what was asked for.
    pub(super) filtered: u64,
    #[serde(serialize_with = "decoding")]
    pub(super) decoding: DecodeCounters,
    #[serde(serialize_with = "reassembly")]
    pub(super) reassembly: FlowCounters,
}

/// One file.
#[derive(Debug, Serialize)]
pub(super) struct ReadFile {
    pub(super) name: String,
    pub(super) packets: u64,
    /// It ends in the middle of a packet.
    pub(super) truncated: bool,
    /// Why its rest could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

impl Totals {
    /// Tells people on standard error, and programs in `file`.
    pub(super) fn tell(&self, file: Option<&Path>) -> Result<(), Failure> {
        eprintln!("{self}");
        let Some(path) = file else { return Ok(()) };
        std::fs::write(path, serde_json::to_vec_pretty(self)?)
            .map_err(|error| format!("totals file {}: {error}", path.display()).into())
    }
}

fn decoding<S: Serializer>(counters: &DecodeCounters, serializer: S) -> Result<S::Ok, S::Error> {
    let fragments = &counters.fragments;
    let mut map = serializer.serialize_map(None)?;
    for (name, count) in [
        ("frames", counters.frames),
        ("segments", counters.segments),
        ("cut_segments", counters.cut),
        ("not_ip", counters.not_ip),
        ("not_tcp", counters.not_tcp),
        ("malformed", counters.malformed),
        ("fragments", fragments.seen),
        ("fragments_overlapping", fragments.overlapping),
        ("fragments_malformed", fragments.malformed),
        ("datagrams_reassembled", fragments.reassembled),
        ("datagrams_waiting", counters.datagrams_waiting),
        ("datagrams_expired", fragments.expired),
        ("datagrams_evicted", fragments.evicted),
    ] {
        map.serialize_entry(name, &count)?;
    }
    map.serialize_entry("unsupported_links", &counters.unsupported_links)?;
    map.end()
}

fn reassembly<S: Serializer>(counters: &FlowCounters, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for (name, count) in flow_counts(counters) {
        map.serialize_entry(name, &count)?;
    }
    map.end()
}

fn flow_counts(counters: &FlowCounters) -> [(&'static str, u64); 22] {
    [
        ("packets", counters.packets),
        ("bytes", counters.bytes),
        ("delivered_bytes", counters.delivered_bytes),
        ("retransmitted_bytes", counters.retransmitted_bytes),
        ("out_of_order", counters.out_of_order),
        ("conflicts", counters.conflicts),
        ("keep_alives", counters.keep_alives),
        ("holes", counters.holes),
        ("hole_bytes", counters.hole_bytes),
        ("cut_bytes", counters.cut_bytes),
        ("implausible", counters.implausible),
        ("ignored_resets", counters.ignored_resets),
        ("stray_bytes", counters.stray_bytes),
        ("ignored_bytes", counters.ignored_bytes),
        ("opened", counters.opened),
        ("opened_mid_stream", counters.opened_mid_stream),
        ("roles_guessed", counters.roles_guessed),
        ("resets", counters.resets),
        ("replaced", counters.replaced),
        ("idle", counters.idle),
        ("evictions", counters.evictions),
        ("pressed", counters.pressed),
    ]
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Exchanges { client, upstream, .. } = self.exchanges;
        write!(f, "exchanges  {} ({client} client, {upstream} upstream)", client + upstream)?;
        if !matches!(self.source, Source::Records(_)) {
            write!(f, "\nconnections")?;
        }
        for (protocol, count) in &self.connections {
            write!(f, " {count} {protocol}")?;
        }
        write!(f, "{}", self.policy)?;
        match &self.source {
            #[cfg(feature = "probes")]
            Source::Probes { bytes, kernel } => write_probes(f, bytes, kernel)?,
            Source::Interface(interface) => write!(f, "{interface}")?,
            Source::Packets(packets) => write!(f, "{packets}")?,
            Source::Records(records) => write!(f, "{records}")?,
        }
        for sink in &self.sinks {
            let Sink { name, delivered, dropped, rejected, .. } = sink;
            write!(f, "\nsink       {name}: {delivered} records delivered, {dropped} dropped")?;
            if let Some(SpoolTotals { waiting_records, .. }) = sink.spool {
                write!(f, ", {waiting_records} wait in its spool")?;
            }
            if *rejected > 0 {
                write!(f, ", {rejected} rejected")?;
            }
        }
        Ok(())
    }
}

#[cfg(feature = "probes")]
fn write_probes(f: &mut fmt::Formatter<'_>, bytes: &Bytes, kernel: &Kernel) -> fmt::Result {
    let Kernel { events, reservation_failures, .. } = kernel;
    write!(f, "{bytes}\nkernel     {events} events, {reservation_failures} refused by a full ring")
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: u64 = self.redacted.values().sum();
        write!(f, "\npolicy     {values} values redacted")?;
        for (reason, count) in self.dropped.iter().filter(|(_, count)| **count > 0) {
            write!(f, ", {count} exchanges dropped by {reason}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seen, captured, skipped, lost, ignored, .. } = self;
        write!(
            f,
            "\nbytes      {seen} seen, {captured} captured, {skipped} skipped, {lost} lost, \
             {ignored} of no interest"
        )?;
        for (cause, bytes) in &self.lost_by_cause {
            write!(f, "\n  lost     {bytes} {cause}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LivePackets { passed, dropped, copies, pid_unknown } = self.packets;
        let Self { bytes, .. } = self;
        write!(
            f,
            "{bytes}\npackets    {passed} passed the filter, {dropped} dropped by a full ring, \
             {copies} copies; {pid_unknown} connections without process"
        )
    }
}

impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records: u64 = self.files.iter().map(|file| file.records).sum();
        let bad_lines: u64 = self.files.iter().map(|file| file.bad_lines).sum();
        write!(f, "\nrecords    {records} read, {bad_lines} lines are none")
    }
}

impl fmt::Display for Packets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DecodeCounters { frames, segments, not_ip, not_tcp, malformed, .. } = self.decoding;
        write!(
            f,
            "\npackets    {frames} decoded, {} left out by filters; {segments} TCP, \
             {not_tcp} other IP, {not_ip} without IP, {malformed} malformed",
            self.filtered
        )?;
        for (number, count) in &self.decoding.unsupported_links {
            write!(f, "\n  unknown  {count} of link type {number}")?;
        }
        let FlowCounters { bytes, hole_bytes, cut_bytes, ignored_bytes, .. } = self.reassembly;
        write!(
            f,
            "\nbytes      {bytes} in packets, {hole_bytes} missing, {cut_bytes} cut off, \
             {ignored_bytes} of no interest"
        )?;
        for file in self.files.iter().filter(|file| file.truncated) {
            write!(f, "\n  cut off  {} ends in the middle of a packet", file.name)?;
        }
        Ok(())
    }
}
