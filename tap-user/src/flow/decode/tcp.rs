//! The TCP header (RFC 9293 3.1).

use super::internet::Addresses;
use super::view::View;
use super::{Next, Stop};
use crate::flow::packet::Flags;
use std::net::SocketAddr;

/// Length of a header without options.
const SHORTEST_HEADER: usize = 20;

/// A segment, as far as its own packet tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct TcpSegment<'a> {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) sequence: u32,
    pub(super) acknowledgement: u32,
    pub(super) flags: Flags,
    pub(super) window: u16,
    pub(super) payload: View<'a>,
}

/// Options may be cut off by the capture; the rest of the header may not.
pub(super) fn segment(addresses: Addresses, view: View<'_>) -> Result<Next<'_>, Stop> {
    let read = || {
        let [length, flags] = view.array(12)?;
        Some(TcpSegment {
            source: SocketAddr::new(addresses.source, view.number16(0)?),
            destination: SocketAddr::new(addresses.destination, view.number16(2)?),
            sequence: view.number32(4)?,
            acknowledgement: view.number32(8)?,
            flags: Flags(flags & 0x3f),
            window: view.number16(14)?,
            payload: view.skip(header_length(length)?)?,
        })
    };
    read().map(Next::Segment).ok_or(Stop::Malformed)
}

/// From the data offset, which counts words in the upper four bits.
fn header_length(byte: u8) -> Option<usize> {
    let length = usize::from(byte >> 4) * 4;
    (length >= SHORTEST_HEADER).then_some(length)
}
