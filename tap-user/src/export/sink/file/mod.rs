//! A file that records are appended to.

pub(super) mod settings;

pub use settings::FileSettings;

use super::attempt::{Attempt, BatchLimits, Sink};
use super::descriptor::{self, Descriptor};
use crate::export::record::Record;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Records hold what users send: only the owner may read them. A file that is already there
/// keeps the mode it has.
const MODE: u32 = 0o600;

pub(super) struct FileSink {
    file: Arc<Mutex<Descriptor>>,
}

impl FileSink {
    /// Opens the file, or creates it.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(MODE).open(path)?;
        Ok(Self { file: Arc::new(Mutex::new(Descriptor::new(file))) })
    }
}

impl Sink for FileSink {
    fn limits(&self) -> BatchLimits {
        descriptor::LIMITS
    }

    async fn attempt(&self, records: Vec<Record>) -> Attempt {
        descriptor::attempt(&self.file, records).await
    }
}
