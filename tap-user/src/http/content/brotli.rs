//! Brotli (RFC 7932). Large windows, an extension that no HTTP peer may use, are refused.

use super::DecodingError;
use super::output::{Output, Stop};
use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

/// Decodes a brotli stream.
pub(super) fn decode(input: &[u8], output: &mut Output) -> Result<Stop, DecodingError> {
    let allocator = StandardAlloc::default;
    let mut state = BrotliState::new_strict(allocator(), allocator(), allocator());
    let (mut left, mut place, mut total) = (input.len(), 0, 0);
    loop {
        let Some(room) = output.room() else { return Ok(Stop::Full) };
        let (mut free, mut made) = (room.len(), 0);
        let result = BrotliDecompressStream(
            &mut left, &mut place, input, &mut free, &mut made, room, &mut total, &mut state,
        );
        output.filled(made);
        match result {
            BrotliResult::ResultSuccess if left > 0 => return Ok(Stop::TrailingBytes),
            BrotliResult::ResultSuccess => return Ok(Stop::Ended),
            BrotliResult::NeedsMoreInput => return Ok(Stop::InputEnded),
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::ResultFailure => return Err(DecodingError::Corrupt),
        }
    }
}
