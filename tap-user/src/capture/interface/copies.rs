//! One packet seen on several interfaces: a container's, the bridge's, the machine's own. The
//! first copy counts, whichever interface it came from.
//!
//! TCP would survive copies as it survives retransmissions, but then each connection of a
//! container would look as if its network were bad.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// How long copies of a packet may be apart, in nanoseconds.
const WINDOW_NS: u64 = 50_000_000;
/// Packets that are remembered at once per half of the memory; with more, the older half goes.
const REMEMBERED_LIMIT: usize = 32_768;

/// Remembers what was seen lately and where.
#[derive(Default)]
pub(super) struct Copies {
    hasher: RandomState,
    /// Packets by their identity.
    young: HashMap<u64, Seen>,
    old: HashMap<u64, Seen>,
    young_since_ns: u64,
}

/// Where and when a packet was seen first.
#[derive(Clone, Copy)]
struct Seen {
    interface: u32,
    unix_ns: u64,
}

impl Copies {
    /// Whether this IP packet was seen on another interface just before.
    pub(super) fn is_copy(&mut self, packet: &[u8], interface: u32, unix_ns: u64) -> bool {
        let Some(identity) = identity(packet).map(|bytes| self.hasher.hash_one(bytes)) else {
            return false;
        };
        self.forget(unix_ns);
        let known = self.young.get(&identity).or_else(|| self.old.get(&identity)).copied();
        match known.filter(|seen| unix_ns.abs_diff(seen.unix_ns) <= WINDOW_NS) {
            Some(seen) => seen.interface != interface,
            None => {
                self.young.insert(identity, Seen { interface, unix_ns });
                false
            }
        }
    }

    fn forget(&mut self, unix_ns: u64) {
        let is_over = unix_ns.abs_diff(self.young_since_ns) > WINDOW_NS;
        if is_over || self.young.len() >= REMEMBERED_LIMIT {
            self.old = std::mem::take(&mut self.young);
            self.young_since_ns = unix_ns;
        }
    }
}

/// What is the same in all copies of a TCP packet and differs between packets: addresses,
/// lengths, identification, and the TCP header up to the window. Routing changes the hop count,
/// and where checksums are left to the hardware each interface shows another one.
///
/// `None` for what is not TCP: inside of a tunnel different packets have equal headers.
fn identity(packet: &[u8]) -> Option<[u8; 56]> {
    let mut identity = [0; 56];
    let (head, tcp) = match packet.first()? >> 4 {
        4 if packet.get(9) == Some(&TCP) => {
            let length = usize::from(packet.first()? & 0x0f) * 4;
            identity.get_mut(..6)?.copy_from_slice(packet.get(2..8)?);
            identity.get_mut(8..16)?.copy_from_slice(packet.get(12..20)?);
            (40, packet.get(length..)?)
        }
        6 if packet.get(6) == Some(&TCP) => {
            identity.get_mut(..36)?.copy_from_slice(packet.get(4..40)?);
            // The hop limit.
            *identity.get_mut(3)? = 0;
            (40, packet.get(40..)?)
        }
        _ => return None,
    };
    identity.get_mut(head..)?.copy_from_slice(tcp.get(..16)?);
    Some(identity)
}

const TCP: u8 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn packet(identification: u8, hops: u8, checksum: u8) -> Vec<u8> {
        let mut packet = vec![0; 60];
        packet[0] = 0x45;
        packet[3] = 60;
        packet[5] = identification;
        packet[8] = hops;
        packet[9] = TCP;
        packet[10] = checksum;
        packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        packet[36] = checksum;
        packet
    }

    #[test]
    fn the_same_packet_on_another_interface_is_a_copy() {
        let mut copies = Copies::default();
        assert!(!copies.is_copy(&packet(1, 64, 7), 1, SECOND));
        assert!(copies.is_copy(&packet(1, 63, 8), 2, SECOND + 1_000));
        assert!(copies.is_copy(&packet(1, 63, 8), 3, SECOND + 2_000));
    }

    #[test]
    fn a_retransmission_is_none() {
        let mut copies = Copies::default();
        assert!(!copies.is_copy(&packet(1, 64, 7), 1, SECOND));
        assert!(!copies.is_copy(&packet(1, 64, 7), 1, SECOND + 1_000), "the same interface");
        assert!(!copies.is_copy(&packet(2, 64, 7), 2, SECOND + 2_000), "a new packet");
        assert!(!copies.is_copy(&packet(1, 64, 7), 2, 2 * SECOND), "much later");
    }

    #[test]
    fn packets_that_are_not_tcp_are_never_copies() {
        let mut copies = Copies::default();
        let mut tunnel = packet(0, 64, 0);
        tunnel[9] = 17;
        assert!(!copies.is_copy(&tunnel, 1, SECOND));
        assert!(!copies.is_copy(&tunnel, 2, SECOND));
        assert!(!copies.is_copy(&[], 1, SECOND));
        assert!(!copies.is_copy(&[0x45, 0, 0], 2, SECOND));
    }

    #[test]
    fn ipv6_differs_by_sequence_number() {
        let mut copies = Copies::default();
        let mut packet = vec![0; 60];
        packet[0] = 0x60;
        packet[6] = TCP;
        assert!(!copies.is_copy(&packet, 1, SECOND));
        packet[7] = 9;
        assert!(copies.is_copy(&packet, 2, SECOND), "only the hop limit differs");
        packet[47] = 1;
        assert!(!copies.is_copy(&packet, 2, SECOND));
    }
}
