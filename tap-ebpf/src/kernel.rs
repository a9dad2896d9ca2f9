//! The running task, and members of kernel structures at the places that userspace found in BTF.

use crate::maps::constant;
use aya_ebpf::helpers::generated::bpf_get_current_task_btf;
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_probe_read_kernel};

/// Address of a kernel structure.
pub type Address = *const u8;

/// Loads an integer or pointer member of a structure whose type the verifier knows: an argument of
/// a tracepoint, the running task, or what was loaded from those. The offset must come straight from
/// a load-time constant, and `T` must be as long as the member (or the beginning of an integer).
#[inline(always)]
pub fn load<T: Copy>(structure: Address, offset: u32) -> T {
    // SAFETY: the verifier admits only members of the structure; where its memory is gone the
    // kernel makes the load yield 0. Volatile, so that no load is split, merged or moved.
    unsafe { core::ptr::read_volatile(structure.wrapping_add(offset as usize).cast::<T>()) }
}

/// Reads any member by helper, about 10 ns slower than a load: for members that the verifier does
/// not let a program load (arrays, places that are computed) and where nobody counts.
#[inline(always)]
pub fn read<T>(structure: Address, offset: u32) -> Option<T> {
    // SAFETY: the helper checks the address; a wrong one is an error, not a fault.
    unsafe { bpf_probe_read_kernel(structure.wrapping_add(offset as usize).cast::<T>()).ok() }
}

/// Reads a pointer member.
#[inline(always)]
pub fn follow(structure: Address, offset: u32) -> Option<Address> {
    read::<Address>(structure, offset).filter(|address| !address.is_null())
}

/// Inode number of the network namespace of a socket.
#[inline(always)]
pub fn socket_network_namespace(socket: Address) -> Option<u32> {
    let net = follow(socket, constant!(OFFSETS.sock_net))?;
    read(net, constant!(OFFSETS.net_inode))
}

/// Inode number of the network namespace of a task.
#[inline(always)]
pub fn task_network_namespace(task: Address) -> Option<u32> {
    let namespaces = follow(task, constant!(OFFSETS.task_namespaces))?;
    let net = follow(namespaces, constant!(OFFSETS.namespaces_net))?;
    read(net, constant!(OFFSETS.net_inode))
}

/// Process id (thread group) of a task inside its own PID namespace.
#[inline(always)]
pub fn pid_in_namespace(task: Address) -> Option<u32> {
    let leader = follow(task, constant!(OFFSETS.task_group_leader))?;
    let pid = follow(leader, constant!(OFFSETS.task_thread_pid))?;
    let level: u32 = read(pid, constant!(OFFSETS.pid_level))?;
    // 32 is the kernel's own limit of nesting (MAX_PID_NS_LEVEL).
    let place = (level & 31) * constant!(OFFSETS.upid_size) + constant!(OFFSETS.upid_number);
    read(pid, constant!(OFFSETS.pid_numbers) + place)
}

/// Thread group id of the running task: what userspace calls a process id.
#[inline(always)]
pub fn current_process() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// Id of the running thread.
#[inline(always)]
pub fn current_thread() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

/// The running task.
#[inline(always)]
pub fn current_task() -> Address {
    // SAFETY: has no preconditions.
    unsafe { bpf_get_current_task_btf() as Address }
}
