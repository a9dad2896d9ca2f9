//! Bytes in base64 (RFC 4648, section 4, with padding), with vector instructions where the
//! processor has them.

use super::page::Page;
use base64::Engine;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static ENGINE: std::sync::LazyLock<base64::engine::Simd> = std::sync::LazyLock::new(|| {
    base64::engine::Simd::standard(base64::engine::general_purpose::PAD)
});
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static ENGINE: base64::engine::GeneralPurpose = base64::engine::general_purpose::STANDARD;

/// Appends the bytes in base64.
pub(super) fn encode(out: &mut Page, bytes: &[u8]) {
    let length = encoded_length(bytes.len());
    // Cannot fail: there is room for all of it.
    let room = out.ahead(length).unwrap_or_default();
    let encoded = ENGINE.encode_slice(bytes, room).unwrap_or_default();
    out.advance(encoded);
}

/// Number of digits, padding included, for that many bytes.
fn encoded_length(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut out = Page::default();
        encode(&mut out, bytes);
        String::from_utf8(out.written().to_vec()).unwrap()
    }

    /// RFC 4648, section 10.
    #[test]
    fn test_vectors() {
        for (bytes, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encoded(bytes.as_bytes()), expected);
        }
    }

    proptest! {
        #[test]
        fn as_without_vector_instructions(bytes in prop::collection::vec(any::<u8>(), 0..10_000)) {
            prop_assert_eq!(encoded(&bytes), STANDARD.encode(&bytes));
        }
    }
}
