//! Segments that were cut or damaged anywhere.

use super::disk::Disk;
use super::*;
use crate::spool::status::examine_files;

/// A spool of one segment with records 0 to 4, and where each of them ends.
fn one_segment() -> (Disk, String, Vec<u8>, Vec<usize>) {
    let limits = Limits { segment_bytes: 1 << 16, ..LIMITS };
    let disk = Disk::new(5);
    let mut spool = open_with(&disk, limits);
    let mut ends = Vec::new();
    for number in 0..5 {
        append(&mut spool, number..number + 1);
        ends.push(disk.bytes() as usize);
    }
    let name = disk.segments().pop().unwrap();
    let bytes = disk.get(&name);
    (disk, name, bytes, ends)
}

#[test]
fn a_segment_torn_at_any_byte_keeps_every_whole_record() {
    let (disk, name, bytes, ends) = one_segment();
    for length in 0..=bytes.len() {
        disk.put(&name, &bytes[..length]);
        let whole = ends.iter().filter(|&&end| end <= length).count() as u64;
        let mut spool = open(&disk);
        assert_eq!(numbers(&read_all(&mut spool)), Vec::from_iter(0..whole), "{length}");
        assert_eq!(spool.damage().records, 0);
        append(&mut spool, whole..whole + 2);
        assert_eq!(numbers(&read_all(&mut spool)), [whole, whole + 1], "{length}");
        let mut spool = open(&disk);
        assert_eq!(numbers(&read_all(&mut spool)), Vec::from_iter(0..whole + 2), "{length}");
        assert_eq!(spool.damage().torn_bytes, 0);
        disk.segments().iter().for_each(|name| disk.delete(name));
    }
}

#[test]
fn a_torn_end_is_told_and_not_called_damage_by_those_who_look() {
    let (disk, name, bytes, ends) = one_segment();
    disk.put(&name, &bytes[..ends[3] + 50]);
    let found = examine_files(&disk).unwrap();
    assert_eq!((found.records, found.unfinished_bytes, found.damaged_bytes), (4, 50, 0));
    assert_eq!(open(&disk).damage().torn_bytes, 50);
    assert_eq!(disk.get(&name).len(), ends[3]);
}

#[test]
fn any_flipped_bit_costs_at_most_the_record_that_it_is_in() {
    let (disk, name, bytes, ends) = one_segment();
    for bit in (0..bytes.len() * 8).step_by(3) {
        disk.put(&name, &bytes);
        disk.flip(&name, bit);
        let hit = match bit / 8 {
            at if at < 32 => None,
            at => Some(ends.iter().filter(|&&end| end <= at).count() as u64),
        };
        let mut spool = open(&disk);
        let left = Vec::from_iter((0..5).filter(|&number| Some(number) != hit));
        assert_eq!(numbers(&read_all(&mut spool)), left, "bit {bit}");
        let damage = spool.damage();
        let told = u64::from(hit.is_some_and(|hit| hit < 4));
        assert_eq!(damage.records, told, "bit {bit}");
        assert!(damage.bytes > 0);
    }
}

#[test]
fn a_damaged_middle_of_any_size_costs_what_is_in_it() {
    let (disk, name, bytes, ends) = one_segment();
    for from in (0..bytes.len()).step_by(17) {
        for to in (from + 1..=bytes.len()).step_by(23) {
            let mut damaged = bytes.clone();
            damaged[from..to].iter_mut().for_each(|byte| *byte = !*byte);
            disk.put(&name, &damaged);
            let starts = [32].iter().chain(&ends);
            let whole = starts
                .zip(&ends)
                .zip(0_u64..)
                .filter(|&((&start, &end), _)| end <= from || start >= to);
            let whole = Vec::from_iter(whole.map(|(_, number)| number));
            assert_eq!(numbers(&read_all(&mut open(&disk))), whole, "{from}..{to}");
        }
    }
}

/// Somebody sends segments of this very format through the gateway.
#[test]
fn a_record_that_holds_entries_does_not_pass_for_entries() {
    let (_, _, inner, _) = one_segment();
    let limits = Limits { segment_bytes: 1 << 16, ..LIMITS };
    let disk = Disk::new(9);
    let mut spool = open_with(&disk, limits);
    append(&mut spool, 10..11);
    let body = Entry { id: "outer".into(), duration_ns: None, bytes: inner.into() };
    spool.append(&[body], NOW);
    append(&mut spool, 11..12);
    let name = disk.segments().pop().unwrap();
    let second = 32 + (Spool::<Disk>::bytes_of(&entry(10, 100)) - 32) as usize;
    disk.flip(&name, (second + 4) * 8);
    let mut spool = open(&disk);
    assert_eq!(numbers(&read_all(&mut spool)), [10, 11]);
    assert_eq!(spool.damage().records, 1);
}

#[test]
fn a_damaged_older_segment_costs_what_is_damaged() {
    let disk = Disk::new(1);
    append(&mut open(&disk), 0..40);
    let names = disk.segments();
    disk.put(&names[1], &[0; 700]);
    disk.put(&names[3], b"");
    let mut spool = open(&disk);
    let left = numbers(&read_all(&mut spool));
    assert!(left.is_sorted() && left.contains(&0) && left.contains(&39));
    assert_eq!(left.len() as u64 + spool.damage().records, 40);
    assert_eq!(spool.damage().bytes, 700);
}
