//! What the fuzz targets run; it stands here to see what it tests. Seeds stand in
//! `tap-user/fuzz/seeds`, and an ordinary test runs them all.

use super::content::{Content, decode};
use super::{Body, Exchange, Headers, Limits, MemoryBudget, Observer};
use crate::segment::{Close, ClosedBy, Content as Piece, Direction, GapCause, Segment, Time};

/// Bytes of each body that are kept.
const BODY_CAP: u64 = 64;
/// Longest decoded content, in bytes.
const CONTENT_CAP: usize = 64 * 1024;
/// Nanoseconds from one step to the next: the idle limit takes a few of them.
const STEP_NS: u64 = 1_000_000_000;
/// How much longer a gap is than its length byte says: large enough to pass a chunk's end.
const GAP_FACTOR: u64 = 16;

/// Plays a conversation. Each step is a control byte, a length and, unless it is a gap, so many
/// bytes.
///
/// | bits of the control byte | meaning |
/// |---|---|
/// | 0 | to the client |
/// | 1 | a gap: 16 times the length |
/// | 2 | not at the start of a call |
/// | 3 | the gap was left out on purpose |
/// | 4 | time passes before |
/// | 5 | the direction ends behind |
///
/// # Panics
/// An exchange says what cannot be.
pub fn observer(input: &[u8]) {
    let Some((&first, mut rest)) = input.split_first() else { return };
    let limits = Limits { body_cap: BODY_CAP, ..Limits::default() };
    let budget = MemoryBudget::default();
    let mut observer = Observer::new(limits, budget.clone(), first & 1 != 0);
    let (mut offsets, mut now) = ([0_u64; 2], Time::default());
    while let Some(([control, length], behind)) = rest.split_first_chunk::<2>() {
        let bytes = behind.get(..usize::from(*length)).unwrap_or(behind);
        let direction = if control & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        let content = if control & 2 == 0 {
            rest = behind.get(bytes.len()..).unwrap_or_default();
            Piece::Bytes(bytes)
        } else {
            rest = behind;
            let cause = if control & 8 == 0 { GapCause::Missed } else { GapCause::Skipped };
            Piece::Gap { length: u64::from(*length).saturating_mul(GAP_FACTOR), cause }
        };
        now.monotonic_ns = now.monotonic_ns.saturating_add(STEP_NS);
        if control & 16 != 0 {
            observer.handle_timeout(now);
        }
        let [to_server, to_client] = &mut offsets;
        let offset = if direction == Direction::ToServer { to_server } else { to_client };
        let at_boundary = control & 4 == 0;
        let segment = Segment { direction, offset: *offset, time: now, at_boundary, content };
        observer.handle_segment(&segment);
        *offset = offset.saturating_add(content.length());
        if control & 32 != 0 {
            observer.handle_end(direction, now);
        }
        std::iter::from_fn(|| observer.poll()).for_each(|exchange| check(&exchange));
    }
    observer.handle_close(Close { by: ClosedBy::Unknown, reset: first & 2 != 0 }, now);
    std::iter::from_fn(|| observer.poll()).for_each(|exchange| check(&exchange));
    drop(observer);
    assert_eq!(budget.used(), 0);
}

fn check(exchange: &Exchange) {
    let request = exchange.request.as_ref();
    let response = exchange.response.as_ref();
    assert!(request.is_none_or(|request| request.head_length > 0));
    assert!(response.is_none_or(|response| (100..1_000).contains(&response.status)));
    request.iter().for_each(|request| check_body(&request.body));
    response.iter().for_each(|response| check_body(&response.body));
}

fn check_body(body: &Body) {
    let stored = body.bytes.len() as u64;
    assert!(stored <= BODY_CAP);
    assert!(body.length.is_none_or(|length| stored <= length && length <= body.wire_length));
    assert!(body.skipped.saturating_add(body.lost) <= body.wire_length);
    assert!(!(body.complete && body.malformed));
}

/// Decodes the bytes behind the first line, which is a `Content-Encoding`; half of them must
/// yield a prefix of what all of them do.
///
/// # Panics
/// It does not, or the cap does not hold.
pub fn content(input: &[u8]) {
    let Some(line_end) = input.iter().position(|&byte| byte == b'\n') else { return };
    let Some((coding, rest)) = input.split_at_checked(line_end) else { return };
    let bytes = rest.get(1..).unwrap_or_default();
    let headers = content_encoding(coding);
    let whole = decode(&headers, bytes, true, CONTENT_CAP);
    let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
    let part = decode(&headers, half, false, CONTENT_CAP);
    let is_short = |content: &Content| {
        content.decoded.as_ref().is_none_or(|decoded| decoded.len() <= CONTENT_CAP)
    };
    assert!(is_short(&whole) && is_short(&part));
    if let (Some(whole), Some(part)) = (&whole.decoded, &part.decoded) {
        assert!(whole.starts_with(part));
    }
}

fn content_encoding(value: &[u8]) -> Headers {
    const NAME: &[u8] = b"content-encoding";
    let raw = [NAME, value].concat();
    let (start, end) = (NAME.len() as u32, u32::try_from(raw.len()).unwrap_or_default());
    Headers::new(raw.into(), vec![(0..start, start..end.max(start))])
}
