//! Content made by real programs (gzip 1.12, zstd 1.5, Python's zlib and brotli): see the seeds of
//! the fuzz target, each of which names its coding in the first line.

use super::*;
use proptest::prelude::*;

macro_rules! seed {
    ($name:literal) => {
        split_seed(include_bytes!(concat!("../../../fuzz/seeds/content/", $name)))
    };
}

/// Coding and coded bytes.
fn split_seed(seed: &'static [u8]) -> (&'static str, &'static [u8]) {
    let line_end = seed.iter().position(|&byte| byte == b'\n').unwrap();
    (str::from_utf8(&seed[..line_end]).unwrap(), &seed[line_end + 1..])
}

fn seeds() -> Vec<(&'static str, &'static [u8])> {
    vec![
        seed!("gzip"),
        seed!("gzip_with_name"),
        seed!("gzip_members"),
        seed!("zlib"),
        seed!("raw_deflate"),
        seed!("brotli"),
        seed!("zstandard"),
        seed!("zstandard_without_checksum"),
        seed!("zstandard_frames"),
        seed!("gzip_in_brotli"),
    ]
}

/// The text that the programs were given.
fn text() -> Vec<u8> {
    let item =
        |number: usize| format!("{{\"id\":{number},\"name\":\"item {} ä\"}}", number * 7919 % 1000);
    let items: Vec<_> = (0..400).map(item).collect();
    format!("{{\"items\":[{}]}}\n", items.join(",")).into_bytes()
}

fn text_headers(fields: &[(&str, &str)]) -> Headers {
    let mut raw = Vec::new();
    let mut push = |text: &str| {
        let start = u32::try_from(raw.len()).unwrap();
        raw.extend_from_slice(text.as_bytes());
        start..u32::try_from(raw.len()).unwrap()
    };
    let places = fields.iter().map(|(name, value)| (push(name), push(value))).collect();
    Headers::new(raw.into(), places)
}

const CAP: usize = 128 * 1024;

fn decode_as(coding: &str, bytes: &[u8], whole: bool, cap: usize) -> Content {
    decode(&text_headers(&[("Content-Encoding", coding)]), bytes, whole, cap)
}

#[test]
fn content_of_real_programs() {
    for (coding, coded) in seeds() {
        let content = decode_as(coding, coded, true, CAP);
        assert_eq!(content.error, None, "{coding}");
        assert!(content.decoded == Some(text()), "{coding}");
        assert!(!content.truncated);
        assert_eq!(content.content_coding.as_deref(), Some(coding));
    }
}

#[test]
fn a_cut_body_is_decoded_as_far_as_it_goes() {
    let text = text();
    for (coding, coded) in seeds() {
        for cut in 1..coded.len() {
            let content = decode_as(coding, &coded[..cut], false, CAP);
            let decoded = content.decoded.unwrap_or_default();
            assert!(text.starts_with(&decoded), "{coding} {cut}");
            assert_eq!(content.error, None, "{coding} {cut}");
            // A stream may have its content before its end, and a frame or member may end here.
            assert!(content.truncated || cut > coded.len() / 4, "{coding} {cut}");
            // Deflate and brotli yield what they have; a zstandard block is all or nothing.
            if cut > coded.len() * 3 / 4 && coding != "zstd" && coding != "gzip, br" {
                assert!(decoded.len() > text.len() / 2, "{coding} {cut}: {}", decoded.len());
            }
        }
    }
}

#[test]
fn whole_bodies_whose_coding_does_not_end_say_so() {
    for (coding, coded) in seeds() {
        let content = decode_as(coding, &coded[..coded.len() - 1], true, CAP);
        assert_eq!(content.error, Some(DecodingError::UnexpectedEnd), "{coding}");
        // Deflate without header may be anything; the others are one block that is not here.
        let hidden =
            [seed!("raw_deflate"), seed!("zstandard"), seed!("zstandard_without_checksum")];
        let is_shown = !hidden.contains(&(coding, coded));
        assert_eq!(content.decoded.is_some(), is_shown, "{coding}");
        assert!(content.truncated);
    }
}

#[test]
fn the_cap_is_exact() {
    let text = text();
    for (coding, coded) in seeds() {
        // Coded bytes that are themselves beyond the cap would stop the inner coding early.
        let smallest = if coding == "gzip, br" { 2_000 } else { 0 };
        for cap in [0, 1, 999, 5_000, text.len() - 1].map(|cap: usize| cap.max(smallest)) {
            let content = decode_as(coding, coded, true, cap);
            assert!(content.decoded.as_deref() == text.get(..cap), "{coding} {cap}");
            assert!(
                content.truncated && content.error.is_none(),
                "{coding} {cap} {:?}",
                (content.truncated, content.error)
            );
        }
        let content = decode_as(coding, coded, true, text.len());
        assert!(content.decoded.is_some_and(|decoded| decoded == text) && !content.truncated);
    }
}

/// 1 GiB of zeros each (zstandard: 256 MiB).
#[test]
fn bombs_stop_at_the_cap() {
    let (_, twice) = seed!("bomb_gzip_twice");
    let once = decode_as("gzip", twice, true, 2 << 20).decoded.unwrap();
    assert!(once.len() > 1_000_000);
    let bombs = [
        ("gzip", once.as_slice()),
        seed!("bomb_gzip_twice"),
        seed!("bomb_brotli"),
        seed!("bomb_zstandard"),
    ];
    for (coding, bomb) in bombs {
        let begin = std::time::Instant::now();
        let content = decode_as(coding, bomb, true, 1 << 20);
        let decoded = content.decoded.unwrap();
        assert!(content.truncated && decoded.iter().all(|&byte| byte == 0), "{coding}");
        assert_eq!(decoded.len(), 1 << 20, "{coding}");
        assert!(decoded.capacity() < 4 << 20, "{coding}: {}", decoded.capacity());
        assert!(begin.elapsed().as_secs() < 2, "{coding}: {:?}", begin.elapsed());
    }
}

#[test]
fn small_bodies_do_not_grow_without_limit_whatever_the_cap() {
    let (coding, bomb) = seed!("bomb_brotli");
    let decoded = decode_as(coding, bomb, true, usize::MAX).decoded.unwrap();
    assert_eq!(decoded.len(), bomb.len() * 1_000);
}

#[test]
fn what_is_not_of_that_coding_stays_as_it_is() {
    for coding in ["gzip", "x-gzip", "deflate", "br", "zstd", "gzip, br"] {
        let content = decode_as(coding, b"{\"plain\": \"text, not coded\"}", true, CAP);
        assert_eq!(content.decoded, None, "{coding}");
        // Raw deflate has no magic number; it takes this for the beginning of something.
        let expected = match coding {
            "deflate" => DecodingError::UnexpectedEnd,
            _ => DecodingError::Corrupt,
        };
        assert_eq!(content.error, Some(expected), "{coding}");
    }
}

#[test]
fn damage_is_seen_by_the_checksum() {
    // The last eight bytes of a gzip member and the last four of the others are checksums.
    for (coding, coded) in [seed!("gzip"), seed!("zstandard")] {
        let mut damaged = coded.to_vec();
        *damaged.iter_mut().nth_back(if coding == "gzip" { 7 } else { 0 }).unwrap() ^= 1;
        let content = decode_as(coding, &damaged, true, CAP);
        assert_eq!((content.decoded, content.error), (None, Some(DecodingError::ChecksumMismatch)));
    }
    let (_, zlib) = seed!("zlib");
    let mut damaged = zlib.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(decode_as("deflate", &damaged, true, CAP).error, Some(DecodingError::Corrupt));
}

#[test]
fn bytes_behind_the_coding_are_left_out_and_told() {
    for (coding, coded) in seeds() {
        let content = decode_as(coding, &[coded, b"more"].concat(), true, CAP);
        assert!(content.decoded == Some(text()), "{coding}");
        assert_eq!(content.error, Some(DecodingError::TrailingBytes), "{coding}");
        assert!(!content.truncated);
    }
    // As gzip(1): zeros are padding.
    let (coding, coded) = seed!("gzip");
    let padded = [coded, &[0; 512]].concat();
    assert_eq!(decode_as(coding, &padded, true, CAP).error, None);
}

#[test]
fn codings_are_read_from_both_fields_in_order() {
    let (_, coded) = seed!("gzip_in_brotli");
    for fields in [
        &[("content-encoding", "GZip"), ("Content-Encoding", "Br")][..],
        &[("Content-Encoding", "gzip,, identity , br")],
        &[("Transfer-Encoding", "br, chunked"), ("Content-Encoding", "gzip")],
        &[("Transfer-Encoding", "gzip, br"), ("Transfer-Encoding", "chunked")],
    ] {
        let content = decode(&text_headers(fields), coded, true, CAP);
        assert!(content.decoded == Some(text()), "{fields:?}");
    }
    let content = decode(
        &text_headers(&[("Transfer-Encoding", "br, chunked"), ("Content-Encoding", "gzip")]),
        coded,
        true,
        CAP,
    );
    assert_eq!(content.content_coding.as_deref(), Some("gzip"));
    assert_eq!(content.transfer_coding.as_deref(), Some("br, chunked"));
}

#[test]
fn nothing_is_done_without_a_coding_or_with_one_that_is_not_known() {
    for fields in [
        &[][..],
        &[("Content-Encoding", "identity")],
        &[("Content-Encoding", "")],
        &[("Transfer-Encoding", "chunked")],
    ] {
        assert_eq!(decode(&text_headers(fields), b"abc", true, CAP), Content::default());
    }
    for (coding, error) in [
        ("aws-chunked", DecodingError::UnsupportedCoding),
        ("compress, gzip", DecodingError::Corrupt),
        ("gzip, compress", DecodingError::UnsupportedCoding),
    ] {
        let content = decode_as(coding, b"abc", true, CAP);
        assert_eq!((content.decoded, content.error), (None, Some(error)), "{coding}");
    }
    assert_eq!(decode_as("gzip", b"", true, CAP).error, None);
}

#[test]
fn endless_lists_of_codings_are_refused() {
    let (_, mut coded) = ("", text());
    for _ in 0..5 {
        coded = stored(&coded);
    }
    let content = decode_as("deflate,deflate,deflate,deflate", &coded, true, CAP);
    assert!(content.decoded == Some(stored(&text())));
    let content = decode_as("deflate,deflate,deflate,deflate,deflate", &coded, true, CAP);
    assert_eq!(content.error, Some(DecodingError::TooManyCodings));
}

/// Raw deflate without compression (RFC 1951, section 3.2.4), of less than 64 KiB.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&[1], &length.to_le_bytes()[..], &(!length).to_le_bytes(), bytes].concat()
}

/// A frame that announces a window of 2^41 bytes or so (RFC 8878, section 3.1.1.1.2), and one of
/// 16 MiB.
#[test]
fn windows_that_nobody_needs_are_refused() {
    for window in [0xff, 14 << 3] {
        let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0, window][..], &[1, 0, 0]].concat();
        let content = decode_as("zstd", &frame, true, CAP);
        assert_eq!(content.error, Some(DecodingError::WindowTooLarge));
    }
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, 13 << 3, 1, 0, 0];
    assert_eq!(decode_as("zstd", &frame, true, CAP).decoded, Some(Vec::new()));
}

#[test]
fn text_in_other_charsets() {
    let shown = |content_type: &str, bytes: &[u8], whole| {
        let charset = charset_of(&text_headers(&[("Content-Type", content_type)]))?;
        to_text(charset, bytes, whole).map(|converted| (converted.text, converted.charset))
    };
    let is = |text: &str, charset: &str| Some((text.to_owned(), charset.to_owned()));
    let windows = "windows-1252";
    assert_eq!(shown("text/html; charset=ISO-8859-1", b"caf\xe9", true), is("café", windows));
    assert_eq!(shown("a/b;x=y; Charset=\"us-ascii\"", b"plain", true), is("plain", windows));
    assert_eq!(shown("a/b;charset=windows-1252", b"\x80", true), is("€", windows));
    assert_eq!(shown("a/b; charset=utf-16le", b"a\0\xac\x20", true), is("a€", "utf-16le"));
    assert_eq!(shown("a/b; charset=utf-16be", b"\0a\x20\xac", true), is("a€", "utf-16be"));
    // The mark wins.
    assert_eq!(shown("a/b; charset=utf-16", b"\xfe\xff\0a", true), is("a", "utf-16be"));
    // Cut inside a character.
    assert_eq!(shown("a/b; charset=utf-16le", b"a\0\xac", false), is("a", "utf-16le"));
    assert_eq!(shown("a/b; charset=utf-16le", b"a\0\xac", true), None);
    // UTF-8, unknown, none.
    for content_type in ["a/b; charset=utf-8", "a/b; charset=klingon", "a/b", "charset=latin1"] {
        assert_eq!(shown(content_type, b"x", true), None, "{content_type}");
    }
}

proptest! {
    /// No bytes panic, no output is beyond the cap, and a prefix of the coded bytes yields a prefix
    /// of what all of them yield.
    #[test]
    fn damaged_bytes(
        seed in 0..10_usize,
        place in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..8),
        cut in any::<prop::sample::Index>(),
        cap in 0..20_000_usize,
    ) {
        let (coding, coded) = seeds()[seed];
        let mut damaged = coded.to_vec();
        let start = place.index(damaged.len());
        let end = (start + noise.len()).min(damaged.len());
        damaged.splice(start..end, noise);
        let whole = decode_as(coding, &damaged, true, cap);
        let part = decode_as(coding, &damaged[..cut.index(damaged.len())], false, cap);
        if let (Some(whole), Some(part)) = (&whole.decoded, &part.decoded) {
            prop_assert!(whole.len() <= cap && whole.starts_with(part));
        }
    }

    #[test]
    fn any_bytes(coding in 0..4_usize, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let coding = ["gzip", "deflate", "br", "zstd"][coding];
        let content = decode_as(coding, &bytes, true, 1_000);
        prop_assert!(content.decoded.is_none_or(|decoded| decoded.len() <= 1_000));
    }
}
