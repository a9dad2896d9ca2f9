//! The backlog on a disk that fails on purpose: what the driver gets, and what is on disk when
//! the process ends without a word.

use super::*;
use crate::export::totals::SinkTotals;
use crate::spool::tests::disk::{Disk, Fault};
use crate::spool::{Limits, WhenFull};
use bytes::Bytes;
use std::time::Instant;

const LIMITS: Limits =
    Limits { bytes: 64 << 20, segment_bytes: 1 << 20, when_full: WhenFull::DropOldest };
const ALL: BatchLimits = BatchLimits { records: usize::MAX, bytes: usize::MAX };

struct Rig {
    intake: Intake,
    backlog: SpoolBacklog,
    counters: Arc<Counters>,
}

fn rig(disk: &Disk, limits: Limits) -> Rig {
    let counters = Arc::new(Counters::new("test".to_owned()));
    let spool = Spool::open(disk.clone(), limits).unwrap();
    let sync = Duration::from_millis(50);
    let (intake, backlog) = start(spool, sync, 16 << 20, Arc::clone(&counters)).unwrap();
    Rig { intake, backlog, counters }
}

fn record(number: usize, length: usize) -> Record {
    let bytes = Bytes::from(vec![b'x'; length]);
    Record { id: number.to_string().into(), duration_ns: Some(number as u64), bytes }
}

fn numbers(records: &[Record]) -> Vec<usize> {
    records.iter().map(|record| record.id.parse().unwrap()).collect()
}

/// Numbers of the records that somebody finds who looks at the disk now.
fn on_disk(disk: &Disk) -> Vec<usize> {
    let mut spool = Spool::open(disk.clone(), LIMITS).unwrap();
    let read = spool.read(usize::MAX, usize::MAX).unwrap();
    read.iter().map(|read| read.entry.id.parse().unwrap()).collect()
}

impl Rig {
    fn give(&mut self, numbers: std::ops::Range<usize>, length: usize) {
        numbers.for_each(|number| self.intake.offer(record(number, length)));
    }

    /// Waits until the totals are as they should be.
    async fn until(&self, what: impl Fn(&SinkTotals) -> bool) {
        let begin = Instant::now();
        while !what(&self.counters.totals()) {
            assert!(begin.elapsed() < Duration::from_secs(20), "{:#?}", self.counters.totals());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn written(&self, records: u64) {
        self.until(|totals| totals.spool.unwrap().written_records == records).await;
    }

    /// Delivers so many records.
    async fn deliver(&mut self, count: usize) -> Vec<usize> {
        let mut all = Vec::new();
        while all.len() < count {
            let limits = BatchLimits { records: (count - all.len()).min(100), ..ALL };
            let records = self.backlog.take(limits).await.unwrap();
            self.counters.delivered(&records);
            self.backlog.release(records.len());
            all.extend(numbers(&records));
        }
        all
    }

    /// Ends as the driver does: with what it took and is not done with.
    fn end(self, unfinished: Vec<Record>) -> SinkTotals {
        drop(self.intake);
        self.backlog.give_up(unfinished);
        self.counters.totals()
    }
}

fn adds_up(totals: &SinkTotals) -> bool {
    let spool = totals.spool.unwrap();
    let known = totals.queued_records
        + spool.unread_records
        + totals.delivered_records
        + totals.rejected_records
        + totals.dropped.total();
    totals.given_records + spool.found_records == known
}

#[tokio::test]
async fn records_are_on_disk_within_a_second_though_nobody_takes_them() {
    let disk = Disk::new(1);
    let mut rig = rig(&disk, LIMITS);
    let begin = Instant::now();
    rig.give(0..5_000, 2_000);
    rig.written(5_000).await;
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    // As after `kill -9`: nothing more happens.
    assert_eq!(on_disk(&disk), Vec::from_iter(0..5_000));
    assert!(adds_up(&rig.counters.totals()));
    assert!(rig.counters.totals().queued_bytes <= (4 << 20) + 2_000);
}

#[tokio::test]
async fn what_does_not_fit_into_memory_is_read_back_in_order() {
    let disk = Disk::new(1);
    let mut rig = rig(&disk, LIMITS);
    rig.give(0..5_000, 2_000);
    rig.written(5_000).await;
    assert_eq!(rig.deliver(4_000).await, Vec::from_iter(0..4_000));
    rig.give(5_000..6_000, 100);
    assert_eq!(rig.deliver(2_000).await, Vec::from_iter(4_000..6_000));
    rig.until(|totals| totals.spool.unwrap().waiting_records == 0).await;
    let totals = rig.end(Vec::new());
    assert!(adds_up(&totals));
    assert_eq!((totals.queued_records, totals.queued_bytes), (0, 0));
    assert_eq!(disk.segments(), [""; 0]);
}

#[tokio::test]
async fn the_driver_is_told_when_there_will_be_no_more() {
    let disk = Disk::new(1);
    let mut rig = rig(&disk, LIMITS);
    rig.give(0..10, 100);
    let Rig { intake, mut backlog, .. } = rig;
    drop(intake);
    let mut taken = Vec::new();
    while let Some(records) = backlog.take(ALL).await {
        taken.extend(numbers(&records));
    }
    assert_eq!(taken, Vec::from_iter(0..10));
}

#[tokio::test]
async fn the_next_run_goes_on_with_what_was_not_delivered() {
    let disk = Disk::new(1);
    let mut first = rig(&disk, LIMITS);
    first.give(0..5_000, 2_000);
    first.deliver(10).await;
    let limits = BatchLimits { records: 5, ..ALL };
    let unfinished = first.backlog.take(limits).await.unwrap();
    let totals = first.end(unfinished);
    assert!(adds_up(&totals), "{totals:#?}");
    assert_eq!((totals.queued_records, totals.queued_bytes), (0, 0));
    assert_eq!((totals.dropped.total(), totals.spool.unwrap().unread_records), (0, 4_990));

    let mut second = rig(&disk, LIMITS);
    second.give(5_000..5_001, 100);
    assert_eq!(second.deliver(4_991).await, Vec::from_iter(10..5_001));
    let totals = second.end(Vec::new());
    assert_eq!(totals.spool.unwrap().found_records, 4_990);
    assert!(adds_up(&totals), "{totals:#?}");
}

#[tokio::test]
async fn while_the_disk_fails_records_are_delivered_from_memory_and_then_from_disk_again() {
    for fault in [Fault::Full(500), Fault::ReadOnly] {
        let disk = Disk::new(1);
        let mut rig = rig(&disk, LIMITS);
        rig.give(0..3, 100);
        rig.written(3).await;
        disk.fail(fault);
        rig.give(3..20, 100);
        assert_eq!(rig.deliver(20).await, Vec::from_iter(0..20));
        assert!(rig.counters.totals().spool.unwrap().write_failures > 0);
        disk.fail(Fault::None);
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let before = rig.counters.totals().spool.unwrap().written_records;
        rig.give(20..30, 100);
        rig.written(before + 10).await;
        assert_eq!(on_disk(&disk).last(), Some(&29));
        assert_eq!(rig.deliver(10).await, Vec::from_iter(20..30));
        let totals = rig.end(Vec::new());
        assert!(adds_up(&totals), "{totals:#?}");
        assert_eq!((totals.queued_records, totals.queued_bytes), (0, 0));
        assert_eq!(totals.delivered_records, 30);
    }
}

#[tokio::test]
async fn records_that_wait_for_a_full_disk_get_there_in_order_when_it_has_room() {
    let disk = Disk::new(1);
    disk.fail(Fault::Full(0));
    let mut rig = rig(&disk, LIMITS);
    rig.give(0..6_000, 2_000);
    rig.until(|totals| totals.spool.unwrap().write_failures > 0).await;
    disk.fail(Fault::None);
    rig.until(|totals| totals.spool.unwrap().written_records > 0).await;
    assert_eq!(rig.deliver(6_000).await, Vec::from_iter(0..6_000));
    let totals = rig.end(Vec::new());
    assert!(adds_up(&totals), "{totals:#?}");
}

#[tokio::test]
async fn what_was_only_in_memory_gets_to_the_disk_at_the_end_if_it_works_again() {
    let disk = Disk::new(1);
    disk.fail(Fault::ReadOnly);
    let mut rig = rig(&disk, LIMITS);
    rig.give(0..20, 100);
    let taken = rig.backlog.take(BatchLimits { records: 5, ..ALL }).await.unwrap();
    disk.fail(Fault::None);
    let totals = rig.end(taken);
    assert!(adds_up(&totals), "{totals:#?}");
    assert_eq!(totals.dropped.total(), 0);
    assert_eq!(on_disk(&disk), Vec::from_iter(0..20));
}

#[tokio::test]
async fn what_a_broken_disk_never_takes_is_counted_at_the_end() {
    let disk = Disk::new(1);
    disk.fail(Fault::ReadOnly);
    let mut rig = rig(&disk, LIMITS);
    rig.give(0..20, 100);
    let taken = rig.backlog.take(BatchLimits { records: 5, ..ALL }).await.unwrap();
    let totals = rig.end(taken);
    assert!(adds_up(&totals), "{totals:#?}");
    assert_eq!(totals.dropped.shutdown, 20);
}

#[tokio::test]
async fn a_full_spool_drops_by_its_policy_and_counts() {
    for when_full in [WhenFull::DropOldest, WhenFull::DropNewest] {
        let disk = Disk::new(1);
        let limits = Limits { bytes: 1 << 20, segment_bytes: 64 << 10, when_full };
        let mut rig = rig(&disk, limits);
        // More than is ready in memory, and than the spool holds.
        rig.give(0..8_000, 1_000);
        rig.until(|totals| {
            let newest = when_full == WhenFull::DropNewest;
            let refused = if newest { totals.dropped.spool_full } else { 0 };
            totals.spool.unwrap().written_records + refused == 8_000
        })
        .await;
        rig.until(adds_up).await;
        let totals = rig.counters.totals();
        assert!(disk.bytes() <= 1 << 20);
        assert_eq!(totals.dropped.spool_full, totals.spool.unwrap().dropped_records);
        let left = on_disk(&disk);
        match when_full {
            WhenFull::DropOldest => assert_eq!(left.last(), Some(&7_999)),
            WhenFull::DropNewest => assert_eq!(left.first(), Some(&0)),
        }
        let totals = rig.end(Vec::new());
        assert!(adds_up(&totals), "{totals:#?}");
    }
}

#[tokio::test]
async fn what_is_damaged_is_skipped_and_counted() {
    let disk = Disk::new(1);
    let mut first = rig(&disk, LIMITS);
    first.give(0..100, 100);
    first.written(100).await;
    first.end(Vec::new());
    let name = disk.segments().pop().unwrap();
    disk.flip(&name, 8 * 5_000);
    let mut second = rig(&disk, LIMITS);
    let left = second.deliver(99).await;
    assert!(left.is_sorted());
    let totals = second.end(Vec::new());
    assert_eq!((totals.dropped.spool_damaged, totals.delivered_records), (1, 99));
    assert!(adds_up(&totals), "{totals:#?}");
    assert_eq!(disk.segments(), [""; 0]);
}
