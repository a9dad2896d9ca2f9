//! Numbers, and what consists of them.

use super::page::Page;
use super::{Shown, Value, quoted};
use std::net::IpAddr;

const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;
const MILLISECONDS_PER_SECOND: u64 = 1_000;

macro_rules! integer_values {
    ($($integer:ty),*) => {$(
        impl Value for $integer {
            #[inline(always)]
            fn write(self, out: &mut Page) {
                match usize::try_from(self).ok().and_then(|place| SMALL.get(place)) {
                    Some(number) => number.append(out),
                    None => append_number(out, self),
                }
                out.push(b',');
            }
        }
    )*};
}
integer_values!(u16, u32, u64, usize, i64);

/// Appends a number without anything behind it.
#[inline(never)]
pub(in crate::export) fn append_number(out: &mut Page, number: impl itoa::Integer) {
    out.extend(itoa::Buffer::new().format(number).as_bytes());
}

/// Nanoseconds as a number of seconds with exactly three decimals (cut, not rounded: nginx's
/// clock has whole milliseconds too).
pub(in crate::export) struct Seconds(pub(in crate::export) u64);

impl Value for Seconds {
    fn write(self, out: &mut Page) {
        let milliseconds = milliseconds(self.0);
        append_number(out, milliseconds / MILLISECONDS_PER_SECOND);
        let [hundreds, tens, ones] = digits((milliseconds % MILLISECONDS_PER_SECOND) as u16);
        out.extend(&[b'.', hundreds, tens, ones, b',']);
    }
}

/// Nanoseconds as a whole number of milliseconds, cut.
pub(in crate::export) fn milliseconds(nanoseconds: u64) -> u64 {
    nanoseconds / NANOSECONDS_PER_MILLISECOND
}

/// An address as a string, without brackets.
impl Value for IpAddr {
    fn write(self, out: &mut Page) {
        match self {
            Self::V4(_) => quoted(out, |out| append_address(out, self)),
            Self::V6(_) => Shown(self).write(out),
        }
    }
}

/// Appends an address as the inside of a string; one of IPv6 in brackets, as URLs have it.
pub(in crate::export) fn append_address(out: &mut Page, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let octets = address.octets().map(|octet| SMALL[usize::from(octet)]);
            octets.iter().for_each(|octet| octet.append_with_point(out));
            out.pop();
        }
        IpAddr::V6(address) => out.extend(format!("[{address}]").as_bytes()),
    }
}

/// Numbers of at most three digits, as most in a record are.
static SMALL: [Small; 1000] = {
    let mut numbers = [Small::of(0); 1000];
    let mut number = 0;
    while number < 1000 {
        numbers[number] = Small::of(number as u16);
        number += 1;
    }
    numbers
};

/// Decimal digits without leading zeros, a point behind them; in the last byte their number.
#[derive(Clone, Copy)]
struct Small([u8; 5]);

impl Small {
    const fn of(number: u16) -> Self {
        let [hundreds, tens, ones] = digits(number);
        match number {
            0..10 => Self([ones, b'.', 0, 0, 1]),
            10..100 => Self([tens, ones, b'.', 0, 2]),
            100.. => Self([hundreds, tens, ones, b'.', 3]),
        }
    }

    #[inline(always)]
    fn append(self, out: &mut Page) {
        self.append_part(out, 0);
    }

    #[inline(always)]
    fn append_with_point(self, out: &mut Page) {
        self.append_part(out, 1);
    }

    /// The digits, and so many bytes behind them.
    #[inline(always)]
    fn append_part(self, out: &mut Page, more: usize) {
        let [text @ .., length] = self.0;
        if let Some(place) = out.ahead(text.len()).and_then(<[u8]>::first_chunk_mut) {
            *place = text;
        }
        out.advance(usize::from(length) + more);
    }
}

/// The last three decimal digits.
const fn digits(number: u16) -> [u8; 3] {
    [b'0' + (number / 100 % 10) as u8, b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: impl Value) -> String {
        let mut out = Page::default();
        value.write(&mut out);
        String::from_utf8(out.written().strip_suffix(b",").unwrap().to_vec()).unwrap()
    }

    #[test]
    fn small_numbers() {
        (0..11_000_u64).for_each(|number| assert_eq!(written(number), number.to_string()));
    }

    #[test]
    fn addresses_look_as_the_standard_library_shows_them() {
        for octet in 0..=255 {
            let address = IpAddr::from([octet, 0, 255 - octet, octet]);
            assert_eq!(written(address), format!("\"{address}\""));
        }
        let address: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(written(address), "\"2001:db8::1\"");
        let mut out = Page::default();
        append_address(&mut out, address);
        assert_eq!(out.written(), b"[2001:db8::1]");
    }

    proptest! {
        #[test]
        fn numbers_of_any_kind(number in any::<i64>(), seconds in any::<u64>()) {
            prop_assert_eq!(written(number), number.to_string());
            let milliseconds = seconds / 1_000_000;
            let expected = format!("{}.{:03}", milliseconds / 1_000, milliseconds % 1_000);
            prop_assert_eq!(written(Seconds(seconds)), expected);
        }
    }
}
