//! Loading the BPF programs into the kernel and reaching their maps.

use super::btf::{Btf, BtfError};
use super::offsets::{call_numbers, offsets};
use aya::maps::{Array, HashMap, MapData, MapError, PerCpuArray, RingBuf};
use aya::programs::{BtfTracePoint, Program, ProgramError};
use aya::{Ebpf, EbpfError, EbpfLoader, Pod};
use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use tap_ebpf::{Counters, ListenerKey, NAME_LENGTH, Process, Settings, Socket};

/// The programs, as the build embedded them.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/gatetap-programs.o"));

/// All of the `sockets` hook set; a program is named after its tracepoint.
pub const TRACEPOINTS: [&str; 7] = [
    "sock_recv_length",
    "sock_send_length",
    "inet_sock_set_state",
    "tcp_destroy_sock",
    "sched_process_fork",
    "sched_process_exec",
    "sched_process_exit",
];

/// A type of the ABI as a map value.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Plain<T>(pub T);

// SAFETY: the types of the ABI consist of integers without implicit padding.
unsafe impl Pod for Plain<Process> {}
// SAFETY: as above.
unsafe impl Pod for Plain<Socket> {}
// SAFETY: as above.
unsafe impl Pod for Plain<Counters> {}
// SAFETY: as above.
unsafe impl Pod for Plain<ListenerKey> {}

/// Why the programs are not running.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The kernel does not describe itself.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// The kernel's BTF cannot be used for tracepoints.
    #[error("the kernel's BTF is not usable")]
    TracepointBtf(#[from] aya::BtfError),
    /// The object or its maps were refused.
    #[error("loading was refused (gatetap needs root, or CAP_BPF and CAP_PERFMON)")]
    Load(#[from] EbpfError),
    /// A program was refused.
    #[error("the tracepoint `{tracepoint}` was refused")]
    Program {
        /// Name of the tracepoint.
        tracepoint: &'static str,
        /// What the kernel said.
        source: Box<ProgramError>,
    },
    /// A map cannot be used.
    #[error("the map `{map}` cannot be used")]
    Map {
        /// Name of the map.
        map: &'static str,
        /// What the kernel said.
        source: Box<MapError>,
    },
}

/// The running programs; dropping this detaches them and frees all kernel memory.
pub struct Programs {
    ebpf: Ebpf,
    /// Events.
    pub events: RingBuf<MapData>,
    /// Selected processes.
    pub processes: HashMap<MapData, u32, Plain<Process>>,
    /// Processes that were selected.
    pub ended_processes: HashMap<MapData, u32, Plain<Process>>,
    /// Where they listen.
    pub listeners: HashMap<MapData, Plain<ListenerKey>, u8>,
    /// Connections that are followed.
    pub sockets: HashMap<MapData, u64, Plain<Socket>>,
    /// Ends that could not be told.
    pub closed: HashMap<MapData, u64, Plain<Socket>>,
    /// Connections that need not be copied.
    pub verdicts: HashMap<MapData, u64, u8>,
    /// Number of those.
    pub verdict_count: Array<MapData, u64>,
    /// Roles whose connections are wanted.
    pub roles: Array<MapData, u32>,
    counters: PerCpuArray<MapData, Plain<Counters>>,
}

impl Programs {
    /// Loads and attaches all programs. `ports` and `names` are those that select a process, `roles`
    /// those of connections that are wanted (bit `1 << role`).
    pub fn start(
        settings: &Settings,
        ports: &[u16],
        names: &[[u8; NAME_LENGTH]],
        roles: u32,
        ring_bytes: u32,
    ) -> Result<Self, ProbeError> {
        let offsets = offsets(&Btf::kernel()?)?;
        let call_numbers = call_numbers();
        let mut ebpf = EbpfLoader::new()
            .override_global("SETTINGS", bytes_of(settings), true)
            .override_global("OFFSETS", bytes_of(&offsets), true)
            .override_global("CALL_NUMBERS", bytes_of(&call_numbers), true)
            .map_max_entries("EVENTS", ring_bytes)
            .load(OBJECT)?;
        fill(&mut ebpf, "PORTS", ports.iter().map(|&port| u32::from(port)))?;
        fill(&mut ebpf, "NAMES", names.iter().copied())?;
        set(&mut ebpf, "ROLES", roles)?;
        attach_all(&mut ebpf)?;
        give_memory_back();
        Ok(Self {
            events: take(&mut ebpf, "EVENTS")?,
            processes: take(&mut ebpf, "PROCESSES")?,
            ended_processes: take(&mut ebpf, "ENDED_PROCESSES")?,
            listeners: take(&mut ebpf, "LISTENERS")?,
            sockets: take(&mut ebpf, "SOCKETS")?,
            closed: take(&mut ebpf, "CLOSED")?,
            verdicts: take(&mut ebpf, "VERDICTS")?,
            verdict_count: take(&mut ebpf, "VERDICT_COUNT")?,
            roles: take(&mut ebpf, "ROLES")?,
            counters: take(&mut ebpf, "COUNTERS")?,
            ebpf,
        })
    }

    /// The counters of all processors together.
    pub fn counters(&self) -> Result<Counters, ProbeError> {
        let per_processor = self.counters.get(&0, 0).map_err(|e| map_error("COUNTERS", e))?;
        Ok(per_processor.iter().fold(Counters::default(), |sum, Plain(one)| Counters {
            events: sum.events + one.events,
            bytes_copied: sum.bytes_copied + one.bytes_copied,
            reservation_failures: sum.reservation_failures + one.reservation_failures,
            unreadable: sum.unreadable + one.unreadable,
            sockets_full: sum.sockets_full + one.sockets_full,
            concurrent: sum.concurrent + one.concurrent,
            closes_kept: sum.closes_kept + one.closes_kept,
            closes_lost: sum.closes_lost + one.closes_lost,
        }))
    }

    /// Runs that the kernel left out, because the same program was under way on that processor or for
    /// other reasons of its own; `None` if it does not tell.
    pub fn runs_missed(&self) -> Option<u64> {
        self.ebpf.programs().map(|(_, program)| recursion_misses(program)).sum()
    }
}

/// Parsing the kernel's types takes more memory than all that follows, and the allocator keeps it.
fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// What the kernel tells beside a program's descriptor (Linux 5.12).
fn recursion_misses(program: &Program) -> Option<u64> {
    let descriptor = program.fd().ok()?.as_fd().as_raw_fd();
    let told = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).ok()?;
    let misses = told.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
    misses.trim().parse().ok()
}

fn attach_all(ebpf: &mut Ebpf) -> Result<(), ProbeError> {
    let btf = aya::Btf::from_sys_fs()?;
    for tracepoint in TRACEPOINTS {
        attach(ebpf, tracepoint, &btf)
            .map_err(|source| ProbeError::Program { tracepoint, source: Box::new(source) })?;
    }
    Ok(())
}

fn attach(ebpf: &mut Ebpf, tracepoint: &str, btf: &aya::Btf) -> Result<(), ProgramError> {
    let program = ebpf.program_mut(tracepoint).ok_or(ProgramError::NotLoaded)?;
    let program: &mut BtfTracePoint = program.try_into()?;
    program.load(tracepoint, btf)?;
    program.attach().map(|_| ())
}

/// Takes a map out of the object, as whatever the caller wants it to be.
fn take<M>(ebpf: &mut Ebpf, map: &'static str) -> Result<M, ProbeError>
where
    M: TryFrom<aya::maps::Map, Error = MapError>,
{
    let missing = || MapError::InvalidName { name: map.to_owned() };
    ebpf.take_map(map).ok_or_else(missing).and_then(M::try_from).map_err(|e| map_error(map, e))
}

/// Puts a value into a map of one.
fn set<V: Pod>(ebpf: &mut Ebpf, map: &'static str, value: V) -> Result<(), ProbeError> {
    // Borrowed, not taken: the map must stay open until the programs that use it are loaded.
    let missing = || MapError::InvalidName { name: map.to_owned() };
    let found = ebpf.map_mut(map).ok_or_else(missing);
    let mut array: Array<_, V> = found.and_then(Array::try_from).map_err(|e| map_error(map, e))?;
    array.set(0, value, 0).map_err(|e| map_error(map, e))
}

/// Puts keys into a map that is used as a set.
fn fill<K: Pod>(
    ebpf: &mut Ebpf,
    map: &'static str,
    keys: impl Iterator<Item = K>,
) -> Result<(), ProbeError> {
    let missing = || MapError::InvalidName { name: map.to_owned() };
    let found = ebpf.map_mut(map).ok_or_else(missing);
    let mut set: HashMap<_, K, u8> =
        found.and_then(HashMap::try_from).map_err(|e| map_error(map, e))?;
    for key in keys {
        set.insert(key, 1, 0).map_err(|e| map_error(map, e))?;
    }
    Ok(())
}

/// Names the map in an error.
pub fn map_error(map: &'static str, source: MapError) -> ProbeError {
    ProbeError::Map { map, source: Box::new(source) }
}

/// The bytes of a load-time constant.
fn bytes_of<T: Copy>(value: &T) -> &[u8] {
    // SAFETY: the constants of the ABI consist of integers without implicit padding.
    unsafe { std::slice::from_raw_parts((&raw const *value).cast(), size_of::<T>()) }
}
