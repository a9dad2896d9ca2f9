//! A file in settings.

use crate::document::{Problem, keys_of};
use crate::export::Format;
use crate::export::sink::specification::{DestinationSettings, Kind, Place};
use crate::units::{ByteSize, Period};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use std::path::PathBuf;

/// A file that records are appended to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSettings {
    /// The file; created with mode 0600. If it is moved away or deleted, a new one is begun.
    #[schemars(example = "/var/log/gatetap.ndjson")]
    pub path: PathBuf,
    /// When to begin a new file; without it never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate: Option<RotationSettings>,
}

/// When to begin a new file: the old one becomes `PATH.1`, that before it `PATH.2`…
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotationSettings {
    /// Bytes that a file has at most; a larger record has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = "100MiB")]
    pub size: Option<ByteSize>,
    /// How old a file may be when a record comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = "1d")]
    pub age: Option<Period>,
    /// Old files that are kept; the oldest is deleted.
    #[serde(default = "default_keep")]
    pub keep: NonZeroU32,
}

/// Old files that are kept unless set.
const DEFAULT_KEEP: NonZeroU32 = NonZeroU32::MIN.saturating_add(6);

fn default_keep() -> NonZeroU32 {
    DEFAULT_KEEP
}

impl RotationSettings {
    fn check(self) -> Result<(), Problem> {
        if self.size.is_none() && self.age.is_none() {
            let message = "it says not when; give size (as 100MiB), age (as 1d) or both";
            return Err(Problem::new(message));
        }
        if self.size.is_some_and(|size| size.0 == 0) {
            return Err(Problem::at("size", "0 is no size; use some, as 100MiB"));
        }
        if self.keep > MOST_KEPT {
            let message = format!("{} files are too many; use 1 to {MOST_KEPT}", self.keep);
            return Err(Problem::at("keep", message));
        }
        Ok(())
    }
}

/// Each rotation renames them all.
const MOST_KEPT: NonZeroU32 = NonZeroU32::MIN.saturating_add(999);

pub(in crate::export::sink) static KIND: Kind = Kind {
    name: "file",
    text_form: "file:PATH",
    default_format: Format::Native,
    keys: keys_of::<FileSettings>,
    place,
};

impl DestinationSettings for FileSettings {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn label(&self) -> String {
        format!("file:{}", self.path.display())
    }

    fn check(&self) -> Result<(), Problem> {
        if self.path.as_os_str().is_empty() {
            return Err(Problem::at(
                "path",
                "the path is empty; use one as /var/log/gatetap.ndjson",
            ));
        }
        let rotation = self.rotate.map_or(Ok(()), RotationSettings::check);
        rotation.map_err(|problem| problem.below("rotate"))
    }
}

fn place(text: &str) -> Result<Place, Problem> {
    if text.is_empty() {
        return Err(KIND.misspelt("file:/var/log/gatetap.ndjson"));
    }
    Ok(vec![("path", text.to_owned())])
}
