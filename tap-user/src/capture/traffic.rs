//! How many bytes a source saw, and what became of them.

use crate::segment::{Content, GapCause};
use std::collections::BTreeMap;

/// Bytes seen, in both directions of all connections.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// Bytes that the gateway moved while it was watched, ignored connections excepted.
    pub seen: u64,
    /// Bytes that reached userspace.
    pub captured: u64,
    /// Bytes left out on purpose.
    pub skipped: u64,
    /// Bytes lost, by cause.
    pub lost: BTreeMap<GapCause, u64>,
    /// Bytes of connections that turned out not to be of interest.
    pub ignored: u64,
    /// Records of the ring that were shorter than they said; never seen yet.
    pub unreadable_records: u64,
}

impl Traffic {
    /// Counts a stretch of a stream.
    pub fn count(&mut self, content: &Content<'_>) {
        let length = content.length();
        self.seen += length;
        match content {
            Content::Bytes(_) => self.captured += length,
            Content::Gap { cause, .. } if cause.is_skipped() => self.skipped += length,
            Content::Gap { cause, .. } => *self.lost.entry(*cause).or_default() += length,
        }
    }
}
