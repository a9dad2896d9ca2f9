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
    pub(crate) decoded: Option<Box<[Self; 2]>>,
}

impl Content {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let prefix = &bytes[..bytes.len().min(DEFAULT_BODY_CAP)];
        let prefix_sha256 = sha256(prefix);
        let is_all = prefix.len() == bytes.len();
        let sha256 = if is_all { prefix_sha256.clone() } else { sha256(bytes) };
        Self { length: bytes.len() as u64, sha256, prefix_sha256, decoded: None }
    }

    /// Of a body that is coded in gzip.
    pub(crate) fn of_gzip(bytes: &[u8]) -> Self {
        let captured = &bytes[..bytes.len().min(DEFAULT_BODY_CAP)];
        let decoded = [gunzip(bytes), gunzip(captured)].map(|decoded| Self::of(&decoded));
        Self { decoded: Some(Box::new(decoded)), ..Self::of(bytes) }
    }

    /// What a record with that body cap shows: what the captured bytes hold.
    pub(crate) fn shown(&self, cap: u64) -> &Self {
        match self.decoded.as_deref() {
            Some([whole, _]) if self.length <= cap => whole,
            Some([_, of_prefix]) => of_prefix,
            None => self,
        }
    }
}

/// What is there, also of a body that is cut.
fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    // Fails where it is cut; what came before is there.
    let _ = GzDecoder::new(bytes).read_to_end(&mut decoded);
    decoded
}

impl Default for Content {
    fn default() -> Self {
        Self::of(&[])
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
