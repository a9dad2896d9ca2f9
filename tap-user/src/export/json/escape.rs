//! Text as the inside of a JSON string (RFC 8259, section 7).
//!
//! JSON inside JSON has a quotation mark every few bytes, so neither copying long stretches nor a
//! branch per byte is fast. Instead each block of 64 bytes is looked at as a whole: compares that
//! compile to vector instructions yield one bit for each byte that needs an escape, and then only
//! these bits are walked. Between them, copies have fixed lengths and overshoot; what is too
//! much is overwritten by what follows.

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
/// Escaped bytes that are gathered before they go on.
const SCRATCH: usize = 2048;

/// Appends the text as the inside of a string.
pub(super) fn escape(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let clean = clean_prefix(bytes);
    let (plain, rest) = bytes.split_at_checked(clean).unwrap_or((bytes, &[]));
    out.extend_from_slice(plain);
    if !rest.is_empty() {
        escape_rest(out, rest);
    }
}

/// How many bytes in front stand in blocks that need no escape.
fn clean_prefix(bytes: &[u8]) -> usize {
    // Without a branch per byte: compiled to vector instructions.
    let is_clean = |block: &&[u8]| !block.iter().fold(false, |any, &byte| any | needs_escape(byte));
    bytes.chunks(BLOCK).take_while(is_clean).map(<[u8]>::len).sum()
}

fn escape_rest(out: &mut Vec<u8>, mut rest: &[u8]) {
    let mut scratch = Scratch { out, bytes: [0; SCRATCH], length: 0 };
    while let Some(window) = rest.first_chunk() {
        scratch.block(window, BLOCK);
        rest = rest.get(BLOCK..).unwrap_or_default();
    }
    // What is left is shorter than a window: up to two blocks.
    for last in rest.chunks(BLOCK) {
        let mut window = [b' '; WINDOW];
        window.iter_mut().zip(last).for_each(|(place, byte)| *place = *byte);
        scratch.block(&window, last.len());
    }
    scratch.flush();
}

/// Escaped bytes on their way into a record.
struct Scratch<'a> {
    out: &'a mut Vec<u8>,
    bytes: [u8; SCRATCH],
    /// Bytes that count; at most `SCRATCH`.
    length: usize,
}

impl Scratch<'_> {
    /// Takes the first `length` bytes of the window, at most a block.
    fn block(&mut self, window: &[u8; WINDOW], length: usize) {
        if self.length > SCRATCH - WORST_BLOCK {
            self.flush();
        }
        // In a local variable, as the next place depends on it: memory would be slower.
        let mut at = self.length;
        let mut from = 0;
        let mut places = places(window);
        while places != 0 {
            let place = places.trailing_zeros() as usize % BLOCK;
            at = copy(&mut self.bytes, at, window, from..place);
            at = put(&mut self.bytes, at, window[place]);
            from = place + 1;
            places &= places - 1;
        }
        self.length = copy(&mut self.bytes, at, window, from..length);
    }

    fn flush(&mut self) {
        self.out.extend_from_slice(self.bytes.get(..self.length).unwrap_or_default());
        self.length = 0;
    }
}

/// Copies what stands between two escapes to the place `at`; yields the place behind it.
fn copy(
    bytes: &mut [u8; SCRATCH],
    at: usize,
    window: &[u8; WINDOW],
    Range { start, end }: Range<usize>,
) -> usize {
    let stretch = end.saturating_sub(start);
    if stretch <= STRETCH {
        let source = window.get(start..).and_then(<[u8]>::first_chunk::<STRETCH>);
        let place = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
        if let (Some(source), Some(place)) = (source, place) {
            *place = *source;
        }
    } else if let Some(source) = window.get(start..end)
        && let Some(place) = bytes.get_mut(at..at + stretch)
    {
        place.copy_from_slice(source);
    }
    at + stretch
}

/// Puts what stands for a byte to the place `at`; yields the place behind it.
fn put(bytes: &mut [u8; SCRATCH], at: usize, byte: u8) -> usize {
    let byte = usize::from(byte);
    if let Some(place) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
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
        let mut out = b"before".to_vec();
        escape(&mut out, text);
        String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
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
