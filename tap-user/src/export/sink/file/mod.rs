//! A file that records are appended to.

pub(super) mod settings;

pub use settings::FileSettings;

use super::{Sink, descriptor};
use bytes::Bytes;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// Records hold what users send: only the owner may read them. A file that is already there
/// keeps the mode it has.
const MODE: u32 = 0o600;

pub(super) struct FileSink {
    file: Arc<File>,
}

impl FileSink {
    /// Opens the file, or creates it.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(MODE).open(path)?;
        Ok(Self { file: Arc::new(file) })
    }
}

impl Sink for FileSink {
    const CONTINUES: bool = true;

    async fn open(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn write(&mut self, pieces: Vec<Bytes>) -> io::Result<usize> {
        descriptor::write(&self.file, pieces).await
    }
}
