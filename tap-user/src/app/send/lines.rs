//! Lines of a file of records, also inside gzip, in bounded memory.

use flate2::read::MultiGzDecoder;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

/// Longest line that is taken, in bytes: a record with two bodies of 16 MiB of which each byte takes six
/// characters, and more.
pub(super) const LINE_LIMIT: usize = 256 * 1024 * 1024;
/// The memory of a longer line is given back, in bytes.
const KEPT: usize = 4 * 1024 * 1024;
/// Bytes that are read at once.
const BUFFER: usize = 256 * 1024;
/// The first bytes of a gzip file (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// One line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// It is longer than [`LINE_LIMIT`]; it was passed over.
    TooLong,
    /// There is none any more.
    End,
}

/// A file on its way.
pub(super) struct Lines {
    source: Box<dyn BufRead>,
    /// Bytes of the file, where it has a size.
    size: Option<u64>,
    /// Bytes read from the file itself.
    read: Rc<Cell<u64>>,
    line: Vec<u8>,
    limit: usize,
}

impl Lines {
    /// Opens a file, or standard input for `-`.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Self::new(io::stdin(), None);
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Self::new(file, metadata.is_file().then_some(metadata.len()))
    }

    fn new(source: impl Read + 'static, size: Option<u64>) -> io::Result<Self> {
        let read = Rc::new(Cell::new(0));
        let mut source = Counted { source, read: Rc::clone(&read) };
        let mut magic = Vec::with_capacity(GZIP_MAGIC.len());
        source.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut magic)?;
        let is_compressed = magic == GZIP_MAGIC;
        let whole = io::Cursor::new(magic).chain(source);
        let source: Box<dyn BufRead> = match is_compressed {
            true => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(whole))),
            false => Box::new(BufReader::with_capacity(BUFFER, whole)),
        };
        Ok(Self { source, size, read, line: Vec::new(), limit: LINE_LIMIT })
    }

    /// Bytes of the file, where it has a size.
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// Bytes of the file itself that were read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.read.get()
    }

    /// The next line. The last one may have no end.
    pub(super) fn next(&mut self) -> io::Result<Line<'_>> {
        self.line.clear();
        self.line.shrink_to(KEPT);
        let room = u64::try_from(self.limit.saturating_add(1)).unwrap_or(u64::MAX);
        let count = self.source.by_ref().take(room).read_until(b'\n', &mut self.line)?;
        if count == 0 {
            return Ok(Line::End);
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if self.line.len() > self.limit {
            self.line.clear();
            self.source.skip_until(b'\n')?;
            return Ok(Line::TooLong);
        }
        Ok(Line::Whole(&self.line))
    }
}

/// A source that counts what it yields.
struct Counted<R> {
    source: R,
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.read.set(self.read.get().saturating_add(count as u64));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn lines(bytes: &[u8], limit: usize) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::new(io::Cursor::new(bytes.to_vec()), None).unwrap();
        lines.limit = limit;
        let mut found = Vec::new();
        loop {
            match lines.next().unwrap() {
                Line::Whole(line) => found.push(Some(line.to_vec())),
                Line::TooLong => found.push(None),
                Line::End => return found,
            }
        }
    }

    #[test]
    fn lines_with_and_without_an_end() {
        let whole = |line: &str| Some(line.as_bytes().to_vec());
        assert_eq!(lines(b"a\n\nbc", 10), [whole("a"), whole(""), whole("bc")]);
        assert_eq!(lines(b"a\n", 10), [whole("a")]);
        assert_eq!(lines(b"", 10), []);
    }

    #[test]
    fn a_line_beyond_the_limit_is_passed_over() {
        let whole = |line: &str| Some(line.as_bytes().to_vec());
        assert_eq!(lines(b"12345\n123456\n1\n", 5), [whole("12345"), None, whole("1")]);
        assert_eq!(lines(b"1\n1234567", 5), [whole("1"), None]);
    }

    #[test]
    fn gzip_is_undone() {
        let mut coded = GzEncoder::new(Vec::new(), Compression::default());
        coded.write_all(b"a\nb\n").unwrap();
        assert_eq!(lines(&coded.finish().unwrap(), 10), lines(b"a\nb\n", 10));
    }
}
