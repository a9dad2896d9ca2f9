//! What a record is written on: bytes in a row, with room behind them that may be written before
//! it is taken.
//!
//! A record consists of some hundred pieces of a few bytes. All of the room is initialised, so a
//! piece is stored with one look at the end of the room, and may be stored longer than it is: what
//! is too much is overwritten by what follows.

use std::io;

/// Least bytes of room that there are once something is written.
const LEAST_ROOM: usize = 4096;

/// Bytes of a record, and room for more.
#[derive(Debug, Default)]
pub(in crate::export) struct Page {
    room: Vec<u8>,
    /// Bytes of `room` that are written.
    length: usize,
}

impl Page {
    /// Nothing yet, with room for so many bytes and a few more.
    pub(in crate::export) fn with_room(bytes: usize) -> Self {
        Self { room: vec![0; bytes.saturating_add(LEAST_ROOM)], length: 0 }
    }

    /// What is written.
    pub(in crate::export) fn written(&self) -> &[u8] {
        self.room.get(..self.length).unwrap_or(&self.room)
    }

    /// Bytes of memory that it takes.
    pub(in crate::export) fn capacity(&self) -> usize {
        self.room.capacity()
    }

    /// Takes back what is written; the room stays.
    pub(in crate::export) fn clear(&mut self) {
        self.length = 0;
    }

    /// Appends the bytes.
    // Inlined everywhere: of a constant piece, only a compare and the stores remain.
    #[inline(always)]
    pub(in crate::export) fn extend(&mut self, bytes: &[u8]) {
        if let Some(place) = self.ahead(bytes.len()).and_then(|room| room.get_mut(..bytes.len())) {
            place.copy_from_slice(bytes);
        }
        self.advance(bytes.len());
    }

    /// Appends one byte.
    #[inline(always)]
    pub(super) fn push(&mut self, byte: u8) {
        self.extend(&[byte]);
    }

    /// The last byte written.
    #[inline(always)]
    pub(super) fn last_mut(&mut self) -> Option<&mut u8> {
        self.room.get_mut(self.length.checked_sub(1)?)
    }

    /// Takes back the last byte.
    pub(super) fn pop(&mut self) {
        self.length = self.length.saturating_sub(1);
    }

    /// The room behind what is written: at least that many bytes, of any content. Never `None`,
    /// which saves a case where none can be.
    #[inline(always)]
    pub(super) fn ahead(&mut self, count: usize) -> Option<&mut [u8]> {
        let end = self.length + count;
        if end > self.room.len() {
            self.grow(end);
        }
        self.room.get_mut(self.length..)
    }

    /// Takes so many bytes of the room, which are written; at most what was asked for.
    #[inline(always)]
    pub(super) fn advance(&mut self, count: usize) {
        self.length += count;
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, end: usize) {
        let doubled = self.room.len().saturating_mul(2);
        self.room.resize(end.max(doubled).max(LEAST_ROOM), 0);
    }
}

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_ahead_counts_only_when_it_is_taken() {
        let mut page = Page::default();
        for round in 0..5_000_usize {
            let place = page.ahead(16).unwrap();
            assert!(place.len() >= 16);
            place.fill(b'x');
            place[0] = u8::try_from(round % 256).unwrap();
            page.advance(1);
        }
        let expected: Vec<u8> = (0..5_000_usize).map(|round| (round % 256) as u8).collect();
        assert_eq!(page.written(), expected);
        page.clear();
        page.extend(b"ab");
        page.push(b'c');
        assert_eq!(page.last_mut(), Some(&mut b'c'));
        assert_eq!(page.written(), b"abc");
        page.pop();
        assert_eq!(page.written(), b"ab");
    }
}
