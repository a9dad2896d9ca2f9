//! The BPF programs. Entry points stand here in pairs: the program proper, and a fallible
//! `try_…` that does the work; everything else is one idea a module.
//!
//! All are BTF tracepoints: they cost nothing elsewhere in the kernel, need no tracefs, and get
//! the socket itself, so a descriptor that is closed and reused meanwhile confuses nobody. No
//! program writes to the gateway's memory or packets, and none can make it wait.
#![no_std]
#![no_main]
// The macros make public functions whose documentation rustc does not see.
#![allow(missing_docs, unreachable_pub)]

mod call;
mod copy;
mod event;
mod kernel;
mod maps;
mod scratch;
mod selection;
mod socket;
mod states;
mod transfer;
mod whole;

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use tap_ebpf::{DIRECTION_RECEIVED, DIRECTION_SENT};

/// After every receive on any socket: `(struct sock *sk, int ret, int flags)`.
#[btf_tracepoint(function = "sock_recv_length")]
pub fn sock_recv_length(ctx: BtfTracePointContext) -> i32 {
    let _ = transfer::try_transfer(ctx.arg(0), ctx.arg(1), ctx.arg(2), DIRECTION_RECEIVED);
    0
}

/// After every send on any socket: `(struct sock *sk, int ret, int flags)`.
#[btf_tracepoint(function = "sock_send_length")]
pub fn sock_send_length(ctx: BtfTracePointContext) -> i32 {
    let _ = transfer::try_transfer(ctx.arg(0), ctx.arg(1), ctx.arg(2), DIRECTION_SENT);
    0
}

/// At every change of a TCP state: `(const struct sock *sk, int oldstate, int newstate)`.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    let _ = states::try_state_change(ctx.arg(0), ctx.arg(1), ctx.arg(2));
    0
}

/// When a TCP socket ceases to exist: `(struct sock *sk)`. Its address is reused at once.
#[btf_tracepoint(function = "tcp_destroy_sock")]
pub fn tcp_destroy_sock(ctx: BtfTracePointContext) -> i32 {
    let _ = states::try_destroy(ctx.arg(0));
    0
}

/// `(struct task_struct *parent, struct task_struct *child)`, before the child runs.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    let _ = selection::try_fork(ctx.arg(0), ctx.arg(1));
    0
}

/// `(struct task_struct *task, …)`, after the new program's name is set.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    let _ = selection::try_exec(ctx.arg(0));
    0
}

/// `(struct task_struct *task, …)`, for every thread that ends.
#[btf_tracepoint(function = "sched_process_exit")]
pub fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    let _ = selection::try_exit(ctx.arg(0));
    0
}

/// The helpers for tracing are offered to GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
