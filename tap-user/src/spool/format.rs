//! What segments look like on disk. This header is the specification.
//!
//! A spool is a folder of segments. A segment is a file that entries are appended to, named
//! `FFFFFFFFFFFFFFFFFFFF-SSSSSSSSSSSSSSSS.spool`: the sequence number of its first entry (20
//! decimal digits, so that names sort as their entries do) and its salt (16 hexadecimal digits).
//! All numbers inside are little-endian.
//!
//! ```text
//! segment = header entry*
//!
//! header                            entry
//!  0  magic  "gtspool\n"   8        0  mark    f5 72 65 63       4
//!  8  version 1            4        4  checksum                  4
//! 12  first sequence       8        8  length of the record      4
//! 20  salt                 8       12  length of the id          2
//! 28  checksum of 0..28    4       14  flags: 1 = has duration   2
//! 32  …entries                     16  sequence number           8
//!                                  24  time of appending (ns
//!                                      since 1970)               8
//!                                  32  duration (ns) or 0        8
//!                                  40  id, then the record
//! ```
//!
//! Checksums are CRC-32 (IEEE 802.3). That of an entry covers the salt and then the entry from
//! offset 8 to its end. Sequence numbers grow by one from entry to entry, over all segments.
//!
//! - **Whoever lost the thread looks for the next mark.** Its first byte occurs in no UTF-8 text,
//!   hence in no record. The sequence numbers around a gap say how many records it cost.
//! - **The salt** is random and never leaves the folder, so that no body that passes through the
//!   gateway can hold something that passes for an entry. It stands in the name as well, so that
//!   a damaged header costs no entry.

use super::Entry;
use bytes::Bytes;
use std::fmt;

/// Bytes of a segment before its first entry.
pub(super) const HEADER_BYTES: u64 = 32;
/// Bytes of an entry before its id.
const ENTRY_HEAD_BYTES: usize = 40;
/// Where in an entry that begins which its checksum covers.
const CHECKED_FROM: usize = 8;

const MAGIC: [u8; 8] = *b"gtspool\n";
const VERSION: u32 = 1;
const MARK: [u8; 4] = [0xf5, b'r', b'e', b'c'];
const HAS_DURATION: u16 = 1;
const SUFFIX: &str = ".spool";

/// A segment as its file name tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SegmentName {
    /// Sequence number of the first entry.
    pub(super) first: u64,
    /// What checksums of its entries begin with.
    pub(super) salt: u64,
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{:016x}{SUFFIX}", self.first, self.salt)
    }
}

impl SegmentName {
    /// Reads a file name; `None` if it is not exactly that of a segment.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (first, salt) = text.strip_suffix(SUFFIX)?.split_once('-')?;
        let name = Self { first: first.parse().ok()?, salt: u64::from_str_radix(salt, 16).ok()? };
        (name.to_string() == text).then_some(name)
    }
}

/// What the beginning of a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// As it was written.
    Good,
    /// Not what the file's name says, or no header.
    Damaged,
    /// Written by a later version of this program.
    Version(u32),
}

/// Appends the header of a segment to `buffer`.
pub(super) fn encode_header(buffer: &mut Vec<u8>, name: SegmentName) {
    let start = buffer.len();
    buffer.extend(MAGIC);
    buffer.extend(VERSION.to_le_bytes());
    buffer.extend(name.first.to_le_bytes());
    buffer.extend(name.salt.to_le_bytes());
    let checksum = crc32fast::hash(buffer.get(start..).unwrap_or_default());
    buffer.extend(checksum.to_le_bytes());
}

/// Reads the header at the beginning of `bytes`.
pub(super) fn decode_header(bytes: &[u8], name: SegmentName) -> Header {
    match try_decode_header(bytes) {
        Some((VERSION, found)) if found == name => Header::Good,
        Some((version, _)) if version != VERSION => Header::Version(version),
        _ => Header::Damaged,
    }
}

fn try_decode_header(bytes: &[u8]) -> Option<(u32, SegmentName)> {
    let magic: [u8; 8] = field(bytes, 0)?;
    let checksum = u32::from_le_bytes(field(bytes, 28)?);
    let is_good = magic == MAGIC && crc32fast::hash(bytes.get(..28)?) == checksum;
    let first = u64::from_le_bytes(field(bytes, 12)?);
    let salt = u64::from_le_bytes(field(bytes, 20)?);
    is_good.then_some((u32::from_le_bytes(field(bytes, 8)?), SegmentName { first, salt }))
}

/// An entry and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) sequence: u64,
    /// When it was appended, in nanoseconds since 1970.
    pub(super) time_ns: u64,
    pub(super) entry: Entry,
    /// Bytes that it takes in the segment.
    pub(super) length: u64,
}

/// What stands at a place in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decoded {
    /// An entry.
    Entry(Stored),
    /// What may be an entry of that many bytes, or at least of that many.
    Incomplete(usize),
    /// Anything else.
    Damaged,
}

/// Bytes that the entry takes in a segment; `None` if it is too large for the format.
pub(super) fn encoded_length(entry: &Entry) -> Option<u64> {
    let record = u32::try_from(entry.bytes.len()).ok()?;
    let id = u16::try_from(entry.id.len()).ok()?;
    Some(ENTRY_HEAD_BYTES as u64 + u64::from(id) + u64::from(record))
}

/// Appends an entry to `buffer`; `None` if it is too large for the format.
pub(super) fn encode_entry(
    buffer: &mut Vec<u8>,
    salt: u64,
    sequence: u64,
    time_ns: u64,
    entry: &Entry,
) -> Option<()> {
    let record = u32::try_from(entry.bytes.len()).ok()?;
    let id = u16::try_from(entry.id.len()).ok()?;
    let mut head = [0; ENTRY_HEAD_BYTES];
    let flags = if entry.duration_ns.is_some() { HAS_DURATION } else { 0 };
    put(&mut head, 8, record.to_le_bytes());
    put(&mut head, 12, id.to_le_bytes());
    put(&mut head, 14, flags.to_le_bytes());
    put(&mut head, 16, sequence.to_le_bytes());
    put(&mut head, 24, time_ns.to_le_bytes());
    put(&mut head, 32, entry.duration_ns.unwrap_or(0).to_le_bytes());
    let checksum = checksum(
        salt,
        [head.get(CHECKED_FROM..).unwrap_or_default(), entry.id.as_bytes(), &entry.bytes],
    );
    put(&mut head, 0, MARK);
    put(&mut head, 4, checksum.to_le_bytes());
    buffer.extend(head);
    buffer.extend(entry.id.as_bytes());
    buffer.extend(&entry.bytes[..]);
    Some(())
}

/// Reads what stands at the beginning of `bytes`, whose memory the record then shares.
pub(super) fn decode_entry(bytes: &Bytes, salt: u64) -> Decoded {
    if field::<4>(bytes, 0).is_some_and(|mark| mark != MARK) {
        return Decoded::Damaged;
    }
    let Some(length) = claimed_length(bytes) else {
        return Decoded::Incomplete(ENTRY_HEAD_BYTES);
    };
    match bytes.get(..length) {
        Some(_) => {
            checked_entry(&bytes.slice(..length), salt).map_or(Decoded::Damaged, Decoded::Entry)
        }
        None => Decoded::Incomplete(length),
    }
}

/// What the head says of the length of the whole entry.
fn claimed_length(bytes: &[u8]) -> Option<usize> {
    bytes.get(..ENTRY_HEAD_BYTES)?;
    let record = u32::from_le_bytes(field(bytes, 8)?) as usize;
    let id = usize::from(u16::from_le_bytes(field(bytes, 12)?));
    ENTRY_HEAD_BYTES.checked_add(id)?.checked_add(record)
}

/// Reads an entry that is exactly `bytes`.
fn checked_entry(bytes: &Bytes, salt: u64) -> Option<Stored> {
    let expected = u32::from_le_bytes(field(bytes, 4)?);
    if checksum(salt, [bytes.get(CHECKED_FROM..)?]) != expected {
        return None;
    }
    let record = ENTRY_HEAD_BYTES + usize::from(u16::from_le_bytes(field(bytes, 12)?));
    let flags = u16::from_le_bytes(field(bytes, 14)?);
    let duration_ns = u64::from_le_bytes(field(bytes, 32)?);
    let id = std::str::from_utf8(bytes.get(ENTRY_HEAD_BYTES..record)?).ok()?;
    Some(Stored {
        sequence: u64::from_le_bytes(field(bytes, 16)?),
        time_ns: u64::from_le_bytes(field(bytes, 24)?),
        entry: Entry {
            id: id.into(),
            duration_ns: (flags & HAS_DURATION != 0).then_some(duration_ns),
            bytes: bytes.slice(record..),
        },
        length: bytes.len() as u64,
    })
}

/// Where the next mark begins in `bytes`, or what may be the beginning of one at their end.
pub(super) fn find_mark(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let at = from + rest.iter().position(|&byte| byte == MARK[0])?;
        let candidate = bytes.get(at..).unwrap_or_default();
        if candidate.iter().zip(MARK).all(|(&byte, mark)| byte == mark) {
            return Some(at);
        }
        from = at + 1;
    }
}

fn checksum<const N: usize>(salt: u64, pieces: [&[u8]; N]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    pieces.into_iter().for_each(|piece| hasher.update(piece));
    hasher.finalize()
}

/// The bytes of a field.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Fills a field of a head, which is large enough for all of them.
fn put<const N: usize>(head: &mut [u8; ENTRY_HEAD_BYTES], at: usize, value: [u8; N]) {
    if let Some(field) = head.get_mut(at..at + N) {
        field.copy_from_slice(&value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: SegmentName = SegmentName { first: 7, salt: 0x0123_4567_89ab_cdef };

    fn entry(duration_ns: Option<u64>) -> Entry {
        Entry { id: "abc".into(), duration_ns, bytes: Bytes::from_static(b"{\"a\":1}\n") }
    }

    fn encoded(entry: &Entry) -> Vec<u8> {
        let mut buffer = Vec::new();
        encode_entry(&mut buffer, NAME.salt, 9, 1_700_000_000_000_000_000, entry).unwrap();
        buffer
    }

    /// The specification above, written out by hand; checksums by Python's `zlib.crc32`.
    #[test]
    fn bytes_on_disk_are_those_of_the_specification() {
        let mut header = Vec::new();
        encode_header(&mut header, NAME);
        let expected = [
            &b"gtspool\n\x01\0\0\0\x07\0\0\0\0\0\0\0\xef\xcd\xab\x89\x67\x45\x23\x01"[..],
            &HEADER_CHECKSUM.to_le_bytes(),
        ];
        assert_eq!(header, expected.concat());
        let expected = [
            &b"\xf5rec"[..],
            &ENTRY_CHECKSUM.to_le_bytes(),
            b"\x08\0\0\0\x03\0\x01\0\x09\0\0\0\0\0\0\0\0\0\x2a\x36\xfe\x9c\x97\x17",
            b"\x39\x30\0\0\0\0\0\0abc{\"a\":1}\n",
        ];
        assert_eq!(encoded(&entry(Some(12_345))), expected.concat());
    }

    const HEADER_CHECKSUM: u32 = 0x2b6a_fd98;
    const ENTRY_CHECKSUM: u32 = 0xa9af_f5d4;

    #[test]
    fn entries_come_back_as_they_were() {
        for entry in [entry(None), entry(Some(0)), entry(Some(u64::MAX))] {
            let bytes = Bytes::from(encoded(&entry));
            let length = encoded_length(&entry).unwrap();
            assert_eq!(bytes.len() as u64, length);
            let stored = Stored { sequence: 9, time_ns: 1_700_000_000_000_000_000, entry, length };
            assert_eq!(decode_entry(&bytes, NAME.salt), Decoded::Entry(stored));
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let good = encoded(&entry(Some(1)));
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let decoded = decode_entry(&bytes.into(), NAME.salt);
            assert!(!matches!(decoded, Decoded::Entry(_)), "bit {bit}: {decoded:?}");
        }
    }

    #[test]
    fn every_beginning_of_an_entry_is_incomplete() {
        let good = Bytes::from(encoded(&entry(Some(1))));
        for length in 0..good.len() {
            let decoded = decode_entry(&good.slice(..length), NAME.salt);
            let needed = if length < ENTRY_HEAD_BYTES { ENTRY_HEAD_BYTES } else { good.len() };
            assert_eq!(decoded, Decoded::Incomplete(needed), "{length}");
        }
    }

    #[test]
    fn an_entry_of_another_salt_is_none() {
        let bytes = Bytes::from(encoded(&entry(None)));
        assert_eq!(decode_entry(&bytes, NAME.salt ^ 1), Decoded::Damaged);
    }

    #[test]
    fn headers_are_good_damaged_or_of_another_version() {
        let mut header = Vec::new();
        encode_header(&mut header, NAME);
        assert_eq!(decode_header(&header, NAME), Header::Good);
        assert_eq!(decode_header(&header[..31], NAME), Header::Damaged);
        assert_eq!(decode_header(&header, SegmentName { first: 8, ..NAME }), Header::Damaged);
        header[8] = 2;
        assert_eq!(decode_header(&header, NAME), Header::Damaged);
        let checksum = crc32fast::hash(&header[..28]).to_le_bytes();
        header[28..].copy_from_slice(&checksum);
        assert_eq!(decode_header(&header, NAME), Header::Version(2));
    }

    #[test]
    fn names_read_as_they_are_written_and_nothing_else_does() {
        let text = NAME.to_string();
        assert_eq!(text, "00000000000000000007-0123456789abcdef.spool");
        assert_eq!(SegmentName::parse(&text), Some(NAME));
        for other in
            ["7-0123456789abcdef.spool", "acknowledged", "", "-.spool", &text.to_uppercase()]
        {
            assert_eq!(SegmentName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn marks_are_found_also_where_they_are_cut() {
        assert_eq!(find_mark(b"\xf5re.\xf5rec"), Some(4));
        assert_eq!(find_mark(b"..\xf5re"), Some(2));
        assert_eq!(find_mark(b"no mark"), None);
        assert_eq!(find_mark(b""), None);
    }
}
