//! Where records are written before they are handed on.
//!
//! Large records go on in the very buffer they were written in, which comes back when their last
//! sink is done with them: so their bytes are neither copied nor written to memory that the kernel
//! has to clear first. Small ones are cut from a chunk, one behind the other: an allocation for each
//! would cost as much as writing it. A chunk stays as long as one of its records does, so whoever keeps
//! records for long takes them [`apart`].

use super::json::Page;
use bytes::{Bytes, BytesMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a record from which its buffer is handed on.
const LARGE: usize = 32 * 1024;
/// Bytes of a chunk.
const CHUNK: usize = 64 * 1024;
/// Buffers that wait to be used again.
const SPARE_LIMIT: usize = 8;
/// Largest buffer that is kept, in bytes.
const KEPT: usize = 1 << 20;

/// The buffer for the next record.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    page: Page,
    chunk: BytesMut,
    spare: Spare,
}

/// Buffers to be used again.
#[derive(Debug, Clone, Default)]
struct Spare(Arc<Mutex<Vec<Page>>>);

/// A buffer that is on its way with a record.
struct Lent {
    page: Page,
    spare: Spare,
}

impl Buffer {
    /// The bytes that `write` appends.
    pub(super) fn record(&mut self, write: impl FnOnce(&mut Page)) -> Bytes {
        self.page.clear();
        write(&mut self.page);
        let length = self.page.written().len();
        if length < LARGE || length < self.page.capacity() / 2 {
            let record = self.cut(length);
            self.shrink();
            return record;
        }
        // The next record may be as long: growing to that in steps would copy it some times over.
        let next = self.spare.take().unwrap_or_else(|| Page::with_room(length));
        let page = std::mem::replace(&mut self.page, next);
        Bytes::from_owner(Lent { page, spare: self.spare.clone() })
    }

    /// A copy of what is written, from the chunk.
    fn cut(&mut self, length: usize) -> Bytes {
        if length >= LARGE {
            return Bytes::copy_from_slice(self.page.written());
        }
        if self.chunk.capacity() < length {
            self.chunk.reserve(CHUNK);
        }
        self.chunk.extend_from_slice(self.page.written());
        self.chunk.split().freeze()
    }

    /// One huge record does not take its memory for ever.
    fn shrink(&mut self) {
        if self.page.capacity() > KEPT {
            self.page = Page::default();
        }
    }
}

/// The bytes of a record, with nothing else kept in memory for them: a small one is copied.
pub(super) fn apart(record: &Bytes) -> Bytes {
    if record.len() < LARGE { Bytes::copy_from_slice(record) } else { record.clone() }
}

impl Spare {
    fn take(&self) -> Option<Page> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back(&self, page: Page) {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if page.capacity() <= KEPT && spare.len() < SPARE_LIMIT {
            spare.push(page);
        }
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.page.written()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.spare.give_back(std::mem::take(&mut self.page));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(buffer: &mut Buffer, length: usize, byte: u8) -> Bytes {
        buffer.record(|out| out.extend(&vec![byte; length]))
    }

    #[test]
    fn records_keep_their_bytes_however_buffers_are_used_again() {
        let mut buffer = Buffer::default();
        let mut kept = Vec::new();
        for round in 0..50_u8 {
            for length in [1, 100, LARGE - 1, LARGE, 200_000, 2 * KEPT] {
                kept.push((length, round, record(&mut buffer, length, round)));
            }
            kept.drain(..usize::from(round) % 7);
        }
        for (length, byte, record) in kept {
            assert_eq!(record.len(), length);
            assert!(record.iter().all(|&one| one == byte));
        }
    }

    #[test]
    fn a_large_buffer_comes_back() {
        let mut buffer = Buffer::default();
        let first = record(&mut buffer, 200_000, 1);
        let place = first.as_ptr();
        drop(first);
        record(&mut buffer, 200_000, 2);
        assert_eq!(record(&mut buffer, 200_000, 3).as_ptr(), place);
    }

    #[test]
    fn a_small_record_takes_no_large_buffer_with_it() {
        let mut buffer = Buffer::default();
        buffer.page.extend(&[0; 500_000]);
        for length in [10, LARGE - 1, LARGE, 200_000] {
            let before = buffer.page.written().as_ptr();
            record(&mut buffer, length, 2);
            assert_eq!(buffer.page.written().as_ptr(), before, "{length}");
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut buffer = Buffer::default();
        drop(Vec::from_iter((0..100).map(|_| record(&mut buffer, 100_000, 1))));
        assert_eq!(buffer.spare.0.lock().unwrap().len(), SPARE_LIMIT);
        drop(record(&mut buffer, 3 * KEPT, 1));
        let spare = buffer.spare.0.lock().unwrap();
        assert!(spare.iter().all(|spare| spare.capacity() <= KEPT));
    }
}
