//! Strings of JSON (RFC 8259, section 7), as far as they are here.

use std::borrow::Cow;

/// Where the string that begins with a quotation mark at `start` ends: behind its other mark, or
/// where the text does.
pub(super) fn string_end(text: &[u8], start: usize) -> usize {
    let Some(&quote) = text.get(start) else { return text.len() };
    let mut place = start.saturating_add(1);
    while let Some(&byte) = text.get(place) {
        place = place.saturating_add(if byte == b'\\' { 2 } else { 1 });
        if byte == quote {
            break;
        }
    }
    place.min(text.len())
}

/// What a string says: without its marks, its escapes undone. Anything else is as it is.
pub(super) fn text_of(token: &[u8]) -> Cow<'_, [u8]> {
    let inside = match token.split_first() {
        Some((quote @ (b'"' | b'\''), rest)) => rest.strip_suffix(&[*quote]).unwrap_or(rest),
        _ => return token.into(),
    };
    if inside.contains(&b'\\') { unescaped(inside).into() } else { inside.into() }
}

fn unescaped(mut rest: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(rest.len());
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        if first != b'\\' {
            text.push(first);
            continue;
        }
        let Some((&letter, behind)) = rest.split_first() else { break };
        rest = behind;
        match letter {
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'u' => rest = push_character(&mut text, rest),
            other => text.push(other),
        }
    }
    text
}

/// Appends the character that four hexadecimal digits name, or eight with an escape between;
/// yields what follows.
fn push_character<'a>(text: &mut Vec<u8>, digits: &'a [u8]) -> &'a [u8] {
    let Some((unit, behind)) = unit(digits) else { return digits };
    let low = behind.strip_prefix(b"\\u").and_then(self::unit);
    let pair = low.and_then(|(low, behind)| {
        char::decode_utf16([unit, low])
            .next()?
            .ok()
            .filter(|it| it.len_utf16() == 2)
            .map(|it| (it, behind))
    });
    let (character, behind) = pair.unwrap_or_else(|| {
        (char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER), behind)
    });
    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    behind
}

fn unit(digits: &[u8]) -> Option<(u16, &[u8])> {
    let (unit, behind) = digits.split_at_checked(4)?;
    let unit = unit.iter().try_fold(0, |unit, digit| {
        Some(unit << 4 | u16::try_from(char::from(*digit).to_digit(16)?).ok()?)
    });
    Some((unit?, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The escapes of RFC 8259, section 7, with its example for U+1D11E.
    #[test]
    fn escapes() {
        let text = |token: &str| String::from_utf8(text_of(token.as_bytes()).into_owned()).unwrap();
        assert_eq!(text(r#""pass\u0077ord""#), "password");
        assert_eq!(text(r#""\uD834\uDD1E\"\\\/\n""#), "\u{1D11E}\"\\/\n");
        assert_eq!(text(r#""\uD834x\u00""#), "\u{FFFD}x00");
        assert_eq!(text(r#""cut\"#), "cut");
        assert_eq!(text("12"), "12");
    }

    #[test]
    fn ends() {
        assert_eq!(string_end(br#""a\"b"c"#, 0), 6);
        assert_eq!(string_end(br#""a\"#, 0), 3);
        assert_eq!(string_end(br#"""#, 0), 1);
    }
}
