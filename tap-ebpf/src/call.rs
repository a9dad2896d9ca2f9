//! Which memory the running system call moved: from its number and arguments.

use crate::kernel::{Address, current_task, current_thread, load};
use crate::maps::{MULTIPLE, constant};
use aya_ebpf::helpers::bpf_probe_read_user;
use aya_ebpf::helpers::generated::bpf_task_pt_regs;
use tap_ebpf::{DIRECTION_RECEIVED, MultipleMessages, NO_OFFSET, reason};

/// Where the bytes of a call are.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Address of an `iovec` array, or 0 if `base` and `length` tell one buffer.
    pub vector: u64,
    /// Entries of the array.
    pub count: u64,
    /// Address of the one buffer.
    pub base: u64,
    /// Set if more messages of the same `sendmmsg` may follow: whether this one was sent in full
    /// decides that.
    pub is_multiple_send: bool,
}

/// What the arguments of a call say.
pub enum Source {
    /// The bytes are in the gateway's memory.
    Memory(Memory),
    /// They are not, or it is not known where: one of [`reason`].
    Hidden(u8),
}

/// x86-64 keeps this in the result register while a system call runs.
const ENOSYS: i64 = -38;
/// Place of `msg_iov` and `msg_iovlen` in `struct user_msghdr` (64-bit).
const MESSAGE_VECTOR: u64 = 16;
const MESSAGE_COUNT: u64 = 24;
/// Size of `struct mmsghdr` (64-bit).
const MULTIPLE_STRIDE: u64 = 64;
/// Size of `struct iovec` (64-bit).
pub const VECTOR_STRIDE: u64 = 16;
/// Largest number of `iovec` entries the kernel accepts (UIO_MAXIOV), also of messages.
pub const VECTOR_LIMIT: u64 = 1_024;

/// Finds the memory of the running call on `socket`.
#[inline(always)]
pub fn source(socket: Address, direction: u8) -> Source {
    let Some(registers) = registers() else {
        return Source::Hidden(reason::OTHER_CALL);
    };
    let Some(number) = call_number(registers) else {
        return Source::Hidden(reason::OTHER_CALL);
    };
    let memory = if direction == DIRECTION_RECEIVED {
        receive_memory(socket, registers, number)
    } else {
        send_memory(socket, registers, number)
    };
    match memory {
        Some(memory) => Source::Memory(memory),
        None => Source::Hidden(hidden_reason(number)),
    }
}

/// A call that failed ends a `recvmmsg` or `sendmmsg`.
#[inline(always)]
pub fn failed() -> Option<()> {
    let number = call_number(registers()?)?;
    if number == constant!(CALL_NUMBERS.recvmmsg) || number == constant!(CALL_NUMBERS.sendmmsg) {
        forget_multiple();
    }
    Some(())
}

/// The vector of messages under way in this thread is at its end.
#[inline(always)]
pub fn forget_multiple() {
    let _ = MULTIPLE.remove(current_thread());
}

fn receive_memory(socket: Address, registers: Address, number: i64) -> Option<Memory> {
    if number == constant!(CALL_NUMBERS.recvfrom) || number == constant!(CALL_NUMBERS.read) {
        return Some(buffer(registers));
    }
    if number == constant!(CALL_NUMBERS.readv) {
        return Some(vector(registers));
    }
    if number == constant!(CALL_NUMBERS.recvmsg) {
        return message(argument_2(registers));
    }
    if number == constant!(CALL_NUMBERS.recvmmsg) {
        // With a time limit the call may stop between two messages without a trace.
        let timeout: u64 = load(registers, constant!(OFFSETS.registers_argument_5));
        return if timeout == 0 { multiple(socket, registers, false) } else { None };
    }
    None
}

fn send_memory(socket: Address, registers: Address, number: i64) -> Option<Memory> {
    if number == constant!(CALL_NUMBERS.writev) {
        return Some(vector(registers));
    }
    if number == constant!(CALL_NUMBERS.sendto) || number == constant!(CALL_NUMBERS.write) {
        return Some(buffer(registers));
    }
    if number == constant!(CALL_NUMBERS.sendmsg) {
        return message(argument_2(registers));
    }
    if number == constant!(CALL_NUMBERS.sendmmsg) {
        return multiple(socket, registers, true);
    }
    None
}

fn hidden_reason(number: i64) -> u8 {
    if number == constant!(CALL_NUMBERS.sendfile) {
        reason::SENDFILE
    } else if number == constant!(CALL_NUMBERS.splice)
        || number == constant!(CALL_NUMBERS.vmsplice)
        || number == constant!(CALL_NUMBERS.tee)
    {
        reason::SPLICE
    } else if number == constant!(CALL_NUMBERS.io_uring_enter) {
        reason::IO_URING
    } else {
        reason::OTHER_CALL
    }
}

#[inline(always)]
fn buffer(registers: Address) -> Memory {
    Memory { vector: 0, count: 0, base: argument_2(registers), is_multiple_send: false }
}

#[inline(always)]
fn vector(registers: Address) -> Memory {
    let count = argument_3(registers);
    Memory { vector: argument_2(registers), count, base: 0, is_multiple_send: false }
}

#[inline(always)]
fn message(header: u64) -> Option<Memory> {
    let vector = read_user(header + MESSAGE_VECTOR)?;
    let count = read_user(header + MESSAGE_COUNT)?;
    Some(Memory { vector, count, base: 0, is_multiple_send: false })
}

/// The message of a vector of messages whose turn it is. A receive fills every message it is
/// given, so its end is known here; whether a send goes on is known after looking at its length.
#[inline(always)]
fn multiple(socket: Address, registers: Address, is_send: bool) -> Option<Memory> {
    let vector = argument_2(registers);
    let messages = argument_3(registers) & 0xFFFF_FFFF;
    let messages = if messages > VECTOR_LIMIT { VECTOR_LIMIT } else { messages };
    let index = multiple_index(vector, socket as u64);
    if index + 1 >= messages {
        forget_multiple();
    } else {
        let next = MultipleMessages { vector, socket: socket as u64, index: index + 1 };
        MULTIPLE.insert(current_thread(), next, 0).ok()?;
    }
    let mut memory = message(vector + index * MULTIPLE_STRIDE)?;
    memory.is_multiple_send = is_send && index + 1 < messages;
    Some(memory)
}

#[inline(always)]
fn multiple_index(vector: u64, socket: u64) -> u64 {
    let Some(under_way) = MULTIPLE.get_ptr(current_thread()) else {
        return 0;
    };
    // SAFETY: the entry belongs to this thread.
    let under_way = unsafe { *under_way };
    let is_same = under_way.vector == vector && under_way.socket == socket;
    if is_same && under_way.index < VECTOR_LIMIT { under_way.index } else { 0 }
}

#[inline(always)]
fn registers() -> Option<Address> {
    // SAFETY: the helper takes the current task, which is never null.
    let registers = unsafe { bpf_task_pt_regs(current_task() as *mut _) } as Address;
    if registers.is_null() { None } else { Some(registers) }
}

/// Number of the system call; `None` if none is under way (work that io_uring does for the task
/// when a call returns).
#[inline(always)]
fn call_number(registers: Address) -> Option<i64> {
    let result_place = constant!(OFFSETS.registers_result);
    if result_place != NO_OFFSET && load::<i64>(registers, result_place) != ENOSYS {
        return None;
    }
    let number: i32 = load(registers, constant!(OFFSETS.registers_call_number));
    Some(i64::from(number))
}

#[inline(always)]
fn argument_2(registers: Address) -> u64 {
    load(registers, constant!(OFFSETS.registers_argument_2))
}

#[inline(always)]
fn argument_3(registers: Address) -> u64 {
    load(registers, constant!(OFFSETS.registers_argument_3))
}

/// Reads a word of the gateway's memory.
#[inline(always)]
pub fn read_user(address: u64) -> Option<u64> {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_user(address as *const u64).ok() }
}
