//! What stands in the place of a secret: a fixed word, or a keyed hash that is the same for the
//! same secret, so that records can still be joined by it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::borrow::Cow;
use std::fmt::{self, Write};

/// What a redacted value reads in every record format.
pub const REDACTED: &str = "REDACTED";

/// What a keyed hash begins with.
const HASH_PREFIX: &str = "hmac-sha256:";
/// Bytes of the hash that are shown, as twice as many hexadecimal digits.
const SHOWN_BYTES: usize = 8;
/// Length of a hash as it is shown.
const HASH_LENGTH: usize = HASH_PREFIX.len() + 2 * SHOWN_BYTES;
/// A shorter key could be found by trying (RFC 2104, section 3, wants the length of the hash).
const KEY_BYTES: usize = 16;

/// Makes what is shown in the place of a secret.
#[derive(Clone, Default)]
pub struct Replacement {
    keyed: Option<Hmac<Sha256>>,
    /// What reads like a replacement is one.
    is_again: bool,
}

/// A key for hashes is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the key for hashes has {0} bytes: use at least {KEY_BYTES}, for example those that \
     `openssl rand -hex 32` prints"
)]
pub struct ShortKey(usize);

impl Replacement {
    /// Every secret reads [`REDACTED`].
    #[must_use]
    pub fn word() -> Self {
        Self::default()
    }

    /// A secret reads `hmac-sha256:` and the first 16 hexadecimal digits of its HMAC-SHA256
    /// (RFC 2104) under `key`.
    ///
    /// # Errors
    /// The key is shorter than 16 bytes.
    pub fn keyed(key: &[u8]) -> Result<Self, ShortKey> {
        let keyed = Hmac::new_from_slice(key).ok().filter(|_| key.len() >= KEY_BYTES);
        keyed.map(|keyed| Self { keyed: Some(keyed), is_again: false }).ok_or(ShortKey(key.len()))
    }

    /// The same for texts in which values may have been replaced before.
    pub(super) fn again(self) -> Self {
        Self { is_again: true, ..self }
    }

    /// Whether a value stays as it is, because it was replaced before.
    pub(super) fn keeps(&self, value: &[u8]) -> bool {
        self.is_again && (value == REDACTED.as_bytes() || is_hash(value))
    }

    /// Whether a text ends with such a value.
    pub(super) fn keeps_end_of(&self, text: &[u8]) -> bool {
        let ends_so = |length: usize| {
            let end = text.len().checked_sub(length).and_then(|start| text.get(start..));
            end.is_some_and(|end| self.keeps(end))
        };
        ends_so(REDACTED.len()) || ends_so(HASH_LENGTH)
    }

    /// What stands in the place of `secret`. Consists of letters, digits, `-` and `:` only.
    pub(super) fn of(&self, secret: &[u8]) -> Cow<'static, [u8]> {
        let Some(mut hash) = self.keyed.clone() else { return REDACTED.as_bytes().into() };
        hash.update(secret);
        let mut shown = String::from(HASH_PREFIX);
        for byte in hash.finalize().into_bytes().iter().take(SHOWN_BYTES) {
            // Writing to a `String` cannot fail.
            let _ = write!(shown, "{byte:02x}");
        }
        shown.into_bytes().into()
    }
}

fn is_hash(value: &[u8]) -> bool {
    let digits = value.strip_prefix(HASH_PREFIX.as_bytes());
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    digits.is_some_and(|it| it.len() == 2 * SHOWN_BYTES && it.iter().all(is_digit))
}

/// The key is never shown.
impl fmt::Debug for Replacement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.keyed.is_some() { "keyed hash" } else { REDACTED })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: &[u8], secret: &[u8]) -> String {
        let hash = Replacement::keyed(key).unwrap().of(secret).into_owned();
        String::from_utf8(hash).unwrap()
    }

    /// RFC 4231, sections 4.2 and 4.7: the first 64 bits.
    #[test]
    fn hashes_of_the_rfc() {
        assert_eq!(hash(&[0x0b; 20], b"Hi There"), "hmac-sha256:b0344c61d8db3853");
        let long = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(hash(&[0xaa; 131], long), "hmac-sha256:60e431591ee0b67f");
    }

    #[test]
    fn what_was_replaced_before_is_kept_only_where_that_may_be() {
        let key = b"0123456789abcdef";
        for first in [Replacement::word(), Replacement::keyed(key).unwrap()] {
            let replaced = first.of(b"secret");
            for again in [Replacement::word(), Replacement::keyed(key).unwrap()] {
                assert!(!again.keeps(&replaced));
                assert!(again.clone().again().keeps(&replaced));
                assert!(again.clone().again().keeps_end_of(&[b"a=", &*replaced].concat()));
                for secret in
                    [&b"secret"[..], b"", b"hmac-sha256:", b"hmac-sha256:0123456789ABCDEF"]
                {
                    assert!(!again.clone().again().keeps(secret));
                }
            }
        }
    }

    #[test]
    fn a_key_is_long_and_never_shown() {
        let error = Replacement::keyed(b"hunter2").unwrap_err().to_string();
        assert!(error.contains("16") && !error.contains("hunter2"), "{error}");
        let shown = format!("{:?}", Replacement::keyed(b"0123456789abcdef").unwrap());
        assert_eq!(shown, "keyed hash");
    }
}
