//! Settings resolved: defaults, then the file, then the command line. All defaults stand here.

use super::Failure;
use super::arguments::{
    CommonArguments, ReadArguments, RecordArguments, RunArguments, SelectionArguments,
    WatchArguments,
};
use super::source::SourceKind;
use crate::capture::selection::{Selection, control_group_identifier};
use crate::document::{self, Node, Problem};
use crate::export::{Format, SinkSettings, SinkSpecification};
use crate::gateway::{DEFAULT_HEADER, Generator};
use crate::http::{DEFAULT_AGE_LIMIT_NS, DEFAULT_BODY_CAP, DEFAULT_MEMORY_BYTES, Limits};
use crate::units::{ByteSize, Period};
use serde::Deserialize;
use std::io::IsTerminal;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Kong's proxy ports.
const DEFAULT_PORTS: [u16; 2] = [8_000, 8_443];
/// Ring between kernel and userspace in bytes.
const DEFAULT_RING_BYTES: u64 = 64 * 1024 * 1024;
/// Bounds of the ring: below, one large body does not fit; above, the kernel refuses.
const RING_BYTES: std::ops::RangeInclusive<u64> = 64 * 1024..=1024 * 1024 * 1024;
/// Name for all interfaces at once, as in tcpdump.
const ALL_INTERFACES: &str = "any";
/// Bytes of a packet that are captured, as in tcpdump: more than any packet has.
const DEFAULT_SNAP_LENGTH: u64 = 256 * 1024;
/// Bounds of the snap length: the headers must fit, and a packet into a block of the ring.
const SNAP_LENGTH: std::ops::RangeInclusive<u64> = 64..=256 * 1024;
/// Largest body cap: beyond it a few exchanges would fill all memory.
const BODY_CAP_LIMIT: u64 = 1024 * 1024 * 1024;
/// Longest process name that the kernel keeps, in bytes.
const NAME_LIMIT: usize = 15;

/// Everything that a run needs.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) selection: Selection,
    pub(crate) source: SourceKind,
    pub(crate) packets: PacketSettings,
    pub(crate) ring_bytes: u32,
    pub(crate) records: RecordSettings,
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

/// What becomes of exchanges, wherever they were seen.
#[derive(Debug, Clone)]
pub(crate) struct RecordSettings {
    pub(crate) limits: Limits,
    pub(crate) memory_bytes: u64,
    pub(crate) generator: Generator,
    pub(crate) correlation_header: String,
    pub(crate) redact: bool,
    pub(crate) sinks: Vec<SinkSpecification>,
    pub(crate) totals_file: Option<PathBuf>,
}

/// The settings file. Its keys are documented in docs/settings.md.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    select: SelectFile,
    source: Option<String>,
    interface: Option<String>,
    filter: Option<String>,
    snap_length: Option<ByteSize>,
    body_cap: Option<ByteSize>,
    ring_size: Option<ByteSize>,
    memory_limit: Option<ByteSize>,
    age_limit: Option<Period>,
    correlation: CorrelationFile,
    redact: Option<bool>,
    sinks: Vec<SinkSettings>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SelectFile {
    ports: Vec<u16>,
    processes: Vec<String>,
    pids: Vec<u32>,
    network_namespace: Option<String>,
    control_group: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CorrelationFile {
    generator: Option<String>,
    header: Option<String>,
}

/// Settings of `gatetap run`; without any sink records go to standard output.
pub(super) fn for_run(arguments: &RunArguments) -> Result<Settings, Failure> {
    let mut settings = resolve(&arguments.common)?;
    settings.records.write_somewhere()?;
    Ok(settings)
}

/// Settings of `gatetap read`; without any sink records go to standard output. Nobody waits for
/// an exchange in a file, so none is shown before its end.
pub(super) fn for_read(arguments: &ReadArguments) -> Result<ReadSettings, Failure> {
    let (mut records, _) = resolve_records(&arguments.records, None)?;
    records.limits.age_limit_ns = u64::MAX;
    records.write_somewhere()?;
    Ok(ReadSettings {
        files: arguments.files.clone(),
        ports: arguments.port.clone(),
        hosts: arguments.host.clone(),
        filter: arguments.filter.clone(),
        records,
    })
}

/// Settings of `gatetap watch`: standard output carries lines for people.
pub(super) fn for_watch(arguments: &WatchArguments) -> Result<Settings, Failure> {
    let mut settings = resolve(&arguments.common)?;
    let mut lines: SinkSpecification = "stdout".parse()?;
    lines.format = match (arguments.full, std::io::stdout().is_terminal()) {
        (true, _) => Format::Indented,
        (false, true) => Format::ColouredLine,
        (false, false) => Format::Line,
    };
    settings.records.sinks.insert(0, lines);
    Ok(settings)
}

impl RecordSettings {
    fn write_somewhere(&mut self) -> Result<(), Failure> {
        if self.sinks.is_empty() {
            self.sinks.push("stdout".parse()?);
        }
        Ok(())
    }
}

fn resolve(arguments: &CommonArguments) -> Result<Settings, Failure> {
    let (records, rest) = resolve_records(&arguments.records, arguments.age_limit)?;
    let source = match (arguments.source.source, &rest.source) {
        (Some(source), _) => source,
        (None, Some(name)) => name.parse().map_err(|e| format!("source: {e}"))?,
        (None, None) => SourceKind::default(),
    };
    let packets = resolve_packets(arguments, &rest)?;
    if packets.filter.is_some() && source == SourceKind::Probes {
        return Err("a packet filter needs packets: add --source interface".into());
    }
    Ok(Settings {
        selection: selection(&arguments.selection, rest.select, packets.filter.is_some())?,
        source,
        packets,
        ring_bytes: ring_bytes(arguments.ring_size.or(rest.ring_size))?,
        records,
    })
}

fn resolve_packets(
    arguments: &CommonArguments,
    file: &SourceFile,
) -> Result<PacketSettings, Failure> {
    let given = &arguments.source;
    let interface = given.interface.clone().or_else(|| file.interface.clone());
    let netns = &arguments.selection.netns;
    let namespace = netns.clone().or_else(|| file.select.network_namespace.clone());
    Ok(PacketSettings {
        interface: interface.filter(|name| name != ALL_INTERFACES),
        filter: given.filter.clone().or_else(|| file.filter.clone()),
        snap_length: snap_length(given.snap_length.or(file.snap_length))?,
        namespace: namespace.filter(|text| text.parse::<u32>().is_err()).map(PathBuf::from),
    })
}

/// What the file says of the source itself.
struct SourceFile {
    select: SelectFile,
    source: Option<String>,
    interface: Option<String>,
    filter: Option<String>,
    snap_length: Option<ByteSize>,
    ring_size: Option<ByteSize>,
}

fn resolve_records(
    arguments: &RecordArguments,
    age_limit: Option<Period>,
) -> Result<(RecordSettings, SourceFile), Failure> {
    let (file, sinks) = match &arguments.config {
        Some(path) => read(path)?,
        None => (File::default(), Vec::new()),
    };
    let generator = match (arguments.correlation_generator, &file.correlation.generator) {
        (Some(generator), _) => generator,
        (None, Some(name)) => name.parse().map_err(|e| format!("correlation.generator: {e}"))?,
        (None, None) => Generator::default(),
    };
    let header = arguments.correlation_header.clone().or(file.correlation.header);
    let sinks = if arguments.sink.is_empty() { sinks } else { arguments.sink.clone() };
    let age_limit = age_limit.or(file.age_limit).map(|Period(age)| age.as_nanos());
    let settings = RecordSettings {
        limits: Limits {
            body_cap: body_cap(arguments.body_cap.or(file.body_cap))?,
            age_limit_ns: age_limit.map_or(DEFAULT_AGE_LIMIT_NS, saturate),
            ..Limits::default()
        },
        memory_bytes: size(arguments.memory_limit.or(file.memory_limit), DEFAULT_MEMORY_BYTES),
        generator,
        correlation_header: header.unwrap_or_else(|| DEFAULT_HEADER.to_owned()),
        redact: !arguments.no_redact && file.redact.unwrap_or(true),
        sinks,
        totals_file: arguments.totals_file.clone(),
    };
    let File { select, source, interface, filter, snap_length, ring_size, .. } = file;
    Ok((settings, SourceFile { select, source, interface, filter, snap_length, ring_size }))
}

/// Folders of all spools that the sinks in a settings file have.
pub(super) fn spools(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let (_, sinks) = read(path)?;
    Ok(sinks.into_iter().filter_map(|sink| Some(sink.spool?.path)).collect())
}

/// Reads a settings file; the error names the file, the line and the key.
fn read(path: &Path) -> Result<(File, Vec<SinkSpecification>), Failure> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let node = document::parse_yaml(&text).map_err(|problem| problem.in_file(&name))?;
    let file: File = document::read(&node).map_err(|problem| problem.in_file(&name))?;
    let sinks = sinks(&file.sinks, &node).map_err(|problem| problem.in_file(&name))?;
    Ok((file, sinks))
}

fn sinks(settings: &[SinkSettings], file: &Node) -> Result<Vec<SinkSpecification>, Problem> {
    let resolved = settings.iter().enumerate().map(|(index, sink)| {
        sink.resolve().map_err(|problem| {
            let problem = problem.below_entry(index).below("sinks");
            let line = file.line_of(problem.key());
            problem.or_at(line)
        })
    });
    resolved.collect()
}

/// Who is watched: what is named on the command line replaces what the file names.
pub(super) fn select(arguments: &SelectionArguments) -> Result<Selection, Failure> {
    selection(arguments, SelectFile::default(), false)
}

/// Kong's ports are watched unless something else is named: processes, ports, or a filter.
fn selection(
    arguments: &SelectionArguments,
    file: SelectFile,
    has_filter: bool,
) -> Result<Selection, Failure> {
    let names = first_given(&arguments.process, file.processes);
    if let Some(name) = names.iter().find(|name| name.len() > NAME_LIMIT || name.is_empty()) {
        let limit = format!("the kernel keeps {NAME_LIMIT} bytes of a process name");
        return Err(format!("process name `{name}`: use 1 to {NAME_LIMIT} bytes ({limit})").into());
    }
    let pids = first_given(&arguments.pid, file.pids);
    let mut ports = first_given(&arguments.port, file.ports);
    if ports.is_empty() && names.is_empty() && pids.is_empty() && !has_filter {
        ports = DEFAULT_PORTS.to_vec();
    }
    let namespace = arguments.netns.clone().or(file.network_namespace);
    let group = arguments.cgroup.clone().or(file.control_group);
    Ok(Selection {
        ports,
        names,
        pids,
        network_namespace: namespace.as_deref().map(network_namespace).transpose()?,
        control_group: group.as_deref().map(control_group).transpose()?,
    })
}

fn first_given<T: Clone>(arguments: &[T], file: Vec<T>) -> Vec<T> {
    if arguments.is_empty() { file } else { arguments.to_vec() }
}

fn network_namespace(text: &str) -> Result<u32, Failure> {
    if let Ok(inode) = text.parse() {
        return Ok(inode);
    }
    let file = std::fs::metadata(text).map_err(|error| {
        format!("network namespace `{text}`: {error}; give its inode number or its path")
    })?;
    Ok(u32::try_from(file.ino())?)
}

fn control_group(path: &Path) -> Result<u64, Failure> {
    let relative = path.strip_prefix("/").unwrap_or(path);
    let found = control_group_identifier(relative).or_else(|| control_group_identifier(path));
    found.ok_or_else(|| format!("control group `{}` does not exist", path.display()).into())
}

fn body_cap(given: Option<ByteSize>) -> Result<u64, Failure> {
    let cap = size(given, DEFAULT_BODY_CAP);
    if cap > BODY_CAP_LIMIT {
        return Err("the body cap cannot be above 1GiB".into());
    }
    Ok(cap)
}

fn ring_bytes(given: Option<ByteSize>) -> Result<u32, Failure> {
    let bytes = size(given, DEFAULT_RING_BYTES);
    if !RING_BYTES.contains(&bytes) || !bytes.is_power_of_two() {
        return Err(format!("ring size {bytes}: use a power of two from 64KiB to 1GiB").into());
    }
    Ok(u32::try_from(bytes)?)
}

fn snap_length(given: Option<ByteSize>) -> Result<u32, Failure> {
    let bytes = size(given, DEFAULT_SNAP_LENGTH);
    if !SNAP_LENGTH.contains(&bytes) {
        return Err(format!("snap length {bytes}: use 64 to 256KiB").into());
    }
    Ok(u32::try_from(bytes)?)
}

fn size(given: Option<ByteSize>, default: u64) -> u64 {
    given.map_or(default, |ByteSize(bytes)| bytes)
}

fn saturate(nanoseconds: u128) -> u64 {
    u64::try_from(nanoseconds).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn parse(yaml: &str) -> Result<File, Failure> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(yaml.as_bytes()).unwrap();
        read(file.path()).map(|(file, _)| file)
    }

    #[test]
    fn a_file_with_everything() {
        let file = parse(
            "select: {ports: [8000], processes: [nginx], pids: [1]}\nbody_cap: 1MiB\n\
             ring_size: 1048576\nage_limit: 10s\nredact: false\n\
             source: interface\ninterface: eth0\nfilter: tcp\nsnap_length: 256\n\
             correlation: {generator: \"uuid#counter\", header: X-Request-ID}\n\
             sinks:\n  - {tcp: {host: collector, port: 9563}, format: tcp-body-log}\n",
        )
        .unwrap();
        assert_eq!(file.select.ports, [8_000]);
        assert_eq!(file.body_cap, Some(ByteSize(1_048_576)));
        assert_eq!(file.ring_size, Some(ByteSize(1_048_576)));
        assert_eq!(file.sinks.len(), 1);
    }

    #[test]
    fn the_documented_example_is_valid() {
        let page = include_str!("../../../docs/settings.md");
        let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
        // With its comments taken away as well.
        for yaml in [example.to_owned(), example.replace("\n  # ", "\n  ")] {
            assert_eq!(parse(&yaml).unwrap().sinks.len(), 2);
        }
    }

    #[test]
    fn an_error_names_file_line_and_key() {
        let error = parse("body_cap: 1MiB\nbody_cup: 3\n").unwrap_err().to_string();
        assert!(error.contains(":2: body_cup: "), "{error}");
        let error = parse("body_cap: 1MiB\nselect:\n  ports: [many]\n").unwrap_err().to_string();
        assert!(error.contains(":3: select.ports[0]: "), "{error}");
    }

    #[test]
    fn kongs_ports_are_watched_unless_something_else_is_named() {
        let none = SelectionArguments::default();
        assert_eq!(select(&none).unwrap().ports, [8_000, 8_443]);
        let by_name = SelectionArguments { process: vec!["nginx".into()], ..none };
        assert!(select(&by_name).unwrap().ports.is_empty());
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(ring_bytes(Some(ByteSize(3_000_000))).is_err());
        assert!(ring_bytes(Some(ByteSize(4_096))).is_err());
        assert!(body_cap(Some(ByteSize(1 << 40))).is_err());
    }
}
