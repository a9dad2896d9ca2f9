//! The records of one stream, in its order: which the peer's TCP has acknowledged, which are in
//! the kernel, which are still to be written.
//!
//! ```text
//!   kept              in flight                  waiting
//!   ───────────────── ────────────────────────── ─────────────────────────
//!   acknowledged      written up to an offset    partly or not yet written
//!   (replay window)   that is not acknowledged
//! ```
//!
//! A record is acknowledged once all bytes are that were written to the socket up to the moment
//! when its own last byte had been. With TLS the offsets count ciphertext.
//!
//! The replay window keeps the last records of which any byte is among the last
//! [`Ledger::limit`] bytes acknowledged: a receiver whose buffers hold no more than that had
//! taken everything older.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::IoSlice;

/// Most pieces in one write (Linux takes 1,024 in one call).
const PIECES_LIMIT: usize = 256;

/// Where a record comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// An attempt waits for its acknowledgement.
    Attempt,
    /// It was acknowledged on an earlier connection, whose receiver may have lost it.
    Replay,
}

/// Numbers of records that are now acknowledged.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Completed {
    pub(super) of_attempts: usize,
    pub(super) replays: usize,
}

#[derive(Debug)]
struct Entry {
    bytes: Bytes,
    origin: Origin,
}

/// An entry that is written in full.
#[derive(Debug)]
struct Written {
    entry: Entry,
    /// Bytes of the socket that must be acknowledged for it; `None` while some of them may be
    /// in the TLS layer.
    end: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Ledger {
    /// Bytes of the replay window.
    limit: u64,
    kept: VecDeque<Bytes>,
    kept_bytes: u64,
    in_flight: VecDeque<Written>,
    waiting: VecDeque<Entry>,
    /// Bytes of the first waiting record that are written; less than its length.
    partial: usize,
}

impl Ledger {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            kept: VecDeque::new(),
            kept_bytes: 0,
            in_flight: VecDeque::new(),
            waiting: VecDeque::new(),
            partial: 0,
        }
    }

    pub(super) fn push(&mut self, record: Bytes) {
        self.waiting.push_back(Entry { bytes: record, origin: Origin::Attempt });
    }

    /// Whether there is something to write.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether something is written and not acknowledged.
    pub(super) fn has_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Whether everything is acknowledged.
    pub(super) fn is_settled(&self) -> bool {
        !self.has_waiting() && !self.has_in_flight()
    }

    /// Records that are to be sent again.
    pub(super) fn replays(&self) -> usize {
        let is_replay = |entry: &&Entry| entry.origin == Origin::Replay;
        let in_flight = self.in_flight.iter().map(|written| &written.entry);
        in_flight.chain(&self.waiting).filter(is_replay).count()
    }

    /// What is to be written next, of at most that many records.
    pub(super) fn pieces(&self, records: usize) -> Vec<IoSlice<'_>> {
        let waiting = self.waiting.iter().take(records.min(PIECES_LIMIT));
        let mut pieces: Vec<_> = waiting.map(|entry| entry.bytes.as_ref()).collect();
        if let Some(first) = pieces.first_mut() {
            first.advance(self.partial.min(first.len()));
        }
        pieces.into_iter().map(IoSlice::new).collect()
    }

    /// Notes that `bytes` more are written, and says how many records that completed.
    pub(super) fn written(&mut self, bytes: usize) -> usize {
        let before = self.in_flight.len();
        self.partial = self.partial.saturating_add(bytes);
        while let Some(entry) = self.waiting.pop_front_if(|entry| entry.bytes.len() <= self.partial)
        {
            self.partial = self.partial.saturating_sub(entry.bytes.len());
            self.in_flight.push_back(Written { entry, end: None });
        }
        self.in_flight.len().saturating_sub(before)
    }

    /// Notes that the kernel has everything written so far, `offset` bytes of the socket.
    pub(super) fn flushed(&mut self, offset: u64) {
        let open = self.in_flight.iter_mut().rev().take_while(|written| written.end.is_none());
        open.for_each(|written| written.end = Some(offset));
    }

    /// Notes that the peer's TCP has the first `offset` bytes of the socket, and says which
    /// records that completed.
    pub(super) fn acknowledged(&mut self, offset: u64) -> Completed {
        let mut completed = Completed::default();
        while let Some(written) =
            self.in_flight.pop_front_if(|written| written.end.is_some_and(|end| end <= offset))
        {
            match written.entry.origin {
                Origin::Attempt => completed.of_attempts += 1,
                Origin::Replay => completed.replays += 1,
            }
            self.keep(written.entry.bytes);
        }
        completed
    }

    fn keep(&mut self, record: Bytes) {
        if self.limit == 0 {
            return;
        }
        self.kept_bytes = self.kept_bytes.saturating_add(record.len() as u64);
        self.kept.push_back(record);
        while let Some(rest) = self.behind_oldest().filter(|&rest| rest >= self.limit) {
            self.kept.pop_front();
            self.kept_bytes = rest;
        }
    }

    /// Bytes of the replay window behind its oldest record.
    fn behind_oldest(&self) -> Option<u64> {
        self.kept.front().map(|oldest| self.kept_bytes.saturating_sub(oldest.len() as u64))
    }

    /// The receiver has taken everything that was acknowledged.
    pub(super) fn received(&mut self) {
        self.kept.clear();
        self.kept_bytes = 0;
    }

    /// The stream is over: what is not acknowledged begins anew, in its order.
    pub(super) fn rewind(&mut self) {
        self.partial = 0;
        while let Some(written) = self.in_flight.pop_back() {
            self.waiting.push_front(written.entry);
        }
    }

    /// What was acknowledged may be lost: it is to be sent again before anything else.
    pub(super) fn replay(&mut self) {
        self.rewind();
        self.kept_bytes = 0;
        while let Some(bytes) = self.kept.pop_back() {
            self.waiting.push_front(Entry { bytes, origin: Origin::Replay });
        }
    }

    /// Leaves the records of attempts to these, and keeps only what is to be sent again.
    pub(super) fn release_attempts(&mut self) {
        self.rewind();
        self.waiting.retain(|entry| entry.origin == Origin::Replay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(limit: u64, records: &[&'static str]) -> Ledger {
        let mut ledger = Ledger::new(limit);
        records.iter().for_each(|record| ledger.push(Bytes::from_static(record.as_bytes())));
        ledger
    }

    /// What a receiver would get now.
    fn waiting(ledger: &Ledger) -> String {
        ledger
            .pieces(usize::MAX)
            .iter()
            .flat_map(|piece| piece.iter().copied())
            .map(char::from)
            .collect()
    }

    fn acknowledged(ledger: &mut Ledger, offset: u64) -> (usize, usize) {
        let Completed { of_attempts, replays } = ledger.acknowledged(offset);
        (of_attempts, replays)
    }

    #[test]
    fn a_record_counts_when_everything_up_to_its_last_byte_is_acknowledged() {
        let mut ledger = ledger(100, &["abc", "de", "fghi"]);
        assert_eq!(ledger.written(2), 0);
        assert_eq!(waiting(&ledger), "cdefghi");
        assert_eq!(ledger.written(4), 2);
        assert_eq!(
            acknowledged(&mut ledger, u64::MAX),
            (0, 0),
            "the TLS layer may hold some of it"
        );
        ledger.flushed(6);
        assert_eq!(acknowledged(&mut ledger, 5), (0, 0));
        assert_eq!(acknowledged(&mut ledger, 6), (2, 0));
        assert_eq!(ledger.written(3), 1);
        ledger.flushed(9);
        assert!(!ledger.is_settled());
        assert_eq!(acknowledged(&mut ledger, 9), (1, 0));
        assert!(ledger.is_settled());
    }

    #[test]
    fn pieces_are_of_no_more_records_than_asked_for() {
        let ledger = ledger(100, &["abc", "de", "fghi"]);
        assert_eq!(ledger.pieces(0).len(), 0);
        assert_eq!(ledger.pieces(2).len(), 2);
    }

    #[test]
    fn what_is_not_acknowledged_begins_anew() {
        let mut ledger = ledger(100, &["abc", "de", "fghi"]);
        ledger.written(6);
        ledger.flushed(6);
        ledger.rewind();
        assert_eq!(waiting(&ledger), "abcdefghi");
    }

    #[test]
    fn what_was_acknowledged_goes_first_when_it_may_be_lost() {
        let mut ledger = ledger(100, &["abc", "de", "fghi"]);
        ledger.written(6);
        ledger.flushed(5);
        ledger.acknowledged(5);
        ledger.replay();
        assert_eq!((waiting(&ledger).as_str(), ledger.replays()), ("abcdefghi", 2));
        ledger.release_attempts();
        assert_eq!(waiting(&ledger), "abcde");
    }

    #[test]
    fn a_replay_that_is_cut_begins_anew_as_a_whole() {
        let mut ledger = ledger(100, &["abc", "de"]);
        ledger.written(5);
        ledger.flushed(5);
        assert_eq!(acknowledged(&mut ledger, 5), (2, 0));
        ledger.replay();
        ledger.written(4);
        ledger.flushed(4);
        assert_eq!(acknowledged(&mut ledger, 4), (0, 1), "nobody waits for a replay");
        ledger.replay();
        assert_eq!((waiting(&ledger).as_str(), ledger.replays()), ("abcde", 2));
    }

    /// Whatever the receiver's buffers hold, if it is no more than the window, is in the window.
    #[test]
    fn the_window_covers_the_last_bytes() {
        for (limit, kept) in [(0, ""), (1, "fghi"), (4, "fghi"), (5, "defghi"), (7, "abcdefghi")] {
            let mut ledger = ledger(limit, &["abc", "de", "fghi"]);
            ledger.written(9);
            ledger.flushed(9);
            assert_eq!(acknowledged(&mut ledger, 9), (3, 0));
            ledger.replay();
            assert_eq!(waiting(&ledger), kept, "{limit}");
        }
    }

    #[test]
    fn what_was_received_is_not_sent_again() {
        let mut ledger = ledger(100, &["abc"]);
        ledger.written(3);
        ledger.flushed(3);
        ledger.acknowledged(3);
        ledger.received();
        ledger.replay();
        assert!(ledger.is_settled());
    }
}
