//! Looks at all bytes of a text at once.

/// Bytes that are looked at together: a vector register of any processor holds them.
const STEP: usize = 16;

/// Whether any byte is wanted. Without a branch per byte and without a rest that is looked at byte
/// by byte: compiled to vector instructions.
pub(crate) fn any_byte(text: &[u8], is_wanted: impl Fn(u8) -> bool) -> bool {
    let Some(last) = text.last_chunk::<STEP>() else {
        return text.iter().fold(false, |any, byte| any | is_wanted(*byte));
    };
    let (steps, _) = text.as_chunks::<STEP>();
    let mut any = [0_u8; STEP];
    // The last step may overlap the one before it.
    for step in steps.iter().chain([last]) {
        for (any, byte) in any.iter_mut().zip(step) {
            *any |= u8::from(is_wanted(*byte));
        }
    }
    is_any(&any)
}

/// Whether any byte, with the one behind it, is wanted; the last byte alone is not looked at.
pub(crate) fn any_pair(text: &[u8], is_wanted: impl Fn(u8, u8) -> bool) -> bool {
    let behind = text.get(1..).unwrap_or_default();
    let text = text.get(..behind.len()).unwrap_or_default();
    let (Some(last), Some(last_behind)) = (text.last_chunk(), behind.last_chunk()) else {
        return text
            .iter()
            .zip(behind)
            .fold(false, |any, (one, next)| any | is_wanted(*one, *next));
    };
    let mut any = [0_u8; STEP];
    // A closure: without it the compiler takes a byte after the other.
    let mut look = |step: &[u8; STEP], behind: &[u8; STEP]| {
        for ((any, byte), next) in any.iter_mut().zip(step).zip(behind) {
            *any |= u8::from(is_wanted(*byte, *next));
        }
    };
    let (steps, steps_behind) = (text.as_chunks().0, behind.as_chunks().0);
    steps.iter().zip(steps_behind).for_each(|(step, behind)| look(step, behind));
    look(last, last_behind);
    is_any(&any)
}

/// Whether any flag is set: one comparison of a register, which other ways to ask this are not.
fn is_any(flags: &[u8; STEP]) -> bool {
    flags.iter().fold(0, |any, flag| any | flag) != 0
}

#[cfg(test)]
mod tests {
    use super::{any_byte, any_pair};

    #[test]
    fn finds_a_byte_at_any_place_of_any_text() {
        for length in 0..70 {
            let mut text = vec![b'a'; length];
            assert!(!any_byte(&text, |byte| byte == b'b'));
            for place in 0..length {
                text[place] = b'b';
                assert!(any_byte(&text, |byte| byte == b'b'), "{place} of {length}");
                let is_pair = any_pair(&text, |byte, next| byte == b'b' && next == b'a');
                assert_eq!(is_pair, place + 1 < length, "{place} of {length}");
                text[place] = b'a';
            }
        }
    }
}
