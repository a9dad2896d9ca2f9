//! Standard output.

pub(super) mod settings;

pub use settings::StdoutSettings;

use super::attempt::{Attempt, BatchLimits, Round, Sink};
use super::descriptor::{self, Descriptor};
use crate::export::record::Record;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};

pub(super) struct StdoutSink {
    file: Arc<Mutex<Descriptor>>,
}

impl StdoutSink {
    /// Takes a descriptor of its own: unlike `std::io::Stdout` it has no lock and no buffer.
    pub(super) fn new() -> io::Result<Self> {
        let descriptor = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self { file: Arc::new(Mutex::new(Descriptor::new(File::from(descriptor)))) })
    }
}

impl Sink for StdoutSink {
    fn limits(&self) -> BatchLimits {
        descriptor::LIMITS
    }

    async fn attempt(&self, records: Vec<Record>, _round: Round) -> Attempt {
        descriptor::attempt(&self.file, records).await
    }
}
