//! Numbers of payment cards (ISO/IEC 7812): 13 to 19 digits, also in groups, with the prefix and
//! length of a known scheme and the right check digit.

use std::ops::Range;

/// Digits of the shortest and the longest number.
const SHORTEST: usize = 13;
const LONGEST: usize = 19;

/// Yields the places of all card numbers of `text`.
pub(super) fn find(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut place = 0;
    while let Some(start) = next_digit(text, place) {
        let run = Run::read(text, start);
        place = run.end;
        if !run.is_fraction {
            run.find(&mut found);
        }
    }
}

fn next_digit(text: &[u8], from: usize) -> Option<usize> {
    let found = text.get(from..)?.iter().position(u8::is_ascii_digit)?;
    Some(from.saturating_add(found))
}

/// Digits with at most one separator between two of them.
struct Run {
    digits: Vec<(u8, usize)>,
    end: usize,
    /// They stand behind a decimal point.
    is_fraction: bool,
}

impl Run {
    fn read(text: &[u8], start: usize) -> Self {
        let before = |distance| text.get(start.checked_sub(distance)?).copied();
        let is_fraction =
            before(1) == Some(b'.') && before(2).is_some_and(|byte| byte.is_ascii_digit());
        let (mut digits, mut place) = (Vec::new(), start);
        while let Some(&byte) = text.get(place) {
            let is_digit = byte.is_ascii_digit();
            let next = text.get(place.saturating_add(1));
            let joins = is_separator(byte) && next.is_some_and(u8::is_ascii_digit);
            if !is_digit && !joins {
                break;
            }
            if is_digit {
                digits.push((byte - b'0', place));
            }
            place += 1;
        }
        Self { digits, end: place, is_fraction }
    }

    /// A number begins and ends where a group of digits does.
    fn find(&self, found: &mut impl FnMut(Range<usize>)) {
        let mut first = 0;
        while let Some(rest) = self.digits.get(first..).filter(|rest| rest.len() >= SHORTEST) {
            let longest = LONGEST.min(rest.len());
            let length = self
                .begins_group(first)
                .then(|| (SHORTEST..=longest).rev().find(|length| self.is_card(first, *length)));
            match length.flatten() {
                Some(length) => {
                    let end = self.place(first + length - 1).saturating_add(1);
                    found(self.place(first)..end);
                    first += length;
                }
                None => first += 1,
            }
        }
    }

    fn is_card(&self, first: usize, length: usize) -> bool {
        let digits = self.digits.get(first..first + length).unwrap_or_default();
        self.begins_group(first + length) && has_known_prefix(digits) && has_check_digit(digits)
    }

    /// Whether digit number `number` is the first one behind a separator, or behind the end.
    fn begins_group(&self, number: usize) -> bool {
        let Some(before) = number.checked_sub(1) else { return true };
        number >= self.digits.len() || self.place(number) > self.place(before).saturating_add(1)
    }

    fn place(&self, number: usize) -> usize {
        self.digits.get(number).map_or(self.end, |(_, place)| *place)
    }
}

/// What stands between groups; `+` is a space of a form.
fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'+')
}

/// The last digit makes the sum right (ISO/IEC 7812-1, annex B).
fn has_check_digit(digits: &[(u8, usize)]) -> bool {
    let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let weighed = digits.iter().rev().enumerate().map(|(place, (digit, _))| {
        u32::from(if place % 2 == 0 { *digit } else { doubled(*digit) })
    });
    weighed.sum::<u32>() % 10 == 0
}

/// Whether a scheme gives out numbers that begin like this and have that length.
fn has_known_prefix(digits: &[(u8, usize)]) -> bool {
    let leading =
        |count| digits.iter().take(count).fold(0, |sum, (digit, _)| sum * 10 + u32::from(*digit));
    match (leading(4), digits.len()) {
        // Visa.
        (4000..=4999, 13 | 16 | 19) => true,
        // Mastercard; Mir.
        (2200..=2204 | 2221..=2720 | 5100..=5599, 16) => true,
        // American Express.
        (3400..=3499 | 3700..=3799, 15) => true,
        // Diners Club.
        (3000..=3059 | 3095..=3095 | 3600..=3699 | 3800..=3999, 14..=19) => true,
        // JCB.
        (3528..=3589, 16..=19) => true,
        // Discover, UnionPay, Maestro and others.
        (5000..=5099 | 5600..=5899 | 6000..=6999, 13..=19) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut numbers = Vec::new();
        find(text.as_bytes(), |place| numbers.push(&text[place]));
        numbers
    }

    /// Numbers that the schemes and payment services publish for tests.
    #[test]
    fn published_test_numbers() {
        for number in [
            "4111111111111111",
            "4012888888881881",
            "4222222222222",
            "5555555555554444",
            "5105105105105100",
            "2223003122003222",
            "378282246310005",
            "371449635398431",
            "30569309025904",
            "38520000023237",
            "6011111111111117",
            "3530111333300000",
            "3566002020360505",
            "6200000000000005",
            "6759649826438453",
        ] {
            assert_eq!(found(number), [number]);
            let last = number.len() - 1;
            let digit = (number.as_bytes()[last] - b'0' + 1) % 10;
            let wrong = format!("{}{digit}", &number[..last]);
            assert!(found(&wrong).is_empty(), "{wrong}");
        }
    }

    #[test]
    fn numbers_in_groups_and_among_others() {
        assert_eq!(found("4111 1111 1111 1111"), ["4111 1111 1111 1111"]);
        assert_eq!(found("card=4111-1111-1111-1111&x"), ["4111-1111-1111-1111"]);
        assert_eq!(found("3782+822463+10005"), ["3782+822463+10005"]);
        assert_eq!(found("\"4111111111111111\""), ["4111111111111111"]);
        let two = "1 4111 1111 1111 1111 12 5555555555554444";
        assert_eq!(found(two), ["4111 1111 1111 1111", "5555555555554444"]);
    }

    #[test]
    fn other_numbers_stay() {
        for text in [
            "41111111111111111111",
            "0.4111111111111111",
            "1234567890123456",
            "0000000000000000",
            "1700000000123",
            "4111  1111  1111  1111",
            "",
        ] {
            assert!(found(text).is_empty(), "{text}");
        }
    }
}
