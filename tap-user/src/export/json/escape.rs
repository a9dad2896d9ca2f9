//! Text as the inside of a JSON string (RFC 8259, section 7).
//!
//! JSON inside JSON has a quotation mark every few bytes, so neither copying long stretches nor a
//! branch per byte is fast. Instead each block of 64 bytes is looked at as a whole: compares that
//! compile to vector instructions yield one bit for each byte that needs an escape, and then only
//! these bits are walked. Between them, copies have fixed lengths and overshoot; what is too
//! much is overwritten by what follows.

use super::page::Page;
#[cfg(target_arch = "x86_64")]
use super::shuffle::escape_short;
#[cfg(not(target_arch = "x86_64"))]
use leave_all as escape_short;
use std::ops::Range;

/// Bytes that are looked at together: one bit of a `u64` for each.
const BLOCK: usize = 64;
/// Longest stretch between escapes that is copied without asking for its length.
const STRETCH: usize = 16;
/// A block, and behind it what a copy may read beyond its end.
const WINDOW: usize = BLOCK + STRETCH;
/// Bytes of `\u0000`, with room up to a power of two.
const LONGEST_ESCAPE: usize = 8;
/// What a block can take in the worst case, with what copies overshoot.
const WORST_BLOCK: usize = BLOCK * 6 + STRETCH;
/// A power of two above that: of a place below it the compiler sees that there is room behind it.
const PLACES: usize = WORST_BLOCK.next_power_of_two();
/// Room for a block.
const ROOM: usize = PLACES + STRETCH;

/// Appends the text as the inside of a string.
pub(super) fn escape(out: &mut Page, text: &str) {
    escape_by(escape_short, out, text.as_bytes());
}

/// The same by blocks alone.
#[cfg(test)]
pub(super) fn escape_plainly(out: &mut Page, text: &[u8]) {
    escape_by(leave_all, out, text);
}

/// `start` appends as much of a text as it can, and yields the rest; a block of that is appended
/// here.
fn escape_by(start: impl for<'a> Fn(&mut Page, &'a [u8]) -> &'a [u8], out: &mut Page, text: &[u8]) {
    let mut rest = start(out, text);
    while let Some(window) = rest.first_chunk() {
        block(out, window, BLOCK);
        rest = start(out, rest.get(BLOCK..).unwrap_or_default());
    }
    // What is left is shorter than a window: up to two blocks.
    for last in rest.chunks(BLOCK) {
        let mut window = [b' '; WINDOW];
        window.iter_mut().zip(last).for_each(|(place, byte)| *place = *byte);
        block(out, &window, last.len());
    }
}

/// On processors for which there is no other way.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn leave_all<'a>(_: &mut Page, text: &'a [u8]) -> &'a [u8] {
    text
}

/// Appends the first `length` bytes of the window, at most a block.
fn block(out: &mut Page, window: &[u8; WINDOW], length: usize) {
    let Some(room) = out.ahead(ROOM).and_then(<[u8]>::first_chunk_mut) else { return };
    let mut places = places(window);
    if places == 0 {
        copy_block(room, window);
        return out.advance(length);
    }
    // In local variables, as each place depends on the one before: memory would be slower.
    let (mut at, mut from) = (0, 0);
    while places != 0 {
        let place = places.trailing_zeros() as usize % BLOCK;
        at = copy(room, at, window, from..place);
        at = put(room, at, window[place]);
        from = place + 1;
        places &= places - 1;
    }
    let end = copy(room, at, window, from..length);
    out.advance(end);
}

fn copy_block(room: &mut [u8; ROOM], window: &[u8; WINDOW]) {
    if let (Some(place), Some(block)) = (room.first_chunk_mut::<BLOCK>(), window.first_chunk()) {
        *place = *block;
    }
}

/// Copies what stands between two escapes to the place `at`; yields the place behind it.
fn copy(
    room: &mut [u8; ROOM],
    at: usize,
    window: &[u8; WINDOW],
    Range { start, end }: Range<usize>,
) -> usize {
    let stretch = end.saturating_sub(start);
    if stretch <= STRETCH {
        let source = window.get(start..).and_then(<[u8]>::first_chunk::<STRETCH>);
        let place = room.get_mut(at % PLACES..).and_then(<[u8]>::first_chunk_mut);
        if let (Some(source), Some(place)) = (source, place) {
            *place = *source;
        }
    } else if let Some(source) = window.get(start..end)
        && let Some(place) = room.get_mut(at..at + stretch)
    {
        place.copy_from_slice(source);
    }
    at + stretch
}

/// Puts what stands for a byte to the place `at`; yields the place behind it.
fn put(room: &mut [u8; ROOM], at: usize, byte: u8) -> usize {
    let byte = usize::from(byte);
    if let Some(place) = room.get_mut(at % PLACES..).and_then(<[u8]>::first_chunk_mut) {
        *place = ESCAPES[byte];
    }
    at + usize::from(LENGTHS[byte])
}

/// A bit for each byte of the block that needs an escape, the first byte's the lowest.
fn places(window: &[u8; WINDOW]) -> u64 {
    /// Moves the lowest bits of eight bytes into the topmost byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut flags = [0; BLOCK];
    for (flag, &byte) in flags.iter_mut().zip(window) {
        *flag = u8::from(needs_escape(byte));
    }
    let (eights, _) = flags.as_chunks();
    eights.iter().rev().fold(0, |places, &eight| {
        places << 8 | u64::from_le_bytes(eight).wrapping_mul(GATHER) >> 56
    })
}

/// Quotation mark, reverse solidus and the control characters.
pub(super) const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// What stands for each byte inside a string; the rest of an entry is 0.
static ESCAPES: [[u8; LONGEST_ESCAPE]; 256] = {
    let mut table = [[0; LONGEST_ESCAPE]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = escape_of(byte as u8);
        byte += 1;
    }
    table
};

/// How many bytes that is.
static LENGTHS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match ESCAPES[byte] {
            [b'\\', b'u', ..] => 6,
            [b'\\', ..] => 2,
            _ => 1,
        };
        byte += 1;
    }
    table
};

const fn escape_of(byte: u8) -> [u8; LONGEST_ESCAPE] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let letter = match byte {
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        other => other,
    };
    let (high, low) = (DIGITS[(byte >> 4) as usize], DIGITS[(byte & 15) as usize]);
    if !needs_escape(byte) {
        [byte, 0, 0, 0, 0, 0, 0, 0]
    } else if letter != byte || byte >= 0x20 {
        [b'\\', letter, 0, 0, 0, 0, 0, 0]
    } else {
        [b'\\', b'u', b'0', b'0', high, low, 0, 0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(text: &str) -> String {
        let [any, plain] =
            [escape, |out: &mut Page, text: &str| escape_plainly(out, text.as_bytes())]
                .map(|way| written(text, way));
        assert_eq!(any, plain);
        any
    }

    fn written(text: &str, way: fn(&mut Page, &str)) -> String {
        let mut out = Page::default();
        out.extend(b"before");
        way(&mut out, text);
        String::from_utf8(out.written().strip_prefix(b"before").unwrap().to_vec()).unwrap()
    }

    /// Byte by byte, as the RFC tells it.
    fn naive(text: &str) -> String {
        let one = |character| match character {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            '\0'..' ' => format!("\\u{:04x}", u32::from(character)),
            other => other.to_string(),
        };
        text.chars().map(one).collect()
    }

    #[test]
    fn one_escape_at_every_place_of_texts_of_every_length() {
        for length in 0..200 {
            for place in 0..length {
                let mut text = vec![b'x'; length];
                text[place] = b'"';
                let text = String::from_utf8(text).unwrap();
                assert_eq!(escaped(&text), naive(&text), "{length} {place}");
            }
        }
    }

    #[test]
    fn nothing_but_the_longest_escapes() {
        for length in [1, 63, 64, 65, 79, 80, 81, 143, 144, 145, 10_000] {
            let text = "\0".repeat(length);
            assert_eq!(escaped(&text), "\\u0000".repeat(length));
        }
    }

    proptest! {
        #[test]
        fn as_byte_by_byte(
            text in "([a-z ]{0,90}|[\"\\\\]{0,5}|[\\x00-\\x1f]{0,70}|\\PC{0,40}|.{0,300}){0,20}",
        ) {
            let ours = escaped(&text);
            prop_assert_eq!(&ours, &naive(&text));
            let parsed: String = serde_json::from_str(&format!("\"{ours}\"")).unwrap();
            prop_assert_eq!(parsed, text);
        }
    }
}
