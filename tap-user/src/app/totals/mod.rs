//! What a run saw, skipped, lost and delivered: for people on standard error, for programs as JSON.

mod packets;
mod probes;
mod records;
mod sinks;
mod text;

use super::Failure;
use crate::http::{Exchange, Outcome};
use crate::policy::PolicyTotals;
use crate::segment::{Connection, Leg};
pub(super) use packets::{Interface, LivePackets, Packets, ReadFile};
pub(super) use probes::Bytes;
#[cfg(feature = "probes")]
pub(super) use probes::{Kernel, ProcessBytes};
pub(super) use records::{Records, SentFile};
use serde::Serialize;
pub(super) use sinks::Sink;
use std::collections::BTreeMap;
use std::path::Path;

/// All of a run.
#[derive(Debug, Serialize)]
pub(in crate::app) struct Totals {
    pub(in crate::app) exchanges: Exchanges,
    pub(in crate::app) connections: BTreeMap<&'static str, u64>,
    pub(in crate::app) policy: Policy,
    #[serde(flatten)]
    pub(in crate::app) source: Source,
    pub(in crate::app) sinks: Vec<Sink>,
}

/// What the source itself counted.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in crate::app) enum Source {
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

/// Exchanges by leg. One that was exported unfinished counts once, when it ends.
#[derive(Debug, Clone, Default, Serialize)]
pub(in crate::app) struct Exchanges {
    pub(in crate::app) client: u64,
    pub(in crate::app) upstream: u64,
    /// Of both: exported before their end, to come again.
    pub(in crate::app) exported_early: u64,
    /// Of both: how they ended is not known, because the tap looked no longer.
    abandoned: u64,
}

impl Exchanges {
    /// Of both legs.
    pub(in crate::app) fn total(&self) -> u64 {
        self.client + self.upstream
    }

    pub(in crate::app) fn count(&mut self, connection: &Connection, exchange: &Exchange) {
        self.abandoned += u64::from(matches!(exchange.outcome, Outcome::Abandoned(_)));
        match (exchange.outcome, connection.leg) {
            (Outcome::Ongoing, _) => self.exported_early += 1,
            (_, Leg::Client) => self.client += 1,
            (_, Leg::Upstream) => self.upstream += 1,
        }
    }
}

/// What did not leave, and what was replaced in what did.
#[derive(Debug, Serialize)]
pub(in crate::app) struct Policy {
    /// Exchanges, by reason.
    pub(in crate::app) dropped: BTreeMap<&'static str, u64>,
    dropped_early: u64,
    /// Values, by rule; only rules that replaced something.
    pub(in crate::app) redacted: BTreeMap<String, u64>,
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

impl Totals {
    /// Tells people on standard error, and programs in `file`.
    pub(in crate::app) fn tell(&self, file: Option<&Path>) -> Result<(), Failure> {
        eprintln!("{self}");
        let Some(path) = file else { return Ok(()) };
        std::fs::write(path, serde_json::to_vec_pretty(self)?)
            .map_err(|error| format!("totals file {}: {error}", path.display()).into())
    }
}
