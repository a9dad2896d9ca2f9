//! Datagrams in pieces.

use super::*;

const MORE: u8 = 0x20;

/// The parts of [`TCP`] behind IPv4 headers: 16 bytes, 8 bytes, 5 bytes.
fn parts() -> [Vec<u8>; 3] {
    [
        ipv4_part(6, [MORE, 0], TCP.get(..16).unwrap()),
        ipv4_part(6, [MORE, 2], TCP.get(16..24).unwrap()),
        ipv4_part(6, [0, 3], TCP.get(24..).unwrap()),
    ]
}

fn decode_all(decoder: &mut Decoder, packets: &[&Vec<u8>]) -> Vec<Option<Seen>> {
    packets.iter().map(|packet| seen(decoder, &frame(RAW, packet))).collect()
}

#[test]
fn in_any_order() {
    let [first, second, third] = parts();
    for order in [[&first, &second, &third], [&third, &first, &second], [&second, &third, &first]] {
        let mut decoder = Decoder::new(FragmentLimits::default());
        assert_eq!(decode_all(&mut decoder, &order), [None, None, hello4()]);
        let counters = decoder.counters();
        assert_eq!((counters.fragments.seen, counters.fragments.reassembled), (3, 1));
        assert_eq!((counters.datagrams_waiting, counters.segments), (0, 1));
    }
}

#[test]
fn of_ipv6() {
    let part = |offset: u8, more: u8, range: std::ops::Range<usize>| {
        let header = [6, 0, 0, offset | more, 0, 0, 0, 9];
        ipv6(44, &join(&[&header, TCP.get(range).unwrap()]))
    };
    let mut decoder = Decoder::new(FragmentLimits::default());
    let packets = [&part(16, 0, 16..29), &part(0, 1, 0..16)];
    assert_eq!(decode_all(&mut decoder, &packets), [None, hello6()]);
    assert_eq!(decode(RAW, &part(0, 0, 0..29)), hello6(), "the only fragment is none");
}

#[test]
fn the_first_copy_of_overlapping_bytes_wins() {
    let mut evil = TCP.to_vec();
    evil[24..].copy_from_slice(b"HELLO");
    let overlapping = ipv4_part(6, [MORE, 1], evil.get(8..24).unwrap());
    let whole_again = ipv4_part(6, [0, 0x02], evil.get(16..).unwrap());
    let [first, _, third] = parts();
    let mut decoder = Decoder::new(FragmentLimits::default());
    let seen = decode_all(&mut decoder, &[&first, &third, &overlapping]);
    assert_eq!(seen, [None, None, hello4()]);
    assert_eq!(decoder.counters().fragments.overlapping, 1);
    let mut decoder = Decoder::new(FragmentLimits::default());
    let seen = decode_all(&mut decoder, &[&third, &whole_again, &first]);
    assert_eq!(seen, [None, None, hello4()]);
}

#[test]
fn inside_a_tunnel_whose_packets_are_in_pieces_too() {
    let [first, second, third] = parts();
    let mut decoder = Decoder::new(FragmentLimits::default());
    let outer = ipv4(4, &third);
    assert_eq!(decode_all(&mut decoder, &[&first, &second]), [None, None]);
    let payload = outer.get(20..).unwrap();
    let (left, right) = payload.split_at(8);
    let mut pieces = [ipv4_part(4, [MORE, 0], left), ipv4_part(4, [0, 1], right)];
    for piece in &mut pieces {
        piece[5] = 0x99;
    }
    let [left, right] = pieces;
    assert_eq!(decode_all(&mut decoder, &[&left, &right]), [None, hello4()]);
}

#[test]
fn cut_off_by_the_capture() {
    let [first, second, third] = parts();
    let mut decoder = Decoder::new(FragmentLimits::default());
    assert_eq!(decode_all(&mut decoder, &[&first, &second]), [None, None]);
    let original_length = u32::try_from(third.len()).unwrap();
    let cut = Frame { original_length, ..frame(RAW, third.get(..22).unwrap()) };
    let seen = seen(&mut decoder, &cut).unwrap();
    assert_eq!((seen.payload, seen.cut), (b"he".to_vec(), 3));
}

#[test]
fn what_waits_too_long_expires() {
    let [first, second, third] = parts();
    let limits = FragmentLimits { age_ns: 100, ..FragmentLimits::default() };
    let mut decoder = Decoder::new(limits);
    let at =
        |ns, bytes| Frame { time: Time { monotonic_ns: ns, unix_ns: ns }, ..frame(RAW, bytes) };
    assert_eq!(decoder.decode(&at(0, &first)), None);
    assert_eq!(decoder.decode(&at(101, &second)), None);
    assert_eq!(decoder.decode(&at(102, &third)), None, "the first part is gone");
    assert_eq!(decoder.counters().fragments.expired, 1);
    assert_eq!(decoder.counters().datagrams_waiting, 1);
    assert!(decoder.decode(&at(103, &first)).is_some());
}

#[test]
fn datagrams_pieces_and_bytes_are_bounded() {
    let part = |identification: u8, offset: u8| {
        let mut packet = ipv4_part(6, [MORE, offset], &[0; 8]);
        packet[5] = identification;
        packet
    };
    let few = FragmentLimits { datagrams: 2, pieces: 3, bytes: 40, age_ns: u64::MAX };
    let mut decoder = Decoder::new(few);
    for identification in 0..5 {
        decoder.decode(&frame(RAW, &part(identification, 0)));
    }
    assert_eq!(decoder.counters().fragments.evicted, 3, "datagrams");
    assert_eq!(decoder.counters().datagrams_waiting, 2);
    let mut decoder = Decoder::new(few);
    for offset in 0..4 {
        decoder.decode(&frame(RAW, &part(1, 2 * offset)));
    }
    assert_eq!(decoder.counters().fragments.evicted, 1, "pieces");
    assert_eq!(decoder.counters().datagrams_waiting, 0);
    let mut decoder = Decoder::new(few);
    for (identification, offset) in [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)] {
        decoder.decode(&frame(RAW, &part(identification, offset)));
    }
    assert_eq!(decoder.counters().fragments.evicted, 1, "bytes");
    assert_eq!(decoder.counters().datagrams_waiting, 1);
}

#[test]
fn what_cannot_be_a_part_is_malformed() {
    let mut decoder = Decoder::new(FragmentLimits::default());
    let unaligned = ipv4_part(6, [MORE, 0], &[0; 7]);
    let beyond_the_end = ipv4_part(6, [0x1f, 0xff], &[0; 16]);
    let empty = ipv4_part(6, [MORE, 0], &[]);
    assert_eq!(
        decode_all(&mut decoder, &[&unaligned, &beyond_the_end, &empty]),
        [None, None, None]
    );
    assert_eq!(decoder.counters().fragments.malformed, 3);
    assert_eq!(decoder.counters().datagrams_waiting, 0);
}
