//! Copying a call's bytes out of the gateway's memory into events.
//!
//! What nearly all calls are goes the short way of [`whole`]. In general a call may have moved any
//! number of bytes from up to 1,024 buffers. They are gathered in the scratch area, one event
//! whenever it is full; the bytes between the wanted beginning and the edge at the end are walked
//! over, not copied.

use crate::call::{Memory, VECTOR_LIMIT, VECTOR_STRIDE, forget_multiple, read_user};
use crate::event::bare;
use crate::maps::count;
use crate::scratch::{Gather, Scratch, scratch, smallest};
use crate::whole;
use aya_ebpf::helpers::generated::bpf_loop;
use core::ffi::{c_long, c_void};
use tap_ebpf::{
    CHUNK_CAPACITY, DIRECTION_RECEIVED, DIRECTION_SENT, EDGE_LENGTH, Process, Socket, event_flag,
    event_kind, reason,
};

/// More steps than any call can need: one per buffer, one per event, and some for the phases.
const STEP_LIMIT: u32 = 128 * 1024;

/// What to do with the bytes of one call.
pub struct Plan {
    offset: u64,
    length: u64,
    head: u32,
    tail: u32,
    direction: u8,
    reason: u8,
    memory: Memory,
    /// Another thread is in a call on the socket too.
    pub is_overlapped: bool,
}

impl Plan {
    /// The first `head` bytes of `moved` are wanted, and the edge at the end.
    #[inline(always)]
    pub fn new(offset: u64, moved: u32, head: u32, direction: u8, memory: Memory) -> Self {
        let rest = moved - head;
        let tail = if rest < EDGE_LENGTH as u32 { rest } else { EDGE_LENGTH as u32 };
        let reason = if rest > tail { reason::BUDGET } else { reason::NONE };
        let length = u64::from(moved);
        Self { offset, length, head, tail, direction, reason, memory, is_overlapped: false }
    }

    /// Whether all bytes are wanted and nothing needs to be known of those that were not moved.
    #[inline(always)]
    fn is_whole(&self) -> bool {
        u64::from(self.head) == self.length && !self.memory.is_multiple_send
    }

    #[inline(always)]
    fn flags(&self) -> u8 {
        event_flag::CALL_START | if self.is_overlapped { event_flag::OVERLAPPED } else { 0 }
    }
}

/// Turns a plan into events.
#[inline(always)]
pub fn emit(plan: &Plan, state: &Socket, process: &mut Process) -> Option<()> {
    let scratch = scratch(plan.direction)?;
    scratch.event = bare(state, event_kind::DATA, plan.direction);
    if plan.is_whole() {
        if let Some(copied) = emit_whole(scratch, plan) {
            count_copied(process, copied);
            return Some(());
        }
    }
    emit_in_steps(plan, process)
}

#[inline(always)]
fn emit_whole(scratch: &mut Scratch, plan: &Plan) -> Option<u64> {
    let event = &mut scratch.event;
    event.offset = plan.offset;
    event.length = plan.length;
    event.head = plan.head;
    event.flags = plan.flags();
    whole::emit(scratch, &plan.memory)
}

/// The general way: any number of buffers, some bytes left out.
#[inline(never)]
fn emit_in_steps(plan: &Plan, process: &mut Process) -> Option<()> {
    scratch(plan.direction)?.gather = Gather {
        vector: plan.memory.vector,
        entries: if plan.memory.count > VECTOR_LIMIT { VECTOR_LIMIT } else { plan.memory.count },
        base: plan.memory.base,
        available: if plan.memory.vector == 0 { plan.length } else { 0 },
        head: u64::from(plan.head),
        gap: plan.length - u64::from(plan.head) - u64::from(plan.tail),
        tail: u64::from(plan.tail),
        filled: 0,
        filled_tail: 0,
        copied: 0,
        offset: plan.offset,
        skipped: 0,
        flags: plan.flags(),
        reason: plan.reason,
        look_for_rest: plan.memory.is_multiple_send,
        failed: false,
    };
    let step = if plan.direction == DIRECTION_RECEIVED {
        step::<DIRECTION_RECEIVED> as *mut c_void
    } else {
        step::<DIRECTION_SENT> as *mut c_void
    };
    // SAFETY: `step` has the signature that the helper asks for and needs no context.
    unsafe {
        bpf_loop(STEP_LIMIT, step, core::ptr::null_mut(), 0);
    }
    // Asked for anew: a reference held meanwhile would promise that no step changed the area.
    let scratch = scratch(plan.direction)?;
    if scratch.gather.failed {
        give_up(&mut scratch.gather);
    }
    if plan.memory.is_multiple_send && scratch.gather.available > 0 {
        forget_multiple();
    }
    flush(scratch);
    count_copied(process, scratch.gather.copied);
    Some(())
}

/// Whether the call's first bytes look like the start of a message: a status line, or a method
/// and a space.
#[inline(always)]
pub fn begins_message(memory: &Memory) -> bool {
    let base = if memory.vector == 0 { Some(memory.base) } else { read_user(memory.vector) };
    base.and_then(read_user).is_some_and(|word| looks_like_start(word.to_le_bytes()))
}

#[inline(always)]
fn looks_like_start(bytes: [u8; 8]) -> bool {
    let [h, t1, t2, p, slash, one, dot, _] = bytes;
    if [h, t1, t2, p, slash, one, dot] == *b"HTTP/1." {
        return true;
    }
    let mut letters = 0;
    for byte in bytes {
        if !byte.is_ascii_uppercase() {
            return byte == b' ' && letters >= 3;
        }
        letters += 1;
    }
    true
}

/// One step of the loop: 0 to go on, 1 to stop.
unsafe extern "C" fn step<const DIRECTION: u8>(_index: u32, _context: *mut c_void) -> c_long {
    let Some(scratch) = scratch(DIRECTION) else {
        return 1;
    };
    let gather = &mut scratch.gather;
    let is_done = gather.head == 0 && gather.gap == 0 && gather.tail == 0;
    if is_done && (!gather.look_for_rest || gather.available > 0 || gather.entries == 0) {
        return 1;
    }
    let outcome = if gather.available == 0 {
        next_buffer(gather)
    } else if gather.head > 0 {
        copy_head(scratch)
    } else if gather.gap > 0 {
        walk_gap(gather)
    } else {
        copy_tail(scratch)
    };
    if outcome.is_some() {
        return 0;
    }
    scratch.gather.failed = true;
    1
}

#[inline(always)]
fn next_buffer(gather: &mut Gather) -> Option<()> {
    if gather.entries == 0 {
        return None;
    }
    gather.base = read_user(gather.vector)?;
    gather.available = read_user(gather.vector + 8)?;
    gather.vector += VECTOR_STRIDE;
    gather.entries -= 1;
    Some(())
}

#[inline(always)]
fn copy_head(scratch: &mut Scratch) -> Option<()> {
    let gather = &scratch.gather;
    let room = (CHUNK_CAPACITY as u64).saturating_sub(gather.filled);
    if room == 0 {
        flush(scratch);
        return Some(());
    }
    let length = smallest(smallest(gather.available, gather.head), room);
    copy_bytes(scratch, length)?;
    scratch.gather.head -= length;
    Some(())
}

#[inline(always)]
fn walk_gap(gather: &mut Gather) -> Option<()> {
    let length = smallest(gather.available, gather.gap);
    gather.base += length;
    gather.available -= length;
    gather.gap -= length;
    gather.skipped += length;
    Some(())
}

#[inline(always)]
fn copy_tail(scratch: &mut Scratch) -> Option<()> {
    let length = smallest(scratch.gather.available, scratch.gather.tail);
    copy_bytes(scratch, length)?;
    scratch.gather.tail -= length;
    scratch.gather.filled_tail += length;
    Some(())
}

/// Appends bytes of the current buffer to the scratch area.
#[inline(always)]
fn copy_bytes(scratch: &mut Scratch, length: u64) -> Option<()> {
    scratch.copy(scratch.gather.filled, scratch.gather.base, length)?;
    let gather = &mut scratch.gather;
    gather.filled += length;
    gather.copied += length;
    gather.base += length;
    gather.available -= length;
    Some(())
}

/// What could not be read becomes a gap up to the end of the call.
#[inline(always)]
fn give_up(gather: &mut Gather) {
    // Bytes of the tail stand after a gap of their own; without their rest they are of no use.
    gather.filled -= gather.filled_tail;
    gather.skipped += gather.head + gather.gap + gather.tail + gather.filled_tail;
    gather.filled_tail = 0;
    gather.reason = reason::UNREADABLE;
    count(|counters| counters.unreadable += 1);
}

/// Delivers the event put together so far and begins the next.
#[inline(always)]
fn flush(scratch: &mut Scratch) {
    let gather = &mut scratch.gather;
    let length = gather.filled + gather.skipped;
    if length == 0 {
        return;
    }
    let event = &mut scratch.event;
    event.offset = gather.offset;
    event.length = length;
    event.head = (gather.filled - gather.filled_tail) as u32;
    event.tail = gather.filled_tail as u32;
    event.flags = gather.flags;
    event.reason = if gather.skipped > 0 { gather.reason } else { reason::NONE };
    let filled = gather.filled;
    gather.offset += length;
    gather.filled = 0;
    gather.filled_tail = 0;
    gather.skipped = 0;
    gather.flags = 0;
    scratch.output(filled);
}

/// Adds to the counters of a process.
#[inline(always)]
fn count_copied(process: &mut Process, bytes: u64) {
    process.bytes_copied += bytes;
    count(|counters| counters.bytes_copied += bytes);
}
