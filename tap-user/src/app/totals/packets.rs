//! What was counted of packets: those of an interface, and those in files.

use super::Bytes;
use crate::flow::FlowCounters;
use crate::flow::decode::DecodeCounters;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::fmt;

/// Counters of live packets, decoding and reassembly.
#[derive(Debug, Serialize)]
pub(in crate::app) struct Interface {
    pub(in crate::app) bytes: Bytes,
    pub(in crate::app) packets: LivePackets,
    #[serde(serialize_with = "decoding")]
    pub(in crate::app) decoding: DecodeCounters,
    #[serde(serialize_with = "reassembly")]
    pub(in crate::app) reassembly: FlowCounters,
}

/// Packets as the kernel counted them.
#[derive(Debug, Clone, Copy, Serialize)]
pub(in crate::app) struct LivePackets {
    /// Passed the filter, dropped ones included.
    pub(in crate::app) passed: u64,
    /// Dropped by the kernel, because the ring was full.
    pub(in crate::app) dropped: u64,
    /// Left out, because another interface had shown them.
    pub(in crate::app) copies: u64,
    /// Connections whose process was not found.
    pub(in crate::app) pid_unknown: u64,
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

/// Counters of files, decoding and reassembly.
#[derive(Debug, Serialize)]
pub(in crate::app) struct Packets {
    pub(in crate::app) files: Vec<ReadFile>,
    /// Packets left out because they do not match what was asked for.
    pub(in crate::app) filtered: u64,
    #[serde(serialize_with = "decoding")]
    pub(in crate::app) decoding: DecodeCounters,
    #[serde(serialize_with = "reassembly")]
    pub(in crate::app) reassembly: FlowCounters,
}

/// One file.
#[derive(Debug, Serialize)]
pub(in crate::app) struct ReadFile {
    pub(in crate::app) name: String,
    pub(in crate::app) packets: u64,
    /// It ends in the middle of a packet.
    pub(in crate::app) truncated: bool,
    /// Why its rest could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::app) error: Option<String>,
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
