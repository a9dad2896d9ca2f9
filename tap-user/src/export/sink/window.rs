//! Batches that are taken from the backlog and not released: in order, each with what became of
//! it so far.

use crate::export::record::Record;
use std::collections::VecDeque;
use tokio::task::Id;

/// Batches in the order of their records.
#[derive(Debug, Default)]
pub(super) struct Window {
    batches: VecDeque<Batch>,
}

/// Records that are attempted together.
#[derive(Debug)]
struct Batch {
    records: Vec<Record>,
    /// Of these, from the first one on, are done with.
    done: usize,
    /// Of these the backlog knows.
    released: usize,
    /// The attempt under way.
    attempt: Option<Id>,
    /// Attempts that failed.
    failures: u32,
}

impl Batch {
    fn is_waiting(&self) -> bool {
        self.attempt.is_none() && !self.is_done()
    }

    fn is_done(&self) -> bool {
        self.done >= self.records.len()
    }

    fn unfinished(&self) -> &[Record] {
        self.records.get(self.done..).unwrap_or_default()
    }
}

/// A batch whose turn it is.
pub(super) struct Turn<'a> {
    batch: &'a mut Batch,
}

impl Turn<'_> {
    /// What is not done with.
    pub(super) fn records(&self) -> Vec<Record> {
        self.batch.unfinished().to_vec()
    }

    /// Whether an attempt with it has failed before.
    pub(super) fn is_retry(&self) -> bool {
        self.batch.failures > 0
    }

    /// Notes the attempt that now has it.
    pub(super) fn begin(self, attempt: Id) {
        self.batch.attempt = Some(attempt);
    }
}

/// A batch whose attempt has ended.
pub(super) struct Ended<'a> {
    batch: &'a mut Batch,
}

impl Ended<'_> {
    /// The next `count` records are done with; yields them.
    pub(super) fn finish(&mut self, count: usize) -> &[Record] {
        let begin = self.batch.done;
        self.batch.done = begin.saturating_add(count).min(self.batch.records.len());
        self.batch.records.get(begin..self.batch.done).unwrap_or_default()
    }

    /// The attempt failed; the batch waits for another one.
    pub(super) fn fail(&mut self) {
        self.batch.failures = self.batch.failures.saturating_add(1);
    }
}

impl Window {
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.batches.len()
    }

    pub(super) fn push(&mut self, records: Vec<Record>) {
        let batch = Batch { records, done: 0, released: 0, attempt: None, failures: 0 };
        self.batches.push_back(batch);
    }

    /// Whether a batch waits for an attempt.
    pub(super) fn has_waiting(&self) -> bool {
        self.batches.iter().any(Batch::is_waiting)
    }

    /// The first batch that waits for an attempt.
    pub(super) fn next(&mut self) -> Option<Turn<'_>> {
        self.batches.iter_mut().find(|batch| batch.is_waiting()).map(|batch| Turn { batch })
    }

    /// The batch of an attempt that has ended.
    pub(super) fn ended(&mut self, attempt: Id) -> Option<Ended<'_>> {
        let batch = self.batches.iter_mut().find(|batch| batch.attempt == Some(attempt))?;
        batch.attempt = None;
        Some(Ended { batch })
    }

    /// Forgets what is done with up to the first record that is not; yields how many more
    /// records these are.
    pub(super) fn release(&mut self) -> usize {
        let mut count = 0_usize;
        while let Some(first) = self.batches.front_mut() {
            count = count.saturating_add(first.done.saturating_sub(first.released));
            first.released = first.done;
            if !first.is_done() {
                break;
            }
            self.batches.pop_front();
        }
        count
    }

    /// All records that are not done with, in order.
    pub(super) fn into_unfinished(self) -> Vec<Record> {
        self.batches.iter().flat_map(Batch::unfinished).cloned().collect()
    }
}
