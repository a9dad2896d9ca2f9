//! Whether a name comes more than once in a head: rarely, so that it is worth to know before
//! anything is kept for the case that it does.

/// Places in which names leave a mark.
const PLACES: usize = 256;
const WORD: usize = u64::BITS as usize;

/// Whether two of the names are the same, apart from the case of ASCII letters.
pub(super) fn is_any<'a, I: Iterator<Item = &'a [u8]>>(names: impl Fn() -> I) -> bool {
    let mut marks = Marks::default();
    names().enumerate().any(|(number, name)| {
        let is_before = || names().take(number).any(|other| other.eq_ignore_ascii_case(name));
        marks.set(place(name)) && is_before()
    })
}

/// A place for the name, whatever the case of its letters: by its length and its ends.
fn place(name: &[u8]) -> usize {
    let byte = |byte: Option<&u8>| usize::from(byte.map_or(0, |byte| byte | 0x20));
    byte(name.first()) + 7 * byte(name.last()) + 19 * name.len()
}

/// One bit for each place.
#[derive(Default)]
struct Marks([u64; PLACES / WORD]);

impl Marks {
    /// Leaves a mark; says whether there was one.
    fn set(&mut self, place: usize) -> bool {
        let bit = 1 << (place % WORD);
        let word = &mut self.0[place % PLACES / WORD];
        let was_set = *word & bit != 0;
        *word |= bit;
        was_set
    }
}

#[cfg(test)]
mod tests {
    use super::is_any;
    use proptest::prelude::*;

    #[test]
    fn names_of_any_case_repeat() {
        let repeats = |names: &[&str]| is_any(|| names.iter().map(|name| name.as_bytes()));
        assert!(!repeats(&[]));
        assert!(!repeats(&["Host", "Accept", "", "Cookie"]));
        assert!(repeats(&["Host", "Accept", "hoSt"]));
        assert!(repeats(&["", "a", ""]));
    }

    proptest! {
        #[test]
        fn as_each_with_each(names in prop::collection::vec("[a-cA-C0@`-]{0,3}", 0..12)) {
            let lower: Vec<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
            let expected = (0..lower.len()).any(|place| lower[..place].contains(&lower[place]));
            prop_assert_eq!(is_any(|| names.iter().map(String::as_bytes)), expected);
        }
    }
}
