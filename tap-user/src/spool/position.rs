//! How far records are acknowledged: 32 bytes in a file of their own.
//!
//! ```text
//!  0  magic  "gtack\n\0\0"                8
//!  8  version 1                           4
//! 12  0                                   4
//! 16  sequence number of the first entry
//!     that is not acknowledged            8
//! 24  CRC-32 of 0..24                     4
//! 28  0                                   4
//! ```
//!
//! The file is replaced as a whole (written beside it and renamed), so that it holds either the
//! old position or the new one; a log would have to be compacted, and 32 bytes are written as
//! fast. A position that was not stored before the process was killed, or that is damaged, costs
//! doubles and no record: everything since the stored position comes again.

use super::file_system::{FileSystem, SpoolFile, append_all, read_up_to};
use super::format::field;
use std::io;

const NAME: &str = "acknowledged";
const NEW_NAME: &str = "acknowledged.new";
/// Files of a spool that are not segments.
pub(super) const FILES: [&str; 2] = [NAME, NEW_NAME];

const BYTES: usize = 32;
const MAGIC: [u8; 8] = *b"gtack\n\0\0";
const VERSION: u32 = 1;

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// There is no file.
    Nothing,
    /// Entries before this sequence number are acknowledged.
    Acknowledged(u64),
    /// The file is not one that this program wrote.
    Damaged,
}

fn encode(sequence: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BYTES);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(sequence.to_le_bytes());
    let checksum = crc32fast::hash(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes.extend([0; 4]);
    bytes
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let sequence = u64::from_le_bytes(field(bytes, 16)?);
    (bytes == encode(sequence)).then_some(sequence)
}

/// Reads the position.
pub(super) fn load(files: &impl FileSystem) -> io::Result<Stored> {
    let file = match files.open(NAME) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Stored::Nothing),
        Err(error) => return Err(error),
    };
    let bytes = read_up_to(&file, 0, BYTES + 1)?;
    Ok(decode(&bytes).map_or(Stored::Damaged, Stored::Acknowledged))
}

/// Whether the file survives a power cut when [`store`] comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// The disk has it.
    Disk,
    /// The kernel has it: a killed process loses nothing.
    Kernel,
}

/// Replaces the position.
pub(super) fn store(
    files: &impl FileSystem,
    sequence: u64,
    durability: Durability,
) -> io::Result<()> {
    match files.remove(NEW_NAME) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = files.create(NEW_NAME)?;
    append_all(&file, &encode(sequence)).1?;
    if durability == Durability::Disk {
        file.sync()?;
    }
    files.rename(NEW_NAME, NAME)?;
    if durability == Durability::Disk { files.sync_folder() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checksum by Python's `zlib.crc32`.
    #[test]
    fn bytes_on_disk_are_those_of_the_specification() {
        let expected = b"gtack\n\0\0\x01\0\0\0\0\0\0\0\x02\x01\0\0\0\0\0\0";
        let checksum: u32 = 0x2b45_19a8;
        assert_eq!(encode(258), [&expected[..], &checksum.to_le_bytes(), &[0; 4]].concat());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let good = encode(77);
        assert_eq!(decode(&good), Some(77));
        for bit in 0..BYTES * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bytes), None, "bit {bit}");
        }
        for length in 0..BYTES {
            assert_eq!(decode(&good[..length]), None, "{length} bytes");
        }
    }
}
