//! Standard output in settings.

use crate::document::{Problem, keys_of};
use crate::export::Format;
use crate::export::sink::specification::{DestinationSettings, Kind, Place};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Standard output: `stdout: {}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StdoutSettings {}

pub(in crate::export::sink) static KIND: Kind = Kind {
    name: "stdout",
    text_form: "stdout",
    default_format: Format::Native,
    keys: keys_of::<StdoutSettings>,
    place,
};

impl DestinationSettings for StdoutSettings {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn label(&self) -> String {
        KIND.name.to_owned()
    }
}

fn place(text: &str) -> Result<Place, Problem> {
    if text.is_empty() { Ok(Vec::new()) } else { Err(KIND.misspelt("")) }
}
