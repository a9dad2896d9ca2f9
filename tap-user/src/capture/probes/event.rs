//! A record of the ring: an event's head with the captured bytes behind it.

use crate::capture::clock::Clock;
use crate::segment::{Connection, Direction, GapCause, Leg, Listener, Process};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use tap_ebpf::{
    DIRECTION_RECEIVED, Event, Identity, ROLE_ACCEPTED, event_flag, event_kind, reason,
};

/// A record, borrowed from the ring.
pub(super) struct Record<'a> {
    pub(super) event: Event,
    /// First bytes of the call.
    pub(super) head: &'a [u8],
    /// Last bytes of the call.
    pub(super) tail: &'a [u8],
}

impl<'a> Record<'a> {
    /// Splits a record; `None` if it is shorter than it says.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (event, captured) = bytes.split_at_checked(size_of::<Event>())?;
        // SAFETY: there are enough bytes, and any bit pattern is a valid `Event`.
        let event: Event = unsafe { event.as_ptr().cast::<Event>().read_unaligned() };
        let (head, rest) = captured.split_at_checked(event.head as usize)?;
        Some(Self { event, head, tail: rest.get(..event.tail as usize)? })
    }

    pub(super) fn is_close(&self) -> bool {
        self.event.kind == event_kind::CLOSED
    }

    pub(super) fn starts_call(&self) -> bool {
        self.event.flags & event_flag::CALL_START != 0
    }

    /// Why bytes before this record were not told.
    pub(super) fn cause_of_gap_before(&self) -> GapCause {
        if self.event.flags & event_flag::OVERLAPPED != 0 {
            GapCause::ConcurrentCalls
        } else {
            GapCause::Missed
        }
    }

    /// Bytes between head and tail, and why they are missing.
    pub(super) fn gap(&self) -> Option<(u64, GapCause)> {
        let captured = u64::from(self.event.head) + u64::from(self.event.tail);
        let length = self.event.length.checked_sub(captured)?;
        (length > 0).then(|| (length, cause(self.event.reason)))
    }
}

fn cause(code: u8) -> GapCause {
    match code {
        reason::BUDGET => GapCause::Skipped,
        reason::SENDFILE => GapCause::Sendfile,
        reason::SPLICE => GapCause::Splice,
        reason::IO_URING => GapCause::IoUring,
        reason::OTHER_CALL => GapCause::OtherCall,
        reason::UNREADABLE => GapCause::Unreadable,
        reason::CONCURRENT => GapCause::ConcurrentCalls,
        reason::DISCARDED => GapCause::Discarded,
        _ => GapCause::Missed,
    }
}

/// The way of bytes that a gateway in the given role read or wrote.
pub(super) fn direction(leg: Leg, code: u8) -> Direction {
    match (leg, code == DIRECTION_RECEIVED) {
        (Leg::Client, true) | (Leg::Upstream, false) => Direction::ToServer,
        (Leg::Client, false) | (Leg::Upstream, true) => Direction::ToClient,
    }
}

/// Which side of the gateway a connection is on.
pub(super) fn leg(identity: &Identity) -> Leg {
    if identity.role == ROLE_ACCEPTED { Leg::Client } else { Leg::Upstream }
}

/// A connection as the rest of the pipeline knows it.
pub(super) fn connection(
    identity: &Identity,
    serial: u64,
    upstream_listener: Listener,
    clock: Clock,
) -> Connection {
    let local = SocketAddr::new(address(identity.local_address), identity.local_port);
    let remote = SocketAddr::new(address(identity.remote_address), identity.remote_port);
    let leg = leg(identity);
    let (client, server, listener) = match leg {
        Leg::Client => (remote, local, Listener::Port(identity.local_port)),
        Leg::Upstream => (local, remote, upstream_listener),
    };
    let process = Process { pid: identity.pid, pid_in_namespace: identity.pid_in_namespace };
    Connection {
        serial,
        leg,
        client,
        server,
        process: (identity.pid != 0).then_some(process),
        listener,
        network_namespace: Some(identity.network_namespace),
        control_group: Some(identity.control_group),
        opened: (identity.opened_ns != 0).then(|| clock.at(identity.opened_ns)),
    }
}

fn address(octets: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(octets).to_canonical()
}
