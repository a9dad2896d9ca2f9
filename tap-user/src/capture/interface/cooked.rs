//! The link header that a packet of this source gets: Linux cooked v2
//! (<https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html>), the same on every interface.
//! It is written into the free space before the packet, so nothing is copied.

/// `LINKTYPE_LINUX_SLL2`.
pub(super) const LINK_TYPE: u16 = 276;
/// Bytes of the header.
const HEADER: usize = 20;
/// Bytes of a VLAN tag behind it.
const VLAN_TAG: usize = 4;
/// Free bytes that a packet needs before it.
pub(super) const HEADROOM: u32 = 32;
const _: () = assert!(HEADROOM as usize >= HEADER + VLAN_TAG);

/// Where a packet came from, as the kernel tells beside its bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// EtherType of the bytes that follow.
    pub(super) protocol: u16,
    pub(super) interface: u32,
    /// `ARPHRD_` type of the interface.
    pub(super) hardware: u16,
    /// `PACKET_` type: to us, from us, to all, …
    pub(super) packet_type: u8,
    pub(super) address_length: u8,
    pub(super) address: [u8; 8],
    pub(super) vlan: Option<VlanTag>,
}

/// A VLAN tag that was taken off the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct VlanTag {
    /// EtherType of the tag.
    pub(super) protocol: u16,
    /// Priority and number.
    pub(super) control: u16,
}

/// Writes the header so that it ends where the network header begins; returns where the packet
/// begins now. `None` if there is not enough space.
pub(super) fn prepend(buffer: &mut [u8], network: usize, origin: &Origin) -> Option<usize> {
    let tag_length = if origin.vlan.is_some() { VLAN_TAG } else { 0 };
    let start = network.checked_sub(HEADER + tag_length)?;
    let (header, tag) = buffer.get_mut(start..network)?.split_first_chunk_mut::<HEADER>()?;
    let outer = origin.vlan.map_or(origin.protocol, |vlan| vlan.protocol);
    let mut fields = header.as_mut_slice();
    put(&mut fields, &outer.to_be_bytes());
    put(&mut fields, &[0, 0]);
    put(&mut fields, &origin.interface.to_be_bytes());
    put(&mut fields, &origin.hardware.to_be_bytes());
    put(&mut fields, &[origin.packet_type, origin.address_length]);
    put(&mut fields, &origin.address);
    if let Some(vlan) = origin.vlan {
        let mut fields = tag;
        put(&mut fields, &vlan.control.to_be_bytes());
        put(&mut fields, &origin.protocol.to_be_bytes());
    }
    Some(start)
}

/// Writes bytes to the front of a place and moves it behind them.
fn put(place: &mut &mut [u8], bytes: &[u8]) {
    if let Some((front, rest)) = std::mem::take(place).split_at_mut_checked(bytes.len()) {
        front.copy_from_slice(bytes);
        *place = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin = Origin {
        protocol: 0x0800,
        interface: 3,
        hardware: 1,
        packet_type: 4,
        address_length: 6,
        address: [2, 0, 0, 0, 0, 9, 0, 0],
        vlan: None,
    };

    #[test]
    fn the_header_stands_right_before_the_packet() {
        let mut buffer = [0xee; 24];
        assert_eq!(prepend(&mut buffer, 22, &ORIGIN), Some(2));
        let expected = [
            0xee, 0xee, // untouched
            0x08, 0x00, 0, 0, // protocol, reserved
            0, 0, 0, 3, // interface
            0, 1, 4, 6, // hardware, packet type, length of the address
            2, 0, 0, 0, 0, 9, 0, 0, // address
            0xee, 0xee, // untouched
        ];
        assert_eq!(buffer, expected);
    }

    #[test]
    fn a_tag_that_was_taken_off_is_put_back() {
        let vlan = Some(VlanTag { protocol: 0x8100, control: 0x2064 });
        let mut buffer = [0xee; 24];
        assert_eq!(prepend(&mut buffer, 24, &Origin { vlan, ..ORIGIN }), Some(0));
        assert_eq!(buffer[..2], [0x81, 0x00]);
        assert_eq!(buffer[20..], [0x20, 0x64, 0x08, 0x00]);
    }

    #[test]
    fn without_space_there_is_no_header() {
        assert_eq!(prepend(&mut [0; 24], 19, &ORIGIN), None);
        assert_eq!(prepend(&mut [0; 10], 22, &ORIGIN), None);
    }
}
