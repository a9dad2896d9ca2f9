//! A file in settings.

use crate::document::{Problem, keys_of};
use crate::export::Format;
use crate::export::sink::specification::{DestinationSettings, Kind, Place};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A file that records are appended to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSettings {
    /// The file; created with mode 0600.
    #[schemars(example = "/var/log/gatetap.ndjson")]
    pub path: PathBuf,
}

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
        Ok(())
    }
}

fn place(text: &str) -> Result<Place, Problem> {
    if text.is_empty() {
        return Err(KIND.misspelt("file:/var/log/gatetap.ndjson"));
    }
    Ok(vec![("path", text.to_owned())])
}
