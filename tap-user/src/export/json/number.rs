//! Numbers, and what consists of them.

use super::page::Page;
use super::{Shown, Value, quoted};
use std::net::IpAddr;

const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;
const MILLISECONDS_PER_SECOND: u64 = 1_000;

macro_rules! integer_values {
    ($($integer:ty),*) => {$(
        impl Value for $integer {
            #[inline]
            fn write(self, out: &mut Page) {
                match u8::try_from(self) {
                    Ok(digit @ 0..=9) => out.extend(&[b'0' + digit, b',']),
                    _ => {
                        append_number(out, self);
                        out.push(b',');
                    }
                }
            }
        }
    )*};
}
integer_values!(u16, u32, u64, usize, i64);

/// Appends a number without anything behind it.
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
            let [first, second, third, fourth] =
                address.octets().map(|octet| OCTETS[usize::from(octet)]);
            for octet in [first, second, third] {
                octet.append(out, usize::from(octet.length) + 1);
            }
            fourth.append(out, usize::from(fourth.length));
        }
        IpAddr::V6(address) => out.extend(format!("[{address}]").as_bytes()),
    }
}

static OCTETS: [Octet; 256] = {
    let mut octets = [Octet::of(0); 256];
    let mut number = 0;
    while number < 256 {
        octets[number] = Octet::of(number as u8);
        number += 1;
    }
    octets
};

/// A number as decimal digits without leading zeros, a point behind them.
#[derive(Clone, Copy)]
struct Octet {
    text: [u8; 4],
    /// Number of digits.
    length: u8,
}

impl Octet {
    const fn of(number: u8) -> Self {
        let [hundreds, tens, ones] = digits(number as u16);
        let (text, length) = match number {
            0..10 => ([ones, b'.', 0, 0], 1),
            10..100 => ([tens, ones, b'.', 0], 2),
            100.. => ([hundreds, tens, ones, b'.'], 3),
        };
        Self { text, length }
    }

    fn append(self, out: &mut Page, length: usize) {
        if let Some(place) = out.ahead(4).and_then(<[u8]>::first_chunk_mut) {
            *place = self.text;
        }
        out.advance(length);
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
