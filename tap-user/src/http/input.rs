//! A segment while it is being read: what is left of it.

use crate::segment::{Content, Segment, Time};

/// What is left of a segment.
#[derive(Debug)]
pub(super) struct Input<'a> {
    pub(super) content: Content<'a>,
    pub(super) offset: u64,
    pub(super) time: Time,
    /// The first byte left is the first of a system call or packet.
    pub(super) at_boundary: bool,
    /// The first byte left is the first in this direction after bytes in the other one.
    pub(super) turn_start: bool,
}

impl<'a> Input<'a> {
    pub(super) fn new(segment: &Segment<'a>, turn_start: bool) -> Self {
        Self {
            content: segment.content,
            offset: segment.offset,
            time: segment.time,
            at_boundary: segment.at_boundary,
            turn_start,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.content.length() == 0
    }

    /// The bytes left; none in a gap.
    pub(super) fn bytes(&self) -> &'a [u8] {
        match self.content {
            Content::Bytes(bytes) => bytes,
            Content::Gap { .. } => &[],
        }
    }

    /// Passes over bytes that belong to no message; a message may still begin behind them.
    pub(super) fn skip(&mut self, length: u64) {
        let length = length.min(self.content.length());
        self.offset = self.offset.saturating_add(length);
        match &mut self.content {
            Content::Gap { length: left, .. } => *left -= length,
            Content::Bytes(bytes) => {
                let length = usize::try_from(length).unwrap_or(bytes.len());
                *bytes = bytes.get(length..).unwrap_or_default();
            }
        }
    }

    /// Passes over bytes of a message.
    pub(super) fn take(&mut self, length: u64) {
        self.skip(length);
        self.at_boundary = false;
        self.turn_start = false;
    }

    pub(super) fn take_all(&mut self) {
        self.take(self.content.length());
    }
}
