//! Events without captured bytes, and the way of all events into the ring.

use crate::maps::{EVENTS, count};
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use core::ptr::read_volatile;
use tap_ebpf::{
    DIRECTION_RECEIVED, Event, SEVERAL_THREADS, Socket, event_flag, event_kind, reason,
};

/// Userspace looks at the ring on its own: a wake-up per event would cost more than all else.
pub const NO_WAKEUP: u64 = 1;

/// Tells that bytes were moved that cannot be had, and why.
#[inline(never)]
pub fn emit_gap(state: &Socket, range: &Range, direction: u8, reason: u8) -> u32 {
    let event = Event {
        offset: range.start,
        length: range.end - range.start,
        reason,
        flags: event_flag::CALL_START,
        ..bare(state, event_kind::DATA, direction)
    };
    output_bare(&event)
}

/// Tells that the peer's stream ended at a place.
#[inline(always)]
pub fn emit_end(state: &Socket, place: u64, direction: u8) -> Option<()> {
    let event = Event { offset: place, ..bare(state, event_kind::END, direction) };
    output_bare(&event);
    Some(())
}

/// Bytes of a stream, from one place up to another.
pub struct Range {
    pub start: u64,
    pub end: u64,
}

/// An event with nothing but its time and connection.
#[inline(always)]
pub fn bare(state: &Socket, kind: u8, direction: u8) -> Event {
    Event {
        // SAFETY: has no preconditions.
        time_ns: unsafe { bpf_ktime_get_ns() },
        offset: 0,
        length: 0,
        opposite: opposite(state, direction),
        head: 0,
        tail: 0,
        kind,
        direction,
        reason: reason::NONE,
        flags: 0,
        padding: 0,
        identity: state.identity,
    }
}

/// Bytes that went the other way so far. If another thread moves any of them too, its event may not be in
/// the ring yet: then nothing is certain.
#[inline(always)]
fn opposite(state: &Socket, direction: u8) -> u64 {
    let (own, other) = if direction == DIRECTION_RECEIVED {
        (&state.received, &state.sent)
    } else {
        (&state.sent, &state.received)
    };
    // In this order: a thread that moves bytes leaves its mark before it counts them.
    // SAFETY: both are references.
    let (next, thread) =
        unsafe { (read_volatile(&raw const other.next), read_volatile(&raw const other.thread)) };
    let is_certain = thread == own.thread && thread & SEVERAL_THREADS == 0;
    if is_certain { next } else { 0 }
}

/// Hands an event without bytes to userspace; returns 1 if there was room for it.
#[inline(always)]
pub fn output_bare(event: &Event) -> u32 {
    let is_told = EVENTS.output::<Event>(event, NO_WAKEUP).is_ok();
    count_output(is_told);
    u32::from(is_told)
}

/// Hands an event with the bytes behind it to userspace.
#[inline(always)]
pub fn output(record: &[u8]) {
    count_output(EVENTS.output::<[u8]>(record, NO_WAKEUP).is_ok());
}

#[inline(always)]
pub fn count_output(is_told: bool) {
    count(|counters| {
        if is_told {
            counters.events += 1;
        } else {
            counters.reservation_failures += 1;
        }
    });
}

/// Why bytes of a socket that nobody else uses moved without passing a tracepoint: of the receiving
/// calls only `splice` does (and `TCP_ZEROCOPY_RECEIVE`, which no gateway uses).
#[inline(always)]
pub fn untold(direction: u8) -> u8 {
    if direction == DIRECTION_RECEIVED { reason::SPLICE } else { reason::OTHER_CALL }
}
