//! What is known of a body: enough to compare it, without keeping it.

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use std::io::Read;

/// Body bytes that a record holds when nothing else is asked for.
pub(crate) const DEFAULT_BODY_CAP: usize = 128 * 1024;

/// Length and hashes of a body without its chunk framing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) length: u64,
    pub(crate) sha256: String,
    /// Of the first [`DEFAULT_BODY_CAP`] bytes.
    pub(crate) prefix_sha256: String,
    /// Of a body in a content coding: what a record shows of it.
    pub(crate) decoded: Option<Box<Self>>,
}

impl Content {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let prefix = &bytes[..bytes.len().min(DEFAULT_BODY_CAP)];
        let prefix_sha256 = sha256(prefix);
        let is_all = prefix.len() == bytes.len();
        let sha256 = if is_all { prefix_sha256.clone() } else { sha256(bytes) };
        Self { length: bytes.len() as u64, sha256, prefix_sha256, decoded: None }
    }

    /// Of a body that is coded in gzip. Records show what its first [`DEFAULT_BODY_CAP`] bytes hold.
    pub(crate) fn of_gzip(bytes: &[u8]) -> Self {
        let content = Self::of(bytes);
        let mut decoded = Vec::new();
        let captured = &bytes[..bytes.len().min(DEFAULT_BODY_CAP)];
        // Fails where it is cut; what came before is there.
        let _ = GzDecoder::new(captured).read_to_end(&mut decoded);
        Self { decoded: Some(Box::new(Self::of(&decoded))), ..content }
    }

    /// What a record shows, apart from the body cap.
    pub(crate) fn shown(&self) -> &Self {
        self.decoded.as_deref().unwrap_or(self)
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::of(&[])
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
