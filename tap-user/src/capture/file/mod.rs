//! Capture files as a stream of Frames: pcap and pcapng, plain or inside gzip, from a file or
//! from standard input while somebody still writes there.
//!
//! The reader holds one buffer, whatever the size of the file. It parses records itself instead
//! of using a crate: a record's header is four numbers, and so nothing is allocated for a packet,
//! nothing is read ahead, and each error knows its byte.

mod error;
mod input;
mod number;
mod pcap;
mod pcapng;
#[cfg(test)]
mod tests;

pub use error::{FileError, FileErrorKind};

use crate::frame::Frame;
use crate::segment::Time;
use input::{Input, LARGEST};
use pcapng::{Kind, PacketKind, Section};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// An open capture file.
pub struct CaptureFile {
    name: String,
    input: Input,
    format: Format,
    size: Option<u64>,
    /// Bytes of the record that was handed out last.
    used: usize,
    truncated: bool,
}

/// What kind of file it is, and what holds for its next record.
enum Format {
    Pcap(pcap::Format),
    Pcapng(Section),
}

/// A packet whose bytes are in the buffer.
struct Located {
    time_ns: u64,
    link_type: u16,
    interface: u32,
    original: u32,
    start: usize,
    captured: usize,
    /// Bytes of the whole record or block.
    length: usize,
}

impl CaptureFile {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// It cannot be opened or read, or is no capture file.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        if path.as_os_str() == "-" {
            return Self::new("standard input".to_owned(), std::io::stdin());
        }
        let name = path.display().to_string();
        let failed =
            |error: std::io::Error| FileError { name: name.clone(), offset: 0, kind: error.into() };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let size = metadata.is_file().then_some(metadata.len());
        Ok(Self { size, ..Self::new(name, file)? })
    }

    /// Reads a capture file from `source`, which errors call `name`.
    ///
    /// # Errors
    /// It cannot be read, or is no capture file.
    pub fn new(name: String, source: impl Read + 'static) -> Result<Self, FileError> {
        let begun = Input::new(source).map_err(FileErrorKind::from).and_then(|mut input| {
            let format = begin(&mut input)?;
            Ok((input, format))
        });
        match begun {
            Ok((input, format)) => {
                Ok(Self { name, input, format, size: None, used: 0, truncated: false })
            }
            Err(kind) => Err(FileError { name, offset: 0, kind }),
        }
    }

    /// Name of the file, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Size of the file in bytes; `None` where it is not known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Bytes of the file that were read so far.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.input.bytes_read()
    }

    /// Whether the file ends in the middle of a record: whoever wrote it was interrupted.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// The next packet; `None` at the end of the file.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged. Nothing can be read behind that.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FileError> {
        self.input.consume(std::mem::take(&mut self.used));
        let located = match &mut self.format {
            Format::Pcap(format) => next_record(&mut self.input, *format),
            Format::Pcapng(section) => next_block(&mut self.input, section),
        };
        let located = located.map_err(|kind| FileError {
            name: self.name.clone(),
            offset: self.input.offset(),
            kind,
        })?;
        let Some(located) = located else {
            self.truncated = !self.input.here().is_empty();
            return Ok(None);
        };
        self.used = located.length;
        let bytes = self.input.here().get(located.start..).unwrap_or_default();
        Ok(Some(Frame {
            time: Time { monotonic_ns: located.time_ns, unix_ns: located.time_ns },
            link_type: located.link_type,
            interface: located.interface,
            original_length: located.original,
            bytes: bytes.get(..located.captured).unwrap_or(bytes),
        }))
    }
}

/// Finds out what file it is. A section of pcapng is left in the input, for [`next_block`].
fn begin(input: &mut Input) -> Result<Format, FileErrorKind> {
    input.fill(pcap::FILE_HEADER)?;
    let here = input.here();
    let Some(magic) = here.first_chunk::<4>().copied() else {
        return Err(if here.is_empty() {
            FileErrorKind::Empty
        } else {
            FileErrorKind::NotACapture(padded(here))
        });
    };
    if let Some(format) = pcap::Format::of(magic) {
        let format = format.with_header(here);
        input.consume(pcap::FILE_HEADER);
        return Ok(Format::Pcap(format));
    }
    let is_section = u32::from_be_bytes(magic) == pcapng::SECTION;
    let section = is_section.then(|| Section::begin(here)).flatten();
    section.map(Format::Pcapng).ok_or(FileErrorKind::NotACapture(magic))
}

fn padded(bytes: &[u8]) -> [u8; 4] {
    std::array::from_fn(|at| bytes.get(at).copied().unwrap_or_default())
}

fn next_record(input: &mut Input, format: pcap::Format) -> Result<Option<Located>, FileErrorKind> {
    if !input.fill(format.record_header)? {
        return Ok(None);
    }
    let record = format.record(input.here());
    let length = in_memory(u64::from(record.captured) + format.record_header as u64)?;
    if !input.fill(length)? {
        return Ok(None);
    }
    Ok(Some(Located {
        time_ns: record.time_ns,
        link_type: record.link_type,
        interface: 0,
        original: record.original,
        start: format.record_header,
        captured: length - format.record_header,
        length,
    }))
}

/// Goes through blocks until one has a packet.
fn next_block(input: &mut Input, section: &mut Section) -> Result<Option<Located>, FileErrorKind> {
    while input.fill(pcapng::BLOCK_HEADER)? {
        if starts_section(input.here()) {
            if !input.fill(pcapng::SECTION_HEADER)? {
                return Ok(None);
            }
            let magic = padded(input.here());
            *section = Section::begin(input.here()).ok_or(FileErrorKind::NotACapture(magic))?;
        }
        let block = section.block(input.here());
        let length = block.length()?;
        match block.kind() {
            Kind::Other => {
                if !input.skip(u64::from(length))? {
                    return Ok(None);
                }
            }
            Kind::Interface => {
                let length = in_memory(u64::from(length))?;
                if !input.fill(length)? {
                    return Ok(None);
                }
                section.describe(body(input.here(), length))?;
                input.consume(length);
            }
            Kind::Packet(kind) => return locate(input, section, kind, length),
        }
    }
    Ok(None)
}

fn locate(
    input: &mut Input,
    section: &Section,
    kind: PacketKind,
    length: u32,
) -> Result<Option<Located>, FileErrorKind> {
    let length = in_memory(u64::from(length))?;
    if !input.fill(length)? {
        return Ok(None);
    }
    let packet = section.packet(kind, body(input.here(), length))?;
    Ok(Some(Located {
        time_ns: packet.time_ns,
        link_type: packet.link_type,
        interface: packet.interface,
        original: packet.original,
        start: pcapng::BLOCK_HEADER + packet.start,
        captured: packet.captured,
        length,
    }))
}

fn starts_section(here: &[u8]) -> bool {
    here.first_chunk().is_some_and(|kind| u32::from_be_bytes(*kind) == pcapng::SECTION)
}

/// A block without its header and the length at its end.
fn body(here: &[u8], length: usize) -> &[u8] {
    here.get(pcapng::BLOCK_HEADER..length.saturating_sub(4)).unwrap_or_default()
}

fn in_memory(length: u64) -> Result<usize, FileErrorKind> {
    usize::try_from(length)
        .ok()
        .filter(|length| *length <= LARGEST)
        .ok_or(FileErrorKind::PacketTooLarge(length))
}
