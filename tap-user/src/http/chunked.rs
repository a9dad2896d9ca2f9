//! The chunked transfer coding (RFC 9112, section 7.1), one step at a time.
//!
//! Line ends are CRLF or a bare LF, as gateways accept them. Chunk extensions are passed over;
//! nothing of them is stored, so they need no limit.

use super::anomaly::{Anomalies, Anomaly};
use super::head::EmptyLine;

/// What a stretch of a chunked body is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ChunkStep {
    /// So many bytes of sizes, extensions, line ends; what is odd about them.
    Framing(usize, Anomalies),
    /// So many bytes of content.
    Content(usize),
    /// So many bytes of the trailer section (the empty line at its end included).
    Trailer {
        /// How many.
        length: usize,
        /// Whether the body ends with them.
        last: bool,
    },
    /// The next byte cannot be part of a chunked body, for this reason.
    Malformed(Anomaly),
}

/// Where in a chunked body the stream stands.
#[derive(Debug)]
pub(super) enum Chunked {
    /// Before the first digit of a chunk size.
    Start,
    /// Inside a chunk size.
    Size(u64),
    /// Behind a chunk size: white space and extensions, until the line ends.
    Extension(u64),
    /// Behind the carriage return that ends the line. Like nginx, nothing but LF may follow.
    SizeFeed(u64),
    /// Inside the content of a chunk; so many bytes are left (never 0).
    Content(u64),
    /// Behind the content: the line end that belongs to it.
    ContentEnd,
    /// Behind its carriage return.
    ContentEndFeed,
    /// Behind the last chunk.
    Trailer(EmptyLine),
}

impl Chunked {
    /// At the start of a chunked body.
    pub(super) fn new() -> Self {
        Self::Start
    }

    /// Content bytes of the current chunk that are still to come.
    pub(super) fn content_left(&self) -> u64 {
        match *self {
            Self::Content(left) => left,
            _ => 0,
        }
    }

    /// Passes over content that is not there; `length` is at most [`Self::content_left`].
    pub(super) fn skip_content(&mut self, length: u64) {
        if let Self::Content(left) = self {
            *self = after_content(left.saturating_sub(length));
        }
    }

    /// Looks at the next bytes (never empty) and says what the first of them are.
    pub(super) fn step(&mut self, bytes: &[u8]) -> ChunkStep {
        match self {
            Self::Content(left) => {
                let length =
                    usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *self = after_content(left.saturating_sub(length as u64));
                ChunkStep::Content(length)
            }
            Self::Trailer(scanner) => match scanner.find(bytes) {
                Some(length) => ChunkStep::Trailer { length, last: true },
                None => ChunkStep::Trailer { length: bytes.len(), last: false },
            },
            _ => self.framing(bytes),
        }
    }

    /// Reads framing up to the next content or trailer.
    fn framing(&mut self, bytes: &[u8]) -> ChunkStep {
        let (mut length, mut odd) = (0, Anomalies::NONE);
        for &byte in bytes {
            let Some(next) = self.after(byte) else {
                // What is valid before the fault is told first; the fault is met again.
                return if length == 0 {
                    ChunkStep::Malformed(self.fault())
                } else {
                    ChunkStep::Framing(length, odd)
                };
            };
            self.note(byte, &mut odd);
            *self = next;
            length += 1;
            if matches!(self, Self::Content(_) | Self::Trailer(_)) {
                break;
            }
        }
        ChunkStep::Framing(length, odd)
    }

    /// What is odd about a byte that may stand here.
    fn note(&self, byte: u8, odd: &mut Anomalies) {
        let in_size_line = matches!(self, Self::Size(_) | Self::Extension(_));
        match byte {
            b'\n' if in_size_line || matches!(self, Self::ContentEnd) => {
                odd.insert(Anomaly::BareLineFeed);
            }
            b';' if in_size_line => odd.insert(Anomaly::ChunkExtension),
            b' ' | b'\t' if matches!(self, Self::Size(_)) => {
                odd.insert(Anomaly::ChunkSizeWhitespace);
            }
            0 => odd.insert(Anomaly::NulByte),
            _ => {}
        }
    }

    /// Why a byte may not stand here.
    fn fault(&self) -> Anomaly {
        match self {
            Self::SizeFeed(_) => Anomaly::BareCarriageReturn,
            Self::ContentEnd | Self::ContentEndFeed => Anomaly::InvalidChunkEnd,
            _ => Anomaly::InvalidChunkSize,
        }
    }

    /// The state behind one byte of framing; `None` if it cannot stand here.
    fn after(&self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Start, _) => hex(byte).map(Self::Size),
            (&Self::Size(size) | &Self::Extension(size) | &Self::SizeFeed(size), b'\n') => {
                Some(after_size_line(size))
            }
            (&Self::Size(size) | &Self::Extension(size), b'\r') => Some(Self::SizeFeed(size)),
            (&Self::Size(size), b';' | b' ' | b'\t') => Some(Self::Extension(size)),
            (&Self::Size(size), _) => size.checked_mul(16)?.checked_add(hex(byte)?).map(Self::Size),
            (&Self::Extension(size), _) => Some(Self::Extension(size)),
            (Self::ContentEnd, b'\r') => Some(Self::ContentEndFeed),
            (Self::ContentEnd | Self::ContentEndFeed, b'\n') => Some(Self::Start),
            _ => None,
        }
    }
}

fn hex(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

fn after_size_line(size: u64) -> Chunked {
    if size == 0 { Chunked::Trailer(EmptyLine::at_line_start()) } else { Chunked::Content(size) }
}

fn after_content(left: u64) -> Chunked {
    if left == 0 { Chunked::ContentEnd } else { Chunked::Content(left) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes in pieces of so many bytes: content, trailer section, bytes taken, whether it ended.
    fn decode(mut wire: &[u8], piece: usize) -> (Vec<u8>, Vec<u8>, usize, Option<bool>) {
        let (mut content, mut trailer, mut taken) = (Vec::new(), Vec::new(), 0);
        let mut chunked = Chunked::new();
        while !wire.is_empty() {
            let now = &wire[..piece.min(wire.len())];
            let length = match chunked.step(now) {
                ChunkStep::Framing(length, _) => length,
                ChunkStep::Content(length) => {
                    content.extend_from_slice(&now[..length]);
                    length
                }
                ChunkStep::Trailer { length, last } => {
                    trailer.extend_from_slice(&now[..length]);
                    if last {
                        return (content, trailer, taken + length, Some(true));
                    }
                    length
                }
                ChunkStep::Malformed(_) => return (content, trailer, taken, Some(false)),
            };
            taken += length;
            wire = &wire[length..];
        }
        (content, trailer, taken, None)
    }

    #[test]
    fn decodes_chunks_extensions_and_trailers_in_any_pieces() {
        let wire = b"4\r\nWiki\r\n7;name=\"a;b\"\r\npedia i\r\nB \r\nn \r\nchunks.\r\n0\r\nExpires: never\r\n\r\nGET /";
        for piece in 1..wire.len() {
            let (content, trailer, taken, ended) = decode(wire, piece);
            assert_eq!(content, b"Wikipedia in \r\nchunks.");
            assert_eq!(trailer, b"Expires: never\r\n\r\n");
            assert_eq!(taken, wire.len() - b"GET /".len());
            assert_eq!(ended, Some(true));
        }
    }

    #[test]
    fn accepts_bare_line_feeds_and_either_case() {
        let (content, trailer, _, ended) = decode(b"a\n0123456789\n0A\nabcdefghij\n0\n\n", 3);
        assert_eq!(content, b"0123456789abcdefghij");
        assert_eq!(trailer, b"\n");
        assert_eq!(ended, Some(true));
    }

    #[test]
    fn refuses_what_is_no_chunk() {
        for wire in [
            &b"x\r\n"[..],
            b"\r\n",
            b"-1\r\n",
            b"3\r\nabcd\r\n",
            b"3\r\nabc\rX",
            b"10000000000000000\r\n",
            b"5g\r\n",
        ] {
            assert_eq!(decode(wire, 1).3, Some(false), "{}", wire.escape_ascii());
        }
        assert_eq!(decode(b"ffffffffffffffff\r\nabc", 1).0, b"abc");
    }
}
