//! `application/x-www-form-urlencoded` (WHATWG URL, section 5.1), as query strings have it too.

/// `+` and percent signs undone; an escape that is none stays as it is.
pub(crate) fn decode(encoded: &[u8], decoded: &mut Vec<u8>) {
    let mut rest = encoded;
    while let Some((&first, after)) = rest.split_first() {
        let escaped = if first == b'%' { escaped_byte(after) } else { None };
        rest = escaped.and_then(|_| after.get(2..)).unwrap_or(after);
        decoded.push(escaped.unwrap_or(if first == b'+' { b' ' } else { first }));
    }
}

/// The byte that two hexadecimal digits at the beginning of `digits` name.
pub(crate) fn escaped_byte(digits: &[u8]) -> Option<u8> {
    let digit = |place: usize| char::from(*digits.get(place)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}
