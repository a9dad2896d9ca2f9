//! What the kernel lets through: classic BPF programs for a packet socket of type `SOCK_DGRAM`,
//! so a packet begins with its network header whatever the interface, and the outer VLAN tag is
//! already taken off.
//!
//! Each program has two parts. The [first](prelude) is the same for all: nothing leaves the
//! kernel but IPv4 and IPv6, and the loopback interface shows each packet once. The second
//! decides: it begins with the network header and knows it by its version (as link type
//! `LINKTYPE_RAW` of libpcap does).

use crate::capture::filter;
use libc::sock_filter;

/// Most instructions of a program (`BPF_MAXINSNS`).
const INSTRUCTIONS_LIMIT: usize = 4_096;
/// Most ports of one selection, so that the program stays far below the kernel's limit.
pub const PORTS_LIMIT: usize = 400;

const ETHERTYPE_IPV4: u32 = 0x0800;
const ETHERTYPE_IPV6: u32 = 0x86dd;
/// Protocol number of TCP in both IP headers.
const TCP: u32 = 6;

// Instruction codes of linux/filter.h: class | size or operation | mode or source.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF_INDEXED: u16 = 0x48;
const LOAD_BYTE_INDEXED: u16 = 0x50;
/// `X = 4 * (packet[k] & 15)`: the length of an IPv4 header.
const LOAD_HEADER_LENGTH: u16 = 0xb1;
const SHIFT_RIGHT: u16 = 0x74;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// Instructions of the [prelude].
const PRELUDE: usize = 8;
/// The flags of TCP that tell a request to open from its answer: SYN without ACK.
const SYN: u32 = 0x02;
const SYN_AND_ACK: u32 = 0x12;

/// A program that the kernel runs on every packet before it copies anything of it.
#[derive(Debug, Clone)]
pub struct Program(Vec<sock_filter>);

/// Why a selection makes no program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Everything would be captured: the tap looks at what was chosen, and at nothing else.
    #[error("no port and no filter is given; all traffic is never captured")]
    Everything,
    /// More ports than a program holds.
    #[error("{0} ports: a packet filter holds at most {PORTS_LIMIT}; use --filter with a range")]
    TooManyPorts(usize),
    /// The compiled filter expression is longer than the kernel allows.
    #[error("the filter expression is too long for the kernel: {0} instructions")]
    TooLong(usize),
}

impl Program {
    /// Accepts TCP over IPv4 and IPv6 from or to one of the ports, and of each packet at most
    /// `snap_length` bytes. As in tcpdump, later fragments and TCP behind IPv6 extension headers
    /// have no port.
    pub fn for_ports(ports: &[u16], snap_length: u32) -> Result<Self, FilterError> {
        match ports.len() {
            0 => Err(FilterError::Everything),
            count if count > PORTS_LIMIT => Err(FilterError::TooManyPorts(count)),
            _ => Self::guarded(&of_ports(ports, snap_length)),
        }
    }

    /// A program that libpcap compiled for `LINKTYPE_RAW`; of each packet that it accepts at most
    /// `snap_length` bytes.
    pub fn compiled(program: &filter::Program, snap_length: u32) -> Result<Self, FilterError> {
        let copied = program.instructions().iter().map(|instruction| {
            let accepts = instruction.code == RETURN && instruction.constant != 0;
            sock_filter {
                code: instruction.code,
                jt: instruction.jump_true,
                jf: instruction.jump_false,
                k: if accepts { snap_length } else { instruction.constant },
            }
        });
        Self::guarded(&copied.collect::<Vec<_>>())
    }

    /// The same for those packets only that ask for a new connection.
    pub(super) fn of_openings(&self) -> Result<Self, FilterError> {
        let decision = self.0.get(PRELUDE..).unwrap_or_default();
        Self::guarded(&[&asks_to_open(), decision].concat())
    }

    fn guarded(decision: &[sock_filter]) -> Result<Self, FilterError> {
        let mut program = prelude().to_vec();
        program.extend_from_slice(decision);
        if program.len() > INSTRUCTIONS_LIMIT {
            return Err(FilterError::TooLong(program.len()));
        }
        Ok(Self(program))
    }

    pub(super) fn instructions(&self) -> &[sock_filter] {
        &self.0
    }
}

/// Drops what is not IP, and the outgoing copy of each packet of the loopback interface, which
/// comes in right afterwards.
fn prelude() -> [sock_filter; PRELUDE] {
    [
        load_ancillary(libc::SKF_AD_PKTTYPE),
        jump(JUMP_IF_EQUAL, u32::from(libc::PACKET_OUTGOING), 0, 2),
        load_ancillary(libc::SKF_AD_HATYPE),
        jump(JUMP_IF_EQUAL, u32::from(libc::ARPHRD_LOOPBACK), 3, 0),
        load_ancillary(libc::SKF_AD_PROTOCOL),
        jump(JUMP_IF_EQUAL, ETHERTYPE_IPV4, 2, 0),
        jump(JUMP_IF_EQUAL, ETHERTYPE_IPV6, 1, 0),
        step(RETURN, 0),
    ]
}

/// Goes on with the next instruction if the packet is a TCP segment with SYN and without ACK.
fn asks_to_open() -> [sock_filter; 17] {
    [
        step(LOAD_BYTE, 0),
        step(SHIFT_RIGHT, 4),
        jump(JUMP_IF_EQUAL, 4, 0, 7),
        step(LOAD_BYTE, 9),
        jump(JUMP_IF_EQUAL, TCP, 0, 11),
        // The fragment offset.
        step(LOAD_HALF, 6),
        jump(JUMP_IF_ANY_BIT, 0x1fff, 9, 0),
        step(LOAD_HEADER_LENGTH, 0),
        step(LOAD_BYTE_INDEXED, 13),
        step(JUMP, 4),
        // Not version 4.
        jump(JUMP_IF_EQUAL, 6, 0, 5),
        step(LOAD_BYTE, 6),
        jump(JUMP_IF_EQUAL, TCP, 0, 3),
        step(LOAD_BYTE, 53),
        // Flags of TCP.
        step(AND, SYN_AND_ACK),
        jump(JUMP_IF_EQUAL, SYN, 1, 0),
        step(RETURN, 0),
    ]
}

fn of_ports(ports: &[u16], snap_length: u32) -> Vec<sock_filter> {
    let (v4, v6) = (of_ipv4(ports, snap_length), of_ipv6(ports, snap_length));
    let v4_length = u32::try_from(v4.len()).unwrap_or(u32::MAX);
    let mut program = vec![
        step(LOAD_BYTE, 0),
        step(SHIFT_RIGHT, 4),
        jump(JUMP_IF_EQUAL, 4, 1, 0),
        // Unconditional jumps reach further than 255 instructions.
        step(JUMP, v4_length),
    ];
    program.extend(v4);
    program.extend(v6);
    program
}

fn of_ipv4(ports: &[u16], snap_length: u32) -> Vec<sock_filter> {
    let mut program = vec![
        step(LOAD_BYTE, 9),
        jump(JUMP_IF_EQUAL, TCP, 1, 0),
        step(RETURN, 0),
        // The fragment offset.
        step(LOAD_HALF, 6),
        jump(JUMP_IF_ANY_BIT, 0x1fff, 0, 1),
        step(RETURN, 0),
        step(LOAD_HEADER_LENGTH, 0),
    ];
    for place in [0, 2] {
        program.push(step(LOAD_HALF_INDEXED, place));
        program.extend(accept_any(ports, snap_length));
    }
    program.push(step(RETURN, 0));
    program
}

fn of_ipv6(ports: &[u16], snap_length: u32) -> Vec<sock_filter> {
    let mut program = vec![
        step(LOAD_BYTE, 0),
        step(SHIFT_RIGHT, 4),
        jump(JUMP_IF_EQUAL, 6, 1, 0),
        step(RETURN, 0),
        step(LOAD_BYTE, 6),
        jump(JUMP_IF_EQUAL, TCP, 1, 0),
        step(RETURN, 0),
    ];
    for place in [40, 42] {
        program.push(step(LOAD_HALF, place));
        program.extend(accept_any(ports, snap_length));
    }
    program.push(step(RETURN, 0));
    program
}

/// Accepts the packet if the loaded value is one of the ports.
fn accept_any(ports: &[u16], snap_length: u32) -> impl Iterator<Item = sock_filter> + '_ {
    ports.iter().flat_map(move |port| {
        [jump(JUMP_IF_EQUAL, u32::from(*port), 0, 1), step(RETURN, snap_length)]
    })
}

/// Loads what the kernel knows of the packet beside its bytes.
fn load_ancillary(what: i32) -> sock_filter {
    step(LOAD_WORD, (libc::SKF_AD_OFF + what).cast_unsigned())
}

fn step(code: u16, k: u32) -> sock_filter {
    jump(code, k, 0, 0)
}

/// `if_true` and `if_false`: instructions to leave out.
fn jump(code: u16, k: u32, if_true: u8, if_false: u8) -> sock_filter {
    sock_filter { code, jt: if_true, jf: if_false, k }
}

#[cfg(test)]
mod tests {
    //! The kernel is the oracle: it runs each program on datagrams between two sockets of ours.
    use super::*;
    use crate::capture::interface::system::attach_filter;
    use std::os::unix::net::UnixDatagram;

    const SNAP_LENGTH: u32 = 1_000;

    /// What arrives of a packet under the deciding part of the program for these ports.
    fn passed(ports: &[u16], packet: &[u8]) -> Option<usize> {
        passed_by(&of_ports(ports, SNAP_LENGTH), packet)
    }

    fn passed_by(decision: &[sock_filter], packet: &[u8]) -> Option<usize> {
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        receiver.set_nonblocking(true).unwrap();
        attach_filter(&receiver, &Program(decision.to_vec())).unwrap();
        // A filter that refuses makes the sender fail, or drops without a word.
        let _ = sender.send(packet);
        receiver.recv(&mut [0; 4_096]).ok()
    }

    /// An IPv4 packet with a header of `words` words.
    fn ipv4(words: u8, protocol: u8, fragment: u16, ports: [u16; 2]) -> Vec<u8> {
        let mut packet = vec![0; usize::from(words) * 4 + 20];
        packet[0] = 0x40 | words;
        packet[6..8].copy_from_slice(&fragment.to_be_bytes());
        packet[9] = protocol;
        let tcp = usize::from(words) * 4;
        packet[tcp..tcp + 2].copy_from_slice(&ports[0].to_be_bytes());
        packet[tcp + 2..tcp + 4].copy_from_slice(&ports[1].to_be_bytes());
        packet
    }

    fn ipv6(next_header: u8, ports: [u16; 2]) -> Vec<u8> {
        let mut packet = vec![0; 60];
        packet[0] = 0x60;
        packet[6] = next_header;
        packet[40..42].copy_from_slice(&ports[0].to_be_bytes());
        packet[42..44].copy_from_slice(&ports[1].to_be_bytes());
        packet
    }

    #[test]
    fn tcp_from_or_to_a_chosen_port_passes() {
        for ports in [[8_000, 1], [1, 8_000], [8_443, 1], [1, 8_443]] {
            assert_eq!(passed(&[8_000, 8_443], &ipv4(5, 6, 0, ports)), Some(40), "{ports:?}");
            assert_eq!(passed(&[8_000, 8_443], &ipv4(15, 6, 0, ports)), Some(80), "{ports:?}");
            assert_eq!(passed(&[8_000, 8_443], &ipv6(6, ports)), Some(60), "{ports:?}");
        }
    }

    #[test]
    fn of_openings_only_requests_to_open_pass() {
        let all = Program::for_ports(&[8_000], SNAP_LENGTH).unwrap();
        let decision = all.of_openings().unwrap().0.split_off(PRELUDE);
        let with_flags = |mut packet: Vec<u8>, place: usize, flags: u8| {
            packet[place] = flags;
            passed_by(&decision, &packet)
        };
        const OTHER_FLAGS: u8 = 0xed;
        for (flags, passes) in
            [(0x02, true), (0x02 | OTHER_FLAGS, true), (0x12, false), (0x10, false), (0, false)]
        {
            let v4 = |words| ipv4(words, 6, 0, [40_000, 8_000]);
            assert_eq!(with_flags(v4(5), 33, flags).is_some(), passes, "{flags:#x}");
            assert_eq!(with_flags(v4(15), 73, flags).is_some(), passes, "{flags:#x}");
            let v6 = ipv6(6, [40_000, 8_000]);
            assert_eq!(with_flags(v6, 53, flags).is_some(), passes, "{flags:#x}");
        }
        assert_eq!(with_flags(ipv4(5, 6, 0, [40_000, 8_001]), 33, 2), None, "another port");
        assert_eq!(with_flags(ipv4(5, 17, 0, [40_000, 8_000]), 33, 2), None, "UDP");
        assert_eq!(with_flags(ipv4(5, 6, 185, [40_000, 8_000]), 33, 2), None, "a later fragment");
        assert_eq!(with_flags(ipv6(17, [40_000, 8_000]), 53, 2), None, "UDP");
        assert_eq!(passed_by(&decision, &[]), None);
    }

    #[test]
    fn nothing_else_passes() {
        let chosen = [8_000, 8_443];
        assert_eq!(passed(&chosen, &ipv4(5, 6, 0, [80, 8_001])), None);
        assert_eq!(passed(&chosen, &ipv6(6, [80, 8_001])), None);
        assert_eq!(passed(&chosen, &ipv4(5, 17, 0, [8_000, 8_000])), None, "UDP");
        assert_eq!(passed(&chosen, &ipv6(17, [8_000, 8_000])), None, "UDP");
        assert_eq!(passed(&chosen, &ipv4(5, 6, 185, [8_000, 8_000])), None, "a later fragment");
        assert_eq!(passed(&chosen, &[0x45]), None, "shorter than its header");
        assert_eq!(passed(&chosen, &[]), None);
        let mut other_version = ipv6(6, [8_000, 8_000]);
        other_version[0] = 0x50;
        assert_eq!(passed(&chosen, &other_version), None);
    }

    #[test]
    fn flags_beside_the_fragment_offset_do_not_matter() {
        let do_not_fragment = 0x4000;
        assert_eq!(passed(&[80], &ipv4(5, 6, do_not_fragment, [80, 1])), Some(40));
        let first_fragment = 0x2000;
        assert_eq!(passed(&[80], &ipv4(5, 6, first_fragment, [80, 1])), Some(40));
    }

    #[test]
    fn a_long_packet_is_cut_at_the_snap_length() {
        let mut packet = ipv4(5, 6, 0, [80, 1]);
        packet.resize(3_000, 0);
        assert_eq!(passed(&[80], &packet), Some(SNAP_LENGTH as usize));
    }

    #[test]
    fn as_many_ports_as_promised_make_a_program_that_the_kernel_takes() {
        let ports: Vec<u16> = (1..=u16::try_from(PORTS_LIMIT).unwrap()).collect();
        let (_, receiver) = UnixDatagram::pair().unwrap();
        attach_filter(&receiver, &Program::for_ports(&ports, SNAP_LENGTH).unwrap()).unwrap();
        let last = *ports.last().unwrap();
        assert_eq!(passed(&ports, &ipv4(5, 6, 0, [60_000, last])), Some(40));
        assert_eq!(passed(&ports, &ipv6(6, [60_000, last])), Some(60));
        assert_eq!(passed(&ports, &ipv6(6, [60_000, last + 1])), None);
    }

    #[test]
    fn a_selection_of_everything_is_refused() {
        assert_eq!(Program::for_ports(&[], 1).unwrap_err(), FilterError::Everything);
    }
}
