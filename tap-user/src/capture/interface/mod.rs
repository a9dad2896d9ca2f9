//! Live packets of one interface or of all, by a packet socket with a ring in shared memory.
//!
//! What the [`filter`] refuses never leaves the kernel, and the filter is in place before the
//! socket is bound. Each packet comes with a Linux cooked header, so all interfaces look alike.

mod cooked;
mod copies;
pub mod filter;
pub(crate) mod namespace;
mod openings;
mod ring;
pub(crate) mod system;

use crate::capture::clock::Clock;
use crate::frame::Frame;
use crate::segment::Time;
use copies::Copies;
use filter::Program;
pub use openings::{Opening, Openings};
use ring::{Ring, RingPacket};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;
use system::Geometry;

/// Milliseconds until the kernel hands over packets that do not fill a block. At the default ring
/// size of 64 MiB the blocks so last for a second, should the tap not come to read them, even if
/// each holds a single packet.
const RETIRE_MS: u32 = 4;
/// Bytes of a block. Several of the largest packets must fit: the loopback interface and segment
/// offloading make packets of 64 KiB.
const BLOCK_BYTES: u32 = 256 * 1024;
/// Fewest blocks of a ring: one for the kernel while we read the other.
const BLOCKS_LEAST: u32 = 2;

/// What is captured.
#[derive(Debug, Clone)]
pub struct InterfaceSettings {
    /// Name of the interface; `None` for all, where copies of a packet are left out.
    pub interface: Option<String>,
    /// What the kernel lets through.
    pub filter: Program,
    /// Size of the ring in bytes; a power of two.
    pub ring_bytes: u32,
    /// Network namespace, as a path below `/proc` or `/run/netns`; `None` for our own.
    pub namespace: Option<PathBuf>,
}

/// Why packets cannot be captured.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// The kernel refuses one of the steps.
    #[error("{step}: {source}")]
    Refused {
        /// What was tried.
        step: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
    /// There is no interface of that name in the namespace.
    #[error("interface `{name}`: {source}")]
    NoInterface {
        /// The name that was asked for.
        name: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// The namespace cannot be entered.
    #[error("network namespace {}: {source}", path.display())]
    Namespace {
        /// The namespace that was asked for.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
}

/// Packets since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PacketCounters {
    /// Packets that passed the filter, dropped ones included.
    pub passed: u64,
    /// Packets that the kernel dropped because the ring was full.
    pub dropped: u64,
    /// Packets left out because another interface had shown them.
    pub copies: u64,
}

/// A running capture.
pub struct Interface {
    socket: OwnedFd,
    ring: Ring,
    copies: Option<Copies>,
    clock: Clock,
    /// Time of the latest packet: time never steps back.
    latest: Time,
    /// Whether the ring was empty when it was last looked at.
    is_drained: bool,
    counters: PacketCounters,
}

impl Interface {
    /// Begins to capture.
    pub fn open(settings: &InterfaceSettings) -> Result<Self, InterfaceError> {
        let geometry = geometry(settings.ring_bytes);
        let ring = |socket: &OwnedFd| {
            system::request_ring(socket, geometry).map_err(refused("making the ring"))
        };
        let socket = open_within(settings, &settings.filter, ring)?;
        Ok(Self {
            ring: Ring::new(&socket, geometry).map_err(refused("mapping the ring"))?,
            socket,
            copies: settings.interface.is_none().then(Copies::default),
            clock: Clock::now(),
            latest: Time::default(),
            is_drained: true,
            counters: PacketCounters::default(),
        })
    }

    /// Hands on the packets of the next block; returns how many there were. Never waits.
    pub fn poll(&mut self, handle: &mut dyn FnMut(&Frame<'_>)) -> usize {
        let Self { ring, copies, clock, latest, counters, .. } = self;
        let packets = ring.poll(&mut |packet| {
            if copies.as_mut().is_some_and(|copies| is_copy(copies, packet)) {
                counters.copies += 1;
                return;
            }
            *latest = Time {
                unix_ns: packet.unix_ns,
                monotonic_ns: clock.at_unix(packet.unix_ns).monotonic_ns.max(latest.monotonic_ns),
            };
            handle(&Frame {
                time: *latest,
                link_type: cooked::LINK_TYPE,
                interface: packet.origin.interface,
                original_length: packet.original_length,
                bytes: packet.bytes,
            });
        });
        self.is_drained = packets.is_none();
        packets.unwrap_or(0)
    }

    /// Waits for packets, at most that long.
    pub fn wait(&self, limit: Duration) {
        system::wait(&self.socket, limit);
    }

    /// Brings counters and clock up to date; tells if the interface is in trouble. Call it a few
    /// times a second.
    pub fn refresh(&mut self) -> Result<(), InterfaceError> {
        self.clock = Clock::now();
        let counts = system::take_counts(&self.socket).map_err(refused("reading statistics"))?;
        self.counters.passed += counts.packets;
        self.counters.dropped += counts.dropped;
        system::take_error(&self.socket).map_err(refused("capturing"))
    }

    /// The present moment on the clock of the packets: while packets wait in the ring, that of
    /// the latest one that was handed on.
    #[must_use]
    pub fn now(&self) -> Time {
        if self.is_drained { self.clock.time().max(self.latest) } else { self.latest }
    }

    /// Packets up to the last [`refresh`](Self::refresh).
    #[must_use]
    pub fn counters(&self) -> PacketCounters {
        self.counters
    }
}

/// Opens a socket in the namespace of the settings.
fn open_within(
    settings: &InterfaceSettings,
    filter: &Program,
    prepare: impl FnOnce(&OwnedFd) -> Result<(), InterfaceError> + Send,
) -> Result<OwnedFd, InterfaceError> {
    // Told apart from the errors of entering the namespace.
    let open = || Ok(open_socket(settings, filter, prepare));
    namespace::within(settings.namespace.as_deref(), open).unwrap_or_else(|source| {
        let path = settings.namespace.clone().unwrap_or_default();
        Err(InterfaceError::Namespace { path, source })
    })
}

/// Everything before binding happens with no packet coming in.
fn open_socket(
    settings: &InterfaceSettings,
    filter: &Program,
    prepare: impl FnOnce(&OwnedFd) -> Result<(), InterfaceError>,
) -> Result<OwnedFd, InterfaceError> {
    let interface = match &settings.interface {
        None => 0,
        Some(name) => system::interface_number(name)
            .map_err(|source| InterfaceError::NoInterface { name: name.clone(), source })?,
    };
    let socket = system::packet_socket().map_err(refused("opening a packet socket"))?;
    system::attach_filter(&socket, filter).map_err(refused("attaching the filter"))?;
    prepare(&socket)?;
    system::bind(&socket, interface).map_err(refused("binding to the interface"))?;
    Ok(socket)
}

fn geometry(ring_bytes: u32) -> Geometry {
    Geometry {
        block_bytes: BLOCK_BYTES,
        blocks: (ring_bytes / BLOCK_BYTES).max(BLOCKS_LEAST),
        retire_ms: RETIRE_MS,
        headroom: cooked::HEADROOM,
    }
}

fn is_copy(copies: &mut Copies, packet: &RingPacket<'_>) -> bool {
    let network = packet.bytes.get(packet.network..).unwrap_or_default();
    copies.is_copy(network, packet.origin.interface, packet.unix_ns)
}

fn refused(step: &'static str) -> impl FnOnce(io::Error) -> InterfaceError {
    move |source| InterfaceError::Refused { step, source }
}
