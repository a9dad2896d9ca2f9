//! What is kept of a socket: its identity, and where its streams stand.

use crate::kernel::{Address, follow, load, read, socket_network_namespace};
use crate::maps::{PORTS, ROLES, SOCKETS, constant, count};
use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_socket_cookie, bpf_skc_to_tcp_sock,
};
use tap_ebpf::{Identity, ROLE_ACCEPTED, ROLE_CONNECTED, Socket, Stream, event_flag, verdict};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// Bit of `sk_flags` that the kernel sets when the peer's FIN is in sequence (`SOCK_DONE`).
const SOCK_DONE: u64 = 1 << 1;

/// Bytes that a thread may lag behind another on the same socket. What lies further back is taken
/// for progress: up to 4 GiB may move by calls that no tracepoint sees.
const FURTHEST_BEHIND: u32 = 64 * 1024 * 1024;

/// Sequence numbers of a TCP socket.
#[derive(Clone, Copy)]
pub struct Sequences {
    /// Next byte that the gateway will read.
    pub received: u32,
    /// Next byte that the gateway will write.
    pub sent: u32,
}

/// The state of a socket that is followed.
#[inline(always)]
pub fn lookup(socket: Address) -> Option<&'static mut Socket> {
    // SAFETY: the entry lives as long as the socket, which is in use by our caller.
    SOCKETS.get_ptr_mut(socket as u64).map(|state| unsafe { &mut *state })
}

/// The state of a socket on which a selected process just moved bytes, and where its streams stand now. It
/// is made now if need be: the connection was open before the tap looked, or its listener was not known.
/// `None` while nobody wants its role: then not even the call that made it known is told.
#[inline(always)]
pub fn lookup_or_join(
    socket: Address,
    moved: u32,
    is_receive: bool,
) -> Option<(&'static mut Socket, Sequences)> {
    if let Some(state) = lookup(socket) {
        if state.verdict != verdict::UNWANTED {
            return Some((state, sequences(socket)?));
        }
        if !is_wanted(state.identity.role) {
            return None;
        }
        // Nobody was told of it so far: it begins anew.
        SOCKETS.remove(socket as u64).ok()?;
    }
    let now = sequences(socket)?;
    let state = join(socket, moved, now, is_receive)?;
    if state.verdict == verdict::UNWANTED {
        return None;
    }
    Some((state, now))
}

#[inline(never)]
fn join(
    socket: Address,
    moved: u32,
    sequences: Sequences,
    is_receive: bool,
) -> Option<&'static mut Socket> {
    // A socket made by accept keeps its listener's backlog limit; a connecting one has none.
    let backlog: u32 = read(socket, constant!(OFFSETS.sock_backlog_limit))?;
    let role = if backlog > 0 { ROLE_ACCEPTED } else { ROLE_CONNECTED };
    let port: u16 = read(socket, constant!(OFFSETS.sock_local_port))?;
    let only_ports = constant!(SETTINGS.only_ports) != 0;
    let unwanted = role == ROLE_ACCEPTED && only_ports && PORTS.get_ptr(u32::from(port)).is_none();

    let state = create(socket, role, if unwanted { verdict::IGNORE } else { verdict::COPY })?;
    let (received, sent) = if is_receive { (moved, 0) } else { (0, moved) };
    state.received.sequence = sequences.received.wrapping_sub(received);
    state.sent.sequence = sequences.sent.wrapping_sub(sent);
    fill_addresses(socket, &mut state.identity)?;
    Some(state)
}

#[inline(never)]
pub fn create(socket: Address, role: u8, verdict: u8) -> Option<&'static mut Socket> {
    let is_unwanted = verdict == verdict::COPY && !is_wanted(role);
    let verdict = if is_unwanted { verdict::UNWANTED } else { verdict };
    let stream = Stream { next: 0, sequence: 0, thread: 0 };
    let fresh = Socket {
        identity: Identity {
            // SAFETY: the helper accepts any socket.
            cookie: unsafe { bpf_get_socket_cookie(socket as *mut _) },
            opened_ns: 0,
            // SAFETY: has no preconditions.
            control_group: unsafe { bpf_get_current_cgroup_id() },
            local_address: [0; 16],
            remote_address: [0; 16],
            network_namespace: socket_network_namespace(socket)?,
            pid: 0,
            pid_in_namespace: 0,
            local_port: 0,
            remote_port: 0,
            role,
            padding: [0; 7],
        },
        received: stream,
        sent: stream,
        budget: 0,
        turn: u8::MAX,
        verdict,
        // Nobody is told of what is not copied.
        flags: if verdict == verdict::COPY { 0 } else { event_flag::CLOSE_TOLD },
        fin_queued: 0,
    };
    if SOCKETS.insert(socket as u64, fresh, 0).is_err() {
        count(|counters| counters.sockets_full += 1);
        return None;
    }
    lookup(socket)
}

/// Whether somebody wants connections of that role now.
#[inline(always)]
fn is_wanted(role: u8) -> bool {
    // SAFETY: an aligned word that userspace writes in one piece.
    ROLES.get_ptr(0).is_some_and(|roles| unsafe { *roles } & (1 << role) != 0)
}

/// The socket as a TCP socket; `None` if it is anything else (UDP, Unix, MPTCP…).
#[inline(always)]
pub fn tcp_socket(socket: Address) -> Option<Address> {
    // SAFETY: the helper accepts any socket and checks what it is.
    let tcp = unsafe { bpf_skc_to_tcp_sock(socket as *mut _) } as Address;
    if tcp.is_null() { None } else { Some(tcp) }
}

/// Where the streams stand now. The kernel counts the peer's FIN as a byte read; here it is not.
#[inline(always)]
pub fn sequences(socket: Address) -> Option<Sequences> {
    let tcp = tcp_socket(socket)?;
    let copied: u32 = load(tcp, constant!(OFFSETS.tcp_copied_seq));
    let sent: u32 = load(tcp, constant!(OFFSETS.tcp_write_seq));
    let flags: u64 = load(socket, constant!(OFFSETS.sock_flags));
    if flags & SOCK_DONE == 0 {
        return Some(Sequences { received: copied, sent });
    }
    let next: u32 = load(tcp, constant!(OFFSETS.tcp_receive_next));
    let fin_read = u32::from(copied == next);
    Some(Sequences { received: copied.wrapping_sub(fin_read), sent })
}

pub fn fill_addresses(socket: Address, identity: &mut Identity) -> Option<()> {
    let family: u16 = read(socket, constant!(OFFSETS.sock_family))?;
    match family {
        AF_INET => {
            let local: [u8; 4] = read(socket, constant!(OFFSETS.sock_local_ipv4))?;
            let remote: [u8; 4] = read(socket, constant!(OFFSETS.sock_remote_ipv4))?;
            identity.local_address = ipv4_mapped(local);
            identity.remote_address = ipv4_mapped(remote);
        }
        AF_INET6 => {
            identity.local_address = read(socket, constant!(OFFSETS.sock_local_ipv6))?;
            identity.remote_address = read(socket, constant!(OFFSETS.sock_remote_ipv6))?;
        }
        _ => return None,
    }
    // `inet_sport`, because `skc_num` is 0 again after a reset.
    let local: u16 = read(socket, constant!(OFFSETS.sock_source_port))?;
    let remote: u16 = read(socket, constant!(OFFSETS.sock_remote_port))?;
    identity.local_port = u16::from_be(local);
    identity.remote_port = u16::from_be(remote);
    Some(())
}

#[inline(always)]
fn ipv4_mapped(address: [u8; 4]) -> [u8; 16] {
    let [a, b, c, d] = address;
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, a, b, c, d]
}

/// Moves a stream to where the socket says it is; returns where it was. Another thread may have
/// moved it further since this one looked: it never goes back.
#[inline(always)]
pub fn advance(stream: &mut Stream, sequence: u32) -> u64 {
    let before = stream.next;
    let distance = sequence.wrapping_sub(stream.sequence);
    if distance <= u32::MAX - FURTHEST_BEHIND {
        stream.next = before.wrapping_add(u64::from(distance));
        stream.sequence = sequence;
    }
    before
}

/// Whether another thread may be in a call on the socket: its open file is referred to by more than
/// a descriptor and the running call.
#[inline(never)]
pub fn is_shared(socket: Address) -> bool {
    file_references(socket) > i64::from(constant!(OFFSETS.file_one_reference)) + 1
}

/// The kernel's count of references to the open file of a socket: `file_one_reference` for one
/// descriptor, less once the last one is closed. Very many where there is no file to be found.
// A number in any case, not an `Option`: the compiler compares the content of a `None` too, which
// does no harm, but the verifier refuses to read it.
#[inline(always)]
pub fn file_references(socket: Address) -> i64 {
    let references = || {
        let owner = follow(socket, constant!(OFFSETS.sock_socket))?;
        let file = follow(owner, constant!(OFFSETS.socket_file))?;
        read(file, constant!(OFFSETS.file_references))
    };
    match references() {
        Some(references) => references,
        None => i64::MAX,
    }
}
