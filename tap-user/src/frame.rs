//! The noun between packet sources and TCP reassembly: one captured packet and its link type.

use crate::segment::Time;

/// A captured packet, borrowed from whoever captured it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When it was captured.
    pub time: Time,
    /// What its first byte is: a `LINKTYPE_` number as capture files have it
    /// (<https://www.tcpdump.org/linktypes.html>).
    pub link_type: u16,
    /// Number of the interface in its source; 0 where there is only one.
    pub interface: u32,
    /// Length that the packet had on the wire; more than `bytes` if the capture cut it.
    pub original_length: u32,
    /// The captured bytes.
    pub bytes: &'a [u8],
}
