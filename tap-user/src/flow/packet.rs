//! The noun between packet decoding and TCP reassembly: a TCP segment as one packet carried it.

use std::net::SocketAddr;

use crate::segment::Time;

/// A TCP segment as a packet carried it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// When the packet was captured.
    pub time: Time,
    /// Who sent it.
    pub source: SocketAddr,
    /// Whom it was sent to.
    pub destination: SocketAddr,
    /// Sequence number of the first byte of the payload, or of the SYN.
    pub sequence: u32,
    /// Acknowledgement number; has a meaning only with [`Flags::ACK`].
    pub acknowledgement: u32,
    /// Control bits.
    pub flags: Flags,
    /// Receive window as the packet says it, not scaled.
    pub window: u16,
    /// The bytes that it carries, as far as they were captured.
    pub payload: &'a [u8],
    /// Bytes of the payload that the capture cut off behind `payload`.
    pub cut: u32,
    /// Number of the interface that it was captured on.
    pub interface: u32,
}

/// The control bits of a TCP header (RFC 9293 3.1), in the header's own places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// The sender has no more bytes.
    pub const FIN: Self = Self(0x01);
    /// The sequence number is the first of the stream.
    pub const SYN: Self = Self(0x02);
    /// The connection is given up.
    pub const RST: Self = Self(0x04);
    /// The sender wants the bytes read at once.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement number counts.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x20);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
