//! The ABI between the BPF programs and userspace: plain `#[repr(C)]` types and constants.
//!
//! Both sides compile this file, so they cannot disagree about a layout. It has no dependencies
//! and no code beyond constructors.
#![no_std]

/// Largest number of bytes that one event carries, without its tail.
pub const CHUNK_CAPACITY: usize = 16_000;

/// Bytes at the beginning and at the end of a call that are copied even when the budget of its
/// turn is spent: enough for userspace to recognise a message head or a last chunk.
pub const EDGE_LENGTH: usize = 64;

/// Allowance for message heads in the budget of a turn, in bytes; the body cap comes on top.
pub const HEAD_ALLOWANCE: u32 = 32 * 1024;

/// Length of a process name (`comm`) with its final NUL.
pub const NAME_LENGTH: usize = 16;

/// Who moved bytes and over which connection.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The kernel's own number of the socket, never reused; `ss -e` shows it as `sk:` in hex.
    pub cookie: u64,
    /// When it was established, CLOCK_MONOTONIC nanoseconds; 0 if it was open before.
    pub opened_ns: u64,
    /// Control group (version 2) of the process that used it first.
    pub control_group: u64,
    /// The gateway's address; IPv4 as IPv4-mapped IPv6.
    pub local_address: [u8; 16],
    /// The peer's address; IPv4 as IPv4-mapped IPv6.
    pub remote_address: [u8; 16],
    /// Inode number of the network namespace.
    pub network_namespace: u32,
    /// Process id (thread group) of the process that used it last; 0 if none did yet.
    pub pid: u32,
    /// The same inside the process's own PID namespace.
    pub pid_in_namespace: u32,
    /// The gateway's port.
    pub local_port: u16,
    /// The peer's port.
    pub remote_port: u16,
    /// [`ROLE_ACCEPTED`] or [`ROLE_CONNECTED`].
    pub role: u8,
    /// Always 0.
    pub padding: [u8; 7],
}

/// The gateway accepted the connection.
pub const ROLE_ACCEPTED: u8 = 1;
/// The gateway opened the connection.
pub const ROLE_CONNECTED: u8 = 2;

/// Head of an event; `head` and then `tail` captured bytes follow it.
///
/// A `DATA` event describes the bytes `offset..offset + length` of one direction: the first
/// `head` and the last `tail` of them are here, those between are missing for `reason`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// CLOCK_MONOTONIC nanoseconds.
    pub time_ns: u64,
    /// Place of the first byte in its direction's stream; for `CLOSED`: bytes received in all.
    pub offset: u64,
    /// Bytes that this event describes; for `CLOSED`: bytes sent in all.
    pub length: u64,
    /// Bytes that went the other way before, as far as that is certain: what userspace was not told of them
    /// is lost, and lost before this.
    pub opposite: u64,
    /// Captured bytes at the beginning.
    pub head: u32,
    /// Captured bytes at the end.
    pub tail: u32,
    /// One of [`event_kind`].
    pub kind: u8,
    /// [`DIRECTION_RECEIVED`] or [`DIRECTION_SENT`].
    pub direction: u8,
    /// One of [`reason`].
    pub reason: u8,
    /// Set of [`event_flag`].
    pub flags: u8,
    /// Always 0.
    pub padding: u32,
    /// The connection.
    pub identity: Identity,
}

/// Kinds of events.
pub mod event_kind {
    /// Bytes were moved.
    pub const DATA: u8 = 1;
    /// The peer's stream ended: a read returned 0.
    pub const END: u8 = 2;
    /// The connection is over; `offset` and `length` are its final counts.
    pub const CLOSED: u8 = 3;
}

/// Bits of [`Event::flags`] and [`Socket::flags`].
pub mod event_flag {
    /// The first byte is the first of its system call.
    pub const CALL_START: u8 = 1;
    /// The peer ended its stream (FIN).
    pub const PEER_ENDED: u8 = 2;
    /// The gateway ended its stream or closed the socket.
    pub const GATEWAY_ENDED: u8 = 4;
    /// The peer was the first to end.
    pub const PEER_FIRST: u8 = 8;
    /// The connection was reset (by the side that `PEER_FIRST` tells).
    pub const RESET: u8 = 16;
    /// Userspace was told that the connection is over.
    pub const CLOSE_TOLD: u8 = 32;
    /// Another thread was in a call on the socket too: events may come out of order.
    pub const OVERLAPPED: u8 = 64;
}

/// Bytes that the gateway read.
pub const DIRECTION_RECEIVED: u8 = 0;
/// Bytes that the gateway wrote.
pub const DIRECTION_SENT: u8 = 1;

/// Why bytes of an event are missing.
pub mod reason {
    /// Nothing is missing.
    pub const NONE: u8 = 0;
    /// Beyond the budget of the turn.
    pub const BUDGET: u8 = 1;
    /// Moved by `sendfile`.
    pub const SENDFILE: u8 = 2;
    /// Moved by `splice`, `vmsplice` or `tee`.
    pub const SPLICE: u8 = 3;
    /// Moved by `io_uring`.
    pub const IO_URING: u8 = 4;
    /// Moved by a call whose arguments are not understood.
    pub const OTHER_CALL: u8 = 5;
    /// The gateway's memory could not be read.
    pub const UNREADABLE: u8 = 6;
    /// Several calls on the socket at once.
    pub const CONCURRENT: u8 = 7;
    /// Discarded unread (`MSG_TRUNC`).
    pub const DISCARDED: u8 = 8;
}

/// One direction of a connection as the kernel side knows it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// Bytes moved so far, which is also the place of the next one.
    pub next: u64,
    /// The socket's own sequence number at that place.
    pub sequence: u32,
    /// Thread that moved bytes last; with [`SEVERAL_THREADS`] once there was another one.
    pub thread: u32,
}

/// Bit of [`Stream::thread`] beyond all thread ids (the kernel's limit is 2^22).
pub const SEVERAL_THREADS: u32 = 1 << 31;

/// State of one socket, keyed by its address while it lives.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket {
    /// Identity.
    pub identity: Identity,
    /// Bytes read by the gateway.
    pub received: Stream,
    /// Bytes written by the gateway.
    pub sent: Stream,
    /// Bytes that may still be copied in this turn.
    pub budget: u32,
    /// Direction of the current turn.
    pub turn: u8,
    /// One of [`verdict`].
    pub verdict: u8,
    /// Set of [`event_flag`].
    pub flags: u8,
    /// 1: the gateway's FIN is part of the socket's write sequence.
    pub fin_queued: u8,
}

/// What is done with the bytes of a connection.
pub mod verdict {
    /// They are copied.
    pub const COPY: u8 = 0;
    /// They are counted only.
    pub const IGNORE: u8 = 1;
    /// They are of a role that nobody wants now; that may change.
    pub const UNWANTED: u8 = 2;
}

/// A selected process.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its name when it was selected: an `exec` that changes it ends the selection.
    pub name: [u8; NAME_LENGTH],
    /// Bytes copied from its memory.
    pub bytes_copied: u64,
    /// Calls seen.
    pub calls: u64,
}

/// A listening port of a selected process.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerKey {
    /// Inode number of the network namespace.
    pub network_namespace: u32,
    /// Port.
    pub port: u32,
}

/// Counters of the kernel side; one set per processor.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Events delivered to the ring.
    pub events: u64,
    /// Bytes copied out of the gateway's memory.
    pub bytes_copied: u64,
    /// Events that the full ring refused: their bytes are lost.
    pub reservation_failures: u64,
    /// Calls whose buffers could not be read.
    pub unreadable: u64,
    /// Connections that were not followed because the socket table was full.
    pub sockets_full: u64,
    /// Calls on a socket that overlapped others.
    pub concurrent: u64,
    /// Ends of connections kept for userspace to fetch because the ring was full.
    pub closes_kept: u64,
    /// Ends of connections that could not even be kept.
    pub closes_lost: u64,
}

/// A `recvmmsg` or `sendmmsg` in progress, keyed by thread.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MultipleMessages {
    /// Address of the vector of messages.
    pub vector: u64,
    /// Address of the socket.
    pub socket: u64,
    /// Index of the message that comes next.
    pub index: u64,
}

/// What userspace decides at load time.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of bodies that are wanted per turn.
    pub body_cap: u32,
    /// 1: processes are selected when they listen on a port in `PORTS`.
    pub select_by_port: u32,
    /// 1: processes with a name in `NAMES` are selected when they start or listen.
    pub select_by_name: u32,
    /// 1: of the accepted connections only those on a port in `PORTS` are wanted.
    pub only_ports: u32,
    /// Always 0.
    pub padding: u32,
    /// Only processes in this network namespace (inode number); 0 = any.
    pub network_namespace: u32,
    /// Only processes in this control group (identifier); 0 = any.
    pub control_group: u64,
}

/// Numbers of the system calls of the running architecture; `-1` where it has none.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CallNumbers {
    pub read: i64,
    pub readv: i64,
    pub recvfrom: i64,
    pub recvmsg: i64,
    pub recvmmsg: i64,
    pub write: i64,
    pub writev: i64,
    pub sendto: i64,
    pub sendmsg: i64,
    pub sendmmsg: i64,
    pub sendfile: i64,
    pub splice: i64,
    pub vmsplice: i64,
    pub tee: i64,
    pub io_uring_enter: i64,
}

/// Places of kernel structure members in bytes, from the running kernel's BTF.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Offsets {
    pub sock_family: u32,
    pub sock_local_port: u32,
    pub sock_source_port: u32,
    pub sock_remote_port: u32,
    pub sock_local_ipv4: u32,
    pub sock_remote_ipv4: u32,
    pub sock_local_ipv6: u32,
    pub sock_remote_ipv6: u32,
    pub sock_net: u32,
    pub sock_flags: u32,
    pub sock_protocol: u32,
    pub sock_shutdown: u32,
    pub sock_error: u32,
    pub sock_backlog_limit: u32,
    pub sock_socket: u32,
    pub socket_file: u32,
    pub file_references: u32,
    pub net_inode: u32,
    pub tcp_copied_seq: u32,
    pub tcp_write_seq: u32,
    pub tcp_receive_next: u32,
    pub task_thread_group_id: u32,
    pub task_group_leader: u32,
    pub task_thread_pid: u32,
    pub task_signal: u32,
    pub task_name: u32,
    pub task_namespaces: u32,
    pub namespaces_net: u32,
    pub signal_live: u32,
    pub pid_level: u32,
    pub pid_numbers: u32,
    pub upid_size: u32,
    pub upid_number: u32,
    pub registers_call_number: u32,
    pub registers_argument_2: u32,
    pub registers_argument_3: u32,
    pub registers_argument_5: u32,
    /// Value of a file's reference field when nobody but one descriptor refers to it.
    pub file_one_reference: u32,
    /// Result register; [`NO_OFFSET`] where it does not tell a call that is under way.
    pub registers_result: u32,
}

/// Stands for a structure member that this kernel or architecture does not have.
pub const NO_OFFSET: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::{align_of, offset_of, size_of};

    /// The layout is part of the contract with a loaded program: a change must be deliberate.
    #[test]
    fn layouts_are_as_specified() {
        assert_eq!((size_of::<Identity>(), align_of::<Identity>()), (80, 8));
        assert_eq!(offset_of!(Identity, local_address), 24);
        assert_eq!(offset_of!(Identity, network_namespace), 56);
        assert_eq!(offset_of!(Identity, local_port), 68);
        assert_eq!(offset_of!(Identity, role), 72);
        assert_eq!((size_of::<Event>(), align_of::<Event>()), (128, 8));
        assert_eq!(offset_of!(Event, head), 32);
        assert_eq!(offset_of!(Event, kind), 40);
        assert_eq!(offset_of!(Event, identity), 48);
        assert_eq!(size_of::<Stream>(), 16);
        assert_eq!((size_of::<Socket>(), offset_of!(Socket, budget)), (120, 112));
        assert_eq!(size_of::<Process>(), 32);
        assert_eq!(size_of::<Counters>(), 64);
        assert_eq!(size_of::<Settings>(), 32);
        assert_eq!(size_of::<CallNumbers>(), 120);
        assert_eq!(size_of::<Offsets>(), 156);
    }

    /// A per-processor map value must not exceed 32 KiB.
    #[test]
    fn scratch_value_fits_the_kernel_limit() {
        // 256 bytes stand for the state of the copying, which is private to the programs.
        assert!(256 + size_of::<Event>() + 2 * CHUNK_CAPACITY + EDGE_LENGTH <= 32 * 1024);
    }
}
