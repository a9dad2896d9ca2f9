//! Short text that stands in a JSON string as it is: printable ASCII but `"` and `\`.
//!
//! Nearly all names and values of headers are that. They are looked at and copied eight bytes at
//! a time, as numbers.

use super::page::Page;

/// Longest text that is tried.
pub(super) const LONGEST: usize = 64;
/// Bytes of a word.
const WORD: usize = 8;
/// 1 in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte.
const TOPS: u64 = 0x80 * ONES;
const QUOTATION_MARKS: u64 = b'"' as u64 * ONES;
const REVERSE_SOLIDI: u64 = b'\\' as u64 * ONES;

/// Room that a string of the longest text takes, with its quotation marks and the comma.
const ROOM: usize = LONGEST + 3;

/// Appends a string and a comma if the text is short and plain; says whether it was.
#[inline(always)]
pub(super) fn put_string(out: &mut Page, text: &[u8]) -> bool {
    put(out, text, Marks::Quotation, |word| word)
}

/// The same in lower case.
#[inline(always)]
pub(super) fn put_lower_string(out: &mut Page, text: &[u8]) -> bool {
    put(out, text, Marks::Quotation, lower)
}

/// Appends the text alone if it is short and plain; says whether it was.
pub(super) fn put_text(out: &mut Page, text: &[u8]) -> bool {
    put(out, text, Marks::None, |word| word)
}

/// The same in lower case.
pub(super) fn put_lower_text(out: &mut Page, text: &[u8]) -> bool {
    put(out, text, Marks::None, lower)
}

/// What stands around the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marks {
    None,
    /// Quotation marks, and a comma behind them.
    Quotation,
}

#[inline(always)]
fn put(out: &mut Page, text: &[u8], marks: Marks, shown: impl Fn(u64) -> u64) -> bool {
    let (before, after) = if marks == Marks::Quotation { (1, 2) } else { (0, 0) };
    // Stored before it is known to be plain: if it is not, the room is not taken.
    let Some(room) = out.ahead(ROOM).and_then(<[u8]>::first_chunk_mut::<ROOM>) else {
        return false;
    };
    let Some(place) = room.get_mut(before..) else { return false };
    let is_plain = match text.len() {
        0..WORD => store_short(place, text, shown),
        WORD..16 => store_ends::<WORD>(place, text, shown),
        16..32 => store_ends::<16>(place, text, shown),
        32..=LONGEST => store_ends::<32>(place, text, shown),
        _ => false,
    };
    if !is_plain {
        return false;
    }
    if marks == Marks::Quotation {
        room[0] = b'"';
        if let Some(end) = room.get_mut(before + text.len()..).and_then(<[u8]>::first_chunk_mut) {
            *end = *b"\",";
        }
    }
    out.advance(before + text.len() + after);
    true
}

/// Stores the first and the last `N` bytes of the text, which overlap, but leave nothing out: no
/// loop is needed. Says whether all is plain.
#[inline(always)]
fn store_ends<const N: usize>(room: &mut [u8], text: &[u8], shown: impl Fn(u64) -> u64) -> bool {
    let Some(room) = room.get_mut(..text.len()) else { return false };
    let first = store::<N>(room.first_chunk_mut(), text.first_chunk(), &shown);
    let last = store::<N>(room.last_chunk_mut(), text.last_chunk(), &shown);
    first | last == 0
}

/// Stores what is shown of the words; yields [`strange`] of them.
#[inline(always)]
fn store<const N: usize>(
    room: Option<&mut [u8; N]>,
    text: Option<&[u8; N]>,
    shown: impl Fn(u64) -> u64,
) -> u64 {
    let (Some(room), Some(text)) = (room, text) else { return TOPS };
    let words = text.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
    room.as_chunks_mut().0.iter_mut().zip(words).fold(0, |before, (place, word)| {
        *place = shown(word).to_le_bytes();
        before | strange(word)
    })
}

#[inline(always)]
fn store_short(room: &mut [u8], text: &[u8], shown: impl Fn(u64) -> u64) -> bool {
    let word = short(text);
    let Some(place) = room.first_chunk_mut() else { return false };
    *place = shown(word).to_le_bytes();
    strange(word) == 0
}

/// The highest bit of bytes that are not plain. Where there are some, bytes behind them may be
/// marked too.
#[inline(always)]
fn strange(word: u64) -> u64 {
    // Of bytes below 0x80, sums reach the highest bit but no further.
    let printable = word.wrapping_add((0x80 - 0x20) * ONES);
    let no_quotation_mark = (word ^ QUOTATION_MARKS).wrapping_add(0x7f * ONES);
    let no_reverse_solidus = (word ^ REVERSE_SOLIDI).wrapping_add(0x7f * ONES);
    (word | !(printable & no_quotation_mark & no_reverse_solidus)) & TOPS
}

/// Letters of ASCII in lower case; of words that are plain.
#[inline(always)]
fn lower(word: u64) -> u64 {
    let from_a = word.wrapping_add(u64::from(0x80 - b'A') * ONES);
    let behind_z = word.wrapping_add(u64::from(0x80 - b'Z' - 1) * ONES);
    word | (from_a & !behind_z & TOPS) >> 2
}

/// Text shorter than a word, followed by spaces.
#[inline(always)]
fn short(text: &[u8]) -> u64 {
    let bits = text.len() * 8;
    let spaces = (u64::from(b' ') * ONES).checked_shl(bits as u32).unwrap_or_default();
    let text = match (text.first_chunk::<4>(), text.last_chunk::<4>(), text) {
        (Some(first), Some(last), _) => {
            let last = u64::from(u32::from_le_bytes(*last)) << (bits - 32);
            u64::from(u32::from_le_bytes(*first)) | last
        }
        (_, _, [first, .., last]) => {
            let middle = text.get(1).copied().unwrap_or_default();
            u64::from(*first) | u64::from(middle) << 8 | u64::from(*last) << (bits - 8)
        }
        (_, _, [only]) => u64::from(*only),
        _ => 0,
    };
    text | spaces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_plain(byte: u8) -> bool {
        matches!(byte, b' '..0x80) && !matches!(byte, b'"' | b'\\')
    }

    type Put = fn(&mut Page, &[u8]) -> bool;

    fn written(text: &[u8], put: Put) -> Option<Vec<u8>> {
        let mut page = Page::default();
        page.extend(b"before");
        let is_put = put(&mut page, text);
        let written = page.written().strip_prefix(b"before").unwrap().to_vec();
        assert!(is_put || written.is_empty());
        is_put.then_some(written)
    }

    fn assert_right(text: &[u8]) {
        let fits = text.len() <= LONGEST && text.iter().all(|&byte| is_plain(byte));
        for (shown, put_text, put_string) in [
            (text.to_vec(), put_text as Put, put_string as Put),
            (text.to_ascii_lowercase(), put_lower_text, put_lower_string),
        ] {
            let string = [b"\"", shown.as_slice(), b"\","].concat();
            assert_eq!(written(text, put_text), fits.then_some(shown), "{text:?}");
            assert_eq!(written(text, put_string), fits.then_some(string), "{text:?}");
        }
    }

    #[test]
    fn every_byte_at_every_place_of_every_length() {
        assert_right(b"");
        for length in 0..=LONGEST + 1 {
            for place in 0..length {
                for byte in 0..=255 {
                    let mut text = vec![b'Q'; length];
                    text[place] = byte;
                    assert_right(&text);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn as_byte_by_byte(text in prop::collection::vec(any::<u8>(), 0..12)) {
            assert_right(&text);
        }
    }
}
