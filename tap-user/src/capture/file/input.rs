//! Bytes of a file through a buffer: as much as is there, never more than one read ahead.

use flate2::read::MultiGzDecoder;
use std::io::{self, Chain, Cursor, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Size of the buffer; it grows for a record that is larger, up to [`LARGEST`].
const BUFFER: usize = 256 * 1024;
/// Longest run of bytes that can be asked for: larger than any packet with its headers.
pub(super) const LARGEST: usize = 4 * 1024 * 1024;
/// The first bytes of a gzip file (RFC 1952 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

type Source = Box<dyn Read>;

/// A buffered source.
pub(super) struct Input {
    source: Source,
    buffer: Vec<u8>,
    /// The bytes of `buffer` that are not consumed: `start <= end <= buffer.len()`.
    start: usize,
    end: usize,
    /// Place of `start` in the (uncompressed) file.
    offset: u64,
    /// Bytes read from the file itself.
    read: Arc<AtomicU64>,
}

impl Input {
    /// Reads the first bytes, to find out whether the source is compressed.
    pub(super) fn new(source: impl Read + 'static) -> io::Result<Self> {
        let read = Arc::new(AtomicU64::new(0));
        let mut source = Counted { source, read: Arc::clone(&read) };
        let mut magic = Vec::with_capacity(GZIP_MAGIC.len());
        source.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut magic)?;
        let is_compressed = magic == GZIP_MAGIC;
        let whole: Chain<Cursor<Vec<u8>>, _> = Cursor::new(magic).chain(source);
        let source: Source = match is_compressed {
            true => Box::new(MultiGzDecoder::new(whole)),
            false => Box::new(whole),
        };
        Ok(Self { source, buffer: vec![0; BUFFER], start: 0, end: 0, offset: 0, read })
    }

    /// Place of the next byte.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes of the file itself that were read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// The bytes that are here.
    pub(super) fn here(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Waits until `count` bytes are here; `false` if the file ends before.
    pub(super) fn fill(&mut self, count: usize) -> io::Result<bool> {
        debug_assert!(count <= LARGEST);
        while self.end.saturating_sub(self.start) < count {
            self.make_room(count);
            if !self.read_more()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The bytes that are here, for whoever has asked for `count` of them, are done with.
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.end.saturating_sub(self.start));
        self.start += count;
        self.offset += count as u64;
    }

    /// Passes over `count` bytes; `false` if the file ends before.
    pub(super) fn skip(&mut self, mut count: u64) -> io::Result<bool> {
        while count > 0 {
            if !self.fill(1)? {
                return Ok(false);
            }
            let here = self.here().len() as u64;
            let step = here.min(count);
            self.consume(usize::try_from(step).unwrap_or(usize::MAX));
            count -= step;
        }
        Ok(true)
    }

    fn make_room(&mut self, count: usize) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.start.saturating_add(count) > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if count > self.buffer.len() {
            self.buffer.resize(count, 0);
        }
    }

    /// One read; `false` at the end. A compressed file that is cut off ends there.
    fn read_more(&mut self) -> io::Result<bool> {
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        loop {
            match self.source.read(room) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}

/// A source that counts what it yields.
struct Counted<R> {
    source: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
