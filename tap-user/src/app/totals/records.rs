//! What was counted of records in files.

use serde::Serialize;
use std::fmt;

/// Files with records.
#[derive(Debug, Serialize)]
pub(in crate::app) struct Records {
    pub(in crate::app) files: Vec<SentFile>,
}

/// One file with records.
#[derive(Debug, Default, Serialize)]
pub(in crate::app) struct SentFile {
    pub(in crate::app) name: String,
    pub(in crate::app) records: u64,
    /// Lines that are no native record.
    pub(in crate::app) bad_lines: u64,
    /// Why its rest could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::app) error: Option<String>,
}

impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records: u64 = self.files.iter().map(|file| file.records).sum();
        let bad_lines: u64 = self.files.iter().map(|file| file.bad_lines).sum();
        write!(f, "\nrecords    {records} read, {bad_lines} lines are none")
    }
}
