//! Looks at eight bytes at a time: names are short, so that what a search over whole registers does
//! before and after it would cost more than the search.

use super::detect::is_token;

/// A word with this in each byte.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The bit of each byte that says what a test found.
const FLAGS: u64 = each(0x80);

/// Number of bytes at the start of `text` that may stand in a token.
pub(super) fn token_length(text: &[u8]) -> usize {
    let mut length = 0;
    for word in text.as_chunks().0 {
        let unusual = unusual_in_names(u64::from_le_bytes(*word));
        length += first_flag(unusual);
        if unusual != 0 {
            break;
        }
    }
    let rest = text.get(length..).unwrap_or_default();
    length + rest.iter().position(|byte| !is_token(*byte)).unwrap_or(rest.len())
}

/// Bytes before the first flag of a word, all eight if there is none.
fn first_flag(flags: u64) -> usize {
    (flags.trailing_zeros() / u8::BITS) as usize
}

/// Flags bytes that are no letters, digits or hyphens. No sum of two bytes reaches the next one.
fn unusual_in_names(word: u64) -> u64 {
    let ascii = word & !FLAGS;
    let lower = ascii | each(b' ');
    let between = |word: u64, first: u8, last: u8| {
        word.wrapping_add(each(0x80 - first)) & !word.wrapping_add(each(0x7f - last))
    };
    let is_hyphen = !(ascii ^ each(b'-')).wrapping_add(each(0x7f));
    let is_usual = between(lower, b'a', b'z') | between(ascii, b'0', b'9') | is_hyphen;
    (!is_usual | word) & FLAGS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..20 {
                let mut text = *b"Name-With-Hyphens-09";
                text[place] = byte;
                let length = text.iter().position(|byte| !is_token(*byte)).unwrap_or(20);
                assert_eq!(token_length(&text), length, "{byte} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_same_as_byte_by_byte(text in "[a-z\n\r:_ \u{80}\u{8a}]{0,90}", skipped in 0..9_usize) {
            let text = text.as_bytes().get(skipped..).unwrap_or_default();
            let name = text.iter().position(|byte| !is_token(*byte)).unwrap_or(text.len());
            prop_assert_eq!(token_length(text), name);
        }
    }
}
