//! Calls whose bytes are all wanted, from few buffers: what nearly all calls are. They become one
//! event without the loop of the general way.

use crate::call::{Memory, VECTOR_STRIDE};
use crate::event::{NO_WAKEUP, count_output};
use crate::maps::EVENTS;
use crate::scratch::{Buffer, FEW_BUFFERS, Scratch, smallest};
use aya_ebpf::helpers::generated::bpf_probe_read_user;
use core::ffi::c_void;
use core::hint::black_box;
use tap_ebpf::{CHUNK_CAPACITY, Event};

/// From here on it pays to copy into the ring itself, in a record of a fixed size.
const LARGE: u64 = 8 * 1024;

/// Stands for bytes that could not be read, or were too many.
const NOT_EMITTED: i64 = -1;

/// An event in the ring with room for so many bytes behind it.
#[repr(C)]
struct Record<const ROOM: usize> {
    event: Event,
    bytes: [u8; ROOM],
}

/// Delivers the bytes of a call with the event that stands in the scratch area and returns how many
/// were copied; `None`, with nothing delivered, if the call is of another shape or cannot be read.
#[inline(always)]
pub fn emit(scratch: &mut Scratch, memory: &Memory) -> Option<u64> {
    let length = scratch.event.length;
    let count = read_buffers(scratch, memory, length)?;
    let first = scratch.buffers[0];
    if length > LARGE && first.length >= length {
        return emit_large(&scratch.event, first.base, length);
    }
    gather(scratch, count, length)?;
    scratch.output(length);
    Some(length)
}

/// Notes the first buffers of a call; returns how many.
#[inline(always)]
fn read_buffers(scratch: &mut Scratch, memory: &Memory, length: u64) -> Option<u64> {
    if memory.vector == 0 {
        scratch.buffers[0] = Buffer { base: memory.base, length };
        return Some(1);
    }
    let count = black_box(smallest(memory.count, FEW_BUFFERS as u64));
    if count > FEW_BUFFERS as u64 {
        return None;
    }
    let target = (&raw mut scratch.buffers).cast();
    let size = count as u32 * VECTOR_STRIDE as u32;
    // SAFETY: so many entries fit; the helper checks the source.
    let result = unsafe { bpf_probe_read_user(target, size, memory.vector as *const c_void) };
    (result == 0).then_some(count)
}

/// Copies the bytes of several buffers one behind another into the scratch area.
#[inline(always)]
fn gather(scratch: &mut Scratch, count: u64, length: u64) -> Option<()> {
    if length > CHUNK_CAPACITY as u64 {
        return None;
    }
    let mut filled = 0;
    for index in 0..FEW_BUFFERS {
        if index as u64 >= count {
            break;
        }
        let Buffer { base, length: available } = scratch.buffers[index];
        let size = smallest(available, length - filled);
        scratch.copy(filled, base, size)?;
        filled += size;
        if filled == length {
            return Some(());
        }
    }
    None
}

/// Copies one large buffer into the ring. Common sizes of buffers are powers of two: for them the
/// records are as long as they must be.
#[inline(always)]
fn emit_large(event: &Event, base: u64, length: u64) -> Option<u64> {
    let copied = match length {
        ..=0x4000 => emit_record::<0x4000>(event, base, length),
        ..=0x8000 => emit_record::<0x8000>(event, base, length),
        ..=0x1_0000 => emit_record::<0x1_0000>(event, base, length),
        _ => NOT_EMITTED,
    };
    u64::try_from(copied).ok()
}

/// Delivers an event in a record of a fixed size, which the verifier wants; returns how many bytes
/// were copied. A full ring loses the event like any other, with nothing copied.
#[inline(never)]
fn emit_record<const ROOM: usize>(event: &Event, base: u64, length: u64) -> i64 {
    let Some(mut entry) = EVENTS.reserve::<Record<ROOM>>(0) else {
        count_output(false);
        return 0;
    };
    let record = entry.as_mut_ptr();
    let length = black_box(length);
    if length > ROOM as u64 {
        entry.discard(NO_WAKEUP);
        return NOT_EMITTED;
    }
    // SAFETY: the record is as long as its type says, and `length` bytes fit; the helper checks the
    // source.
    let result = unsafe {
        (&raw mut (*record).event).write(*event);
        let bytes = (&raw mut (*record).bytes).cast();
        bpf_probe_read_user(bytes, length as u32, base as *const c_void)
    };
    if result != 0 {
        entry.discard(NO_WAKEUP);
        return NOT_EMITTED;
    }
    entry.submit(NO_WAKEUP);
    count_output(true);
    length as i64
}
