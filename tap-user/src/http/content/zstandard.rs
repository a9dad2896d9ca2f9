//! Zstandard (RFC 8878): one frame or several, with skippable frames between them.
//!
//! The decoder underneath gives out what lies behind its window only at a frame's end. So blocks
//! are handed to it one by one, and where the input or the room ends, an empty last block ends the
//! frame. A block that is not here as a whole yields nothing.

use super::DecodingError;
use super::output::{Output, Stop};
use ruzstd::decoding::errors::{FrameDecoderError, FrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Largest window (RFC 9659: no more than this for HTTP), in bytes.
pub(super) const WINDOW_LIMIT: u64 = 8 * 1024 * 1024;

const FRAME_MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();
/// Magic numbers of skippable frames but for their lowest four bits.
const SKIPPABLE_MAGIC: u32 = 0x184D_2A50;
/// An empty raw block, the last one (RFC 8878, section 3.1.1.2), and room for a checksum.
const FRAME_END: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];
const CHECKSUM_BYTES: usize = 4;

/// Decodes frames until the input or the room ends.
pub(super) fn decode(mut input: &[u8], output: &mut Output) -> Result<Stop, DecodingError> {
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(WINDOW_LIMIT);
    let mut is_first = true;
    while !input.is_empty() {
        let Some(magic) = input.first_chunk::<4>() else { return Ok(Stop::InputEnded) };
        if u32::from_le_bytes(*magic) & !0xf == SKIPPABLE_MAGIC {
            let Some(rest) = behind_skippable(input) else { return Ok(Stop::InputEnded) };
            input = rest;
        } else if *magic == FRAME_MAGIC {
            let stop = frame(&mut decoder, &mut input, output)?;
            if stop != Stop::Ended {
                return Ok(stop);
            }
        } else if is_first {
            return Err(DecodingError::Corrupt);
        } else {
            return Ok(Stop::TrailingBytes);
        }
        is_first = false;
    }
    Ok(Stop::Ended)
}

fn behind_skippable(input: &[u8]) -> Option<&[u8]> {
    let (length, rest) = input.get(4..)?.split_first_chunk::<4>()?;
    rest.get(usize::try_from(u32::from_le_bytes(*length)).ok()?..)
}

/// Decodes one frame; `input` is left behind it.
fn frame(
    decoder: &mut FrameDecoder,
    input: &mut &[u8],
    output: &mut Output,
) -> Result<Stop, DecodingError> {
    let Some(header) = header(input) else { return Ok(Stop::InputEnded) };
    let has_checksum = header.has_checksum;
    decoder.reset(&mut *input).map_err(|error| match error {
        FrameDecoderError::WindowSizeTooBig { .. }
        | FrameDecoderError::FrameHeaderError(FrameHeaderError::WindowTooBig { .. }) => {
            DecodingError::WindowTooLarge
        }
        _ => DecodingError::Corrupt,
    })?;
    while let Some(block) = Block::first_of(input, has_checksum) {
        *input = input.get(block.bytes.len()..).unwrap_or_default();
        feed(decoder, block.bytes, output)?;
        if block.is_last {
            return verify(decoder, output);
        }
        if output.is_exceeded() {
            return Ok(Stop::Full);
        }
    }
    feed(decoder, &FRAME_END, output)?;
    Ok(Stop::InputEnded)
}

fn feed(
    decoder: &mut FrameDecoder,
    block: &[u8],
    output: &mut Output,
) -> Result<(), DecodingError> {
    decoder
        .decode_blocks(block, BlockDecodingStrategy::UptoBlocks(1))
        .map_err(|_| DecodingError::Corrupt)?;
    output.push(&decoder.collect().unwrap_or_default());
    Ok(())
}

/// A frame came to its end: everything has been given out, so its checksum is known.
fn verify(decoder: &FrameDecoder, output: &Output) -> Result<Stop, DecodingError> {
    if output.is_exceeded() {
        return Ok(Stop::Full);
    }
    match decoder.get_checksum_from_data() {
        Some(told) if Some(told) != decoder.get_calculated_checksum() => {
            Err(DecodingError::ChecksumMismatch)
        }
        _ => Ok(Stop::Ended),
    }
}

struct Header {
    has_checksum: bool,
}

/// RFC 8878, section 3.1.1.1: `None` if the input ends within the frame header.
fn header(input: &[u8]) -> Option<Header> {
    let descriptor = *input.get(FRAME_MAGIC.len())?;
    let is_single_segment = descriptor & 0x20 != 0;
    let window = usize::from(!is_single_segment);
    let dictionary = match descriptor & 3 {
        3 => 4,
        length => usize::from(length),
    };
    let content_size = match descriptor >> 6 {
        0 => usize::from(is_single_segment),
        exponent => 1 << exponent,
    };
    let length = FRAME_MAGIC.len() + 1 + window + dictionary + content_size;
    (input.len() >= length).then_some(Header { has_checksum: descriptor & 4 != 0 })
}

struct Block<'a> {
    /// Header and content, and behind the last block the frame's checksum.
    bytes: &'a [u8],
    is_last: bool,
}

impl<'a> Block<'a> {
    /// RFC 8878, section 3.1.1.2: `None` if the block is not here as a whole.
    fn first_of(input: &'a [u8], has_checksum: bool) -> Option<Self> {
        const HEADER_BYTES: usize = 3;
        /// Type of a block that is one byte, repeated.
        const REPEATED: u32 = 1;
        let [low, middle, high] = *input.first_chunk::<HEADER_BYTES>()?;
        let header = u32::from_le_bytes([low, middle, high, 0]);
        let is_last = header & 1 != 0;
        let size = usize::try_from(header >> 3).ok()?;
        let content = if header >> 1 & 3 == REPEATED { 1 } else { size };
        let checksum = if is_last && has_checksum { CHECKSUM_BYTES } else { 0 };
        let bytes = input.get(..HEADER_BYTES.checked_add(content)?.checked_add(checksum)?)?;
        Some(Self { bytes, is_last })
    }
}
