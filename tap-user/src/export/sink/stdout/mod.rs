//! Standard output.

pub(super) mod settings;

pub use settings::StdoutSettings;

use super::{Sink, descriptor};
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

pub(super) struct StdoutSink {
    file: Arc<File>,
}

impl StdoutSink {
    /// Takes a descriptor of its own: unlike `std::io::Stdout` it has no lock and no buffer.
    pub(super) fn new() -> io::Result<Self> {
        let descriptor = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self { file: Arc::new(File::from(descriptor)) })
    }
}

impl Sink for StdoutSink {
    const CONTINUES: bool = true;

    async fn open(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn write(&mut self, pieces: Vec<Bytes>) -> io::Result<usize> {
        descriptor::write(&self.file, pieces).await
    }
}
