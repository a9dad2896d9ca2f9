//! The first bytes of a client, held until it is known whether a PROXY protocol header precedes
//! the first message.

use super::input::Input;
use super::proxy_protocol::{self, Opening};
use crate::segment::{Content, Time};

/// First bytes of the client that may be a PROXY protocol header.
#[derive(Debug, Default)]
pub(super) struct Preamble {
    bytes: Vec<u8>,
    offset: u64,
    first_byte: Time,
    /// Bytes of a known header that are still to be passed over.
    left: u64,
}

/// What the first bytes turned out to be.
pub(super) enum PreambleStep {
    /// Too few to tell; all are taken.
    More,
    /// A header that says this; what is here of it has been passed over.
    Header(Option<proxy_protocol::Addresses>),
    /// A part of a known header has been passed over.
    Rest,
    /// No header; nothing is taken of this input.
    Absent,
}

impl Preamble {
    /// Takes what belongs to the header from `input`; leaves it alone if there is none.
    pub(super) fn read(&mut self, input: &mut Input<'_>) -> PreambleStep {
        if self.left > 0 {
            self.pass(input);
            return PreambleStep::Rest;
        }
        let bytes = input.bytes();
        if bytes.is_empty() {
            return PreambleStep::Absent;
        }
        if self.bytes.is_empty() {
            self.offset = input.offset;
            self.first_byte = input.time;
        }
        let before = self.bytes.len();
        // Headers are short; what follows the longest address block is not needed to read one.
        let enough = proxy_protocol::BYTES_NEEDED.saturating_sub(before).min(bytes.len());
        self.bytes.extend_from_slice(bytes.get(..enough).unwrap_or_default());
        match proxy_protocol::read(&self.bytes) {
            Opening::Absent => {
                self.bytes.truncate(before);
                PreambleStep::Absent
            }
            Opening::Incomplete => {
                input.skip(enough as u64);
                PreambleStep::More
            }
            Opening::Header { length, addresses } => {
                self.left = length.saturating_sub(before) as u64;
                self.bytes.clear();
                self.pass(input);
                PreambleStep::Header(addresses)
            }
        }
    }

    /// The preamble itself as long as there is more of it to pass over.
    pub(super) fn unless_passed(self) -> Option<Self> {
        (self.left > 0).then_some(self)
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        self.bytes.len()
    }

    fn pass(&mut self, input: &mut Input<'_>) {
        let length = self.left.min(input.content.length());
        input.skip(length);
        self.left -= length;
    }

    /// Bytes that turned out to be the beginning of something else.
    pub(super) fn as_input(&self) -> Option<Input<'_>> {
        (!self.bytes.is_empty()).then(|| Input {
            content: Content::Bytes(&self.bytes),
            offset: self.offset,
            time: self.first_byte,
            at_boundary: true,
            turn_start: false,
        })
    }
}
