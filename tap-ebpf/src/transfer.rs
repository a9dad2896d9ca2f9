//! One call that moved bytes: whose it is, where in the stream, and how much of it to copy.

use crate::call::{self, Source};
use crate::copy::{self, Plan};
use crate::event::{Range, emit_end, emit_gap, untold};
use crate::kernel::{
    Address, current_process, current_task, current_thread, pid_in_namespace, read,
};
use crate::maps::{PROCESSES, VERDICT_COUNT, VERDICTS, constant, count};
use crate::socket::{advance, is_shared, lookup_or_join};
use tap_ebpf::{
    DIRECTION_RECEIVED, EDGE_LENGTH, HEAD_ALLOWANCE, SEVERAL_THREADS, Socket, reason, verdict,
};

/// Receive flags of calls that take nothing out of the stream: `MSG_OOB`, `MSG_PEEK` and
/// `MSG_ERRQUEUE`.
const NOT_OF_THE_STREAM: i32 = 0x1 | 0x2 | 0x2000;
/// The bytes are dropped, not delivered.
const MSG_TRUNC: i32 = 0x20;
/// Bit of `sk_shutdown`: no more will be received.
const RECEIVE_SHUTDOWN: u8 = 1;

/// Handles the end of a send or receive with the given result.
#[inline(always)]
pub fn try_transfer(socket: Address, result: i32, flags: i32, direction: u8) -> Option<()> {
    let group = current_process();
    // SAFETY: the entry belongs to the running process; other threads only add to its counters.
    let process = unsafe { &mut *PROCESSES.get_ptr_mut(group)? };
    if result < 0 {
        return call::failed();
    }
    let is_receive = direction == DIRECTION_RECEIVED;
    if is_receive && flags & NOT_OF_THE_STREAM != 0 {
        return None;
    }
    let moved = result as u32;
    let (state, now) = lookup_or_join(socket, moved, is_receive)?;
    note_process(state, group);
    process.calls += 1;

    let (stream, sequence) =
        if is_receive { (&mut state.received, now.received) } else { (&mut state.sent, now.sent) };
    let thread = current_thread();
    let last = stream.thread & !SEVERAL_THREADS;
    let is_handed_over = last != thread && last != 0;
    let several = if is_handed_over { SEVERAL_THREADS } else { stream.thread & SEVERAL_THREADS };
    // Before the bytes are counted: see `event::opposite`.
    stream.thread = thread | several;
    let expected = advance(stream, sequence);
    let next = stream.next;
    if is_ignored(state) {
        return None;
    }
    let start = next.wrapping_sub(u64::from(moved));
    if start != expected {
        if start < expected || is_shared(socket) {
            return overlapping(state, expected, next, direction);
        }
        emit_gap(state, &Range { start: expected, end: start }, direction, untold(direction));
    }
    if moved == 0 {
        return if is_receive { end_of_stream(socket, state, next) } else { None };
    }
    let source = if is_receive && flags & MSG_TRUNC != 0 {
        Source::Hidden(reason::DISCARDED)
    } else {
        call::source(socket, direction)
    };
    match source {
        Source::Hidden(why) => {
            emit_gap(state, &Range { start, end: next }, direction, why);
            Some(())
        }
        Source::Memory(memory) => {
            let wanted = within_budget(state, &memory, moved, direction);
            let mut plan = Plan::new(start, moved, wanted, direction, memory);
            // Only asked where several threads were seen, so that nobody else pays for it.
            plan.is_overlapped = several != 0 && is_shared(socket);
            copy::emit(&plan, state, process)
        }
    }
}

/// Calls of several threads overlapped in such a way that the sequence numbers do not prove which
/// bytes are whose: none of them are used.
#[inline(always)]
fn overlapping(state: &Socket, expected: u64, next: u64, direction: u8) -> Option<()> {
    count(|counters| counters.concurrent += 1);
    if next > expected {
        let range = Range { start: expected, end: next };
        emit_gap(state, &range, direction, reason::CONCURRENT);
    }
    Some(())
}

/// How many bytes of the beginning of a call may be copied. Beyond the budget of the turn it is
/// the edge only, unless a message begins with this call.
#[inline(always)]
fn within_budget(state: &mut Socket, memory: &call::Memory, moved: u32, direction: u8) -> u32 {
    if state.turn != direction {
        state.turn = direction;
        state.budget = full_budget();
    } else if state.budget < moved && copy::begins_message(memory) {
        state.budget = full_budget();
    }
    let granted = if moved < state.budget { moved } else { state.budget };
    state.budget -= granted;
    let edge = if moved < EDGE_LENGTH as u32 { moved } else { EDGE_LENGTH as u32 };
    if granted < edge { edge } else { granted }
}

#[inline(always)]
fn full_budget() -> u32 {
    HEAD_ALLOWANCE + constant!(SETTINGS.body_cap)
}

/// A read that returned 0 after the peer's FIN.
#[inline(always)]
fn end_of_stream(socket: Address, state: &Socket, next: u64) -> Option<()> {
    let shutdown: u8 = read(socket, constant!(OFFSETS.sock_shutdown))?;
    if shutdown & RECEIVE_SHUTDOWN == 0 {
        return None;
    }
    emit_end(state, next, DIRECTION_RECEIVED)
}

/// Takes userspace's verdict over when there is one.
#[inline(always)]
fn is_ignored(state: &mut Socket) -> bool {
    if state.verdict == verdict::COPY && verdicts_wait() {
        if VERDICTS.get_ptr(state.identity.cookie).is_some() {
            state.verdict = verdict::IGNORE;
        }
    }
    state.verdict == verdict::IGNORE
}

#[inline(always)]
fn verdicts_wait() -> bool {
    // SAFETY: an aligned word that userspace writes in one piece.
    VERDICT_COUNT.get_ptr(0).is_some_and(|waiting| unsafe { *waiting } != 0)
}

/// Workers may hand a connection on, so the process is noted with every change.
#[inline(always)]
fn note_process(state: &mut Socket, group: u32) {
    if state.identity.pid != group {
        state.identity.pid = group;
        state.identity.pid_in_namespace = pid_in_namespace(current_task()).unwrap_or(group);
    }
}
