//! `gatetap config`: settings checked without contacting anybody, their schema and defaults.

use super::Failure;
use super::arguments::ConfigCommand;
use super::settings::{self, Loaded, Settings};
use super::source::{SourceKind, wanted};
use crate::units::ByteSize;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Does what is asked; the exit code is 0 if the settings are right.
pub(super) fn config(command: &ConfigCommand) -> Result<ExitCode, Failure> {
    let text = match command {
        ConfigCommand::Check { file } => check(file)?,
        ConfigCommand::Schema => format!("{:#}\n", settings::schema()),
        ConfigCommand::Defaults => settings::defaults(),
    };
    // A reader that has seen enough is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(ExitCode::SUCCESS)
}

fn check(file: &Path) -> Result<String, Failure> {
    let mut loaded = Loaded::read(Some(file))?;
    loaded.write_somewhere();
    let settings = loaded.resolve()?;
    for warning in loaded.warnings() {
        eprintln!("gatetap: warning: {warning}");
    }
    Ok(format!("{}: right\n{}", file.display(), summary(&settings)))
}

/// What a run with these settings would do, in a few lines.
fn summary(settings: &Settings) -> String {
    let source = match settings.source {
        SourceKind::Probes => "kernel probes",
        SourceKind::Interface => "packets",
        SourceKind::Auto => "kernel probes, or packets where they are refused",
    };
    let records = &settings.records;
    let filter = settings.packets.filter.as_ref();
    let whom = filter.map_or_else(|| wanted(&settings.selection), |filter| format!("`{filter}`"));
    let redaction = if records.redact { "redacted" } else { "exported as they are" };
    let mut text = format!(
        "watches {whom} by {source}\nbodies up to {}, secret headers {redaction}\n",
        ByteSize(records.limits.body_cap)
    );
    for sink in &records.sinks {
        text.push_str(&format!("sink {sink}\n"));
    }
    text
}
