//! pcap files (draft-ietf-opsawg-pcap): a header, then records.

use super::number::Order;

/// Length of the file's header.
pub(super) const FILE_HEADER: usize = 24;

/// What the file's header says of all records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    order: Order,
    /// Nanoseconds in a unit of the fraction of a second.
    unit_ns: u64,
    /// Length of a record's header.
    pub(super) record_header: usize,
    /// 0 until the whole file header was read.
    link_type: u16,
}

/// A record's header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) time_ns: u64,
    pub(super) captured: u32,
    pub(super) original: u32,
    pub(super) link_type: u16,
}

impl Format {
    /// From the first four bytes of a file. The magic number also tells the byte order: with
    /// micro- or nanoseconds, or Kuznetzov's variant with 8 more bytes in a record's header.
    pub(super) fn of(magic: [u8; 4]) -> Option<Self> {
        let known = |order, number| match number {
            0xa1b2_c3d4 => Some((order, 1_000, 16)),
            0xa1b2_3c4d => Some((order, 1, 16)),
            0xa1b2_cd34 => Some((order, 1_000, 24)),
            _ => None,
        };
        let found = known(Order::Big, u32::from_be_bytes(magic))
            .or_else(|| known(Order::Little, u32::from_le_bytes(magic)));
        let (order, unit_ns, record_header) = found?;
        Some(Self { order, unit_ns, record_header, link_type: 0 })
    }

    /// Completed from the whole file header. The upper half of the link type's field is about
    /// checksums behind frames.
    pub(super) fn with_header(self, header: &[u8]) -> Self {
        let field = self.order.number32(header, 20);
        Self { link_type: (field & 0xffff) as u16, ..self }
    }

    /// Reads a record's header.
    pub(super) fn record(&self, header: &[u8]) -> Record {
        let number = |offset| self.order.number32(header, offset);
        let fraction = u64::from(number(4)).saturating_mul(self.unit_ns);
        Record {
            time_ns: u64::from(number(0)) * 1_000_000_000 + fraction,
            captured: number(8),
            original: number(12),
            link_type: self.link_type,
        }
    }
}
