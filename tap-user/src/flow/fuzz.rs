//! Any bytes as packets, for the fuzzer: whatever comes, streams must stay streams.

use super::decode::{Decoder, FragmentLimits};
use super::{FlowCounters, FlowLimits, Packet, Reassembler, packet::Flags};
use crate::frame::Frame;
use crate::segment::{Direction, Happening, Interest, Time};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

/// Bytes that describe one packet.
const DESCRIPTION: usize = 8;
/// What packets carry.
const TEXT: &[u8] =
    b"GET / HTTP/1.1\r\n\r\nHTTP/1.1 200 OK\r\n\r\n0123456789abcdefghijklmnopqrstuvw";
/// Bytes that packets in waiting may take.
const MEMORY: u64 = 16 * 1024;

/// What was told of a connection.
#[derive(Debug, Default)]
struct Told {
    opened: bool,
    closed: bool,
    offsets: [u64; 2],
    ended: [bool; 2],
}

/// Reads eight bytes a packet: addresses and flags, sequence and acknowledgement numbers near
/// each other, length, time. Panics if what comes out contradicts itself.
pub fn fuzz_reassembly(bytes: &[u8]) {
    let limits = FlowLimits {
        connections: 3,
        bytes_per_direction: 4096,
        bytes_in_all: MEMORY,
        role_bytes: 1024,
        idle_ns: 60_000_000_000,
        linger_ns: 10_000_000_000,
        ..FlowLimits::default()
    };
    let mut reassembler = Reassembler::new(limits);
    let mut told = HashMap::new();
    let mut handle = |serial: u64, happening: Happening<'_>| {
        check(told.entry(serial).or_default(), &happening);
        match serial % 5 == 4 {
            true => Interest::Ignore,
            false => Interest::Keep,
        }
    };
    let mut nanoseconds = 0_u64;
    for description in bytes.chunks_exact(DESCRIPTION) {
        let &[who, flags, sequence, acknowledgement, high, length, cut, wait] = description else {
            return;
        };
        nanoseconds = nanoseconds.saturating_add(u64::from(wait).pow(4));
        let (source, destination) = addresses(who);
        let number = |low: u8, high: u8| {
            u32::from(low).wrapping_sub(128).wrapping_add(u32::from(high).wrapping_mul(1 << 28))
        };
        let payload = TEXT.get(usize::from(sequence) % TEXT.len()..).unwrap_or_default();
        let packet = Packet {
            time: Time { monotonic_ns: nanoseconds, unix_ns: nanoseconds },
            source,
            destination,
            sequence: number(sequence, high >> 4),
            acknowledgement: number(acknowledgement, high & 15),
            flags: Flags(flags),
            window: 0,
            payload: payload.get(..usize::from(length)).unwrap_or(payload),
            cut: u32::from(cut >> 6),
            interface: 0,
        };
        reassembler.handle_packet(&packet, &mut handle);
        assert!(reassembler.held_bytes() <= MEMORY);
    }
    reassembler.finish(Time::default(), &mut handle);
    assert_eq!(reassembler.held_bytes(), 0);
    check_balance(reassembler.counters());
    assert!(told.values().all(|told| told.closed), "a connection was not closed");
}

/// Link types that the fuzzer can choose among.
const LINK_TYPES: [u16; 8] = [1, 113, 276, 0, 101, 9, 50, 127];
/// Bytes that fragments in waiting may take.
const FRAGMENT_BYTES: usize = 8 * 1024;

/// Reads frames: a byte for the link type, one for the length, one for what the capture cut off,
/// then the frame. What is decoded goes on to reassembly.
pub fn fuzz_frames(mut bytes: &[u8]) {
    let limits = FragmentLimits { bytes: FRAGMENT_BYTES, ..FragmentLimits::default() };
    let mut decoder = Decoder::new(limits);
    let mut reassembler = Reassembler::new(FlowLimits::default());
    let mut nanoseconds = 0_u64;
    while let Some(([link, length, cut], rest)) = bytes.split_first_chunk::<3>() {
        let frame = rest.get(..usize::from(*length)).unwrap_or(rest);
        bytes = rest.get(frame.len()..).unwrap_or_default();
        nanoseconds = nanoseconds.saturating_add(u64::from(*cut) * 10_000_000);
        let frame = Frame {
            time: Time { monotonic_ns: nanoseconds, unix_ns: nanoseconds },
            link_type: LINK_TYPES.get(usize::from(*link) % LINK_TYPES.len()).copied().unwrap_or(1),
            interface: 0,
            original_length: (frame.len() as u32).saturating_add(u32::from(*cut)),
            bytes: frame,
        };
        let Some(packet) = decoder.decode(&frame) else { continue };
        assert!(packet.payload.len() <= FRAGMENT_BYTES.max(usize::from(*length)));
        reassembler.handle_packet(&packet, &mut |_, _| Interest::Keep);
    }
    reassembler.finish(Time::default(), &mut |_, _| Interest::Keep);
    check_balance(reassembler.counters());
}

/// Two peers out of three, by the low bits.
fn addresses(who: u8) -> (SocketAddr, SocketAddr) {
    let peer = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let client = peer(40_000_u16.saturating_add(u16::from(who >> 1 & 3)));
    match who & 1 {
        0 => (client, peer(80)),
        _ => (peer(80), client),
    }
}

/// Every byte that came is counted once.
fn check_balance(counters: &FlowCounters) {
    let told = counters.delivered_bytes + counters.cut_bytes;
    let dropped = counters.retransmitted_bytes + counters.stray_bytes + counters.ignored_bytes;
    assert_eq!(told + dropped, counters.bytes);
}

fn check(told: &mut Told, happening: &Happening<'_>) {
    assert!(!told.closed, "something after the end");
    assert_eq!(told.opened, !matches!(happening, Happening::Opened(_)));
    let place = |direction: Direction| usize::from(direction == Direction::ToClient);
    match happening {
        Happening::Opened(_) => told.opened = true,
        Happening::Segment(segment) => {
            let [to_server, to_client] = &mut told.offsets;
            let offset = if place(segment.direction) == 0 { to_server } else { to_client };
            assert_eq!(*offset, segment.offset);
            assert!(segment.content.length() > 0);
            *offset = offset.saturating_add(segment.content.length());
            assert!(told.ended.get(place(segment.direction)) == Some(&false));
        }
        Happening::Conflict(_) => {}
        Happening::Ended(direction, _) => {
            let ended = told.ended.get_mut(place(*direction));
            assert!(ended.is_some_and(|ended| !std::mem::replace(ended, true)));
        }
        Happening::Closed(..) | Happening::Abandoned(..) => told.closed = true,
    }
}
