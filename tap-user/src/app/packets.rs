//! Packets of an interface as a source: captured, decoded, put back into streams.

use super::Failure;
use super::ownership::Ownership;
use super::pipeline::Pipeline;
use super::settings::Settings;
use super::source::{Source, wanted};
use super::totals;
use crate::capture::clock::Clock;
use crate::capture::filter;
use crate::capture::interface::filter::Program;
use crate::capture::interface::{Interface, InterfaceSettings, Openings};
use crate::capture::owners::Owners;
use crate::capture::selection::{Found, Selection, own_network_namespace, process_inside, scan};
use crate::flow::decode::{Decoder, FragmentLimits};
use crate::flow::{FlowLimits, Reassembler};
use crate::segment::Time;
use std::path::PathBuf;
use std::time::Duration;

/// How filter expressions see packets: from their network header on.
const LINKTYPE_RAW: u16 = 101;
/// Longest wait for packets when there are none.
const WAIT_LIMIT: Duration = Duration::from_millis(20);

/// A capture with everything that makes happenings of it.
pub(super) struct Packets {
    interface: Interface,
    decoder: Decoder,
    reassembler: Reassembler,
    ownership: Ownership,
}

impl Packets {
    pub(super) fn start(settings: &Settings) -> Result<Self, Failure> {
        let found = scan(&settings.selection);
        let namespace = namespace(settings, &found)?;
        let captured = InterfaceSettings {
            interface: settings.packets.interface.clone(),
            filter: program(settings, &found)?,
            ring_bytes: settings.ring_bytes,
            namespace: namespace.as_ref().map(|namespace| namespace.path.clone()),
        };
        let path = namespace.as_ref().map(|namespace| namespace.path.as_path());
        // Before the packets: no connection may be seen from its start whose opening is not.
        let openings = Openings::open(&captured)
            .inspect_err(|error| tracing::warn!("owners are looked for late: {error}"))
            .ok();
        let interface = Interface::open(&captured)?;
        let owners = Owners::start(settings.selection.clone(), path, openings)
            .inspect_err(|error| tracing::warn!("processes of connections stay unknown: {error}"))
            .ok();
        let inode = namespace.map_or_else(own_network_namespace, |there| Some(there.inode));
        announce(settings);
        Ok(Self {
            interface,
            decoder: Decoder::new(FragmentLimits::default()),
            reassembler: Reassembler::new(FlowLimits::default()),
            ownership: Ownership::new(owners, settings.selection.ports.clone(), inode),
        })
    }
}

impl Packets {
    /// An interface that goes down may come up again.
    fn refresh(&mut self) {
        if let Err(error) = self.interface.refresh() {
            tracing::warn!("{error}");
        }
    }
}

impl Source for Packets {
    fn poll(&mut self, pipeline: &mut Pipeline) -> usize {
        let Self { interface, decoder, reassembler, ownership } = self;
        let packets = interface.poll(&mut |frame| {
            if let Some(packet) = decoder.decode(frame) {
                reassembler.handle_packet(&packet, &mut |serial, happening| {
                    ownership.tell(serial, happening, pipeline)
                });
            }
        });
        ownership.take_answers(pipeline);
        packets
    }

    fn wait(&mut self) {
        // With a question open, its answer is what is waited for.
        let is_asking = self.ownership.is_asking();
        self.interface.wait(if is_asking { WAIT_LIMIT / 10 } else { WAIT_LIMIT });
    }

    fn handle_timeout(&mut self, pipeline: &mut Pipeline) -> Result<(), Failure> {
        self.refresh();
        let Self { interface, reassembler, ownership, .. } = self;
        reassembler.handle_timeout(interface.now(), &mut |serial, happening| {
            ownership.tell(serial, happening, pipeline)
        });
        ownership.give_up_waiting(pipeline);
        Ok(())
    }

    fn finish(&mut self, pipeline: &mut Pipeline) -> Result<(), Failure> {
        // All that was captured up to now counts, however far behind we are.
        let end = Clock::now().time();
        self.interface.wait(WAIT_LIMIT);
        while self.poll(pipeline) > 0 && self.interface.now() < end {
            self.interface.wait(WAIT_LIMIT);
        }
        self.refresh();
        let Self { interface, reassembler, ownership, .. } = self;
        reassembler.finish(interface.now(), &mut |serial, happening| {
            ownership.tell(serial, happening, pipeline)
        });
        ownership.finish(pipeline);
        Ok(())
    }

    fn now(&self) -> Time {
        self.interface.now()
    }

    fn totals(&self) -> Result<totals::Source, Failure> {
        let counters = self.interface.counters();
        let packets = totals::LivePackets {
            passed: counters.passed,
            dropped: counters.dropped,
            copies: counters.copies,
            pid_unknown: self.ownership.unknown(),
        };
        Ok(totals::Source::Interface(totals::Interface {
            bytes: self.ownership.traffic().into(),
            packets,
            decoding: self.decoder.counters(),
            reassembly: *self.reassembler.counters(),
        }))
    }
}

/// What the kernel lets through: the filter expression, or else the ports that are named, or else
/// those on which the named processes listen.
fn program(settings: &Settings, found: &[Found]) -> Result<Program, Failure> {
    if let Some(expression) = &settings.packets.filter {
        let compiled = filter::compile(expression, LINKTYPE_RAW)?;
        return Ok(Program::compiled(&compiled, settings.packets.snap_length)?);
    }
    let mut ports = settings.selection.ports.clone();
    if ports.is_empty() {
        ports = found.iter().flat_map(|found| found.ports.iter().copied()).collect();
        ports.sort_unstable();
        ports.dedup();
    }
    if ports.is_empty() {
        let whom = wanted(&settings.selection);
        return Err(format!("{whom} listens on nothing yet: name ports with --port").into());
    }
    Ok(Program::for_ports(&ports, settings.packets.snap_length)?)
}

/// A network namespace that is not ours.
struct Namespace {
    path: PathBuf,
    inode: u32,
}

/// The namespace that was asked for, or else that of the processes that were named; `None` if it
/// is our own.
fn namespace(settings: &Settings, found: &[Found]) -> Result<Option<Namespace>, Failure> {
    let inode = match settings.selection.network_namespace {
        Some(inode) => inode,
        None => match namespace_of(&settings.selection, found)? {
            Some(inode) => inode,
            None => return Ok(None),
        },
    };
    if own_network_namespace() == Some(inode) {
        return Ok(None);
    }
    let of_process = || Some(format!("/proc/{}/ns/net", process_inside(inode)?).into());
    let path = settings.packets.namespace.clone().or_else(of_process);
    let path = path.ok_or_else(|| {
        format!("no process is in the network namespace {inode}: give its path with --netns")
    })?;
    Ok(Some(Namespace { path, inode }))
}

fn namespace_of(selection: &Selection, found: &[Found]) -> Result<Option<u32>, Failure> {
    if selection.selects_by_port() {
        return Ok(None);
    }
    let mut inodes: Vec<u32> = found.iter().map(|found| found.network_namespace).collect();
    inodes.sort_unstable();
    inodes.dedup();
    match inodes.as_slice() {
        [] => Ok(None),
        [inode] => Ok(Some(*inode)),
        _ => Err("the processes are in several network namespaces: choose one with --netns".into()),
    }
}

fn announce(settings: &Settings) {
    let where_ = settings.packets.interface.as_deref().unwrap_or("any");
    let what = settings.packets.filter.clone().unwrap_or_else(|| wanted(&settings.selection));
    eprintln!("gatetap: watching packets of interface {where_}: {what}");
}
