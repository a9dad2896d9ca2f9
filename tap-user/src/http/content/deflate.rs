//! gzip (RFC 1952), zlib (RFC 1950) and raw deflate (RFC 1951).

use super::DecodingError;
use super::output::{Output, Stop};
use flate2::{Crc, Decompress, FlushDecompress, Status};

/// What a gzip member begins with: its magic number and the one method that there is.
const MEMBER: [u8; 3] = [0x1f, 0x8b, 8];
/// The fixed part of a member's header.
const HEADER_BYTES: usize = 10;
/// Flags of a member's header (RFC 1952, section 2.3.1).
const FLAG_HEADER_CRC: u8 = 1 << 1;
const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;
const FLAGS_RESERVED: u8 = 0b1110_0000;

/// Decodes one gzip member or several. Zeros behind the last one are padding.
pub(super) fn gzip(mut input: &[u8], output: &mut Output) -> Result<Stop, DecodingError> {
    let mut state = Decompress::new(false);
    loop {
        let Some(rest) = member_header(input)? else { return Ok(Stop::InputEnded) };
        input = rest;
        let start = output.yielded().len();
        state.reset(false);
        let stop = inflate(&mut state, &mut input, output)?;
        if stop != Stop::Ended {
            return Ok(stop);
        }
        let Some((trailer, rest)) = input.split_first_chunk::<8>() else {
            return Ok(Stop::InputEnded);
        };
        verify(*trailer, output.yielded().get(start..).unwrap_or_default())?;
        input = rest;
        if input.iter().all(|&byte| byte == 0) {
            return Ok(Stop::Ended);
        }
        if !MEMBER.starts_with(input) && !input.starts_with(&MEMBER) {
            return Ok(Stop::TrailingBytes);
        }
    }
}

/// Passes over a member's header; `None` if the input ends within it.
fn member_header(input: &[u8]) -> Result<Option<&[u8]>, DecodingError> {
    if !MEMBER.starts_with(input) && !input.starts_with(&MEMBER) {
        return Err(DecodingError::Corrupt);
    }
    let Some((header, rest)) = input.split_first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let flags = header[3];
    if flags & FLAGS_RESERVED != 0 {
        return Err(DecodingError::Corrupt);
    }
    Ok(optional_fields(rest, flags))
}

fn optional_fields(mut rest: &[u8], flags: u8) -> Option<&[u8]> {
    if flags & FLAG_EXTRA != 0 {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        rest = behind.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for flag in [FLAG_NAME, FLAG_COMMENT] {
        if flags & flag != 0 {
            let end = rest.iter().position(|&byte| byte == 0)?;
            rest = rest.get(end..)?.get(1..)?;
        }
    }
    if flags & FLAG_HEADER_CRC != 0 {
        rest = rest.get(2..)?;
    }
    Some(rest)
}

/// A member's trailer: CRC-32 and length (modulo 2^32) of its content.
fn verify(trailer: [u8; 8], content: &[u8]) -> Result<(), DecodingError> {
    let mut crc = Crc::new();
    crc.update(content);
    let [crc_bytes @ .., _, _, _, _] = trailer;
    let [_, _, _, _, length @ ..] = trailer;
    let length_fits = u32::from_le_bytes(length) == content.len() as u32;
    let fits = u32::from_le_bytes(crc_bytes) == crc.sum() && length_fits;
    if fits { Ok(()) } else { Err(DecodingError::ChecksumMismatch) }
}

/// Decodes zlib, or raw deflate where it does not begin like zlib. Two bytes cannot tell for sure:
/// what begins like zlib but fails before it yielded anything is tried raw.
pub(super) fn zlib_or_raw(input: &[u8], output: &mut Output) -> Result<Stop, DecodingError> {
    if input.len() < 2 {
        return Ok(Stop::Unproven);
    }
    if begins_like_zlib(input) {
        match whole(true, input, output) {
            Err(_) if output.yielded().is_empty() => {}
            result => return result,
        }
    }
    let stop = whole(false, input, output)?;
    Ok(if stop == Stop::InputEnded { Stop::Unproven } else { stop })
}

fn whole(zlib: bool, mut input: &[u8], output: &mut Output) -> Result<Stop, DecodingError> {
    let stop = inflate(&mut Decompress::new(zlib), &mut input, output)?;
    let is_trailed = stop == Stop::Ended && !input.is_empty();
    Ok(if is_trailed { Stop::TrailingBytes } else { stop })
}

/// RFC 1950, section 2.2: method 8, and both bytes as one number a multiple of 31.
fn begins_like_zlib(input: &[u8]) -> bool {
    input.first_chunk().is_some_and(|header| {
        header[0] & 0x0f == 8 && u16::from_be_bytes(*header).is_multiple_of(31)
    })
}

/// Decodes until the coding, the input or the room ends; what is left of the input stays.
fn inflate(
    state: &mut Decompress,
    input: &mut &[u8],
    output: &mut Output,
) -> Result<Stop, DecodingError> {
    loop {
        let Some(room) = output.room() else { return Ok(Stop::Full) };
        let (taken_before, made_before) = (state.total_in(), state.total_out());
        let status = state
            .decompress(input, room, FlushDecompress::None)
            .map_err(|_| DecodingError::Corrupt)?;
        let taken = usize::try_from(state.total_in() - taken_before).unwrap_or(input.len());
        let made = usize::try_from(state.total_out() - made_before).unwrap_or_default();
        *input = input.get(taken..).unwrap_or_default();
        output.filled(made);
        match status {
            Status::StreamEnd => return Ok(Stop::Ended),
            Status::Ok | Status::BufError if taken == 0 && made == 0 => {
                return Ok(Stop::InputEnded);
            }
            Status::Ok | Status::BufError => {}
        }
    }
}
