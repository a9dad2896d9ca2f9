//! The ring that kernel and tap share (`TPACKET_V3`, Documentation/networking/packet_mmap.rst):
//! blocks of packets, each with a header that tells where it came from.

use super::cooked::{self, Origin, VlanTag};
use super::system::{Geometry, Mapping};
use std::io;
use std::os::fd::OwnedFd;

/// EtherType of a VLAN tag whose own the kernel did not keep.
const ETHERTYPE_VLAN: u16 = 0x8100;

// Places in `tpacket_block_desc`.
const PACKET_COUNT: usize = 12;
const FIRST_PACKET: usize = 16;
// Places in `tpacket3_hdr`.
const NEXT_PACKET: usize = 0;
const SECONDS: usize = 4;
const NANOSECONDS: usize = 8;
const CAPTURED_LENGTH: usize = 12;
const ORIGINAL_LENGTH: usize = 16;
const STATUS: usize = 20;
const NETWORK_HEADER: usize = 26;
const VLAN_CONTROL: usize = 32;
const VLAN_PROTOCOL: usize = 36;
// Places in the `sockaddr_ll` behind it.
const ADDRESS: usize = 48;
const PROTOCOL: usize = ADDRESS + 2;
const INTERFACE: usize = ADDRESS + 4;
const HARDWARE: usize = ADDRESS + 8;
const PACKET_TYPE: usize = ADDRESS + 10;
const HARDWARE_ADDRESS_LENGTH: usize = ADDRESS + 11;
const HARDWARE_ADDRESS: usize = ADDRESS + 12;

/// A packet in the ring, with a cooked header before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RingPacket<'a> {
    /// Nanoseconds since 1970.
    pub(super) unix_ns: u64,
    pub(super) origin: Origin,
    /// Length with the cooked header as it would have been without snap length.
    pub(super) original_length: u32,
    /// Cooked header and packet.
    pub(super) bytes: &'a [u8],
    /// Where in `bytes` the network header begins.
    pub(super) network: usize,
}

/// The ring and our place in it.
pub(super) struct Ring {
    mapping: Mapping,
    next: usize,
}

impl Ring {
    pub(super) fn new(socket: &OwnedFd, geometry: Geometry) -> io::Result<Self> {
        Ok(Self { mapping: Mapping::new(socket, geometry)?, next: 0 })
    }

    /// Hands on the packets of the next block; returns how many there were, and `None` if the
    /// kernel still has it.
    pub(super) fn poll(&mut self, handle: &mut dyn FnMut(&RingPacket<'_>)) -> Option<usize> {
        let packets = read_block(self.mapping.block(self.next)?, handle);
        self.mapping.give_back(self.next);
        self.next = (self.next + 1) % self.mapping.blocks().max(1);
        Some(packets)
    }
}

fn read_block(block: &mut [u8], handle: &mut dyn FnMut(&RingPacket<'_>)) -> usize {
    let count = word(block, PACKET_COUNT).unwrap_or(0);
    let mut place = word(block, FIRST_PACKET).unwrap_or(0) as usize;
    let mut packets = 0;
    for _ in 0..count {
        let Some(header) = block.get_mut(place..) else { break };
        let next = word(header, NEXT_PACKET).unwrap_or(0) as usize;
        if let Some(packet) = read_packet(header) {
            handle(&packet);
            packets += 1;
        }
        place = place.saturating_add(next);
    }
    packets
}

/// Reads the packet whose header is at the beginning of `bytes`.
fn read_packet(bytes: &mut [u8]) -> Option<RingPacket<'_>> {
    let seconds = u64::from(word(bytes, SECONDS)?);
    let unix_ns = seconds * 1_000_000_000 + u64::from(word(bytes, NANOSECONDS)?);
    let captured = word(bytes, CAPTURED_LENGTH)? as usize;
    let original = word(bytes, ORIGINAL_LENGTH)?;
    let network = usize::from(half(bytes, NETWORK_HEADER)?);
    let origin = read_origin(bytes)?;
    let start = cooked::prepend(bytes, network, &origin)?;
    let link = network.checked_sub(start)?;
    Some(RingPacket {
        unix_ns,
        origin,
        original_length: original.saturating_add(u32::try_from(link).ok()?),
        bytes: bytes.get(start..network.checked_add(captured)?)?,
        network: link,
    })
}

fn read_origin(header: &[u8]) -> Option<Origin> {
    let status = word(header, STATUS)?;
    let has = |flag: u32| status & flag != 0;
    let vlan_protocol = half(header, VLAN_PROTOCOL)?;
    let vlan = VlanTag {
        protocol: if has(libc::TP_STATUS_VLAN_TPID_VALID) { vlan_protocol } else { ETHERTYPE_VLAN },
        // The kernel keeps 16 bits in a word.
        control: half(
            header,
            if cfg!(target_endian = "big") { VLAN_CONTROL + 2 } else { VLAN_CONTROL },
        )?,
    };
    Some(Origin {
        // The only field in network byte order.
        protocol: u16::from_be(half(header, PROTOCOL)?),
        interface: word(header, INTERFACE)?,
        hardware: half(header, HARDWARE)?,
        packet_type: *header.get(PACKET_TYPE)?,
        address_length: *header.get(HARDWARE_ADDRESS_LENGTH)?,
        address: *header.get(HARDWARE_ADDRESS..)?.first_chunk()?,
        vlan: has(libc::TP_STATUS_VLAN_VALID).then_some(vlan),
    })
}

fn word(bytes: &[u8], place: usize) -> Option<u32> {
    bytes.get(place..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

fn half(bytes: &[u8], place: usize) -> Option<u16> {
    bytes.get(place..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block with one packet of 3 bytes, cut from 5, whose network header is at 96.
    fn block(status: u32) -> Vec<u8> {
        let mut block = vec![0; 256];
        let mut put = |place: usize, bytes: &[u8]| {
            block[place..place + bytes.len()].copy_from_slice(bytes);
        };
        put(12, &1_u32.to_ne_bytes());
        put(16, &48_u32.to_ne_bytes());
        let packet = 48;
        put(packet + 4, &1_700_000_000_u32.to_ne_bytes());
        put(packet + 8, &123_456_789_u32.to_ne_bytes());
        put(packet + 12, &3_u32.to_ne_bytes());
        put(packet + 16, &5_u32.to_ne_bytes());
        put(packet + 20, &status.to_ne_bytes());
        put(packet + 26, &96_u16.to_ne_bytes());
        put(packet + 32, &100_u32.to_ne_bytes());
        put(packet + 36, &0x88a8_u16.to_ne_bytes());
        put(packet + 50, &[0x08, 0x00]);
        put(packet + 52, &7_u32.to_ne_bytes());
        put(packet + 56, &772_u16.to_ne_bytes());
        put(packet + 96, b"abc");
        block
    }

    /// Time, interface, original length, the bytes from the network header on, and the VLAN tag.
    type Read = (u64, u32, u32, Vec<u8>, Option<VlanTag>);

    fn read(mut block: Vec<u8>) -> Vec<Read> {
        let mut packets = Vec::new();
        read_block(&mut block, &mut |packet| {
            let network = packet.bytes[packet.network..].to_vec();
            let RingPacket { unix_ns, origin, original_length, .. } = packet;
            packets.push((*unix_ns, origin.interface, *original_length, network, origin.vlan));
        });
        packets
    }

    #[test]
    fn a_packet_comes_with_its_origin() {
        let packets = read(block(0));
        // 20 bytes of cooked header and the 5 that the packet had.
        assert_eq!(packets, [(1_700_000_000_123_456_789, 7, 25, b"abc".to_vec(), None)]);
    }

    #[test]
    fn a_vlan_tag_is_known_by_its_flag() {
        let packets = read(block(libc::TP_STATUS_VLAN_VALID | libc::TP_STATUS_VLAN_TPID_VALID));
        assert_eq!(packets[0].4, Some(VlanTag { protocol: 0x88a8, control: 100 }));
        let packets = read(block(libc::TP_STATUS_VLAN_VALID));
        assert_eq!(packets[0].4, Some(VlanTag { protocol: 0x8100, control: 100 }));
    }

    #[test]
    fn lengths_that_point_outside_of_the_block_yield_nothing() {
        for (place, value) in [(16, 300_u32), (48 + 12, 1_000), (16, u32::MAX)] {
            let mut block = block(0);
            block[place..place + 4].copy_from_slice(&value.to_ne_bytes());
            assert_eq!(read(block), [], "{value} at {place}");
        }
    }
}
