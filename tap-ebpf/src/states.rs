//! The life of a socket as its TCP states tell it: who opened a connection, who ended it, and when it
//! is gone.

use crate::event::{Range, bare, emit_gap, output_bare, untold};
use crate::kernel::{Address, current_process, read, socket_network_namespace};
use crate::maps::{CLOSED, LISTENERS, PROCESSES, SOCKETS, constant, count};
use crate::selection::listen;
use crate::socket::{advance, create, file_references, fill_addresses, lookup, sequences};
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use tap_ebpf::{
    DIRECTION_RECEIVED, DIRECTION_SENT, Event, ListenerKey, ROLE_ACCEPTED, ROLE_CONNECTED, Socket,
    Stream, event_flag, event_kind, verdict,
};

/// TCP states (include/net/tcp_states.h), unchanged since Linux 2.6.
mod tcp_state {
    pub const ESTABLISHED: i32 = 1;
    pub const SYN_SENT: i32 = 2;
    pub const SYN_RECEIVED: i32 = 3;
    pub const FIN_WAIT_1: i32 = 4;
    pub const CLOSE: i32 = 7;
    pub const CLOSE_WAIT: i32 = 8;
    pub const LAST_ACK: i32 = 9;
    pub const LISTEN: i32 = 10;
    pub const CLOSING: i32 = 11;
}

const IPPROTO_TCP: u16 = 6;

/// Follows the states that tell who opened and who ended a connection.
#[inline(always)]
pub fn try_state_change(socket: Address, old: i32, new: i32) -> Option<()> {
    match new {
        tcp_state::LISTEN => on_listen(socket),
        tcp_state::SYN_SENT => on_connect(socket),
        tcp_state::ESTABLISHED => on_established(socket, old),
        tcp_state::CLOSE_WAIT | tcp_state::CLOSING => on_peer_end(socket, old),
        tcp_state::FIN_WAIT_1 | tcp_state::LAST_ACK => on_gateway_end(socket),
        tcp_state::CLOSE => on_close(socket, old),
        _ => None,
    }
}

fn on_listen(socket: Address) -> Option<()> {
    if !is_tcp(socket)? {
        return None;
    }
    let port: u16 = read(socket, constant!(OFFSETS.sock_local_port))?;
    listen(socket_network_namespace(socket)?, u32::from(port))
}

/// `connect` of a selected process, in its own context. Addresses are complete only later.
fn on_connect(socket: Address) -> Option<()> {
    PROCESSES.get_ptr(current_process())?;
    create(socket, ROLE_CONNECTED, verdict::COPY).map(|_| ())
}

/// Both handshakes end here: the accepted side in a softirq, before any process knows of it.
fn on_established(socket: Address, old: i32) -> Option<()> {
    let state = match lookup(socket) {
        Some(state) => state,
        None if old == tcp_state::SYN_RECEIVED => {
            let port: u16 = read(socket, constant!(OFFSETS.sock_local_port))?;
            let network_namespace = socket_network_namespace(socket)?;
            LISTENERS.get_ptr(ListenerKey { network_namespace, port: u32::from(port) })?;
            create(socket, ROLE_ACCEPTED, verdict::COPY)?
        }
        None => return None,
    };
    let sequences = sequences(socket)?;
    state.received = Stream { next: 0, sequence: sequences.received, thread: 0 };
    state.sent = Stream { next: 0, sequence: sequences.sent, thread: 0 };
    fill_addresses(socket, &mut state.identity)?;
    // SAFETY: has no preconditions.
    state.identity.opened_ns = unsafe { bpf_ktime_get_ns() };
    Some(())
}

fn on_peer_end(socket: Address, old: i32) -> Option<()> {
    let state = lookup(socket)?;
    if old == tcp_state::ESTABLISHED {
        state.flags |= event_flag::PEER_FIRST;
    }
    state.flags |= event_flag::PEER_ENDED;
    Some(())
}

/// `close` or `shutdown` of the gateway; the state is announced before the FIN is queued. After a
/// `shutdown` it may still read, whatever was shut down.
fn on_gateway_end(socket: Address) -> Option<()> {
    let state = lookup(socket)?;
    state.flags |= event_flag::GATEWAY_ENDED;
    if file_references(socket) < i64::from(constant!(OFFSETS.file_one_reference)) {
        tell_close(socket, state);
    }
    state.fin_queued = 1;
    Some(())
}

/// `CLOSE` with an error is the peer's reset; without one from an open state it is ours.
fn on_close(socket: Address, old: i32) -> Option<()> {
    let state = lookup(socket)?;
    let error: i32 = read(socket, constant!(OFFSETS.sock_error))?;
    let was_open = old == tcp_state::ESTABLISHED || old == tcp_state::CLOSE_WAIT;
    if error != 0 {
        if state.flags & event_flag::GATEWAY_ENDED == 0 {
            state.flags |= event_flag::PEER_FIRST;
        }
        state.flags |= event_flag::RESET;
    } else if was_open {
        state.flags |= event_flag::RESET | event_flag::GATEWAY_ENDED;
    }
    Some(())
}

/// The socket is gone for good; what userspace was not told yet it is told now.
#[inline(always)]
pub fn try_destroy(socket: Address) -> Option<()> {
    let state = lookup(socket)?;
    tell_close(socket, state);
    SOCKETS.remove(socket as u64).ok()
}

#[inline(always)]
fn is_tcp(socket: Address) -> Option<bool> {
    let protocol: u16 = read(socket, constant!(OFFSETS.sock_protocol))?;
    Some(protocol == IPPROTO_TCP)
}

/// Tells userspace the final counts, once. If the ring is full they are kept until it asks.
#[inline(never)]
fn tell_close(socket: Address, state: &mut Socket) -> Option<()> {
    if state.flags & event_flag::CLOSE_TOLD != 0 || !was_used(state) {
        return None;
    }
    state.flags |= event_flag::CLOSE_TOLD;
    catch_up(socket, state);
    let event = Event {
        offset: state.received.next,
        length: state.sent.next,
        flags: state.flags,
        ..bare(state, event_kind::CLOSED, 0)
    };
    if output_bare(&event) == 1 {
        return None;
    }
    if CLOSED.insert(state.identity.cookie, &*state, 0).is_ok() {
        count(|counters| counters.closes_kept += 1);
    } else {
        count(|counters| counters.closes_lost += 1);
    }
    None
}

/// A connection on which no selected process moved a byte is nobody's business.
#[inline(always)]
fn was_used(state: &Socket) -> bool {
    state.identity.pid != 0
}

/// Bytes that no call was seen for (splice from the socket) still count; the gateway's FIN, which
/// the kernel counts as a byte written, does not.
#[inline(always)]
fn catch_up(socket: Address, state: &mut Socket) {
    let Some(sequences) = sequences(socket) else {
        return;
    };
    let start = advance(&mut state.received, sequences.received);
    if state.received.next > start && state.verdict == verdict::COPY {
        let range = Range { start, end: state.received.next };
        emit_gap(state, &range, DIRECTION_RECEIVED, untold(DIRECTION_RECEIVED));
    }
    let start = advance(&mut state.sent, sequences.sent.wrapping_sub(u32::from(state.fin_queued)));
    if state.sent.next > start && state.verdict == verdict::COPY {
        let range = Range { start, end: state.sent.next };
        emit_gap(state, &range, DIRECTION_SENT, untold(DIRECTION_SENT));
    }
}
