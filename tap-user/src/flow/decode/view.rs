//! The part of a frame that is not decoded yet.

/// Bytes as they were captured, and how many there were on the wire: a capture may have cut the
/// end off. `bytes.len() <= length` always holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View<'a> {
    bytes: &'a [u8],
    length: usize,
}

impl<'a> View<'a> {
    pub(super) fn new(bytes: &'a [u8], length_on_wire: u32) -> Self {
        let length = usize::try_from(length_on_wire).unwrap_or(usize::MAX);
        Self { bytes, length: length.max(bytes.len()) }
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Length on the wire.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// How many bytes the capture cut off.
    pub(super) fn cut(&self) -> usize {
        self.length.saturating_sub(self.bytes.len())
    }

    /// What follows the first `count` bytes; `None` if the wire had fewer.
    pub(super) fn skip(&self, count: usize) -> Option<Self> {
        let length = self.length.checked_sub(count)?;
        Some(Self { bytes: self.bytes.get(count..).unwrap_or_default(), length })
    }

    /// Exactly `length` bytes, because a header says so: what stands behind is padding, what is
    /// not there was cut off.
    pub(super) fn with_length(&self, length: usize) -> Self {
        Self { bytes: self.bytes.get(..length).unwrap_or(self.bytes), length }
    }

    /// The byte at `offset`.
    pub(super) fn byte(&self, offset: usize) -> Option<u8> {
        self.bytes.get(offset).copied()
    }

    /// The big-endian number at `offset`.
    pub(super) fn number16(&self, offset: usize) -> Option<u16> {
        self.array(offset).map(u16::from_be_bytes)
    }

    /// The big-endian number at `offset`.
    pub(super) fn number32(&self, offset: usize) -> Option<u32> {
        self.array(offset).map(u32::from_be_bytes)
    }

    /// The `N` bytes at `offset`.
    pub(super) fn array<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let end = offset.checked_add(N)?;
        self.bytes.get(offset..end)?.try_into().ok()
    }
}
