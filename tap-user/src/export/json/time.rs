//! Times as RFC 3339 in UTC with nine decimals: all have the same length, so nothing is formatted.

use super::page::Page;
use super::{Value, quoted};
use crate::segment::Time;

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;
const SECONDS_PER_DAY: u64 = 86_400;
const DAYS_PER_FOUR_CENTURIES: u64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_1970: u64 = 719_468;

impl Value for Time {
    fn write(self, out: &mut Page) {
        quoted(out, |out| out.extend(&text(self.unix_ns)));
    }
}

fn text(unix_ns: u64) -> [u8; 30] {
    let (seconds, nanoseconds) =
        (unix_ns / NANOSECONDS_PER_SECOND, unix_ns % NANOSECONDS_PER_SECOND);
    let (days, second) = (seconds / SECONDS_PER_DAY, seconds % SECONDS_PER_DAY);
    let (year, month, day) = date(days);
    let [[a, b], [c, d]] = [year / 100, year % 100].map(two);
    let [[e, f], [g, h], [i, j], [k, l], [m, n]] =
        [month, day, second / 3_600, second / 60 % 60, second % 60].map(two);
    let tens = nanoseconds / 10;
    let [[o, p], [q, r], [s, t], [u, v]] =
        [tens / 1_000_000, tens / 10_000 % 100, tens / 100 % 100, tens % 100].map(two);
    let [_, w] = two(nanoseconds % 10);
    [
        a, b, c, d, b'-', e, f, b'-', g, h, b'T', i, j, b':', k, l, b':', m, n, b'.', o, p, q, r,
        s, t, u, v, w, b'Z',
    ]
}

/// A number below 100 as two digits.
fn two(number: u64) -> [u8; 2] {
    [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]
}

/// Year, month and day of the month. Years are counted from March on, so that a leap day is the
/// last of its year; then months begin after 0, 31, 61, 92… days, which is (153 m + 2) / 5.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_BEFORE_1970;
    let (eras, day) = (days / DAYS_PER_FOUR_CENTURIES, days % DAYS_PER_FOUR_CENTURIES);
    // Without the leap days before it, each year has 365 days.
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let is_next_year = month >= 10;
    let month = if is_next_year { month - 9 } else { month + 3 };
    (eras * 400 + year + u64::from(is_next_year), month, day)
}

#[cfg(test)]
mod tests {
    use super::text;
    use jiff::Timestamp;
    use jiff::fmt::temporal::DateTimePrinter;
    use proptest::prelude::*;

    fn assert_right(unix_ns: u64) {
        let time = Timestamp::from_nanosecond(i128::from(unix_ns)).unwrap();
        let expected = DateTimePrinter::new().precision(Some(9)).timestamp_to_string(&time);
        assert_eq!(str::from_utf8(&text(unix_ns)).unwrap(), expected);
    }

    #[test]
    fn each_day_is_right() {
        (0..=u64::MAX / 86_400_000_000_000).for_each(|day| assert_right(day * 86_400_000_000_000));
        assert_right(u64::MAX);
    }

    proptest! {
        #[test]
        fn as_another_library_has_them(unix_ns in any::<u64>()) {
            assert_right(unix_ns);
        }
    }
}
