//! Message bodies: how their end is told (RFC 9112, section 6.3), and what is kept of them.

use super::anomaly::Anomalies;
use super::chunked::{ChunkStep, Chunked};
use super::exchange::{Body, Framing};
use super::headers::Headers;
use super::limits::Account;
use crate::segment::{Content, GapCause};

/// Bytes that are allocated for a body that announces them, however few have come.
const FIRST_ALLOCATION: usize = 16 * 1024;
/// More are allocated once this part of them has come: a quarter.
const VOUCHED_FACTOR: usize = 4;

/// The last chunk without extensions and trailers, behind the line end of the chunk before it.
const LAST_CHUNK: &[u8; 7] = b"\r\n0\r\n\r\n";

/// The length fields contradict each other or are no lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InvalidLength;

/// What the fields of a message say about its length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lengths {
    pub(super) coding: Coding,
    /// The one length that all Content-Length fields and their list elements agree on.
    pub(super) length: Result<Option<u64>, InvalidLength>,
}

/// The last transfer coding. If it is chunked, it overrides any Content-Length.
#[derive(Debug, Clone, Copy)]
pub(super) enum Coding {
    Absent,
    Chunked,
    Other,
}

/// Framing of a request's body.
pub(super) fn request_framing(lengths: Lengths) -> Result<Framing, InvalidLength> {
    match lengths.coding {
        Coding::Chunked => Ok(Framing::Chunked),
        // The length cannot be known; servers answer 400 or 501 and close.
        Coding::Other => Err(InvalidLength),
        Coding::Absent => Ok(lengths.length?.map_or(Framing::None, Framing::ContentLength)),
    }
}

/// Framing of a response's body; `to_head` says whether it answers a HEAD request. A successful
/// answer to CONNECT and 101 are for the caller to know.
pub(super) fn response_framing(
    status: u16,
    lengths: Lengths,
    to_head: bool,
) -> Result<Framing, InvalidLength> {
    if to_head || matches!(status, 100..=199 | 204 | 304) {
        return Ok(Framing::None);
    }
    match lengths.coding {
        Coding::Chunked => Ok(Framing::Chunked),
        Coding::Other => Ok(Framing::UntilClose),
        Coding::Absent => Ok(lengths.length?.map_or(Framing::UntilClose, Framing::ContentLength)),
    }
}

/// A number of digits alone.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

/// A stretch of a body as it came over the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Content.
    Content(&'a [u8]),
    /// Bytes that are not content, or of which it is not known.
    Framing(u64),
    /// The same, with something that peers may read differently.
    OddFraming(u64, Anomalies),
    /// Content that is not here.
    Gap(u64, GapCause),
    /// Framing and content that are not here: from now on the length is unknown.
    Hidden(u64, GapCause),
}

/// How a body ended.
#[derive(Debug)]
pub(super) enum BodyEnd {
    /// As its framing tells.
    Told(Headers),
    /// The framing is lost; other signs tell the end.
    Inferred,
    /// The framing is invalid; where it ends is not known.
    Malformed,
}

/// Adds a stretch to what is known of a body.
pub(super) fn add(body: &mut Body, piece: &Piece<'_>, cap: u64, memory: &mut Account) {
    match *piece {
        Piece::Content(bytes) => {
            store(body, bytes, cap, memory);
            body.wire_length = body.wire_length.saturating_add(bytes.len() as u64);
            lengthen(body, bytes.len() as u64);
        }
        Piece::Framing(length) | Piece::OddFraming(length, _) => {
            body.wire_length = body.wire_length.saturating_add(length);
        }
        Piece::Gap(length, cause) => {
            count_gap(body, length, cause);
            lengthen(body, length);
        }
        Piece::Hidden(length, cause) => {
            count_gap(body, length, cause);
            body.length = None;
        }
    }
}

/// Notes the end of a body.
pub(super) fn end(body: &mut Body, end: BodyEnd) {
    match end {
        BodyEnd::Told(trailers) => {
            body.complete = true;
            body.trailers = trailers;
        }
        BodyEnd::Inferred => body.end_inferred = true,
        BodyEnd::Malformed => body.malformed = true,
    }
}

/// Keeps `bytes` as far as they go on with what is kept: an exact prefix of the content, cut at
/// the cap, at the first gap, or where the memory budget ended.
fn store(body: &mut Body, bytes: &[u8], cap: u64, memory: &mut Account) {
    let stored = body.bytes.len() as u64;
    if body.length != Some(stored) || stored >= cap || body.memory_limited {
        return;
    }
    let room = usize::try_from(cap - stored).unwrap_or(usize::MAX);
    let Some(prefix) = bytes.get(..room.min(bytes.len())) else { return };
    if !memory.try_charge(prefix.len()) {
        body.memory_limited = true;
        return;
    }
    make_room(body, prefix.len(), cap);
    body.bytes.extend_from_slice(prefix);
}

/// Room for so many bytes more: for all that will be kept, as far as what came vouches for what is
/// only announced. So most bodies are copied once.
fn make_room(body: &mut Body, more: usize, cap: u64) {
    let Framing::ContentLength(length) = body.framing else { return };
    let stored = body.bytes.len();
    let needed = stored.saturating_add(more);
    if needed > body.bytes.capacity() {
        let announced = usize::try_from(length.min(cap)).unwrap_or(usize::MAX);
        let vouched = needed.saturating_mul(VOUCHED_FACTOR).max(FIRST_ALLOCATION);
        body.bytes.reserve_exact(announced.min(vouched).max(needed).saturating_sub(stored));
    }
}

fn lengthen(body: &mut Body, by: u64) {
    body.length = body.length.map(|length| length.saturating_add(by));
}

fn count_gap(body: &mut Body, length: u64, cause: GapCause) {
    body.wire_length = body.wire_length.saturating_add(length);
    if cause.is_skipped() {
        body.skipped = body.skipped.saturating_add(length);
    } else {
        body.lost = body.lost.saturating_add(length);
        body.lost_cause.get_or_insert(cause);
    }
}

/// Follows a body on the connection to its end.
#[derive(Debug)]
pub(super) enum Decoder {
    /// So many bytes are left (never 0).
    Length(u64),
    /// The chunked coding, and the trailer section as far as it came.
    Chunked(Chunked, Vec<u8>),
    /// Until the connection ends.
    UntilClose,
    /// Chunked, but a gap hid the framing: wire bytes are counted until something tells the end.
    Blind(Blind),
}

/// What is known while framing is lost.
#[derive(Debug, Default)]
pub(super) struct Blind {
    /// The last bytes since the last gap.
    tail: Vec<u8>,
}

impl Decoder {
    /// A decoder for this framing; `None` if there is no body to come.
    pub(super) fn new(framing: Framing) -> Option<Self> {
        match framing {
            Framing::None | Framing::ContentLength(0) => None,
            Framing::ContentLength(length) => Some(Self::Length(length)),
            Framing::Chunked => Some(Self::Chunked(Chunked::new(), Vec::new())),
            Framing::UntilClose => Some(Self::UntilClose),
        }
    }

    /// Whether the framing was lost.
    pub(super) fn is_blind(&self) -> bool {
        matches!(self, Self::Blind(_))
    }

    /// Whether the framing was lost, and nothing was seen since.
    pub(super) fn ends_in_gap(&self) -> bool {
        matches!(self, Self::Blind(blind) if blind.tail.is_empty())
    }

    /// Bytes held that are not part of the record yet.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Chunked(_, trailer) => trailer.len(),
            _ => 0,
        }
    }

    /// Takes the first bytes of `content` (never empty): what they are, how many, whether the
    /// body ends with them. `limits` are those of the trailer section: bytes, fields.
    pub(super) fn step<'a>(
        &mut self,
        content: Content<'a>,
        at_boundary: bool,
        limits: (usize, usize),
    ) -> (Piece<'a>, Option<BodyEnd>) {
        match (&mut *self, content) {
            (Self::Length(left), content) => step_length(left, content),
            (Self::UntilClose, content) => (whole(content), None),
            (Self::Chunked(chunked, trailer), Content::Bytes(bytes)) => {
                step_chunked(chunked, trailer, bytes, limits)
            }
            (Self::Chunked(chunked, _), Content::Gap { length, cause }) => {
                if length <= chunked.content_left() {
                    chunked.skip_content(length);
                    return (Piece::Gap(length, cause), None);
                }
                *self = Self::Blind(Blind::default());
                (Piece::Hidden(length, cause), None)
            }
            (Self::Blind(blind), Content::Gap { length, cause }) => {
                *blind = Blind::default();
                (Piece::Hidden(length, cause), None)
            }
            (Self::Blind(blind), Content::Bytes(bytes)) => {
                let last = blind.ends_with_last_chunk(bytes, at_boundary);
                (Piece::Framing(bytes.len() as u64), last.then_some(BodyEnd::Inferred))
            }
        }
    }
}

impl Blind {
    fn ends_with_last_chunk(&mut self, bytes: &[u8], at_boundary: bool) -> bool {
        if at_boundary && bytes == LAST_CHUNK.get(2..).unwrap_or_default() {
            return true;
        }
        let recent = bytes.get(bytes.len().saturating_sub(LAST_CHUNK.len())..).unwrap_or_default();
        self.tail.extend_from_slice(recent);
        let surplus = self.tail.len().saturating_sub(LAST_CHUNK.len());
        self.tail.drain(..surplus);
        self.tail == LAST_CHUNK
    }
}

fn whole(content: Content<'_>) -> Piece<'_> {
    match content {
        Content::Bytes(bytes) => Piece::Content(bytes),
        Content::Gap { length, cause } => Piece::Gap(length, cause),
    }
}

fn step_length<'a>(left: &mut u64, content: Content<'a>) -> (Piece<'a>, Option<BodyEnd>) {
    let length = content.length().min(*left);
    *left -= length;
    let end = (*left == 0).then(|| BodyEnd::Told(Headers::default()));
    let piece = match content {
        Content::Gap { cause, .. } => Piece::Gap(length, cause),
        Content::Bytes(bytes) => {
            let length = usize::try_from(length).unwrap_or(bytes.len());
            Piece::Content(bytes.get(..length).unwrap_or_default())
        }
    };
    (piece, end)
}

fn step_chunked<'a>(
    chunked: &mut Chunked,
    trailer: &mut Vec<u8>,
    bytes: &'a [u8],
    (trailer_bytes, trailer_fields): (usize, usize),
) -> (Piece<'a>, Option<BodyEnd>) {
    match chunked.step(bytes) {
        ChunkStep::Framing(length, odd) => (framing(length, odd), None),
        ChunkStep::Content(length) => {
            (Piece::Content(bytes.get(..length).unwrap_or_default()), None)
        }
        ChunkStep::Malformed(why) => (Piece::OddFraming(0, why.into()), Some(BodyEnd::Malformed)),
        ChunkStep::Trailer { length, last } => {
            if trailer.len().saturating_add(length) > trailer_bytes {
                return (Piece::Framing(0), Some(BodyEnd::Malformed));
            }
            trailer.extend_from_slice(bytes.get(..length).unwrap_or_default());
            if !last {
                return (Piece::Framing(length as u64), None);
            }
            match trailers(trailer, trailer_fields) {
                Some((trailers, odd)) => (framing(length, odd), Some(BodyEnd::Told(trailers))),
                None => (Piece::Framing(length as u64), Some(BodyEnd::Malformed)),
            }
        }
    }
}

fn framing<'a>(length: usize, odd: Anomalies) -> Piece<'a> {
    let length = length as u64;
    if odd.is_empty() { Piece::Framing(length) } else { Piece::OddFraming(length, odd) }
}

fn trailers(section: &mut Vec<u8>, maximum: usize) -> Option<(Headers, Anomalies)> {
    // Nearly always only the empty line.
    if section == b"\r\n" {
        return Some((Headers::default(), Anomalies::NONE));
    }
    super::fields::headers(std::mem::take(section), 0, None, maximum)
}
