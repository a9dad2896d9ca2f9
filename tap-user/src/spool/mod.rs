//! Records that are not acknowledged yet, on disk and back.
//!
//! ```text
//! append ──▶ [segment][segment][segment] ──▶ read ──▶ acknowledge
//!              oldest              newest               │
//!              goes when all of it is ◀─────────────────┘
//! ```
//!
//! A [`Spool`] is a queue in a folder. What [`Spool::append`] took is in the kernel: it survives
//! the process however that ends. What was synced ([`Spool::take_unsynced`]) survives a power
//! cut. After a restart reading goes on at the last stored position: entries may come twice, and
//! none is missing. How segments look on disk is specified in [`format`](self::format) (the
//! entries) and in [`position`](self::position) (what is acknowledged).
//!
//! Nothing here knows what records are, waits, or reads a clock.

mod append;
mod file_system;
mod folder;
mod format;
mod open;
mod position;
mod read;
mod scan;
mod segments;
mod settings;
mod status;
mod store;
#[cfg(test)]
pub(crate) mod tests;

pub use append::{AppendError, Appended};
pub use file_system::{FileSystem, SpoolFile};
pub use folder::{Folder, FolderError};
pub use open::OpenError;
pub use read::Read;
pub use segments::{Dropped, Place};
pub use settings::{Limits, Settings, SpoolSize, WhenFull};
pub use status::{Examined, examine};
pub use store::{Damage, Spool, Unsynced, Waiting};

use bytes::Bytes;
use std::sync::Arc;

/// A record as the spool keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// By which a receiver knows it again.
    pub id: Arc<str>,
    /// What goes beside the record, where it is known, in nanoseconds.
    pub duration_ns: Option<u64>,
    /// The record.
    pub bytes: Bytes,
}
