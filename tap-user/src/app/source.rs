//! Where happenings come from: kernel probes or packets.

use super::packets::Packets;
use super::pipeline::Pipeline;
use super::settings::Settings;
use super::totals;
use super::{Failure, with_causes};
use crate::capture::selection::Selection;
use crate::segment::{Legs, Time};
use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that tells a pipeline what happens on connections.
pub(super) trait Source {
    /// Tells what has happened; returns how much that was, 0 for nothing. Never waits.
    fn poll(&mut self, pipeline: &mut Pipeline) -> usize;

    /// Connections on other legs than these are wanted by nobody: they need not be told. Those that
    /// are told already may go on.
    fn want(&mut self, _legs: Legs) -> Result<(), Failure> {
        Ok(())
    }

    /// Waits a little: there was nothing.
    fn wait(&mut self);

    /// Does what is due from time to time.
    fn handle_timeout(&mut self, pipeline: &mut Pipeline) -> Result<(), Failure>;

    /// Tells what is still to be told, because the tap stops.
    fn finish(&mut self, pipeline: &mut Pipeline) -> Result<(), Failure>;

    /// The present moment on the clock of the happenings.
    fn now(&self) -> Time;

    /// What was seen since the start.
    fn totals(&self) -> Result<totals::Source, Failure>;
}

/// Which source is wanted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum SourceKind {
    /// Kernel probes.
    #[default]
    Probes,
    /// Packets of an interface.
    Interface,
    /// Probes, or where the kernel refuses them packets.
    Auto,
}

/// Starts the source that the settings ask for, and says on standard error what it watches.
pub(super) fn start(settings: &Settings) -> Result<Box<dyn Source>, Failure> {
    match settings.source {
        SourceKind::Probes => probes(settings).map_err(|error| {
            let causes = with_causes(&*error);
            format!("{causes}\n`gatetap doctor` tells what is missing and what to do").into()
        }),
        SourceKind::Interface => packets(settings),
        SourceKind::Auto => probes(settings).or_else(|error| {
            let causes = with_causes(&*error);
            eprintln!("gatetap: no probes ({causes}): packets are captured instead");
            packets(settings)
        }),
    }
}

fn packets(settings: &Settings) -> Result<Box<dyn Source>, Failure> {
    Ok(Box::new(Packets::start(settings)?))
}

#[cfg(feature = "probes")]
fn probes(settings: &Settings) -> Result<Box<dyn Source>, Failure> {
    Ok(Box::new(super::probes::ProbeSource::start(settings)?))
}

#[cfg(not(feature = "probes"))]
fn probes(_settings: &Settings) -> Result<Box<dyn Source>, Failure> {
    Err("this build has no kernel probes: build it with the feature `probes` \
         (`cargo xtask setup` installs what that needs)"
        .into())
}

/// A selection in words.
pub(super) fn wanted(selection: &Selection) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(selection.names.iter().map(|name| format!("process {name}")));
    parts.extend(selection.pids.iter().map(|pid| format!("pid {pid}")));
    parts.extend(selection.ports.iter().map(|port| format!("port {port}")));
    parts.join(", ")
}
