//! Maps and load-time constants: all state that outlives a program run.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf};
use tap_ebpf::{
    CallNumbers, Counters, ListenerKey, MultipleMessages, NAME_LENGTH, Offsets, Process, Settings,
    Socket,
};

/// Events for userspace. The size is set at load time.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(64 * 1024 * 1024, 0);

/// State of the connections that are followed, by address of the socket.
#[map]
pub static SOCKETS: HashMap<u64, Socket> = HashMap::with_max_entries(65_536, 0);

/// Sockets whose end userspace could not be told, by socket cookie.
#[map]
pub static CLOSED: HashMap<u64, Socket> = HashMap::with_max_entries(16_384, 0);

/// Selected processes by thread group id.
#[map]
pub static PROCESSES: HashMap<u32, Process> = HashMap::with_max_entries(16_384, 0);

/// What selected processes left behind when they ended, for userspace's totals.
#[map]
pub static ENDED_PROCESSES: LruHashMap<u32, Process> = LruHashMap::with_max_entries(4_096, 0);

/// Ports that are selected (whoever listens there).
#[map]
pub static PORTS: HashMap<u32, u8> = HashMap::with_max_entries(1_024, 0);

/// Process names that are selected.
#[map]
pub static NAMES: HashMap<[u8; NAME_LENGTH], u8> = HashMap::with_max_entries(64, 0);

/// Where selected processes listen.
#[map]
pub static LISTENERS: HashMap<ListenerKey, u8> = HashMap::with_max_entries(4_096, 0);

/// Userspace's word on connections that need not be copied any more, by socket cookie.
#[map]
pub static VERDICTS: HashMap<u64, u8> = HashMap::with_max_entries(65_536, 0);

/// Number of entries in `VERDICTS`, so that the look-up is saved while there are none.
#[map]
pub static VERDICT_COUNT: Array<u64> = Array::with_max_entries(1, 0);

/// Roles whose connections are wanted: bit `1 << role` of the word.
#[map]
pub static ROLES: Array<u32> = Array::with_max_entries(1, 0);

/// Counters.
#[map]
pub static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(1, 0);

/// `recvmmsg` and `sendmmsg` calls under way, by thread id.
#[map]
pub static MULTIPLE: LruHashMap<u32, MultipleMessages> = LruHashMap::with_max_entries(4_096, 0);

/// Set by userspace at load time.
#[unsafe(no_mangle)]
pub static SETTINGS: Settings = Settings {
    body_cap: 128 * 1024,
    select_by_port: 0,
    select_by_name: 0,
    only_ports: 0,
    padding: 0,
    network_namespace: 0,
    control_group: 0,
};

/// Set by userspace at load time, from the running kernel's BTF.
// SAFETY: all members are integers, for which any bit pattern is valid.
#[unsafe(no_mangle)]
pub static OFFSETS: Offsets = unsafe { core::mem::transmute([0xFF_u8; size_of::<Offsets>()]) };

/// Set by userspace at load time, for the running architecture.
// SAFETY: all members are integers, for which any bit pattern is valid.
#[unsafe(no_mangle)]
pub static CALL_NUMBERS: CallNumbers =
    unsafe { core::mem::transmute([0xFF_u8; size_of::<CallNumbers>()]) };

/// A member of a load-time constant. The volatile read keeps the compiler from using the value
/// that stands in the source; the verifier, which knows the map to be frozen, sees a constant.
macro_rules! constant {
    ($name:ident . $member:ident) => {
        // SAFETY: reads a member of a static.
        unsafe { core::ptr::read_volatile(&raw const crate::maps::$name.$member) }
    };
}
pub(crate) use constant;

/// Applies a change to this processor's counters.
#[inline(always)]
pub fn count(change: impl FnOnce(&mut Counters)) {
    if let Some(counters) = COUNTERS.get_ptr_mut(0) {
        // SAFETY: the entry belongs to this processor.
        change(unsafe { &mut *counters });
    }
}
