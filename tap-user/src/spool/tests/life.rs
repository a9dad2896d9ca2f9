//! What happens to records from being appended to being acknowledged.

use super::disk::{Disk, Fault};
use super::*;
use crate::spool::status::examine_files;
use crate::spool::{AppendError, Dropped, OpenError, Waiting};
use std::io::ErrorKind;

#[test]
fn records_come_back_in_order_from_many_segments() {
    let disk = Disk::new(1);
    let mut spool = open(&disk);
    append(&mut spool, 0..50);
    append(&mut spool, 50..60);
    assert!(disk.segments().len() > 5);
    assert_eq!(numbers(&read_all(&mut spool)), Vec::from_iter(0..60));
    assert!(spool.is_read());
    append(&mut spool, 60..61);
    assert_eq!(numbers(&read_all(&mut spool)), [60]);
}

#[test]
fn after_a_restart_reading_goes_on_where_it_stopped() {
    let disk = Disk::new(1);
    let mut spool = open(&disk);
    append(&mut spool, 0..40);
    let read = spool.read(25, usize::MAX).unwrap();
    spool.acknowledge(read[19].place);
    spool.store_position().unwrap();
    let mut spool = open(&disk);
    assert_eq!(spool.waiting().records, 20);
    assert_eq!(numbers(&read_all(&mut spool)), Vec::from_iter(20..40));
    append(&mut spool, 40..41);
    let mut spool = open(&disk);
    assert_eq!(numbers(&read_all(&mut spool)), Vec::from_iter(20..41));
}

#[test]
fn a_position_that_was_not_stored_costs_doubles_only() {
    let disk = Disk::new(1);
    let mut spool = open(&disk);
    append(&mut spool, 0..40);
    let read = spool.read(25, usize::MAX).unwrap();
    spool.acknowledge(read[3].place);
    assert_eq!(numbers(&read_all(&mut open(&disk))), Vec::from_iter(0..40));
}

#[test]
fn a_damaged_position_costs_doubles_only() {
    let disk = Disk::new(1);
    let mut spool = open(&disk);
    append(&mut spool, 0..40);
    let read = spool.read(2, usize::MAX).unwrap();
    spool.acknowledge(read[1].place);
    spool.store_position().unwrap();
    disk.flip("acknowledged", 130);
    let mut spool = open(&disk);
    assert!(spool.damage().position);
    assert_eq!(numbers(&read_all(&mut spool)), Vec::from_iter(0..40));
}

#[test]
fn segments_go_when_all_of_them_is_acknowledged_and_numbers_go_on() {
    let disk = Disk::new(1);
    let mut spool = open(&disk);
    append(&mut spool, 0..40);
    let read = read_all(&mut spool);
    spool.acknowledge(read[38].place);
    spool.tidy_all().unwrap();
    assert_eq!(disk.segments().len(), 1);
    spool.acknowledge(read[39].place);
    spool.tidy_all().unwrap();
    assert_eq!(disk.segments(), [""; 0]);
    assert_eq!(spool.waiting(), Waiting::default());
    append(&mut spool, 40..42);
    assert_eq!(numbers(&read_all(&mut spool)), [40, 41]);
    assert!(disk.segments()[0].starts_with("00000000000000000040-"));
    let mut spool = open(&disk);
    assert_eq!(numbers(&read_all(&mut spool)), [40, 41]);
}

#[test]
fn what_is_known_already_need_not_be_read() {
    let disk = Disk::new(1);
    let mut spool = open(&disk);
    let appended = spool.append(&entries(0..30), NOW);
    spool.skip_to(appended.places[11]);
    assert_eq!(numbers(&read_all(&mut spool)), Vec::from_iter(12..30));
}

#[test]
fn the_oldest_go_when_the_quota_is_used_up_and_are_counted() {
    let limits = Limits { bytes: 8 << 10, ..LIMITS };
    let disk = Disk::new(1);
    let mut spool = open_with(&disk, limits);
    let mut lost = Dropped::default();
    for number in 0..200 {
        let entry = entry(number, 100);
        let dropped = spool.make_room(Spool::<Disk>::bytes_of(&entry));
        lost.records += dropped.records;
        lost.bytes += dropped.bytes;
        assert!(spool.append(&[entry], NOW).error.is_none());
        assert!(disk.bytes() <= limits.bytes);
    }
    let left = numbers(&read_all(&mut spool));
    assert_eq!(left, Vec::from_iter(lost.records..200));
    assert!(left.len() > 30);
    let length = |number| Spool::<Disk>::bytes_of(&entry(number, 100)) - 32;
    assert_eq!(lost.bytes, (0..lost.records).map(length).sum::<u64>());
    assert_eq!(spool.damage().records, 0);
}

#[test]
fn what_was_read_of_a_dropped_segment_does_not_count_as_dropped() {
    let limits = Limits { bytes: 8 << 10, segment_bytes: 4 << 10, ..LIMITS };
    let disk = Disk::new(1);
    let mut spool = open_with(&disk, limits);
    append(&mut spool, 0..30);
    let read = spool.read(3, usize::MAX).unwrap();
    let first_segment = 25;
    let dropped = spool.make_room(5 << 10);
    assert_eq!(dropped.records, first_segment - 3);
    let length = |number| Spool::<Disk>::bytes_of(&entry(number, 100)) - 32;
    assert_eq!(dropped.bytes, (3..first_segment).map(length).sum::<u64>());
    spool.acknowledge(read[2].place);
    assert_eq!(numbers(&read_all(&mut spool)), Vec::from_iter(first_segment..30));
    assert_eq!(spool.waiting().records, 30 - first_segment);
}

#[test]
fn the_newest_are_refused_where_that_is_the_policy() {
    let limits = Limits { bytes: 8 << 10, when_full: WhenFull::DropNewest, ..LIMITS };
    let disk = Disk::new(1);
    let mut spool = open_with(&disk, limits);
    assert_eq!(spool.make_room(u64::MAX), Dropped::default());
    let appended = spool.append(&entries(0..100), NOW);
    assert!(matches!(appended.error, Some(AppendError::Full)));
    assert!(disk.bytes() <= limits.bytes && disk.bytes() > limits.bytes - 200);
    let read = read_all(&mut spool);
    assert_eq!(numbers(&read), Vec::from_iter(0..appended.places.len() as u64));
    spool.acknowledge(read[read.len() / 2].place);
    append(&mut spool, 100..103);
}

#[test]
fn a_record_larger_than_a_segment_has_one_of_its_own_and_one_larger_than_all_is_refused() {
    let limits = Limits { bytes: 8 << 10, ..LIMITS };
    let disk = Disk::new(1);
    let mut spool = open_with(&disk, limits);
    let large = [entry(0, 10), entry(1, 5_000), entry(2, 10), entry(3, 9_000), entry(4, 1)];
    let appended = spool.append(&large, NOW);
    assert_eq!(appended.places.len(), 3);
    assert!(matches!(appended.error, Some(AppendError::TooLarge)));
    assert_eq!(disk.segments().len(), 3);
    assert_eq!(numbers(&read_all(&mut spool)), [0, 1, 2]);
}

#[test]
fn a_full_disk_takes_what_goes_and_the_rest_when_there_is_room_again() {
    for room in 0..600 {
        let disk = Disk::new(room as u64 + 1);
        let mut spool = open(&disk);
        disk.fail(Fault::Full(room));
        let appended = spool.append(&entries(0..4), NOW);
        let taken = appended.places.len() as u64;
        assert!(
            matches!(appended.error, Some(AppendError::Io(error)) if error.kind() == ErrorKind::StorageFull)
        );
        assert_eq!(numbers(&read_all(&mut spool)), Vec::from_iter(0..taken), "{room}");
        disk.fail(Fault::None);
        append(&mut spool, taken..6);
        assert_eq!(numbers(&read_all(&mut spool)), Vec::from_iter(taken..6));
        let mut spool = open(&disk);
        assert_eq!(numbers(&read_all(&mut spool)), Vec::from_iter(0..6));
        assert_eq!(spool.damage(), Default::default());
    }
}

#[test]
fn a_read_only_spool_gives_what_it_has() {
    let disk = Disk::new(1);
    append(&mut open(&disk), 0..40);
    let newest = disk.segments().pop().unwrap();
    let torn = [&disk.get(&newest)[..], b"torn"].concat();
    disk.put(&newest, &torn);
    disk.fail(Fault::ReadOnly);
    let mut spool = open(&disk);
    let read = read_all(&mut spool);
    assert_eq!(numbers(&read), Vec::from_iter(0..40));
    spool.acknowledge(read[30].place);
    assert!(spool.store_position().is_err() && spool.tidy().is_err());
    let appended = spool.append(&entries(40..41), NOW);
    assert!(matches!(appended.error, Some(AppendError::Io(_))));
    disk.fail(Fault::None);
    append(&mut spool, 40..41);
    assert_eq!(numbers(&read_all(&mut spool)), [40]);
    spool.store_position().unwrap();
    let mut spool = open(&disk);
    assert_eq!(numbers(&read_all(&mut spool)), Vec::from_iter(31..41));
}

#[test]
fn a_segment_that_cannot_be_read_is_tried_again_and_then_skipped() {
    let disk = Disk::new(1);
    let mut spool = open(&disk);
    append(&mut spool, 0..8);
    disk.fail(Fault::Unreadable);
    assert!(spool.read(9, 9_999).is_err() && spool.read(9, 9_999).is_err());
    disk.fail(Fault::None);
    assert_eq!(numbers(&read_all(&mut spool)), Vec::from_iter(0..8));
    append(&mut spool, 8..20);
    disk.fail(Fault::Unreadable);
    while spool.read(9, 9_999).is_err() {}
    assert_eq!(spool.damage().records, 12);
    disk.fail(Fault::None);
    append(&mut spool, 20..21);
    assert_eq!(numbers(&read_all(&mut spool)), [20]);
}

#[test]
fn a_segment_that_somebody_removed_is_counted() {
    let disk = Disk::new(1);
    append(&mut open(&disk), 0..40);
    let second = disk.segments().swap_remove(1);
    disk.delete(&second);
    let mut spool = open(&disk);
    let left = numbers(&read_all(&mut spool));
    assert_eq!(left.len() as u64 + spool.damage().records, 40);
    assert_eq!(examine_files(&disk).unwrap().missing_records, spool.damage().records);
}

#[test]
fn a_later_version_is_left_alone() {
    let disk = Disk::new(1);
    append(&mut open(&disk), 0..3);
    let name = disk.segments().pop().unwrap();
    let mut bytes = disk.get(&name);
    bytes[8] = 2;
    let checksum = crc32fast::hash(&bytes[..28]).to_le_bytes();
    bytes[28..32].copy_from_slice(&checksum);
    disk.put(&name, &bytes);
    let error = Spool::open(disk.clone(), LIMITS).unwrap_err();
    assert!(matches!(error, OpenError::Version { version: 2, .. }), "{error}");
    assert_eq!(disk.get(&name), bytes);
}

#[test]
fn a_failed_sync_begins_a_new_segment() {
    let disk = Disk::new(1);
    let mut spool = open(&disk);
    append(&mut spool, 0..2);
    disk.fail(Fault::ReadOnly);
    assert!(spool.take_unsynced().sync().is_err());
    disk.fail(Fault::None);
    spool.leave_segment();
    append(&mut spool, 2..4);
    assert_eq!(disk.segments().len(), 2);
    assert_eq!(numbers(&read_all(&mut spool)), [0, 1, 2, 3]);
}

#[test]
fn looking_at_a_spool_tells_what_waits() {
    let disk = Disk::new(1);
    let mut spool = open(&disk);
    for number in 0..20 {
        spool.append(&[entry(number, 100)], NOW + number);
    }
    let read = spool.read(13, usize::MAX).unwrap();
    spool.acknowledge(read[12].place);
    spool.store_position().unwrap();
    let found = examine_files(&disk).unwrap();
    assert_eq!((found.records, found.acknowledged), (7, Some(13)));
    assert_eq!((found.oldest_ns, found.newest_ns), (Some(NOW + 13), Some(NOW + 19)));
    let bytes: usize = (13..20).map(|number| entry(number, 100).bytes.len()).sum();
    assert_eq!(found.bytes, bytes as u64);
    assert_eq!((found.segments, found.file_bytes), (disk.segments().len() as u64, disk.bytes()));
    assert_eq!((found.missing_records, found.damaged_bytes, found.unfinished_bytes), (0, 0, 0));
    assert_eq!(spool.waiting().records, 7);
}
