//! Text as the inside of a JSON string on processors that can put the bytes of a register in any
//! order (x86-64 with SSSE3, so nearly all of them).
//!
//! Each byte is put behind a reverse solidus, and of eight such pairs one shuffle takes what is
//! wanted: a table says for each pattern of escapes which bytes these are. So no branch depends on
//! where escapes stand, and JSON inside JSON takes a third of the time that [`super::escape`]
//! needs for it alone. The control characters with escapes of six bytes are left to that.

use super::page::Page;
use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_cvtsi128_si64, _mm_min_epu8, _mm_movemask_epi8,
    _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8, _mm_shuffle_epi8, _mm_unpackhi_epi8,
    _mm_unpackhi_epi64, _mm_unpacklo_epi8, _mm_xor_si128,
};

/// Bytes that are looked at together.
const STEP: usize = 16;
/// What they may become, each a pair.
const PAIRS: usize = 2 * STEP;
/// Bytes for which room is asked for at once.
const PIECE: usize = 16 * STEP;
const ROOM: usize = 2 * PIECE + PAIRS;

/// Appends the text up to where a control character needs a long escape; yields the rest.
pub(super) fn escape_short<'a>(out: &mut Page, text: &'a [u8]) -> &'a [u8] {
    if !is_x86_feature_detected!("ssse3") || !is_x86_feature_detected!("popcnt") {
        return text;
    }
    // SAFETY: the processor has what the function is compiled for.
    unsafe { escape_pieces(out, text) }
}

#[target_feature(enable = "ssse3,popcnt")]
fn escape_pieces<'a>(out: &mut Page, text: &'a [u8]) -> &'a [u8] {
    let mut done = 0;
    for piece in text.chunks(PIECE) {
        let length = escape_piece(out, piece);
        done += length;
        if length < piece.len() {
            break;
        }
    }
    text.get(done..).unwrap_or_default()
}

/// The same of at most a piece; yields how many of its bytes are done.
#[target_feature(enable = "ssse3,popcnt")]
fn escape_piece(out: &mut Page, piece: &[u8]) -> usize {
    let Some(room) = out.ahead(ROOM).and_then(<[u8]>::first_chunk_mut) else { return 0 };
    let (steps, last) = piece.as_chunks();
    let (mut done, mut at) = (0, 0);
    for step in steps {
        let Some(length) = escape_step(room, at, step) else { break };
        (done, at) = (done + STEP, at + length);
    }
    if !last.is_empty()
        && done + last.len() == piece.len()
        && let Some(length) = escape_step(room, at, &filled_up(last))
    {
        (done, at) = (piece.len(), at + length - (STEP - last.len()));
    }
    out.advance(at);
    done
}

/// Spaces behind the bytes, as these stay one byte each.
fn filled_up(last: &[u8]) -> [u8; STEP] {
    let mut step = [b' '; STEP];
    step.iter_mut().zip(last).for_each(|(place, byte)| *place = *byte);
    step
}

/// Puts what stands for the bytes to the place `at`, and yields its length; `None` if one of them
/// needs a long escape.
#[target_feature(enable = "ssse3,popcnt")]
fn escape_step(room: &mut [u8; ROOM], at: usize, step: &[u8; STEP]) -> Option<usize> {
    let bytes = load(step);
    // The shuffle takes the low half of each byte as a place in the table (none of bytes that are not
    // ASCII): only the bytes with short escapes find themselves there.
    let short = _mm_cmpeq_epi8(_mm_shuffle_epi8(load(&SHORT), bytes), bytes);
    let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    let escapes = _mm_movemask_epi8(short);
    if _mm_movemask_epi8(_mm_or_si128(short, control)) != escapes {
        return None;
    }
    // Of text that is no JSON, this is most often so.
    if escapes == 0 {
        *room.get_mut(at..)?.first_chunk_mut()? = *step;
        return Some(STEP);
    }
    let difference = _mm_and_si128(_mm_shuffle_epi8(load(&DIFFERENCES), bytes), short);
    let letters = _mm_xor_si128(bytes, difference);
    let solidi = _mm_set1_epi8(b'\\' as i8);
    let (low, high) = (escapes as usize % 256, escapes as usize / 256 % 256);
    let first = _mm_shuffle_epi8(_mm_unpacklo_epi8(solidi, letters), load(&TAKEN[low]));
    let second = _mm_shuffle_epi8(_mm_unpackhi_epi8(solidi, letters), load(&TAKEN[high]));
    let middle = STEP / 2 + low.count_ones() as usize;
    let place = room.get_mut(at..)?.first_chunk_mut::<PAIRS>()?;
    *place.first_chunk_mut()? = stored(first);
    *place.get_mut(middle..)?.first_chunk_mut()? = stored(second);
    Some(middle + STEP / 2 + high.count_ones() as usize)
}

/// Compiles to one instruction, as does [`stored`].
#[target_feature(enable = "ssse3")]
fn load(bytes: &[u8; STEP]) -> __m128i {
    let number = u128::from_le_bytes(*bytes);
    _mm_set_epi64x((number >> 64) as i64, number as i64)
}

#[target_feature(enable = "ssse3")]
fn stored(bytes: __m128i) -> [u8; STEP] {
    let low = _mm_cvtsi128_si64(bytes) as u64;
    let high = _mm_cvtsi128_si64(_mm_unpackhi_epi64(bytes, bytes)) as u64;
    (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
}

/// Bytes with short escapes, and the letters of these. No two have the same low half.
const SHORT_ESCAPES: [(u8, u8); 5] =
    [(b'"', b'"'), (b'\\', b'\\'), (b'\n', b'n'), (b'\r', b'r'), (b'\t', b't')];

/// Each byte that has a short escape, at the place that its low half names; elsewhere what is no
/// byte of that place.
static SHORT: [u8; STEP] = {
    let mut table = [!0, !1, !2, !3, !4, !5, !6, !7, !8, !9, !10, !11, !12, !13, !14, !15];
    let mut number = 0;
    while number < SHORT_ESCAPES.len() {
        let (byte, _) = SHORT_ESCAPES[number];
        table[byte as usize % STEP] = byte;
        number += 1;
    }
    table
};

/// Bits in which the letter differs from the byte.
static DIFFERENCES: [u8; STEP] = {
    let mut table = [0; STEP];
    let mut number = 0;
    while number < SHORT_ESCAPES.len() {
        let (byte, letter) = SHORT_ESCAPES[number];
        table[byte as usize % STEP] = byte ^ letter;
        number += 1;
    }
    table
};

/// Which bytes of eight pairs are taken: all second ones, and the first ones of escapes. A bit
/// for each escape, the first pair's the lowest. What follows is overwritten.
static TAKEN: [[u8; STEP]; 256] = {
    let mut table = [[0; STEP]; 256];
    let mut escapes = 0;
    while escapes < 256 {
        table[escapes] = taken(escapes);
        escapes += 1;
    }
    table
};

const fn taken(escapes: usize) -> [u8; STEP] {
    let mut places = [0; STEP];
    let (mut at, mut pair) = (0, 0);
    while pair < STEP / 2 {
        let first = pair as u8 * 2;
        if escapes >> pair & 1 != 0 {
            places[at] = first;
            at += 1;
        }
        places[at] = first + 1;
        at += 1;
        pair += 1;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::super::escape::escape_plainly;
    use super::*;

    /// What is written of the text, and how much of it is left.
    fn written(text: &[u8]) -> (Vec<u8>, usize) {
        let mut out = Page::default();
        let rest = escape_short(&mut out, text).len();
        (out.written().to_vec(), rest)
    }

    fn plainly(text: &[u8]) -> Vec<u8> {
        let mut out = Page::default();
        escape_plainly(&mut out, text);
        out.written().to_vec()
    }

    fn is_here() -> bool {
        is_x86_feature_detected!("ssse3") && is_x86_feature_detected!("popcnt")
    }

    #[test]
    fn every_length_from_every_place_as_the_plain_way() {
        let text =
            "ab\"\\c\r\n \u{e9}\t\u{1f600}\u{7f}{\"key\":\"value\"}, plain, plain".repeat(20);
        for from in 0..2 * STEP {
            for length in 0..2 * PIECE + 3 * STEP {
                let text = &text.as_bytes()[from..from + length];
                let expected = if is_here() { (plainly(text), 0) } else { (Vec::new(), length) };
                assert_eq!(written(text), expected, "{from} {length}");
            }
        }
    }

    #[test]
    fn every_byte_at_every_place_of_a_step() {
        for byte in 0..=255 {
            for place in 0..2 * STEP {
                let mut text = [b'"'; 2 * STEP];
                text[place] = byte;
                let (written, rest) = written(&text);
                let done = text.len() - rest;
                assert_eq!(written, plainly(&text[..done]));
                let is_long = byte < 0x20 && !matches!(byte, b'\n' | b'\r' | b'\t');
                let expected = if is_long { place / STEP * STEP } else { text.len() };
                assert_eq!(done, if is_here() { expected } else { 0 }, "{byte} {place}");
            }
        }
    }
}
