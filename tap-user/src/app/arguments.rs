//! The command line as typed. Defaults and meaning are in `settings`.

use super::admin::AdminAddress;
use super::settings::{
    BodyCap, HeaderName, Namespace, Nice, ProcessId, ProcessName, RingSize, SnapLength,
};
use super::source::SourceKind;
use crate::export::SinkSettings;
use crate::gateway::Generator;
use crate::policy::LegName;
use crate::units::{ByteSize, Period, Port};
use clap::{Args, Parser, Subcommand};
use std::net::IpAddr;
use std::path::PathBuf;

/// Watches an HTTP gateway from outside and exports every exchange in full.
#[derive(Debug, Parser)]
#[command(name = "gatetap", version, about, arg_required_else_help = true)]
#[command(after_help = "Examples:
  gatetap doctor                                    what works on this machine
  gatetap watch --port 8000                         one line per exchange of whoever listens there
  gatetap run --sink tcp:collector.example:9563     Kong's ports, full records to a collector
  gatetap read trace.pcap                           every exchange in a capture file
  gatetap send --sink tcp:collector.example:9563 records.ndjson
                                                    what was recorded in a file")]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Watch and export until interrupted
    #[command(after_help = "Examples:
  gatetap run --sink tcp:collector.example:9563
  gatetap run --port 8000 --port 8443 --sink tcp:[::1]:9563,format=tcp-body-log
  gatetap run --process nginx --body-cap 1MiB --sink file:/var/log/gatetap.ndjson
  gatetap run --config /etc/gatetap.yaml
  gatetap run --source interface --interface eth0 --port 8000

SIGINT and SIGTERM end it: what was seen is delivered, then totals go to standard error.")]
    Run(RunArguments),
    /// Show one readable line per exchange
    #[command(after_help = "Examples:
  gatetap watch
  gatetap watch --port 8080 --full
  gatetap watch --pid 4711 --sink file:/tmp/records.ndjson")]
    Watch(WatchArguments),
    /// Export every exchange in capture files (pcap and pcapng, also inside gzip)
    #[command(after_help = "Examples:
  gatetap read trace.pcap.gz
  gatetap read --port 8000 --sink file:records.ndjson trace-*.pcapng
  tcpdump -U -w - tcp port 8000 | gatetap read -

A file gives the same records each time it is read. Several files are read as one, in the order
given. A sink that is slower than the files makes them wait.")]
    Read(ReadArguments),
    /// Show what waits in spools
    #[command(after_help = "Examples:
  gatetap spool /var/spool/gatetap/collector
  gatetap spool --config /etc/gatetap.yaml
  gatetap spool --json --config /etc/gatetap.yaml | jq '.[].records'

Only looks: nothing is changed, and gatetap may run meanwhile. RECORDS wait to be delivered; those
delivered in the last fifth of a second may be among them. The exit code is 0 if every spool could
be read.")]
    Spool(SpoolArguments),
    /// Deliver recorded native records again, in any format
    #[command(after_help = "Examples:
  gatetap send --sink tcp:collector.example:9563 records.ndjson
  gatetap send --sink traceable:http://agent.traceable:5442 records.ndjson records.ndjson.1.gz
  gatetap send --config /etc/gatetap.yaml < records.ndjson -

Takes records of the format native, which the sinks file and stdout write unless told otherwise: others
do not tell everything. Ids and times stay, so receivers can drop doubles. Filters, sampling and redaction
apply as in run. What is redacted in the file stays so. A line that is no such record is told with its
number, the others are sent; then the exit code is 1.")]
    Send(SendArguments),
    /// Check settings, show their schema or their defaults
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Tell what works on this machine, what does not, and what to do
    #[command(after_help = "Example:
  gatetap doctor --port 8000")]
    Doctor(DoctorArguments),
}

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    pub(super) common: CommonArguments,
}

#[derive(Debug, Args)]
pub(super) struct WatchArguments {
    /// Show every exchange in full, as indented JSON
    #[arg(long)]
    pub(super) full: bool,
    #[command(flatten)]
    pub(super) common: CommonArguments,
}

#[derive(Debug, Args)]
pub(super) struct ReadArguments {
    /// Capture files in the order of their time; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Only connections from or to one of these ports
    #[arg(long, value_name = "PORT")]
    pub(super) port: Vec<u16>,
    /// Only connections from or to one of these addresses
    #[arg(long, value_name = "ADDRESS")]
    pub(super) host: Vec<IpAddr>,
    /// Only packets that match this expression of tcpdump (needs libpcap)
    #[arg(long, value_name = "EXPRESSION")]
    pub(super) filter: Option<String>,
    #[command(flatten)]
    pub(super) records: RecordArguments,
}

#[derive(Debug, Args)]
pub(super) struct SendArguments {
    /// Files with native records, one a line, also inside gzip; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Settings file (YAML); what is given here goes before it
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Where records go: stdout, file:PATH, tcp:HOST:PORT, runscope:BUCKET_KEY or traceable:URL,
    /// with ,key=value of that sink behind it
    #[arg(long, value_name = "SINK")]
    pub(super) sink: Vec<SinkSettings>,
    /// Send what is secret in the files too, instead of REDACTED
    #[arg(long)]
    pub(super) no_redact: bool,
    /// Write the totals as JSON into this file at the end
    #[arg(long, value_name = "FILE")]
    pub(super) totals_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Tell whether `gatetap run --config FILE` would start, and what it would do
    #[command(after_help = "Example:
  gatetap config check /etc/gatetap.yaml

Reads secrets and certificates, but asks nobody and opens no file to write. Exit code 0: the file
is right; 1: it is wrong (file, line, key and what is allowed go to standard error); 2: the command
line is wrong.")]
    Check {
        /// Settings file (YAML)
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Show the JSON Schema of the settings file
    #[command(after_help = "Examples:
  gatetap config schema > gatetap.schema.json

An editor with the YAML language server completes and checks a file that begins with
  # yaml-language-server: $schema=gatetap.schema.json")]
    Schema,
    /// Show a settings file with every key at its default, and what each is for
    #[command(after_help = "Example:
  gatetap config defaults > gatetap.yaml")]
    Defaults,
}

#[derive(Debug, Args)]
pub(super) struct SpoolArguments {
    /// Folders of spools
    #[arg(value_name = "PATH", required_unless_present = "config")]
    pub(super) paths: Vec<PathBuf>,
    /// Settings file: all spools that its sinks have
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// One JSON array instead of a table
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArguments {
    /// Only try whether the kernel accepts the probes: exit code 0 or 1
    #[arg(long)]
    pub(super) probe_check: bool,
    #[command(flatten)]
    pub(super) selection: SelectionArguments,
}

#[derive(Debug, Args)]
pub(super) struct CommonArguments {
    #[command(flatten)]
    pub(super) selection: SelectionArguments,
    #[command(flatten)]
    pub(super) source: SourceArguments,
    #[command(flatten)]
    pub(super) records: RecordArguments,
    /// Age at which an unfinished exchange is exported, to come again at its end [default: 30s]
    #[arg(long, value_name = "DURATION")]
    pub(super) age_limit: Option<Period>,
    /// Ring between kernel and userspace, a power of two [default: 16MiB]
    #[arg(long, value_name = "SIZE")]
    pub(super) ring_size: Option<RingSize>,
    /// Priority in the processor scheduler, -20 (first) to 19 (last): see `nice` [default: -10]
    #[arg(long, value_name = "NICE", allow_negative_numbers = true)]
    pub(super) nice: Option<Nice>,
    /// Where metrics and health are told over HTTP, or `off`
    /// [default: 127.0.0.1:9464 for run, off for watch]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) admin: Option<AdminAddress>,
}

/// What becomes of exchanges, wherever they were seen.
#[derive(Debug, Default, Args)]
pub(super) struct RecordArguments {
    /// Settings file (YAML); what is given here goes before it
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Bytes of each body that records carry (0: none) [default: 128KiB]
    #[arg(long, value_name = "SIZE")]
    pub(super) body_cap: Option<BodyCap>,
    /// Where records go: stdout, file:PATH, tcp:HOST:PORT, runscope:BUCKET_KEY or traceable:URL,
    /// with ,key=value of that sink behind it
    #[arg(long, value_name = "SINK")]
    pub(super) sink: Vec<SinkSettings>,
    /// How correlation ids are made: tracker, uuid or uuid#counter [default: tracker]
    #[arg(long, value_name = "NAME")]
    pub(super) correlation_generator: Option<Generator>,
    /// Header whose value is the correlation id where it is present [default: Kong-Request-ID]
    #[arg(long, value_name = "HEADER")]
    pub(super) correlation_header: Option<HeaderName>,
    /// Export secrets too (credentials in headers and URLs, and what settings name) instead of REDACTED
    #[arg(long)]
    pub(super) no_redact: bool,
    /// Memory for heads and bodies of exchanges under way; beyond it bodies are cut and say so
    /// [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    pub(super) memory_limit: Option<ByteSize>,
    /// Write the totals as JSON into this file at the end
    #[arg(long, value_name = "FILE")]
    pub(super) totals_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, Args)]
pub(super) struct SelectionArguments {
    /// Watch whoever listens on this port [default: 8000 and 8443]; narrows --process and --pid
    #[arg(long, value_name = "PORT")]
    pub(super) port: Vec<Port>,
    /// Watch processes of this name
    #[arg(long, value_name = "NAME")]
    pub(super) process: Vec<ProcessName>,
    /// Watch this process and its descendants of the same name
    #[arg(long, value_name = "PID")]
    pub(super) pid: Vec<ProcessId>,
    /// Only in this network namespace: its inode number, or a path such as /proc/4711/ns/net
    #[arg(long, value_name = "NAMESPACE")]
    pub(super) netns: Option<Namespace>,
    /// Only in this control group (version 2): its path below the mount point
    #[arg(long, value_name = "PATH")]
    pub(super) cgroup: Option<PathBuf>,
    /// Only this side of the gateway: client or upstream [default: those that a sink's format carries]
    #[arg(long, value_name = "SIDE")]
    pub(super) leg: Vec<LegName>,
}

/// Where bytes are seen.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct SourceArguments {
    /// Where bytes are seen: probes, interface (packets), or auto (packets where the kernel refuses
    /// probes) [default: probes]
    #[arg(long, value_name = "NAME")]
    pub(super) source: Option<SourceKind>,
    /// Interface whose packets are captured, or any for all of them [default: any]
    #[arg(long, value_name = "NAME")]
    pub(super) interface: Option<String>,
    /// Packets to capture, in the language of tcpdump (needs libpcap); otherwise those of the ports
    #[arg(long, value_name = "EXPRESSION")]
    pub(super) filter: Option<String>,
    /// Bytes of each packet that are captured at most [default: 256KiB]
    #[arg(long, value_name = "SIZE")]
    pub(super) snap_length: Option<SnapLength>,
}
