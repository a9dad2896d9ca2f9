//! Records on their way into the kernel: taken together to be written together, and counted one
//! by one as they get there.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;

/// Most records in a batch (Linux takes no more than 1,024 pieces in one call).
pub(super) const RECORDS_LIMIT: usize = 512;

/// Records that are to be written, the first of them possibly in part already.
#[derive(Debug, Default)]
pub(super) struct Batch {
    records: VecDeque<Bytes>,
    /// Bytes of the first record that are written; less than its length.
    written: usize,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn extend(&mut self, records: impl IntoIterator<Item = Bytes>) {
        self.records.extend(records);
    }

    /// What is not written yet, in order.
    pub(super) fn pieces(&self) -> Vec<Bytes> {
        let mut pieces: Vec<Bytes> = self.records.iter().cloned().collect();
        if let Some(first) = pieces.first_mut() {
            first.advance(self.written.min(first.len()));
        }
        pieces
    }

    /// Notes that `bytes` more are written; `delivered` gets the length of each record that
    /// this completes.
    pub(super) fn advance(&mut self, bytes: usize, mut delivered: impl FnMut(u64)) {
        self.written = self.written.saturating_add(bytes);
        while let Some(first) = self.records.front().filter(|first| first.len() <= self.written) {
            self.written = self.written.saturating_sub(first.len());
            delivered(first.len() as u64);
            self.records.pop_front();
        }
    }

    /// Goes back to the beginning of the record that is written in part.
    pub(super) fn rewind(&mut self) {
        self.written = 0;
    }

    /// Gives up all records.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Bytes> {
        self.written = 0;
        self.records.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        let mut batch = Batch::default();
        batch.extend(["abc", "de", "fghi"].map(Bytes::from));
        batch
    }

    fn advance(batch: &mut Batch, bytes: usize) -> Vec<u64> {
        let mut delivered = Vec::new();
        batch.advance(bytes, |length| delivered.push(length));
        delivered
    }

    #[test]
    fn records_count_when_their_last_byte_is_written() {
        let mut batch = batch();
        assert_eq!(advance(&mut batch, 2), [0; 0]);
        assert_eq!(batch.pieces(), ["c", "de", "fghi"]);
        assert_eq!(advance(&mut batch, 4), [3, 2]);
        assert_eq!(batch.pieces(), ["ghi"]);
        assert_eq!(advance(&mut batch, 3), [4]);
        assert!(batch.is_empty());
    }

    #[test]
    fn a_record_written_in_part_begins_anew() {
        let mut batch = batch();
        advance(&mut batch, 4);
        batch.rewind();
        assert_eq!(batch.pieces(), ["de", "fghi"]);
    }
}
