//! Which sinks there are and how they are set: in YAML (`tcp: {host: collector, port: 9563}`, with
//! keys for every sink beside it) and on the command line (`tcp:collector:9563,timeout=5s`). Both
//! are read as the same [`SinkSettings`], and those are resolved to a [`SinkSpecification`] in one
//! place.
//!
//! A new destination has its settings beside its sink (`tcp/settings.rs` is an example): a struct,
//! a [`Kind`] and [`DestinationSettings`]. Here it needs a key in [`SinkSettings`], a variant of
//! [`Destination`] and a line in [`destination::KINDS`]; the compiler asks for the rest.

mod destination;
mod settings;
mod stamp;
mod text;

pub use destination::Destination;
pub(in crate::export::sink) use destination::{DestinationSettings, Kind, Place};
pub use settings::SinkSettings;
pub use stamp::Stamp;

use crate::document::Problem;
use crate::export::Format;
use crate::export::sink::{DeadLetterSettings, Retry};
use crate::policy::{Filter, FilterSettings};
use crate::spool;
use crate::units::ByteSize;
use std::fmt::{self, Display};
use std::path::Path;

/// Name of the dead-letter file in a spool's folder.
const DEAD_LETTER: &str = "dead-letter.ndjson";

/// Where records go, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkSpecification {
    /// How it is called in totals and messages.
    pub name: String,
    /// Where to.
    pub destination: Destination,
    /// What the records look like.
    pub format: Format,
    /// Whether they have bodies.
    pub log_body: bool,
    /// Which of the exchanges that leave at all leave by this sink.
    pub filter: FilterSettings,
    /// Bound of the records that wait in memory, in bytes. A record that finds no room is
    /// dropped; so one that is larger than the bound always is.
    pub queue_bytes: u64,
    /// How long to wait after a failure.
    pub retry: Retry,
    /// Where records are kept that the receiver will never take.
    pub dead_letter: Option<DeadLetterSettings>,
    /// Counts how often what its settings name outside of them has changed (secrets and
    /// certificates in files): a sink of another generation is another sink.
    pub generation: u64,
    /// Where records wait on disk, if they do.
    pub spool: Option<spool::Settings>,
}

/// What it is, in a line for people.
impl Display for SinkSpecification {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, destination, format, queue_bytes, spool, .. } = self;
        let label = destination.settings().label();
        if *name == label {
            write!(formatter, "{label}")?;
        } else {
            write!(formatter, "{name} ({label})")?;
        }
        write!(formatter, ": format {format}, queue {}", ByteSize(*queue_bytes))?;
        spool.iter().try_for_each(|spool| write!(formatter, ", spool {}", spool.path.display()))
    }
}

impl SinkSpecification {
    /// Where records are kept that the receiver will never take, if the settings do not say: beside those
    /// that wait.
    pub(super) fn default_dead_letter(&self) -> Option<DeadLetterSettings> {
        self.spool.as_ref().map(|spool| DeadLetterSettings::at(spool.path.join(DEAD_LETTER)))
    }

    /// Whether both would keep records in the same folder.
    pub(in crate::export) fn shares_spool_with(&self, other: &Self) -> bool {
        let path = |it: &Self| it.spool.as_ref().map(|spool| spool.path.clone());
        path(self).is_some() && path(self) == path(other)
    }

    /// The files that only this sink may write, with their keys.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        let mut files = Vec::new();
        if let Destination::File(settings) = &self.destination {
            files.push(("file.path", settings.path.as_path()));
        }
        files.extend(self.spool.iter().map(|it| ("spool.path", it.path.as_path())));
        files.extend(self.dead_letter.iter().map(|it| ("dead_letter.path", it.path.as_path())));
        files
    }
}

impl SinkSettings {
    /// Chooses what is not given, and checks whether the parts fit each other.
    ///
    /// # Errors
    /// They do not: the key, and what is allowed.
    pub fn resolve(&self) -> Result<SinkSpecification, Problem> {
        let destination = self.destination()?;
        let settings = destination.settings();
        let kind = settings.kind();
        settings.check().map_err(|problem| problem.below(kind.name))?;
        let dead_letter = self.dead_letter.as_ref().map_or(Ok(()), DeadLetterSettings::check);
        dead_letter.map_err(|problem| problem.below("dead_letter"))?;
        Filter::new(&self.filter).map_err(|error| Problem::told("filter", &error))?;
        Ok(SinkSpecification {
            name: self.name.clone().unwrap_or_else(|| settings.label()),
            format: self.format.unwrap_or(kind.default_format),
            // As in Kong's plugin.
            log_body: self.log_body.unwrap_or(!matches!(destination, Destination::Runscope(_))),
            filter: self.filter.clone(),
            queue_bytes: self.queue_bytes.bytes(),
            retry: self.retry.resolve().map_err(|problem| problem.below("retry"))?,
            dead_letter: self.dead_letter.clone(),
            generation: 0,
            spool: self.spool.clone(),
            destination,
        })
    }
}

#[cfg(test)]
mod tests;
