//! pcapng files (draft-ietf-opsawg-pcapng): sections of blocks. Interfaces are described before
//! their packets, each with a link type and a clock of its own.

use super::error::FileErrorKind;
use super::number::Order;

/// Type of the block that begins a section; the same in both byte orders.
pub(super) const SECTION: u32 = 0x0a0d_0d0a;
/// Length of type and length of a block, and with the byte order of a section.
pub(super) const BLOCK_HEADER: usize = 8;
pub(super) const SECTION_HEADER: usize = 12;
/// Shortest block: type, and its length at both ends.
const SHORTEST_BLOCK: u32 = 12;

const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Most interfaces of a section.
const INTERFACES_LIMIT: usize = 65_536;

/// Options of an interface.
const END_OF_OPTIONS: u16 = 0;
const TIME_RESOLUTION: u16 = 9;
const TIME_OFFSET: u16 = 14;

/// The section that is being read.
#[derive(Debug)]
pub(super) struct Section {
    order: Order,
    interfaces: Vec<Interface>,
}

/// What is known of an interface.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link_type: u16,
    /// Most bytes of a packet; 0: all.
    snap_length: u32,
    units_per_second: u64,
    offset_seconds: i64,
}

/// What a block is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Interface,
    Packet(PacketKind),
    /// Statistics, names, secrets, what others invented.
    Other,
}

/// The three blocks with packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PacketKind {
    Enhanced,
    Simple,
    /// The one before it was enhanced.
    Obsolete,
}

/// A packet of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet {
    pub(super) time_ns: u64,
    pub(super) interface: u32,
    pub(super) link_type: u16,
    pub(super) original: u32,
    /// Its place in the block's body.
    pub(super) start: usize,
    pub(super) captured: usize,
}

/// Type and length of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    kind: u32,
    length: u32,
}

impl Section {
    /// From the first bytes of a section's first block.
    pub(super) fn begin(header: &[u8]) -> Option<Self> {
        let order = [Order::Big, Order::Little]
            .into_iter()
            .find(|order| order.number32(header, BLOCK_HEADER) == BYTE_ORDER)?;
        Some(Self { order, interfaces: Vec::new() })
    }

    pub(super) fn block(&self, header: &[u8]) -> Block {
        Block { kind: self.order.number32(header, 0), length: self.order.number32(header, 4) }
    }

    /// Takes an interface's description in.
    pub(super) fn describe(&mut self, body: &[u8]) -> Result<(), FileErrorKind> {
        if self.interfaces.len() >= INTERFACES_LIMIT {
            return Err(FileErrorKind::TooManyInterfaces(INTERFACES_LIMIT));
        }
        let mut interface = Interface {
            link_type: self.order.number16(body, 0),
            snap_length: self.order.number32(body, 4),
            units_per_second: 1_000_000,
            offset_seconds: 0,
        };
        self.for_each_option(body.get(8..).unwrap_or_default(), |code, value| match code {
            TIME_RESOLUTION => interface.units_per_second = units(value.first().copied()),
            TIME_OFFSET => interface.offset_seconds = self.order.signed64(value, 0),
            _ => {}
        });
        self.interfaces.push(interface);
        Ok(())
    }

    fn for_each_option(&self, mut options: &[u8], mut take: impl FnMut(u16, &[u8])) {
        while options.len() >= 4 {
            let code = self.order.number16(options, 0);
            let length = usize::from(self.order.number16(options, 2));
            let Some(value) = options.get(4..4 + length) else { return };
            if code == END_OF_OPTIONS {
                return;
            }
            take(code, value);
            options = options.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
        }
    }

    /// Finds the packet in a block's body.
    pub(super) fn packet(&self, kind: PacketKind, body: &[u8]) -> Result<Packet, FileErrorKind> {
        let number = |offset| self.order.number32(body, offset);
        let (interface, start) = match kind {
            PacketKind::Enhanced => (number(0), 20),
            PacketKind::Obsolete => (u32::from(self.order.number16(body, 0)), 20),
            PacketKind::Simple => (0, 4),
        };
        let found = usize::try_from(interface).ok().and_then(|at| self.interfaces.get(at));
        let description = found.ok_or(FileErrorKind::UnknownInterface(interface))?;
        let (time_ns, captured, original) = match kind {
            PacketKind::Simple => (0, description.snapped(number(0)), number(0)),
            _ => (description.time_ns(number(4), number(8)), number(12), number(16)),
        };
        let room = body.len().saturating_sub(start);
        Ok(Packet {
            time_ns,
            interface,
            link_type: description.link_type,
            original,
            start,
            captured: usize::try_from(captured).unwrap_or(usize::MAX).min(room),
        })
    }
}

impl Block {
    pub(super) fn kind(&self) -> Kind {
        match self.kind {
            INTERFACE => Kind::Interface,
            PACKET => Kind::Packet(PacketKind::Obsolete),
            SIMPLE_PACKET => Kind::Packet(PacketKind::Simple),
            ENHANCED_PACKET => Kind::Packet(PacketKind::Enhanced),
            _ => Kind::Other,
        }
    }

    /// Length of the whole block; an error if its kind needs more.
    pub(super) fn length(&self) -> Result<u32, FileErrorKind> {
        let least = SHORTEST_BLOCK
            + match self.kind() {
                Kind::Packet(PacketKind::Enhanced | PacketKind::Obsolete) => 20,
                Kind::Packet(PacketKind::Simple) => 4,
                Kind::Interface => 8,
                Kind::Other => 0,
            };
        if self.length < least || !self.length.is_multiple_of(4) {
            return Err(FileErrorKind::Block { kind: self.kind, length: self.length });
        }
        Ok(self.length)
    }
}

impl Interface {
    fn snapped(&self, original: u32) -> u32 {
        if self.snap_length == 0 { original } else { original.min(self.snap_length) }
    }

    fn time_ns(&self, high: u32, low: u32) -> u64 {
        let ticks = u64::from(high) << 32 | u64::from(low);
        let nanoseconds =
            u128::from(ticks) * 1_000_000_000 / u128::from(self.units_per_second.max(1));
        let offset = i128::from(self.offset_seconds) * 1_000_000_000;
        let time = i128::try_from(nanoseconds).unwrap_or(i128::MAX).saturating_add(offset);
        u64::try_from(time.max(0)).unwrap_or(u64::MAX)
    }
}

/// Units per second: a negative power of 10, or of 2 if the upper bit is set. What does not fit
/// counts as the default.
fn units(resolution: Option<u8>) -> u64 {
    const DEFAULT: u64 = 1_000_000;
    let Some(resolution) = resolution else { return DEFAULT };
    let exponent = u32::from(resolution & 0x7f);
    let base: u64 = if resolution & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(exponent).unwrap_or(DEFAULT)
}
