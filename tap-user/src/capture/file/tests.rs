//! Files written by hand, byte for byte as the formats' drafts draw them.

use super::*;
use proptest::prelude::*;
use std::io::{Cursor, Write};
use std::sync::mpsc::{Receiver, channel};

/// Time, link type, interface, length on the wire, bytes.
type Seen = (u64, u16, u32, u32, Vec<u8>);

const SECOND: u64 = 1_000_000_000;

fn open(bytes: Vec<u8>) -> Result<CaptureFile, FileError> {
    CaptureFile::new("trace".to_owned(), Cursor::new(bytes))
}

fn read(bytes: Vec<u8>) -> (Vec<Seen>, Option<String>, bool) {
    let mut file = match open(bytes) {
        Ok(file) => file,
        Err(error) => return (Vec::new(), Some(error.to_string()), false),
    };
    let mut seen = Vec::new();
    loop {
        match file.next_frame() {
            Ok(Some(frame)) => {
                assert_eq!(frame.time.monotonic_ns, frame.time.unix_ns);
                let Frame { link_type, interface, original_length, bytes, .. } = frame;
                let time = frame.time.unix_ns;
                seen.push((time, link_type, interface, original_length, bytes.to_vec()));
            }
            Ok(None) => return (seen, None, file.is_truncated()),
            Err(error) => return (seen, Some(error.to_string()), file.is_truncated()),
        }
    }
}

/// A file with two packets; `number` writes in the byte order that the magic number shows.
fn pcap(magic: [u8; 4], number: fn(u32) -> [u8; 4], padding: usize) -> Vec<u8> {
    let mut file = magic.to_vec();
    for field in [0, 0, 0, 262_144, 113] {
        file.extend(number(field));
    }
    for (fraction, bytes) in [(5, &b"first"[..]), (999_999, &b"2nd"[..])] {
        for field in [1_700_000_000, fraction, u32::try_from(bytes.len()).unwrap(), 60] {
            file.extend(number(field));
        }
        file.extend(vec![0xee; padding]);
        file.extend(bytes);
    }
    file
}

fn expected(first: u64, second: u64) -> Vec<Seen> {
    let start = 1_700_000_000 * SECOND;
    vec![
        (start + first, 113, 0, 60, b"first".to_vec()),
        (start + second, 113, 0, 60, b"2nd".to_vec()),
    ]
}

#[test]
fn pcap_in_both_orders_and_units() {
    let (big, little) = (u32::to_be_bytes, u32::to_le_bytes);
    let microseconds = (expected(5_000, 999_999_000), None, false);
    let nanoseconds = (expected(5, 999_999), None, false);
    assert_eq!(read(pcap([0xa1, 0xb2, 0xc3, 0xd4], big, 0)), microseconds);
    assert_eq!(read(pcap([0xd4, 0xc3, 0xb2, 0xa1], little, 0)), microseconds);
    assert_eq!(read(pcap([0xa1, 0xb2, 0x3c, 0x4d], big, 0)), nanoseconds);
    assert_eq!(read(pcap([0x4d, 0x3c, 0xb2, 0xa1], little, 0)), nanoseconds);
    assert_eq!(read(pcap([0x34, 0xcd, 0xb2, 0xa1], little, 8)), microseconds, "Kuznetzov");
}

fn little_pcap() -> Vec<u8> {
    pcap([0xd4, 0xc3, 0xb2, 0xa1], u32::to_le_bytes, 0)
}

#[test]
fn a_file_that_ends_anywhere_yields_what_is_whole() {
    let whole = little_pcap();
    for end in 24..whole.len() {
        let (seen, error, truncated) = read(whole.get(..end).unwrap().to_vec());
        assert_eq!(error, None);
        assert_eq!(seen.len(), usize::from(end >= 45), "{end}");
        assert_eq!(truncated, end != 24 && end != 45, "{end}");
    }
}

#[test]
fn errors_name_the_file_and_the_byte() {
    let mut damaged = little_pcap();
    damaged[45 + 11] = 0x7f;
    let (seen, error, _) = read(damaged);
    assert_eq!(seen.len(), 1);
    let error = error.unwrap();
    assert!(error.starts_with("trace: byte 45: a packet of "), "{error}");
    let error = read(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n".to_vec()).1.unwrap();
    assert!(error.contains("no capture file: it begins with [47, 45, 54, 20]"), "{error}");
    assert_eq!(read(Vec::new()).1.unwrap(), "trace: byte 0: the file is empty");
}

#[test]
fn a_missing_file_is_named() {
    let error = CaptureFile::open(Path::new("/nowhere/trace.pcap")).err().unwrap().to_string();
    assert!(
        error.starts_with("/nowhere/trace.pcap: ") && error.contains("No such file"),
        "{error}"
    );
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn gzip_also_in_several_members_and_cut_off() {
    let whole = little_pcap();
    let plain = read(whole.clone());
    assert_eq!(read(compressed(&whole)), plain);
    let (head, tail) = whole.split_at(30);
    assert_eq!(read([compressed(head), compressed(tail)].concat()), plain);
    let mut cut = compressed(&whole);
    cut.truncate(cut.len() - 12);
    assert_eq!(read(cut).1, None);
}

/// A pcapng block with its length at both ends.
fn block(number: fn(u32) -> [u8; 4], kind: u32, body: &[u8]) -> Vec<u8> {
    let length = number(u32::try_from(12 + body.len()).unwrap());
    [&number(kind)[..], &length, body, &length].concat()
}

fn section(number: fn(u32) -> [u8; 4]) -> Vec<u8> {
    let versions = if number(1) == [0, 0, 0, 1] { [0, 1, 0, 0] } else { [1, 0, 0, 0] };
    block(number, 0x0a0d_0d0a, &[&number(0x1a2b_3c4d)[..], &versions, &[0xff; 8]].concat())
}

fn enhanced(number: fn(u32) -> [u8; 4], interface: u32, ticks: u64, bytes: &[u8; 4]) -> Vec<u8> {
    let (high, low) = ((ticks >> 32) as u32, ticks as u32);
    let fields = [interface, high, low, 4, 60].map(number).concat();
    block(number, 6, &[&fields[..], bytes].concat())
}

#[test]
fn pcapng_with_interfaces_of_different_clocks_and_links() {
    let number = u32::to_le_bytes;
    let link = |kind: u8, options: &[u8]| {
        block(number, 1, &[&[kind, 0, 0, 0, 0, 0, 4, 0], options].concat())
    };
    let nanoseconds = [9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0];
    let binary = [9, 0, 1, 0, 0x8a, 0, 0, 0];
    let offset = [14, 0, 8, 0, 100, 0, 0, 0, 0, 0, 0, 0];
    let file = [
        section(number),
        block(number, 4, &[0; 8]),
        link(1, &[]),
        link(113, &nanoseconds),
        link(101, &[&binary[..], &offset].concat()),
        enhanced(number, 0, 1_700_000_000_000_001, b"zero"),
        enhanced(number, 1, 1_700_000_000_000_000_001, b"once"),
        enhanced(number, 2, 1_024 * 50 + 512, b"half"),
        block(number, 3, &[&number(4)[..], b"easy"].concat()),
    ]
    .concat();
    let start = 1_700_000_000 * SECOND;
    let seen = vec![
        (start + 1_000, 1, 0, 60, b"zero".to_vec()),
        (start + 1, 113, 1, 60, b"once".to_vec()),
        (150 * SECOND + SECOND / 2, 101, 2, 60, b"half".to_vec()),
        (0, 1, 0, 4, b"easy".to_vec()),
    ];
    assert_eq!(read(file), (seen, None, false));
}

#[test]
fn pcapng_with_sections_of_both_byte_orders() {
    let part = |number: fn(u32) -> [u8; 4], link: [u8; 2], bytes: &[u8; 4]| {
        let interface = block(number, 1, &[&link[..], &[0; 6]].concat());
        [section(number), interface, enhanced(number, 0, 1_000_000, bytes)].concat()
    };
    let file = [part(u32::to_be_bytes, [0, 1], b"big!"), part(u32::to_le_bytes, [101, 0], b"low!")];
    let seen = vec![(SECOND, 1, 0, 60, b"big!".to_vec()), (SECOND, 101, 0, 60, b"low!".to_vec())];
    assert_eq!(read(file.concat()), (seen, None, false));
}

/// The offset of a clock is a number of the section's byte order, too.
#[test]
fn pcapng_with_a_big_endian_clock_offset() {
    let number = u32::to_be_bytes;
    let offset = [0, 14, 0, 8, 0, 0, 0, 0, 0, 0, 0, 100];
    let interface = block(number, 1, &[&[0, 1, 0, 0, 0, 0, 0, 0][..], &offset].concat());
    let file = [section(number), interface, enhanced(number, 0, 1_000_000, b"late")].concat();
    assert_eq!(read(file).0, [(101 * SECOND, 1, 0, 60, b"late".to_vec())]);
}

#[test]
fn pcapng_with_the_obsolete_packet_block() {
    let number = u32::to_le_bytes;
    let interface = block(number, 1, &[1, 0, 0, 0, 0, 0, 0, 0]);
    let fields = [0x0007_0000, 0, 2_000_000, 4, 60].map(number).concat();
    let file = [section(number), interface, block(number, 2, &[&fields[..], b"old!"].concat())];
    assert_eq!(read(file.concat()).0, [(2 * SECOND, 1, 0, 60, b"old!".to_vec())]);
}

#[test]
fn pcapng_errors() {
    let number = u32::to_le_bytes;
    let unknown = [section(number), enhanced(number, 0, 0, b"lost")].concat();
    let error = read(unknown).1.unwrap();
    assert_eq!(error, "trace: byte 28: a packet of interface 0, which was not described before");
    let short = [section(number), [6, 0, 0, 0, 8, 0, 0, 0].to_vec()].concat();
    let error = read(short).1.unwrap();
    assert_eq!(error, "trace: byte 28: a block of type 0x6 with 8 bytes: the file is damaged here");
}

/// A writer that has not finished: reading waits for its next bytes.
struct Slow(Receiver<Vec<u8>>);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.0.recv().unwrap_or_default();
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

#[test]
fn a_packet_is_there_as_soon_as_it_is_written() {
    let (writer, reader) = channel();
    let whole = little_pcap();
    let (head, rest) = whole.split_at(2);
    let (middle, tail) = rest.split_at(43);
    writer.send(head.to_vec()).unwrap();
    writer.send(middle.to_vec()).unwrap();
    // Would block for ever if it asked for more than the first packet.
    let mut file = CaptureFile::new("pipe".to_owned(), Slow(reader)).unwrap();
    assert_eq!(file.next_frame().unwrap().unwrap().bytes, b"first");
    writer.send(tail.to_vec()).unwrap();
    assert_eq!(file.next_frame().unwrap().unwrap().bytes, b"2nd");
    drop(writer);
    assert_eq!(file.next_frame().unwrap(), None);
}

#[test]
fn memory_grows_for_large_packets_only_and_has_a_bound() {
    let number = u32::to_le_bytes;
    let mut file = little_pcap();
    let large = vec![7; 1_000_000];
    for field in [1, 0, 1_000_000, 1_000_000] {
        file.extend(number(field));
    }
    file.extend(&large);
    let (seen, error, _) = read(file);
    assert_eq!((seen.len(), error), (3, None));
    assert_eq!(seen.last().map(|(.., bytes)| bytes), Some(&large));
}

proptest! {
    #[test]
    fn any_bytes_do_no_harm(
        magic in prop::sample::select(vec![
            vec![0xd4, 0xc3, 0xb2, 0xa1], vec![0xa1, 0xb2, 0x3c, 0x4d], section(u32::to_be_bytes),
            section(u32::to_le_bytes), vec![0x1f, 0x8b, 8, 0], Vec::new(),
        ]),
        rest in prop::collection::vec(prop_oneof![Just(0_u8), 0_u8..16, any::<u8>()], 0..300),
    ) {
        let length = magic.len() + rest.len();
        let (seen, ..) = read([magic, rest].concat());
        prop_assert!(seen.iter().map(|(.., bytes)| bytes.len()).sum::<usize>() <= length.max(1) * 1_100);
    }
}
