//! What a sink depends on outside of its settings: the contents of files with secrets and
//! certificates.

use super::SinkSpecification;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of a file with secrets or certificates that are looked at.
const CONTENT_LIMIT: u64 = 1 << 20;
/// Keys besides those that end in `_file` whose values are paths of files with such contents.
const CONTENT_KEYS: [&str; 3] = ["tls_ca", "tls_certificate", "tls_key"];

/// Tells whether something outside has changed: two stamps of a sink differ then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Hashes of contents; `None` for what cannot be read.
    contents: Vec<Option<[u8; 32]>>,
}

impl SinkSpecification {
    /// The present state of what this sink depends on.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        let mut contents = Vec::new();
        if let Ok(settings) = serde_json::to_value(&self.destination) {
            hash_files(&settings, &mut contents);
        }
        Stamp { contents }
    }
}

fn hash_files(settings: &Value, contents: &mut Vec<Option<[u8; 32]>>) {
    for (key, value) in settings.as_object().into_iter().flatten() {
        let is_file = key.ends_with("_file") || CONTENT_KEYS.contains(&key.as_str());
        match value.as_str() {
            Some(path) if is_file => contents.push(hash(Path::new(path))),
            _ => hash_files(value, contents),
        }
    }
}

fn hash(path: &Path) -> Option<[u8; 32]> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(CONTENT_LIMIT).read_to_end(&mut bytes).ok()?;
    Some(Sha256::digest(&bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_secret_is_another_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("token"), "one").unwrap();
        let token = path("token").display().to_string();
        let sink: SinkSpecification =
            format!("runscope:key,access_token_file={token}").parse().unwrap();
        let before = sink.stamp();
        assert_eq!(before, sink.stamp());
        std::fs::write(path("token"), "two").unwrap();
        assert_ne!(before, sink.stamp());
    }
}
