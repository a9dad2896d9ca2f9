//! Frames written by hand, byte for byte as the standards draw them.

mod fragments;
mod links;
mod robustness;
mod tunnels;

use super::{DecodeCounters, Decoder, FragmentLimits};
use crate::flow::packet::Flags;
use crate::frame::Frame;
use crate::segment::Time;

/// TCP from port 12345 to port 80: sequence 0x01020304, acknowledgement 0x0a0b0c0d, PSH and ACK,
/// window 0x2000, four bytes of options, payload `hello`.
const TCP: &[u8] = &[
    0x30, 0x39, 0x00, 0x50, 0x01, 0x02, 0x03, 0x04, 0x0a, 0x0b, 0x0c, 0x0d, 0x60, 0x18, 0x20, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x01, 0x01, 0x01, 0x00, b'h', b'e', b'l', b'l', b'o',
];
const ETHERNET_ADDRESSES: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
const ETHERNET: u16 = 1;
const RAW: u16 = 101;

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// IPv4 from 10.0.0.1 to 10.0.0.2.
fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_part(protocol, [0, 0], payload)
}

/// The same with flags and fragment offset, identification 0x1234.
fn ipv4_part(protocol: u8, [flags, offset]: [u8; 2], payload: &[u8]) -> Vec<u8> {
    let total = u8::try_from(20 + payload.len()).unwrap();
    let header = [
        0x45, 0, 0, total, 0x12, 0x34, flags, offset, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ];
    join(&[&header, payload])
}

/// IPv6 from 2001:db8::1 to 2001:db8::2.
fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    let source = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let destination = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    join(&[&[0x60, 0, 0, 0, 0, length, next, 64], &source, &destination, payload])
}

fn ethernet(ether_type: [u8; 2], payload: &[u8]) -> Vec<u8> {
    join(&[&ETHERNET_ADDRESSES, &ether_type, payload])
}

fn udp(destination: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    join(&[&[0xc0, 0x00], &destination.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload])
}

fn frame(link_type: u16, bytes: &[u8]) -> Frame<'_> {
    let original_length = u32::try_from(bytes.len()).unwrap();
    let time = Time { monotonic_ns: 7, unix_ns: 7 };
    Frame { time, link_type, interface: 3, original_length, bytes }
}

/// What a test looks at.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    source: String,
    destination: String,
    payload: Vec<u8>,
    cut: u32,
}

fn seen(decoder: &mut Decoder, frame: &Frame<'_>) -> Option<Seen> {
    let packet = decoder.decode(frame)?;
    assert_eq!((packet.sequence, packet.acknowledgement), (0x0102_0304, 0x0a0b_0c0d));
    assert_eq!((packet.flags, packet.window), (Flags::PSH.union(Flags::ACK), 0x2000));
    assert_eq!((packet.time, packet.interface), (frame.time, frame.interface));
    Some(Seen {
        source: packet.source.to_string(),
        destination: packet.destination.to_string(),
        payload: packet.payload.to_vec(),
        cut: packet.cut,
    })
}

fn hello4() -> Option<Seen> {
    Some(Seen {
        source: "10.0.0.1:12345".to_owned(),
        destination: "10.0.0.2:80".to_owned(),
        payload: b"hello".to_vec(),
        cut: 0,
    })
}

fn hello6() -> Option<Seen> {
    Some(Seen {
        source: "[2001:db8::1]:12345".to_owned(),
        destination: "[2001:db8::2]:80".to_owned(),
        ..hello4()?
    })
}

fn decode(link_type: u16, bytes: &[u8]) -> Option<Seen> {
    seen(&mut Decoder::new(FragmentLimits::default()), &frame(link_type, bytes))
}

fn counters_of(link_type: u16, bytes: &[u8]) -> DecodeCounters {
    let mut decoder = Decoder::new(FragmentLimits::default());
    assert_eq!(decoder.decode(&frame(link_type, bytes)), None);
    decoder.counters()
}
