//! Kernel probes: the bytes that the gateway's sockets carry, as Segments.
//!
//! Userspace selects processes ([`Probes::select`]) and reads events ([`Probes::poll`]); what a
//! ring record means stands in [`event`], how records of one connection become its happenings in
//! [`tracker`].

pub mod btf;
mod event;
mod offsets;
mod pause;
pub mod programs;
mod tracker;

use crate::capture::clock::Clock;
use crate::capture::selection::{Found, Selection, scan};
use crate::capture::traffic::Traffic;
use crate::segment::{Happening, Interest, Legs, Time};
use aya::maps::{HashMap as KernelMap, MapData};
use event::Record;
use pause::Pause;
use programs::{Plain, ProbeError, Programs, map_error};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use tap_ebpf::{
    Counters, ListenerKey, NAME_LENGTH, ROLE_ACCEPTED, ROLE_CONNECTED, Settings, Socket, verdict,
};
use tracker::Tracker;

/// Events handled in one call of [`Probes::poll`], so that timers are looked at in between.
const EVENTS_PER_POLL: usize = 4_096;

/// How the probes are set up.
#[derive(Debug, Clone)]
pub struct ProbeSettings {
    /// Who is watched.
    pub selection: Selection,
    /// Sides of the gateway that are wanted.
    pub legs: Legs,
    /// Bytes of each body that are wanted.
    pub body_cap: u32,
    /// Size of the ring between kernel and userspace in bytes; a power of two.
    pub ring_bytes: u32,
}

/// Running probes.
pub struct Probes {
    programs: Programs,
    selection: Selection,
    tracker: Tracker,
    clock: Clock,
    selected: Vec<Found>,
    /// Sockets with a verdict in the kernel, to be removed when they close.
    judged: HashSet<u64>,
    failures_seen: u64,
    pause: Pause,
}

impl Probes {
    /// Loads and attaches the programs and selects the processes that run already.
    pub fn start(settings: &ProbeSettings) -> Result<Self, ProbeError> {
        let selection = settings.selection.clone();
        let names: Vec<_> = selection.names.iter().map(|name| padded(name)).collect();
        let in_kernel = Settings {
            body_cap: settings.body_cap,
            select_by_port: u32::from(selection.selects_by_port()),
            select_by_name: u32::from(!names.is_empty()),
            only_ports: u32::from(!selection.ports.is_empty()),
            padding: 0,
            network_namespace: selection.network_namespace.unwrap_or(0),
            control_group: selection.control_group.unwrap_or(0),
        };
        let programs = Programs::start(
            &in_kernel,
            &selection.ports,
            &names,
            roles(settings.legs),
            settings.ring_bytes,
        )?;
        let mut probes = Self {
            programs,
            selection,
            tracker: Tracker::default(),
            clock: Clock::now(),
            selected: Vec::new(),
            judged: HashSet::new(),
            failures_seen: 0,
            pause: Pause::new(settings.ring_bytes, processors()),
        };
        probes.select(scan(&settings.selection))?;
        Ok(probes)
    }

    /// Brings the kernel's selection in line with what a scan of `/proc` found: processes that
    /// inherited their listeners, and where the selected ones listen.
    pub fn select(&mut self, found: Vec<Found>) -> Result<(), ProbeError> {
        self.clock = Clock::now();
        for one in &found {
            select(&mut self.programs.processes, one)?;
            for port in &one.ports {
                if self.selection.ports.is_empty() || self.selection.ports.contains(port) {
                    listen(&mut self.programs.listeners, one.network_namespace, *port)?;
                }
            }
        }
        self.tracker.set_listeners(&found);
        self.selected = found;
        Ok(())
    }

    /// Connections of other legs are not copied from now on, unless userspace has been told of them.
    pub fn want(&mut self, legs: Legs) -> Result<(), ProbeError> {
        self.programs.roles.set(0, roles(legs), 0).map_err(|e| map_error("ROLES", e))
    }

    /// The processes selected at the last scan.
    #[must_use]
    pub fn selected(&self) -> &[Found] {
        &self.selected
    }

    /// Hands on what has happened, with the serial number of the connection; returns how many
    /// events there were. Never waits.
    pub fn poll(&mut self, handle: &mut dyn FnMut(u64, Happening<'_>) -> Interest) -> usize {
        let mut events = 0;
        while events < EVENTS_PER_POLL {
            let Some(item) = self.programs.events.next() else {
                break;
            };
            events += 1;
            self.pause.took(item.len());
            let Some(record) = Record::parse(&item) else {
                self.tracker.count_unreadable();
                continue;
            };
            let cookie = record.event.identity.cookie;
            if self.tracker.handle(&record, self.clock, handle) == Interest::Ignore {
                drop(item);
                self.ignore(cookie);
            } else if record.is_close() && self.judged.contains(&cookie) {
                drop(item);
                self.forget_verdict(cookie);
            }
        }
        events
    }

    /// How long to wait before the next look, now that the ring is empty.
    pub fn pause(&mut self) -> Duration {
        self.pause.next()
    }

    /// Fetches what the ring could not carry: ends of connections, and bytes after which nothing
    /// was heard of a connection. Call it with the ring drained; costs nothing while nothing was
    /// lost.
    pub fn reconcile(
        &mut self,
        handle: &mut dyn FnMut(u64, Happening<'_>) -> Interest,
    ) -> Result<(), ProbeError> {
        let failures = self.programs.counters()?.reservation_failures;
        if failures == self.failures_seen {
            return Ok(());
        }
        // What is read here may be ahead of events that are still in the ring.
        let open: Vec<_> = self.programs.sockets.iter().filter_map(Result::ok).collect();
        let closed: Vec<_> = self.programs.closed.iter().filter_map(Result::ok).collect();
        while self.poll(handle) > 0 {}
        for (address, Plain(socket)) in open {
            if self.tracker.knows(&socket) || self.is_open(address, &socket) {
                self.tracker.catch_up(&socket, self.clock, handle);
            }
        }
        for (cookie, Plain(socket)) in closed {
            self.tracker.close(&socket, self.clock, handle);
            let _ = self.programs.closed.remove(&cookie);
        }
        self.failures_seen = failures;
        Ok(())
    }

    /// Whether a connection is still there: one that userspace does not know may have ended meanwhile.
    fn is_open(&self, address: u64, socket: &Socket) -> bool {
        let now = self.programs.sockets.get(&address, 0);
        now.is_ok_and(|Plain(now)| now.identity.cookie == socket.identity.cookie)
    }

    /// The present moment on the clock of the events.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.time()
    }

    /// Bytes seen so far.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        self.tracker.traffic()
    }

    /// The kernel side's own counters.
    pub fn counters(&self) -> Result<Counters, ProbeError> {
        self.programs.counters()
    }

    /// Runs of the programs that the kernel left out; `None` if it does not tell.
    #[must_use]
    pub fn runs_missed(&self) -> Option<u64> {
        self.programs.runs_missed()
    }

    /// Bytes copied per process, ended ones included.
    #[must_use]
    pub fn bytes_copied_by_process(&self) -> BTreeMap<u32, u64> {
        let mut copied = BTreeMap::new();
        let ended = self.programs.ended_processes.iter().filter_map(Result::ok);
        for (pid, Plain(process)) in
            self.programs.processes.iter().filter_map(Result::ok).chain(ended)
        {
            *copied.entry(pid).or_default() += process.bytes_copied;
        }
        copied
    }

    fn ignore(&mut self, cookie: u64) {
        if self.programs.verdicts.insert(cookie, verdict::IGNORE, 0).is_ok() {
            self.judged.insert(cookie);
            self.publish_verdict_count();
        }
    }

    fn forget_verdict(&mut self, cookie: u64) {
        self.judged.remove(&cookie);
        let _ = self.programs.verdicts.remove(&cookie);
        self.publish_verdict_count();
    }

    fn publish_verdict_count(&mut self) {
        let _ = self.programs.verdict_count.set(0, self.judged.len() as u64, 0);
    }
}

/// Processors of the machine, whichever of them this process may use. Where they are not told, very many.
fn processors() -> usize {
    aya::util::online_cpus().map_or(usize::MAX, |online| online.len())
}

/// The kernel's word for legs: one bit per role.
fn roles(legs: Legs) -> u32 {
    u32::from(legs.client) << ROLE_ACCEPTED | u32::from(legs.upstream) << ROLE_CONNECTED
}

/// Selects a process unless the kernel already follows it.
fn select(
    processes: &mut KernelMap<MapData, u32, Plain<tap_ebpf::Process>>,
    found: &Found,
) -> Result<(), ProbeError> {
    // Since it was found it may have become another program, which the kernel dropped.
    if processes.get(&found.pid, 0).is_ok() || !found.is_still_the_same() {
        return Ok(());
    }
    let name = padded(&found.name);
    let process = Plain(tap_ebpf::Process { name, bytes_copied: 0, calls: 0 });
    processes.insert(found.pid, process, 0).map_err(|e| map_error("PROCESSES", e))
}

fn listen(
    listeners: &mut KernelMap<MapData, Plain<ListenerKey>, u8>,
    network_namespace: u32,
    port: u16,
) -> Result<(), ProbeError> {
    let key = Plain(ListenerKey { network_namespace, port: u32::from(port) });
    listeners.insert(key, 1, 0).map_err(|e| map_error("LISTENERS", e))
}

/// A process name as the kernel keeps it: cut to 15 bytes, filled up with NUL.
fn padded(name: &str) -> [u8; NAME_LENGTH] {
    let mut padded = [0; NAME_LENGTH];
    for (place, byte) in padded.iter_mut().zip(name.bytes()).take(NAME_LENGTH - 1) {
        *place = byte;
    }
    padded
}
