//! Settings as they are typed, and all their defaults. The comments on keys are what
//! `gatetap config defaults`, the JSON Schema and docs/settings.md say of them; `x-flag` names the
//! argument of the command line that goes before a key.

use super::values::{
    BodyCap, HeaderName, Namespace, Nice, ProcessId, ProcessName, RingSize, SnapLength,
};
use crate::app::admin::AdminAddress;
use crate::app::source::SourceKind;
use crate::export::SinkSettings;
use crate::gateway::{DEFAULT_HEADER, Generator};
use crate::http::{DEFAULT_AGE_LIMIT_NS, DEFAULT_BODY_CAP, DEFAULT_MEMORY_BYTES};
use crate::policy::{
    FilterSettings, LegName, RateLimitSettings, RedactionSettings, SamplingSettings,
};
use crate::units::{ByteSize, Period, Port};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Ring between kernel and userspace.
const DEFAULT_RING_BYTES: u64 = 16 * 1024 * 1024;
/// Before the gateway, behind what the kernel itself does.
const DEFAULT_NICE: i8 = -10;
/// Name for all interfaces at once, as in tcpdump.
pub(super) const ALL_INTERFACES: &str = "any";
/// Bytes of a packet that are captured, as in tcpdump: more than any packet has.
const DEFAULT_SNAP_LENGTH: u64 = 256 * 1024;

/// Settings of gatetap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "gatetap settings")]
pub(crate) struct SettingsFile {
    /// Who is watched.
    pub(crate) select: SelectSettings,
    /// Where bytes are seen. `probes`: kernel probes; `interface`: packets of an interface;
    /// `auto`: packets where the kernel refuses probes.
    #[schemars(extend("x-flag" = "--source"))]
    pub(crate) source: SourceKind,
    /// Interface whose packets are captured (`source: interface`), or `any` for all of them.
    #[schemars(extend("x-flag" = "--interface"))]
    pub(crate) interface: String,
    /// Packets to capture, in the language of tcpdump (`source: interface`); needs libpcap on the
    /// machine. By default those of the selected ports.
    #[schemars(extend("x-flag" = "--filter"))]
    pub(crate) capture_filter: Option<String>,
    /// Bytes captured of each packet, from 64 to `256KiB`; the rest becomes a hole.
    #[schemars(extend("x-flag" = "--snap-length"))]
    pub(crate) snap_length: SnapLength,
    /// Bytes of each body that records carry, at most `1GiB`; 0: none.
    #[schemars(extend("x-flag" = "--body-cap"))]
    pub(crate) body_cap: BodyCap,
    /// Age at which an unfinished exchange is exported, to come again at its end under the same
    /// id.
    #[schemars(extend("x-flag" = "--age-limit"))]
    pub(crate) age_limit: Period,
    /// Ring between kernel and userspace, a power of two from `256KiB` to `1GiB`; when it is full,
    /// bytes are lost and counted.
    #[schemars(extend("x-flag" = "--ring-size"))]
    pub(crate) ring_size: RingSize,
    /// Priority in the processor scheduler (nice(1)), from -20 (first) to 19 (last); the capture thread has five
    /// less. Where all processors are busy, a tap that comes too late loses bytes, and one that comes first
    /// makes the gateway wait.
    #[schemars(extend("x-flag" = "--nice"))]
    pub(crate) nice: Nice,
    /// Memory for heads and bodies of exchanges under way; beyond it bodies are cut and say
    /// `memory_limited`.
    #[schemars(extend("x-flag" = "--memory-limit"))]
    pub(crate) memory_limit: ByteSize,
    /// Ids that tie the records of one request together.
    pub(crate) correlation: CorrelationSettings,
    /// What is replaced in what leaves.
    pub(crate) redaction: RedactionSettings,
    /// Which exchanges leave.
    pub(crate) filter: FilterSettings,
    /// Which share of them.
    pub(crate) sampling: SamplingSettings,
    /// How many of them a second; without it, all.
    pub(crate) rate_limit: Option<RateLimitSettings>,
    /// Metrics and health over HTTP.
    pub(crate) admin: AdminSettings,
    /// Where records go; without any, to standard output.
    #[schemars(extend("x-flag" = "--sink"))]
    pub(crate) sinks: Vec<SinkSettings>,
}

/// Metrics and health over HTTP.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AdminSettings {
    /// Address and port on which `/metrics`, `/healthz` and `/readyz` are answered, or `off`. By default
    /// `gatetap run` takes `127.0.0.1:9464` if it is free.
    #[schemars(extend("x-flag" = "--admin"))]
    pub(crate) listen: Option<AdminAddress>,
}

/// Who is watched.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SelectSettings {
    /// Whoever listens on one of these ports; with `processes` or `pids` they narrow those. If
    /// nothing else is selected, 8000 and 8443 (Kong's) are.
    #[schemars(extend("x-flag" = "--port"))]
    pub(crate) ports: Vec<Port>,
    /// Processes of these names (1 to 15 bytes, as the kernel keeps them).
    #[schemars(extend("x-flag" = "--process"))]
    pub(crate) processes: Vec<ProcessName>,
    /// These process ids, with their descendants of the same name.
    #[schemars(extend("x-flag" = "--pid"))]
    pub(crate) pids: Vec<ProcessId>,
    /// Only in this network namespace: its inode number, or a path such as `/proc/4711/ns/net`.
    #[schemars(extend("x-flag" = "--netns"))]
    pub(crate) network_namespace: Option<Namespace>,
    /// Only in this control group (version 2): its path below the mount point.
    #[schemars(extend("x-flag" = "--cgroup"))]
    pub(crate) control_group: Option<PathBuf>,
    /// Sides of the gateway: `client`, `upstream`. By default those that the format of a sink carries:
    /// what nobody wants is not copied out of the gateway.
    #[schemars(extend("x-flag" = "--leg"))]
    pub(crate) legs: Vec<LegName>,
}

/// Ids that tie the records of one request together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CorrelationSettings {
    /// How ids are made where there is none, by the names that Kong's plugin has for it.
    #[schemars(extend("x-flag" = "--correlation-generator"))]
    pub(crate) generator: Generator,
    /// Header whose value is the id where it is present.
    #[schemars(extend("x-flag" = "--correlation-header"))]
    pub(crate) header: HeaderName,
}

impl Default for SettingsFile {
    fn default() -> Self {
        Self {
            select: SelectSettings::default(),
            source: SourceKind::default(),
            interface: ALL_INTERFACES.to_owned(),
            capture_filter: None,
            snap_length: SnapLength(ByteSize(DEFAULT_SNAP_LENGTH)),
            body_cap: BodyCap(ByteSize(DEFAULT_BODY_CAP)),
            age_limit: Period(Duration::from_nanos(DEFAULT_AGE_LIMIT_NS)),
            ring_size: RingSize(ByteSize(DEFAULT_RING_BYTES)),
            nice: Nice(DEFAULT_NICE),
            memory_limit: ByteSize(DEFAULT_MEMORY_BYTES),
            correlation: CorrelationSettings::default(),
            redaction: RedactionSettings::default(),
            filter: FilterSettings::default(),
            sampling: SamplingSettings::default(),
            rate_limit: None,
            admin: AdminSettings::default(),
            sinks: Vec::new(),
        }
    }
}

impl Default for CorrelationSettings {
    fn default() -> Self {
        Self { generator: Generator::default(), header: HeaderName(DEFAULT_HEADER.to_owned()) }
    }
}
