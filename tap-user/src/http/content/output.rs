//! Where a decoder writes to: bytes up to a limit, and why it stopped.

/// Rooms are offered in steps of so many bytes.
const STEP: usize = 16 * 1024;

/// Why a decoder stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The coded content ended, and with it the input.
    Ended,
    /// The coded content ended before the input did.
    TrailingBytes,
    /// The input ended before the coded content did.
    InputEnded,
    /// The same, of a coding that has no mark of its own: it may be something else.
    Unproven,
    /// The limit was reached, and there is more.
    Full,
}

impl Stop {
    /// What both together mean: content that stopped short stays short, whatever else is odd.
    pub(super) fn and_then(self, later: Self) -> Self {
        match (self, later) {
            (Self::Full, _) | (_, Self::Full) => Self::Full,
            (Self::InputEnded, _) | (_, Self::InputEnded) => Self::InputEnded,
            (Self::Unproven, _) | (_, Self::Unproven) => Self::Unproven,
            (Self::TrailingBytes, _) | (_, Self::TrailingBytes) => Self::TrailingBytes,
            (Self::Ended, Self::Ended) => Self::Ended,
        }
    }
}

/// Bytes that a decoder yields, at most `limit` of them. One more is taken in, so that it is
/// known whether there is more; it is not given out.
#[derive(Debug)]
pub(super) struct Output {
    /// What was yielded, and the room behind it.
    bytes: Vec<u8>,
    length: usize,
    limit: usize,
}

impl Output {
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), length: 0, limit }
    }

    /// All that was yielded, with the one byte beyond the limit.
    pub(super) fn yielded(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Whether there are more bytes than the limit.
    pub(super) fn is_exceeded(&self) -> bool {
        self.length > self.limit
    }

    /// Room for more bytes, never empty; `None` once there are more than the limit.
    pub(super) fn room(&mut self) -> Option<&mut [u8]> {
        if self.is_exceeded() {
            return None;
        }
        if self.length == self.bytes.len() {
            let wanted = self.length.saturating_add(STEP).min(self.limit.saturating_add(1));
            self.bytes.resize(wanted, 0);
        }
        self.bytes.get_mut(self.length..)
    }

    /// So many bytes of the room were filled.
    pub(super) fn filled(&mut self, bytes: usize) {
        self.length = self.length.saturating_add(bytes).min(self.bytes.len());
    }

    /// Takes in `bytes` as far as there is room.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while let Some(room) = self.room().filter(|_| !bytes.is_empty()) {
            let length = room.len().min(bytes.len());
            let Some((now, rest)) = bytes.split_at_checked(length) else { return };
            if let Some(place) = room.get_mut(..length) {
                place.copy_from_slice(now);
            }
            self.filled(length);
            bytes = rest;
        }
    }

    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.truncate(self.length.min(self.limit));
        self.bytes
    }
}
