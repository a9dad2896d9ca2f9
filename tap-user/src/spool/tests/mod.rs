//! The spool on a file system that fails on purpose.

pub(crate) mod disk;
mod life;
mod model;
mod torn;

use super::{Entry, Limits, Read, Spool, WhenFull};
use disk::Disk;

/// Small, so that a few records fill it.
const LIMITS: Limits =
    Limits { bytes: 1 << 20, segment_bytes: 1 << 10, when_full: WhenFull::DropOldest };
/// Any time.
const NOW: u64 = 1_700_000_000_000_000_000;

fn open(disk: &Disk) -> Spool<Disk> {
    open_with(disk, LIMITS)
}

fn open_with(disk: &Disk, limits: Limits) -> Spool<Disk> {
    Spool::open(disk.clone(), limits).unwrap()
}

/// A record that can be told from all others, of about `length` bytes.
fn entry(number: u64, length: usize) -> Entry {
    let text = format!("{{\"n\":{number},\"x\":\"{}\"}}\n", "x".repeat(length));
    let duration_ns = (!number.is_multiple_of(3)).then_some(number * 1_000);
    Entry { id: format!("id-{number}").into(), duration_ns, bytes: text.into() }
}

fn entries(numbers: std::ops::Range<u64>) -> Vec<Entry> {
    numbers.map(|number| entry(number, 100)).collect()
}

fn append(spool: &mut Spool<Disk>, numbers: std::ops::Range<u64>) {
    let entries = entries(numbers);
    let appended = spool.append(&entries, NOW);
    assert!(appended.error.is_none(), "{appended:?}");
    assert_eq!(appended.places.len(), entries.len());
}

fn read_all(spool: &mut Spool<Disk>) -> Vec<Read> {
    let mut all = Vec::new();
    loop {
        let some = spool.read(7, 10_000).unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

/// The numbers of records, each of which has to be as it was appended.
fn numbers(read: &[Read]) -> Vec<u64> {
    read.iter()
        .map(|read| {
            let number = read.entry.id.strip_prefix("id-").unwrap().parse().unwrap();
            let length = read.entry.bytes.len() - entry(number, 0).bytes.len();
            assert_eq!(read.entry, entry(number, length));
            number
        })
        .collect()
}
