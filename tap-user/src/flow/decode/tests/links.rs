//! Link layers, and the ends of packets.

use super::*;

#[test]
fn ethernet_with_and_without_tags() {
    assert_eq!(decode(ETHERNET, &ethernet([0x08, 0x00], &ipv4(6, TCP))), hello4());
    assert_eq!(decode(ETHERNET, &ethernet([0x86, 0xdd], &ipv6(6, TCP))), hello6());
    let tagged = join(&[&[0x00, 0x05, 0x08, 0x00], &ipv4(6, TCP)]);
    assert_eq!(decode(ETHERNET, &ethernet([0x81, 0x00], &tagged)), hello4());
    let twice = join(&[&[0x00, 0x07, 0x81, 0x00], &tagged]);
    assert_eq!(decode(ETHERNET, &ethernet([0x88, 0xa8], &twice)), hello4());
}

#[test]
fn ethernet_of_802_3_with_snap() {
    let llc = join(&[&[0xaa, 0xaa, 0x03, 0, 0, 0, 0x08, 0x00], &ipv4(6, TCP)]);
    let length = u8::try_from(llc.len()).unwrap();
    assert_eq!(decode(ETHERNET, &ethernet([0, length], &llc)), hello4());
}

#[test]
fn padding_is_no_payload() {
    let frame = join(&[&ethernet([0x08, 0x00], &ipv4(6, TCP)), &[0; 11]]);
    assert_eq!(decode(ETHERNET, &frame), hello4());
    let frame = join(&[&ethernet([0x86, 0xdd], &ipv6(6, TCP)), &[0; 11]]);
    assert_eq!(decode(ETHERNET, &frame), hello6());
}

#[test]
fn linux_cooked() {
    let header = [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x08, 0x00];
    assert_eq!(decode(113, &join(&[&header, &ipv4(6, TCP)])), hello4());
    let header = [0x86, 0xdd, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    assert_eq!(decode(276, &join(&[&header, &ipv6(6, TCP)])), hello6());
}

#[test]
fn loopback_in_either_byte_order() {
    assert_eq!(decode(0, &join(&[&[2, 0, 0, 0], &ipv4(6, TCP)])), hello4());
    assert_eq!(decode(0, &join(&[&[0, 0, 0, 2], &ipv4(6, TCP)])), hello4());
    assert_eq!(decode(108, &join(&[&[0, 0, 0, 24], &ipv6(6, TCP)])), hello6());
    for family in [10, 28, 30] {
        assert_eq!(decode(0, &join(&[&[family, 0, 0, 0], &ipv6(6, TCP)])), hello6());
    }
    assert_eq!(counters_of(0, &join(&[&[7, 0, 0, 0], &ipv4(6, TCP)])).not_ip, 1);
}

#[test]
fn raw_ip_under_all_its_numbers() {
    for link_type in [12, 14, 101, 228] {
        assert_eq!(decode(link_type, &ipv4(6, TCP)), hello4(), "{link_type}");
    }
    for link_type in [12, 14, 101, 229] {
        assert_eq!(decode(link_type, &ipv6(6, TCP)), hello6(), "{link_type}");
    }
}

#[test]
fn ppp_in_all_its_forms() {
    assert_eq!(decode(9, &join(&[&[0x00, 0x21], &ipv4(6, TCP)])), hello4());
    assert_eq!(decode(9, &join(&[&[0x21], &ipv4(6, TCP)])), hello4(), "compressed protocol");
    assert_eq!(decode(50, &join(&[&[0xff, 0x03, 0x00, 0x57], &ipv6(6, TCP)])), hello6());
    let ip = ipv4(6, TCP);
    let length = u8::try_from(2 + ip.len()).unwrap();
    let session = join(&[&[0x11, 0, 0, 1, 0, length, 0x00, 0x21], &ip, &[0; 9]]);
    assert_eq!(decode(ETHERNET, &ethernet([0x88, 0x64], &session)), hello4());
    assert_eq!(decode(51, &session), hello4());
}

#[test]
fn cisco_hdlc_and_netfilter_log() {
    assert_eq!(decode(104, &join(&[&[0x0f, 0, 0x08, 0x00], &ipv4(6, TCP)])), hello4());
    let ip = ipv4(6, TCP);
    let length = u8::try_from(4 + ip.len()).unwrap();
    let log = join(&[&[2, 0, 0, 0], &[5, 0, 10, 0, 0, 0, 0, 0], &[length, 0, 9, 0], &ip]);
    assert_eq!(decode(239, &log), hello4());
}

#[test]
fn arcnet_of_both_encapsulations() {
    assert_eq!(decode(129, &join(&[&[1, 2, 0, 0, 0xf0], &ipv4(6, TCP)])), hello4());
    assert_eq!(decode(129, &join(&[&[1, 2, 0, 0, 0xd4, 0, 0, 1], &ipv4(6, TCP)])), hello4());
    assert_eq!(counters_of(129, &[1, 2, 0, 0, 0xf1, 0]).not_ip, 1);
}

#[test]
fn wireless_data_with_quality_of_service() {
    let radiotap = [0, 0, 8, 0, 0, 0, 0, 0];
    let mut header = [0; 26];
    header[0] = 0x88;
    header[1] = 0x01;
    let snap = [0xaa, 0xaa, 0x03, 0, 0, 0, 0x08, 0x00];
    let check_sequence = [1, 2, 3, 4];
    let frame = join(&[&radiotap, &header, &snap, &ipv4(6, TCP), &check_sequence]);
    assert_eq!(decode(127, &frame), hello4());
    header[1] = 0x41;
    let encrypted = join(&[&radiotap, &header, &snap, &ipv4(6, TCP)]);
    assert_eq!(counters_of(127, &encrypted).not_ip, 1);
}

#[test]
fn labels_of_mpls() {
    let two = [0x00, 0x01, 0x00, 0x40, 0x00, 0x02, 0x01, 0x40];
    assert_eq!(decode(ETHERNET, &ethernet([0x88, 0x47], &join(&[&two, &ipv4(6, TCP)]))), hello4());
    let inner = ethernet([0x08, 0x00], &ipv4(6, TCP));
    let control = join(&[&two, &[0, 0, 0, 0], &inner]);
    assert_eq!(decode(ETHERNET, &ethernet([0x88, 0x48], &control)), hello4());
}

#[test]
fn extension_headers_of_ipv6() {
    let options = [6, 0, 1, 4, 0, 0, 0, 0];
    assert_eq!(decode(RAW, &ipv6(0, &join(&[&options, TCP]))), hello6());
    let authentication = [60, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9];
    assert_eq!(decode(RAW, &ipv6(51, &join(&[&authentication, &options, TCP]))), hello6());
    let routing = [6, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(decode(RAW, &ipv6(43, &join(&[&routing, TCP]))), hello6());
}

#[test]
fn a_total_length_of_0_is_taken_from_the_frame() {
    let mut packet = ipv4(6, TCP);
    packet[3] = 0;
    assert_eq!(decode(RAW, &packet), hello4());
    let mut packet = ipv6(6, TCP);
    packet[5] = 0;
    assert_eq!(decode(RAW, &packet), hello6());
}

#[test]
fn what_a_capture_cut_off_is_counted() {
    let whole = ethernet([0x08, 0x00], &ipv4(6, TCP));
    let original_length = u32::try_from(whole.len()).unwrap();
    let decode = |captured: usize| {
        let bytes = whole.get(..captured).unwrap();
        let mut decoder = Decoder::new(FragmentLimits::default());
        let seen = seen(&mut decoder, &Frame { original_length, ..frame(ETHERNET, bytes) });
        (seen.map(|seen| (seen.payload, seen.cut)), decoder.counters())
    };
    let (packet, counters) = decode(whole.len() - 3);
    assert_eq!(packet, Some((b"he".to_vec(), 3)));
    assert_eq!((counters.segments, counters.cut), (1, 1));
    assert_eq!(decode(14 + 20 + 24).0, Some((Vec::new(), 5)), "headers only");
    assert_eq!(decode(14 + 20 + 20).0, Some((Vec::new(), 5)), "without options");
    let (packet, counters) = decode(14 + 20 + 12);
    assert_eq!((packet, counters.malformed), (None, 1));
}

#[test]
fn what_is_no_tcp_is_counted_by_kind() {
    assert_eq!(counters_of(ETHERNET, &ethernet([0x08, 0x06], &[0; 28])).not_ip, 1);
    assert_eq!(counters_of(RAW, &ipv4(1, &[8, 0, 0, 0, 0, 0, 0, 0])).not_tcp, 1);
    assert_eq!(counters_of(RAW, &ipv4(17, &udp(53, b"query"))).not_tcp, 1);
    let mut short_header = TCP.to_vec();
    short_header[12] = 0x40;
    assert_eq!(counters_of(RAW, &ipv4(6, &short_header)).malformed, 1);
    assert_eq!(counters_of(RAW, &[]).malformed, 1);
}

#[test]
fn unsupported_link_types_are_counted_by_number_and_bounded() {
    let mut decoder = Decoder::new(FragmentLimits::default());
    for link_type in 1_000..1_020 {
        decoder.decode(&frame(link_type, &[0; 60]));
        decoder.decode(&frame(link_type, &[0; 60]));
    }
    let counters = decoder.counters();
    assert_eq!(counters.unsupported_links.get(&1_000), Some(&2));
    assert_eq!(counters.unsupported_links.get(&u16::MAX), Some(&8));
    assert_eq!(counters.unsupported_links.len(), 17);
}
