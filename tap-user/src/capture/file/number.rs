//! Numbers in the byte order of whoever wrote the file.

/// Byte order of a file or section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Big,
    Little,
}

impl Order {
    /// The number at `offset`; 0 behind the end.
    pub(super) fn number16(self, bytes: &[u8], offset: usize) -> u16 {
        let array = array(bytes, offset);
        match self {
            Self::Big => u16::from_be_bytes(array),
            Self::Little => u16::from_le_bytes(array),
        }
    }

    /// The number at `offset`; 0 behind the end.
    pub(super) fn number32(self, bytes: &[u8], offset: usize) -> u32 {
        let array = array(bytes, offset);
        match self {
            Self::Big => u32::from_be_bytes(array),
            Self::Little => u32::from_le_bytes(array),
        }
    }

    /// The signed number at `offset`; 0 behind the end.
    pub(super) fn signed64(self, bytes: &[u8], offset: usize) -> i64 {
        let array = array(bytes, offset);
        match self {
            Self::Big => i64::from_be_bytes(array),
            Self::Little => i64::from_le_bytes(array),
        }
    }
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let part = bytes.get(offset..).and_then(|rest| rest.get(..N));
    part.and_then(|part| part.try_into().ok()).unwrap_or([0; N])
}
