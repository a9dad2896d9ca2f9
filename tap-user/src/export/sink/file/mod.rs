//! A file that records are appended to.

mod rotation;
pub(super) mod settings;

pub use settings::{FileSettings, RotationSettings};

use super::attempt::{Attempt, BatchLimits, Round, Sink};
use super::descriptor;
use crate::export::record::Record;
use rotation::RotatingFile;
use std::io;
use std::sync::{Arc, Mutex};

pub(super) struct FileSink {
    file: Arc<Mutex<RotatingFile>>,
}

impl FileSink {
    /// Opens the file, or creates it.
    pub(super) fn new(settings: FileSettings) -> io::Result<Self> {
        let file = RotatingFile::open(settings.path, settings.rotate)?;
        Ok(Self { file: Arc::new(Mutex::new(file)) })
    }
}

impl Sink for FileSink {
    fn limits(&self) -> BatchLimits {
        descriptor::LIMITS
    }

    async fn attempt(&self, records: Vec<Record>, _round: Round) -> Attempt {
        descriptor::attempt(&self.file, records).await
    }
}
