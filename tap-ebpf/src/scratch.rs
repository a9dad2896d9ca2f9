//! The area where events of several pieces are put together, and the state of doing so.

use crate::event;
use aya_ebpf::helpers::generated::bpf_probe_read_user;
use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;
use core::ffi::c_void;
use core::hint::black_box;
use tap_ebpf::{CHUNK_CAPACITY, EDGE_LENGTH, Event};

/// Where an event is put together. `CHUNK_CAPACITY` appears twice because the verifier bounds
/// place and length of a copy separately.
#[repr(C)]
pub struct Scratch {
    pub gather: Gather,
    pub buffers: [Buffer; FEW_BUFFERS],
    pub event: Event,
    bytes: [u8; 2 * CHUNK_CAPACITY + EDGE_LENGTH],
}

/// One area per processor and direction. The kernel lets no program interrupt itself on a processor
/// (what it leaves out for that is counted: `recursion_misses`), and each direction has a program of
/// its own, so no area is used twice at once, even where tracepoints can be preempted.
#[map]
static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(2, 0);

/// Buffers of a call that are read at once.
pub const FEW_BUFFERS: usize = 8;

/// A `struct iovec` (64-bit).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Buffer {
    pub base: u64,
    pub length: u64,
}

/// Progress of one call's copying. It lives in the scratch map, not on the stack: the verifier
/// follows every value of a stack variable through the loop and never comes to an end.
pub struct Gather {
    /// Next entry of the vector, and how many are left.
    pub vector: u64,
    pub entries: u64,
    /// Rest of the current buffer.
    pub base: u64,
    pub available: u64,
    /// What is still to be done.
    pub head: u64,
    pub gap: u64,
    pub tail: u64,
    /// Bytes in the scratch area: `filled` in all, `filled_tail` of them from the end.
    pub filled: u64,
    pub filled_tail: u64,
    /// Bytes copied for this call in all.
    pub copied: u64,
    /// The event being put together.
    pub offset: u64,
    pub skipped: u64,
    pub flags: u8,
    pub reason: u8,
    /// Whether the rest must be walked to see if anything was left unsent.
    pub look_for_rest: bool,
    pub failed: bool,
}

impl Scratch {
    /// Copies bytes of the gateway's memory to a place in the area.
    #[inline(always)]
    pub fn copy(&mut self, place: u64, base: u64, length: u64) -> Option<()> {
        // The compiler proves both bounds and would drop the checks; the verifier needs to see them.
        let place = black_box(place);
        let size = black_box(length);
        if place > (CHUNK_CAPACITY + EDGE_LENGTH) as u64 || size > CHUNK_CAPACITY as u64 {
            return None;
        }
        // SAFETY: `place + size` is within the area by the checks above; the helper checks the
        // source.
        let result = unsafe {
            let target = self.bytes.as_mut_ptr().add(place as usize);
            bpf_probe_read_user(target.cast(), size as u32, base as *const c_void)
        };
        (result == 0).then_some(())
    }

    /// Hands the event with its first `bytes` captured bytes to userspace.
    #[inline(always)]
    pub fn output(&self, bytes: u64) {
        let bytes = black_box(bytes);
        if bytes > (CHUNK_CAPACITY + EDGE_LENGTH) as u64 {
            return;
        }
        // SAFETY: header and bytes are contiguous (`repr(C)`), and the length is within the area.
        let record = unsafe {
            let start = (&raw const self.event).cast::<u8>();
            core::slice::from_raw_parts(start, size_of::<Event>() + bytes as usize)
        };
        event::output(record);
    }
}

/// The area of this processor for a direction.
#[inline(always)]
pub fn scratch(direction: u8) -> Option<&'static mut Scratch> {
    // SAFETY: the entry belongs to this processor and to the one program of the direction.
    SCRATCH.get_ptr_mut(u32::from(direction)).map(|scratch| unsafe { &mut *scratch })
}

#[inline(always)]
pub fn smallest(a: u64, b: u64) -> u64 {
    if a < b { a } else { b }
}
