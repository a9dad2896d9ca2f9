//! Bytes in base64 (RFC 4648, section 4, with padding), with vector instructions where the
//! processor has them.

use base64::Engine;

/// Bytes that are encoded at once: a multiple of three, so that only the last piece is padded.
const PIECE: usize = 3 * 1024;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static ENGINE: std::sync::LazyLock<base64::engine::Simd> = std::sync::LazyLock::new(|| {
    base64::engine::Simd::standard(base64::engine::general_purpose::PAD)
});
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static ENGINE: base64::engine::GeneralPurpose = base64::engine::general_purpose::STANDARD;

/// Appends the bytes in base64.
pub(super) fn encode(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(encoded_length(bytes.len()));
    // Goes through a piece on the stack, which stays in the nearest cache: encoding in place
    // would have to fill the whole room with something first.
    let mut encoded = [0; encoded_length(PIECE)];
    for piece in bytes.chunks(PIECE) {
        // Cannot fail: there is room for the longest piece.
        let length = ENGINE.encode_slice(piece, &mut encoded).unwrap_or_default();
        out.extend_from_slice(encoded.get(..length).unwrap_or_default());
    }
}

/// Number of digits, padding included, for that many bytes.
const fn encoded_length(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        encode(&mut out, bytes);
        String::from_utf8(out).unwrap()
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
