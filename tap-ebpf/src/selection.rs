//! Which processes are looked at: decided here, before any byte is copied.

use crate::kernel::{Address, current_process, current_task, follow, read, task_network_namespace};
use crate::maps::{ENDED_PROCESSES, LISTENERS, NAMES, PORTS, PROCESSES, constant};
use aya_ebpf::helpers::generated::bpf_get_current_cgroup_id;
use tap_ebpf::{ListenerKey, NAME_LENGTH, Process};

/// A new process is selected if its parent is; a new thread belongs to its process anyway.
#[inline(always)]
pub fn try_fork(parent: Address, child: Address) -> Option<()> {
    let parent_group: u32 = read(parent, constant!(OFFSETS.task_thread_group_id))?;
    // SAFETY: a racing removal makes this copy stale at worst.
    let mut process = unsafe { *PROCESSES.get_ptr(parent_group)? };
    let child_group: u32 = read(child, constant!(OFFSETS.task_thread_group_id))?;
    if child_group == parent_group {
        return None;
    }
    process.bytes_copied = 0;
    process.calls = 0;
    PROCESSES.insert(child_group, process, 0).ok()
}

/// A selected process that becomes another program is dropped; a program with a selected name
/// is picked up.
#[inline(always)]
pub fn try_exec(task: Address) -> Option<()> {
    let group: u32 = read(task, constant!(OFFSETS.task_thread_group_id))?;
    let name: [u8; NAME_LENGTH] = read(task, constant!(OFFSETS.task_name))?;
    if is_wanted_name(&name) && passes_filters(task) {
        return select(group, name);
    }
    // SAFETY: a racing removal makes this read stale at worst.
    let process = unsafe { &*PROCESSES.get_ptr(group)? };
    if process.name != name {
        retire(group, process);
    }
    Some(())
}

/// The last thread of a process takes the selection with it: its id may be reused.
#[inline(always)]
pub fn try_exit(task: Address) -> Option<()> {
    let group: u32 = read(task, constant!(OFFSETS.task_thread_group_id))?;
    // SAFETY: a racing removal makes this read stale at worst.
    let process = unsafe { &*PROCESSES.get_ptr(group)? };
    let signal = follow(task, constant!(OFFSETS.task_signal))?;
    let live: u32 = read(signal, constant!(OFFSETS.signal_live))?;
    if live == 0 {
        retire(group, process);
    }
    Some(())
}

/// Called when a process begins to listen: selects it if port or name is wanted, and notes the
/// listener if the process is selected (now or before).
#[inline(always)]
pub fn listen(network_namespace: u32, port: u32) -> Option<()> {
    let group = current_process();
    let by_port = constant!(SETTINGS.select_by_port) != 0;
    let port_wanted = PORTS.get_ptr(port).is_some();
    if PROCESSES.get_ptr(group).is_none() {
        let task = current_task();
        let name: [u8; NAME_LENGTH] = read(task, constant!(OFFSETS.task_name))?;
        let wanted = (by_port && port_wanted) || is_wanted_name(&name);
        if !wanted || !passes_filters(task) {
            return None;
        }
        select(group, name)?;
    }
    if constant!(SETTINGS.only_ports) != 0 && !port_wanted {
        return None;
    }
    LISTENERS.insert(ListenerKey { network_namespace, port }, 1, 0).ok()
}

fn select(group: u32, name: [u8; NAME_LENGTH]) -> Option<()> {
    PROCESSES.insert(group, Process { name, bytes_copied: 0, calls: 0 }, 0).ok()
}

/// Ends a selection, keeping its counters for userspace.
#[inline(always)]
fn retire(group: u32, process: &Process) {
    let _ = ENDED_PROCESSES.insert(group, process, 0);
    let _ = PROCESSES.remove(group);
}

#[inline(always)]
fn is_wanted_name(name: &[u8; NAME_LENGTH]) -> bool {
    constant!(SETTINGS.select_by_name) != 0 && NAMES.get_ptr(name).is_some()
}

/// Network namespace and control group, where the user narrowed the selection.
#[inline(always)]
fn passes_filters(task: Address) -> bool {
    let namespace = constant!(SETTINGS.network_namespace);
    if namespace != 0 && task_network_namespace(task) != Some(namespace) {
        return false;
    }
    let group = constant!(SETTINGS.control_group);
    // SAFETY: has no preconditions.
    group == 0 || unsafe { bpf_get_current_cgroup_id() } == group
}
