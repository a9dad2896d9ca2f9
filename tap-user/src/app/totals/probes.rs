//! What kernel probes counted; the bytes are counted alike where packets of an interface are.

use crate::capture::traffic::Traffic;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Bytes of the watched connections.
#[derive(Debug, Serialize)]
pub(in crate::app) struct Bytes {
    pub(in crate::app) seen: u64,
    pub(in crate::app) captured: u64,
    pub(in crate::app) skipped: u64,
    pub(in crate::app) lost: u64,
    pub(in crate::app) lost_by_cause: BTreeMap<&'static str, u64>,
    pub(in crate::app) ignored: u64,
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

/// Counters of the kernel side.
#[cfg(feature = "probes")]
#[derive(Debug, Serialize)]
pub(in crate::app) struct Kernel {
    pub(in crate::app) events: u64,
    pub(in crate::app) bytes_copied: u64,
    pub(in crate::app) reservation_failures: u64,
    pub(in crate::app) unreadable: u64,
    pub(in crate::app) sockets_full: u64,
    pub(in crate::app) concurrent_calls: u64,
    pub(in crate::app) closes_kept: u64,
    pub(in crate::app) closes_lost: u64,
    /// Runs of the programs that the kernel left out; unknown if it does not tell.
    pub(in crate::app) runs_missed: Option<u64>,
    pub(in crate::app) processes: Vec<ProcessBytes>,
}

/// Bytes copied from one process.
#[cfg(feature = "probes")]
#[derive(Debug, Serialize)]
pub(in crate::app) struct ProcessBytes {
    pub(in crate::app) pid: u32,
    pub(in crate::app) bytes_copied: u64,
}

#[cfg(feature = "probes")]
impl Kernel {
    /// What could not be done, apart from events that found the ring full; by what it was. What is unknown is
    /// left out.
    pub(in crate::app) fn shortfalls(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("unreadable", self.unreadable),
            ("sockets_full", self.sockets_full),
            ("concurrent_calls", self.concurrent_calls),
            ("closes_lost", self.closes_lost),
        ]
        .into_iter()
        .chain(self.runs_missed.map(|missed| ("runs_missed", missed)))
    }
}

#[cfg(feature = "probes")]
impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, reservation_failures, .. } = self;
        write!(f, "\nkernel     {events} events, {reservation_failures} refused by a full ring")?;
        for (what, count) in self.shortfalls().filter(|(_, count)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        Ok(())
    }
}
