//! BPF programs, maps and links of a process, and whether the kernel still has them.

use std::collections::BTreeSet;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::{fs, io};

/// A kernel object by its kind and number.
pub(crate) type Object = (Kind, u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Program,
    Map,
    Link,
}

/// Kinds with the word that /proc/PID/fdinfo uses and the commands of bpf(2) that find the number
/// after a given one.
const KINDS: &[(Kind, &str, libc::c_int)] =
    &[(Kind::Program, "prog_id:", 11), (Kind::Map, "map_id:", 12), (Kind::Link, "link_id:", 31)];

/// The objects that a process holds open.
pub(crate) fn held_by(pid: u32) -> BTreeSet<Object> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else {
        return BTreeSet::new();
    };
    let texts = descriptors.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    texts.flat_map(|text| text.lines().filter_map(object).collect::<Vec<_>>()).collect()
}

/// All objects that the kernel has.
pub(crate) fn all() -> BTreeSet<Object> {
    KINDS
        .iter()
        .flat_map(|&(kind, _, command)| numbers(command).map(move |id| (kind, id)))
        .collect()
}

/// Makes a map that lives as long as its descriptor.
pub(crate) fn make_map() -> io::Result<OwnedFd> {
    const MAP_CREATE: libc::c_int = 0;
    const ARRAY: u32 = 2;
    let mut attributes = NewMap { kind: ARRAY, key_size: 4, value_size: 8, entries: 1, flags: 0 };
    // SAFETY: the pointer and the size are those of a live structure.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, MAP_CREATE, &raw mut attributes, size_of::<NewMap>())
    };
    match RawFd::try_from(result) {
        // SAFETY: the descriptor was just made and belongs to nobody else.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn object(line: &str) -> Option<Object> {
    let (word, number) = line.split_once(char::is_whitespace)?;
    let &(kind, ..) = KINDS.iter().find(|(_, name, _)| *name == word)?;
    Some((kind, number.trim().parse().ok()?))
}

/// The beginning of `union bpf_attr` for BPF_*_GET_NEXT_ID.
#[repr(C)]
#[derive(Default)]
struct NextId {
    start: u32,
    next: u32,
    open_flags: u32,
}

/// The beginning of `union bpf_attr` for BPF_MAP_CREATE.
#[repr(C)]
struct NewMap {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
    flags: u32,
}

fn numbers(command: libc::c_int) -> impl Iterator<Item = u32> {
    let mut last = 0;
    std::iter::from_fn(move || {
        let mut attributes = NextId { start: last, ..NextId::default() };
        // SAFETY: the pointer and the size are those of a live, writable structure.
        let result = unsafe {
            libc::syscall(libc::SYS_bpf, command, &raw mut attributes, size_of::<NextId>())
        };
        last = attributes.next;
        (result == 0).then_some(last)
    })
}
