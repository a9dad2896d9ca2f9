//! Packets inside packets.

use super::*;

fn inner() -> Vec<u8> {
    ethernet([0x08, 0x00], &ipv4(6, TCP))
}

/// Whatever carries it, the innermost packet is the one that counts.
fn assert_found_in(outer_protocol: u8, payload: &[u8]) {
    let (outer4, outer6) = (ipv4(outer_protocol, payload), ipv6(outer_protocol, payload));
    assert_eq!(decode(RAW, &outer4), hello4());
    assert_eq!(decode(RAW, &outer6), hello4());
}

#[test]
fn ip_in_ip() {
    assert_found_in(4, &ipv4(6, TCP));
    assert_eq!(decode(RAW, &ipv4(41, &ipv6(6, TCP))), hello6());
}

#[test]
fn vxlan_on_both_ports() {
    let header = [0x08, 0, 0, 0, 0, 0, 0x7b, 0];
    for port in [4_789, 8_472] {
        assert_found_in(17, &udp(port, &join(&[&header, &inner()])));
    }
    let without_flag = udp(4_789, &join(&[&[0; 8], &inner()]));
    assert_eq!(counters_of(RAW, &ipv4(17, &without_flag)).not_tcp, 1);
}

#[test]
fn vxlan_with_a_protocol_number() {
    let header = [0x0c, 0, 0, 1, 0, 0, 0x7b, 0];
    assert_found_in(17, &udp(4_790, &join(&[&header, &ipv4(6, TCP)])));
}

#[test]
fn geneve_with_options() {
    let bridged = [0x02, 0, 0x65, 0x58, 0, 0, 0x7b, 0, 1, 2, 3, 1, 9, 9, 9, 9];
    assert_found_in(17, &udp(6_081, &join(&[&bridged, &inner()])));
    let plain = [0x00, 0, 0x08, 0x00, 0, 0, 0x7b, 0];
    assert_found_in(17, &udp(6_081, &join(&[&plain, &ipv4(6, TCP)])));
}

#[test]
fn gre_with_all_its_fields() {
    assert_found_in(47, &join(&[&[0, 0, 0x08, 0x00], &ipv4(6, TCP)]));
    let all = [0xb0, 0, 0x08, 0x00, 1, 1, 0, 0, 2, 2, 2, 2, 3, 3, 3, 3];
    assert_found_in(47, &join(&[&all, &ipv4(6, TCP)]));
    assert_found_in(47, &join(&[&[0, 0, 0x65, 0x58], &inner()]));
    assert_eq!(counters_of(RAW, &ipv4(47, &[0x40, 0, 0x08, 0, 0, 0, 0, 0])).not_tcp, 1);
}

#[test]
fn gre_of_point_to_point_tunnels() {
    let header = [0x30, 0x81, 0x88, 0x0b, 0, 9, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2];
    assert_found_in(47, &join(&[&header, &[0xff, 0x03, 0x00, 0x21], &ipv4(6, TCP)]));
}

#[test]
fn erspan_of_all_types() {
    assert_found_in(47, &join(&[&[0, 0, 0x88, 0xbe], &inner()]));
    let second = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 1, 0, 0, 0, 0];
    assert_found_in(47, &join(&[&second, &inner()]));
    let third = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x00, 0x00];
    assert_found_in(47, &join(&[&third, &inner()]));
    let with_more = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x00, 0x01];
    assert_found_in(47, &join(&[&with_more, &[7; 8], &inner()]));
    let of_ip = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x08, 0x00];
    assert_found_in(47, &join(&[&of_ip, &ipv4(6, TCP)]));
}

#[test]
fn gtp_with_extension_headers() {
    assert_found_in(17, &udp(2_152, &join(&[&[0x30, 0xff, 0, 49, 0, 0, 0, 1], &ipv4(6, TCP)])));
    let extended = [0x34, 0xff, 0, 57, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0x10, 9, 0xc0, 1, 0x10, 9, 0];
    assert_found_in(17, &udp(2_152, &join(&[&extended, &ipv4(6, TCP)])));
}

#[test]
fn teredo_with_an_origin() {
    let packet = udp(3_544, &join(&[&[0, 0, 1, 1, 2, 2, 2, 2], &ipv6(6, TCP)]));
    assert_eq!(decode(RAW, &ipv4(17, &packet)), hello6());
}

#[test]
fn ayiya_with_identity_and_signature() {
    let header = join(&[&[0x41, 0x52, 0x11, 41, 0, 0, 0, 1], &[1; 16], &[2; 20]]);
    let packet = udp(5_072, &join(&[&header, &ipv6(6, TCP)]));
    assert_eq!(decode(RAW, &ipv4(17, &packet)), hello6());
}

#[test]
fn endless_nesting_is_given_up() {
    let mut packet = ipv4(6, TCP);
    let mut found = 0;
    for _ in 0..8 {
        packet = join(&[&[0x45, 0, 0, 0, 0, 0, 0, 0, 9, 4, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2], &packet]);
        found += u32::from(decode(RAW, &packet).is_some());
    }
    assert_eq!(found, 8);
    for _ in 0..40 {
        packet = join(&[&[0x45, 0, 0, 0, 0, 0, 0, 0, 9, 4, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2], &packet]);
    }
    assert_eq!(counters_of(RAW, &packet).malformed, 1);
}
