//! Anything that can happen, in any order, against a list of what was appended.

use super::disk::{Disk, Fault};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<usize>),
    Read(usize),
    /// Acknowledges so many of a hundred of what was read and not acknowledged.
    Acknowledge(usize),
    StorePosition,
    Tidy,
    TidyAll,
    Sync,
    Kill,
    PowerCut,
    Fail(Fault),
    FlipBit(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        (0_usize..2_000).prop_map(Fault::Full),
        Just(Fault::ReadOnly),
        Just(Fault::Broken),
        Just(Fault::Short),
    ];
    prop_oneof![
        8 => proptest::collection::vec(0_usize..900, 1..12).prop_map(Step::Append),
        5 => (1_usize..20).prop_map(Step::Read),
        4 => (0_usize..=100).prop_map(Step::Acknowledge),
        3 => Just(Step::StorePosition),
        2 => Just(Step::Tidy),
        2 => Just(Step::TidyAll),
        3 => Just(Step::Sync),
        2 => Just(Step::Kill),
        2 => Just(Step::PowerCut),
        2 => fault.prop_map(Step::Fail),
        3 => Just(Step::Fail(Fault::None)),
        1 => any::<usize>().prop_map(Step::FlipBit),
    ]
}

/// What must hold, told without any of the spool's own means.
#[derive(Debug, Default)]
struct Model {
    /// Every number that anybody tried to append is below it.
    next: u64,
    /// What `append` took and nothing that happened since may have cost.
    kept: BTreeSet<u64>,
    /// Of these, what a power cut may cost: not synced yet.
    unsynced: BTreeSet<u64>,
    /// The same for ever: syncing failed.
    doubtful: BTreeSet<u64>,
    /// Numbers below it are acknowledged.
    acknowledged: u64,
    /// Numbers below it are since the spool was opened.
    acknowledged_now: u64,
    /// Numbers below it are, and a killed process knows.
    stored: u64,
    /// Bits that were flipped: each may cost one record.
    flips: usize,
}

impl Model {
    fn power_cut(&mut self) {
        let mut lost = std::mem::take(&mut self.unsynced);
        lost.append(&mut self.doubtful);
        self.kept.retain(|number| !lost.contains(number));
        self.stored = 0;
    }

    /// A spool that was opened anew yields these numbers.
    fn check(&mut self, seen: &[u64]) {
        assert!(seen.is_sorted_by(|a, b| a < b), "out of order: {seen:?}");
        let seen = BTreeSet::from_iter(seen.iter().copied());
        assert!(seen.iter().all(|&number| number < self.next), "invented: {seen:?}");
        if self.flips == 0 {
            assert!(seen.iter().all(|&number| number >= self.stored), "again: {seen:?}");
        }
        let missing: Vec<_> =
            self.kept.range(self.acknowledged..).filter(|number| !seen.contains(number)).collect();
        assert!(missing.len() <= self.flips, "missing: {missing:?} of {self:?}");
    }
}

struct World {
    disk: Disk,
    spool: Spool<Disk>,
    /// Read since the spool was opened, and not acknowledged.
    unacknowledged: Vec<Read>,
    model: Model,
}

impl World {
    fn new(seed: u64) -> Self {
        let disk = Disk::new(seed);
        let spool = open(&disk);
        Self { disk, spool, unacknowledged: Vec::new(), model: Model::default() }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Append(lengths) => self.append(&lengths),
            Step::Read(count) => self.read(count),
            Step::Acknowledge(share) => self.acknowledge(share),
            Step::StorePosition => {
                if self.spool.store_position().is_ok() {
                    self.model.stored = self.model.stored.max(self.model.acknowledged_now);
                }
            }
            Step::Tidy => drop(self.spool.tidy()),
            Step::TidyAll => drop(self.spool.tidy_all()),
            Step::Sync => self.sync(),
            Step::Kill => self.reopen(),
            Step::PowerCut => {
                self.disk.power_cut();
                self.model.power_cut();
                self.reopen();
            }
            Step::Fail(fault) => self.disk.fail(fault),
            Step::FlipBit(bit) => self.flip(bit),
        }
    }

    fn append(&mut self, lengths: &[usize]) {
        let entries = lengths.iter().zip(self.model.next..);
        let entries: Vec<_> = entries.map(|(&length, number)| entry(number, length)).collect();
        let appended = self.spool.append(&entries, NOW);
        let taken = appended.places.len() as u64;
        assert_eq!(appended.error.is_some(), taken < entries.len() as u64);
        let taken = self.model.next..self.model.next + taken;
        self.model.kept.extend(taken.clone());
        self.model.unsynced.extend(taken);
        self.model.next += entries.len() as u64;
    }

    fn read(&mut self, count: usize) {
        self.unacknowledged.extend(self.spool.read(count, usize::MAX).unwrap());
        assert!(numbers(&self.unacknowledged).is_sorted_by(|a, b| a < b));
    }

    fn acknowledge(&mut self, share: usize) {
        let count = self.unacknowledged.len() * share / 100;
        let done: Vec<_> = self.unacknowledged.drain(..count).collect();
        let Some(last) = done.last() else { return };
        self.spool.acknowledge(last.place);
        self.model.acknowledged_now = numbers(&done).last().unwrap() + 1;
        self.model.acknowledged = self.model.acknowledged.max(self.model.acknowledged_now);
    }

    fn sync(&mut self) {
        let unsynced = std::mem::take(&mut self.model.unsynced);
        if self.spool.take_unsynced().sync().is_err() {
            self.model.doubtful.extend(unsynced);
            self.spool.leave_segment();
        }
    }

    fn flip(&mut self, bit: usize) {
        let names = self.disk.segments();
        let Some(name) = names.get(bit % names.len().max(1)) else { return };
        if !self.disk.get(name).is_empty() {
            self.disk.flip(name, bit / 16);
            self.model.flips += 1;
        }
    }

    /// The process ends without a word and starts again. What a second look yields is the same.
    fn reopen(&mut self) {
        self.unacknowledged.clear();
        self.model.acknowledged_now = 0;
        self.spool = open(&self.disk);
        let seen = numbers(&read_all(&mut open(&self.disk)));
        self.model.check(&seen);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    /// What was appended and not acknowledged is read again, in order, whatever happens; nothing
    /// is read that was not appended; only what was acknowledged since the position was stored
    /// comes twice.
    #[test]
    fn nothing_is_lost_and_nothing_invented(
        seed in any::<u64>(),
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let mut world = World::new(seed);
        steps.into_iter().for_each(|step| world.take(step));
        world.disk.fail(Fault::None);
        world.reopen();
        read_all(&mut world.spool);
        // Also past what is missing at the end.
        world.spool.acknowledge(world.spool.cursor());
        world.spool.tidy_all().unwrap();
        prop_assert_eq!(world.disk.segments(), Vec::<String>::new());
    }

    /// Segments of any bytes at all are never more than damaged.
    #[test]
    fn any_bytes_are_survived(contents in proptest::collection::vec(any::<u8>(), 0..600)) {
        let disk = Disk::new(3);
        append(&mut open(&disk), 0..20);
        let names = disk.segments();
        disk.put(&names[1], &contents);
        disk.put(names.last().unwrap(), &contents);
        disk.put("acknowledged", &contents);
        let mut spool = open(&disk);
        let left = numbers(&read_all(&mut spool));
        prop_assert!(left.is_sorted() && left.contains(&0));
        crate::spool::status::examine_files(&disk).unwrap();
    }
}
