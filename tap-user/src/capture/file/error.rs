//! Why a capture file cannot be read.

use std::io;

/// What is wrong, and where.
#[derive(Debug, thiserror::Error)]
#[error("{name}: byte {offset}: {kind}")]
pub struct FileError {
    /// The file.
    pub name: String,
    /// Place of the record or block, in bytes from the beginning (of what is inside, if the file
    /// is compressed).
    pub offset: u64,
    /// What is wrong there.
    pub kind: FileErrorKind,
}

/// What is wrong with a capture file.
#[derive(Debug, thiserror::Error)]
pub enum FileErrorKind {
    /// The system refuses.
    #[error("{0}")]
    System(#[from] io::Error),
    /// It is empty.
    #[error("the file is empty")]
    Empty,
    /// It begins with something else.
    #[error("no capture file: it begins with {0:02x?}, neither pcap nor pcapng nor gzip")]
    NotACapture([u8; 4]),
    /// A record claims more bytes than any packet has.
    #[error("a packet of {0} bytes: the file is damaged here")]
    PacketTooLarge(u64),
    /// A block of pcapng is shorter than its kind needs, or not a multiple of 4 bytes.
    #[error("a block of type {kind:#x} with {length} bytes: the file is damaged here")]
    Block {
        /// Type of the block.
        kind: u32,
        /// Its length as it says itself.
        length: u32,
    },
    /// A packet belongs to an interface that was not described.
    #[error("a packet of interface {0}, which was not described before")]
    UnknownInterface(u32),
    /// More interfaces than anybody has.
    #[error("more than {0} interfaces in one section")]
    TooManyInterfaces(usize),
}
