//! The destinations that there are.

use super::SinkSettings;
use crate::document::Problem;
use crate::export::Format;
use crate::export::sink::{
    FileSettings, RunscopeSettings, StdoutSettings, TcpSettings, TraceableSettings, file, runscope,
    stdout, tcp, traceable,
};
use serde::Serialize;

/// A destination with its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Destination {
    /// Standard output.
    Stdout(StdoutSettings),
    /// A file.
    File(FileSettings),
    /// A TCP collector.
    Tcp(TcpSettings),
    /// Runscope's API.
    Runscope(RunscopeSettings),
    /// A Traceable agent.
    Traceable(TraceableSettings),
}

/// All kinds, in the order in which messages list them.
pub(super) static KINDS: [&Kind; 5] = [
    &stdout::settings::KIND,
    &file::settings::KIND,
    &tcp::settings::KIND,
    &runscope::settings::KIND,
    &traceable::settings::KIND,
];

/// What is the same for all destinations of a kind.
#[derive(Debug)]
pub(in crate::export::sink) struct Kind {
    /// Its key in YAML, and how its text form begins.
    pub(in crate::export::sink) name: &'static str,
    /// How it is written on the command line.
    pub(in crate::export::sink) text_form: &'static str,
    pub(in crate::export::sink) default_format: Format,
    pub(in crate::export::sink) keys: fn() -> &'static [&'static str],
    /// What stands behind the name in the text form, as values of keys.
    pub(in crate::export::sink) place: fn(&str) -> Result<Place, Problem>,
}

/// Keys with their values as text.
pub(in crate::export::sink) type Place = Vec<(&'static str, String)>;

impl Kind {
    /// The place is not as the text form has it.
    pub(in crate::export::sink) fn misspelt(&self, examples: &str) -> Problem {
        let Self { name, text_form, .. } = self;
        let examples = if examples.is_empty() { "" } else { &format!(", as {examples}") };
        Problem::new(format!("a {name} sink is written {text_form}{examples}"))
    }
}

/// What all settings of destinations can tell.
pub(in crate::export::sink) trait DestinationSettings {
    fn kind(&self) -> &'static Kind;

    /// The destination in short, as `tcp:collector:9563`; how a sink is called if it has no name.
    /// Holds no secret.
    fn label(&self) -> String;

    /// Whether the values fit each other; keys in the problem stand below the destination. Reads
    /// secrets and certificates, but asks nobody.
    fn check(&self) -> Result<(), Problem> {
        Ok(())
    }
}

impl Destination {
    pub(super) fn settings(&self) -> &dyn DestinationSettings {
        match self {
            Self::Stdout(settings) => settings,
            Self::File(settings) => settings,
            Self::Tcp(settings) => settings,
            Self::Runscope(settings) => settings,
            Self::Traceable(settings) => settings,
        }
    }
}

impl SinkSettings {
    /// The one destination.
    pub(super) fn destination(&self) -> Result<Destination, Problem> {
        let Self { stdout, file, tcp, runscope, traceable, .. } = self.clone();
        let all = [
            stdout.map(Destination::Stdout),
            file.map(Destination::File),
            tcp.map(Destination::Tcp),
            runscope.map(Destination::Runscope),
            traceable.map(Destination::Traceable),
        ];
        let mut given = all.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(destination), None) => Ok(destination),
            (None, _) => {
                let message = format!("the destination is missing; use one of {}", names());
                Err(Problem::new(message))
            }
            (Some(one), Some(other)) => {
                let (one, other) = (one.settings().kind().name, other.settings().kind().name);
                let message = format!("a sink has one destination, not {one} and {other}; use two");
                Err(Problem::at(other, message))
            }
        }
    }
}

fn names() -> String {
    KINDS.map(|kind| kind.name).join(", ")
}

/// How sinks are written on the command line.
pub(super) fn text_forms() -> String {
    KINDS.map(|kind| kind.text_form).join(", ")
}
