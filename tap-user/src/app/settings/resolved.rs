//! Settings resolved for a command.

use super::file::{ALL_INTERFACES, SettingsFile};
use super::load::Loaded;
use super::policy;
use super::selection::selection;
use super::values::Namespace;
use crate::app::admin::AdminAddress;
use crate::app::arguments::{
    ReadArguments, RecordArguments, RunArguments, SendArguments, WatchArguments,
};
use crate::app::source::SourceKind;
use crate::capture::selection::Selection;
use crate::document::Problem;
use crate::export::{Format, SinkSettings, SinkSpecification};
use crate::gateway::Generator;
use crate::http::Limits;
use crate::policy::Rules;
use crate::segment::Legs;
use std::io::IsTerminal;
use std::net::IpAddr;
use std::path::PathBuf;

/// Everything that a run needs.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) selection: Selection,
    pub(crate) source: SourceKind,
    pub(crate) packets: PacketSettings,
    pub(crate) ring_bytes: u32,
    /// Priority in the processor scheduler.
    pub(crate) nice: i8,
    /// Where metrics and health are told; `None`: at the default address, if it is free.
    pub(crate) admin: Option<AdminAddress>,
    pub(crate) records: RecordSettings,
    /// What this was resolved from.
    pub(crate) typed: SettingsFile,
}

/// What only live packets have.
#[derive(Debug, Clone)]
pub(crate) struct PacketSettings {
    /// Interface to capture; `None` for all.
    pub(crate) interface: Option<String>,
    /// Packets to capture, in the language of tcpdump.
    pub(crate) filter: Option<String>,
    /// Bytes of each packet that are captured at most.
    pub(crate) snap_length: u32,
    /// Where the selection's network namespace is, if it was given as a path.
    pub(crate) namespace: Option<PathBuf>,
}

/// Everything that reading files needs.
#[derive(Debug, Clone)]
pub(crate) struct ReadSettings {
    pub(crate) files: Vec<PathBuf>,
    /// Ports and addresses of which a packet must have one; without any, all do.
    pub(crate) ports: Vec<u16>,
    pub(crate) hosts: Vec<IpAddr>,
    /// An expression of tcpdump.
    pub(crate) filter: Option<String>,
    pub(crate) records: RecordSettings,
}

/// Everything that sending records again needs.
#[derive(Debug, Clone)]
pub(crate) struct SendSettings {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) policy: Rules,
    pub(crate) sinks: Vec<SinkSpecification>,
    pub(crate) totals_file: Option<PathBuf>,
}

/// What becomes of exchanges, wherever they were seen.
#[derive(Debug, Clone)]
pub(crate) struct RecordSettings {
    /// Sides of the gateway that are looked at; `None`: those that a sink's format carries.
    pub(crate) legs: Option<Legs>,
    pub(crate) limits: Limits,
    pub(crate) memory_bytes: u64,
    pub(crate) generator: Generator,
    pub(crate) correlation_header: String,
    /// What may leave.
    pub(crate) policy: Rules,
    pub(crate) sinks: Vec<SinkSpecification>,
    pub(crate) totals_file: Option<PathBuf>,
}

impl RecordSettings {
    /// Sides of the gateway that are looked at.
    pub(crate) fn wanted_legs(&self) -> Legs {
        let is_carried = |leg| self.sinks.iter().any(|sink| sink.format.carries(leg));
        self.legs.unwrap_or_else(|| Legs::that(is_carried))
    }
}

/// Settings of `gatetap run`; without any sink records go to standard output.
pub(crate) fn for_run(arguments: &RunArguments) -> Result<Settings, Problem> {
    let mut loaded = Loaded::for_tap(&arguments.common)?;
    loaded.write_somewhere();
    let mut settings = loaded.resolve()?;
    settings.records.totals_file = arguments.common.records.totals_file.clone();
    Ok(settings)
}

/// Settings of `gatetap read`; without any sink records go to standard output. Nobody waits for
/// an exchange in a file, so none is shown before its end.
pub(crate) fn for_read(arguments: &ReadArguments) -> Result<ReadSettings, Problem> {
    let mut loaded = Loaded::for_records(&arguments.records)?;
    loaded.write_somewhere();
    let mut records = loaded.resolve_records()?;
    records.limits.age_limit_ns = u64::MAX;
    // What is in the file is counted, wanted or not: it costs nobody but the reader.
    records.legs = Some(Legs::BOTH);
    records.totals_file = arguments.records.totals_file.clone();
    Ok(ReadSettings {
        files: arguments.files.clone(),
        ports: arguments.port.clone(),
        hosts: arguments.host.clone(),
        filter: arguments.filter.clone(),
        records,
    })
}

/// Settings of `gatetap send`; without any sink records go to standard output.
pub(crate) fn for_send(arguments: &SendArguments) -> Result<SendSettings, Problem> {
    let mut loaded = Loaded::for_records(&RecordArguments {
        config: arguments.config.clone(),
        sink: arguments.sink.clone(),
        no_redact: arguments.no_redact,
        ..RecordArguments::default()
    })?;
    loaded.write_somewhere();
    let RecordSettings { mut policy, sinks, .. } = loaded.resolve_records()?;
    policy.redaction = policy.redaction.again();
    let (files, totals_file) = (arguments.files.clone(), arguments.totals_file.clone());
    Ok(SendSettings { files, policy, sinks, totals_file })
}

/// Settings of `gatetap watch`: standard output carries lines for people.
pub(crate) fn for_watch(arguments: &WatchArguments) -> Result<Settings, Problem> {
    let mut settings = Loaded::for_tap(&arguments.common)?.resolve()?;
    let mut lines = SinkSettings::stdout().resolve()?;
    lines.format = match (arguments.full, std::io::stdout().is_terminal()) {
        (true, _) => Format::Indented,
        (false, true) => Format::ColouredLine,
        (false, false) => Format::Line,
    };
    settings.records.sinks.insert(0, lines);
    // Somebody looks at a terminal: nobody scrapes.
    settings.admin = settings.admin.or(Some(AdminAddress::Off));
    settings.records.totals_file = arguments.common.records.totals_file.clone();
    Ok(settings)
}

impl Loaded {
    /// Without any sink, records go to standard output.
    pub(crate) fn write_somewhere(&mut self) {
        if self.settings.sinks.is_empty() {
            self.settings.sinks.push(SinkSettings::stdout());
        }
    }

    /// Settings of a tap.
    pub(crate) fn resolve(&self) -> Result<Settings, Problem> {
        let SettingsFile { source, ring_size, nice, admin, .. } = &self.settings;
        Ok(Settings {
            selection: selection(&self.settings).map_err(|problem| self.place(problem))?,
            source: *source,
            packets: packets(&self.settings).map_err(|problem| self.place(problem))?,
            ring_bytes: ring_size.bytes(),
            nice: nice.0,
            admin: admin.listen,
            records: self.resolve_records()?,
            typed: self.settings.clone(),
        })
    }

    fn resolve_records(&self) -> Result<RecordSettings, Problem> {
        let SettingsFile { body_cap, age_limit, memory_limit, correlation, sinks, .. } =
            &self.settings;
        let sinks = self::sinks(sinks).map_err(|problem| self.place(problem))?;
        let legs = &self.settings.select.legs;
        Ok(RecordSettings {
            legs: (!legs.is_empty()).then(|| Legs::that(|leg| legs.contains(&leg.into()))),
            limits: Limits {
                body_cap: body_cap.0.0,
                age_limit_ns: u64::try_from(age_limit.0.as_nanos()).unwrap_or(u64::MAX),
                ..Limits::default()
            },
            memory_bytes: memory_limit.0,
            generator: correlation.generator,
            correlation_header: correlation.header.to_string(),
            policy: policy::rules(&self.settings).map_err(|problem| self.place(problem))?,
            sinks,
            totals_file: None,
        })
    }
}

fn packets(settings: &SettingsFile) -> Result<PacketSettings, Problem> {
    let SettingsFile { source, interface, capture_filter, snap_length, select, .. } = settings;
    if capture_filter.is_some() && *source == SourceKind::Probes {
        let message = "packets are filtered only where there are packets; use source: interface";
        return Err(Problem::at("capture_filter", message));
    }
    Ok(PacketSettings {
        interface: Some(interface.clone()).filter(|name| name != ALL_INTERFACES),
        filter: capture_filter.clone(),
        snap_length: snap_length.bytes(),
        namespace: match &select.network_namespace {
            Some(Namespace::Path(path)) => Some(path.clone()),
            _ => None,
        },
    })
}

fn sinks(settings: &[SinkSettings]) -> Result<Vec<SinkSpecification>, Problem> {
    let mut resolved: Vec<SinkSpecification> = Vec::new();
    for (index, sink) in settings.iter().enumerate() {
        let in_list = |problem: Problem| problem.below_entry(index).below("sinks");
        let sink = sink.resolve().map_err(in_list)?;
        share_nothing(&sink, &resolved).map_err(in_list)?;
        resolved.push(sink);
    }
    Ok(resolved)
}

/// Each sink has a name and files of its own.
fn share_nothing(sink: &SinkSpecification, others: &[SinkSpecification]) -> Result<(), Problem> {
    let taken: Vec<_> = others.iter().flat_map(SinkSpecification::files).collect();
    for (key, path) in sink.files() {
        if taken.iter().any(|(_, other)| *other == path) {
            let message = format!("another sink writes {}; give each its own", path.display());
            return Err(Problem::at(key, message));
        }
    }
    if others.iter().any(|other| other.name == sink.name) {
        let message = format!("there is a sink {} already; give each its own name", sink.name);
        return Err(Problem::at("name", message));
    }
    Ok(())
}
