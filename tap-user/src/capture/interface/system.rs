//! The system calls of a packet socket, each behind a safe function. All `unsafe` of this source
//! is here.

use super::filter::Program;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Place of the owner's word in a block (`tpacket_hdr_v1.block_status` in `tpacket_block_desc`).
const BLOCK_STATUS: usize = 8;

/// Geometry of the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Bytes of a block; a power of two, at least a page.
    pub(super) block_bytes: u32,
    /// Number of blocks.
    pub(super) blocks: u32,
    /// Milliseconds after which the kernel hands over a block that is not full.
    pub(super) retire_ms: u32,
    /// Bytes to leave free before each packet.
    pub(super) headroom: u32,
}

/// Kernel counters since they were last read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Packets that passed the filter, dropped ones included.
    pub(super) packets: u64,
    /// Packets that found the ring full.
    pub(super) dropped: u64,
}

/// A packet socket that receives nothing yet: it has no protocol until [`bind`] gives it one.
pub(super) fn packet_socket() -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only; a result that is not negative is a descriptor of our own.
    unsafe {
        let descriptor = libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(descriptor))
    }
}

/// Lets only those packets through that the program accepts.
pub(super) fn attach_filter(socket: &impl AsRawFd, program: &Program) -> io::Result<()> {
    let instructions = program.instructions();
    let length = u16::try_from(instructions.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: instructions.as_ptr().cast_mut() };
    // `program` points to `length` instructions that live until the end of this call; the kernel
    // copies and checks them.
    set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// Asks for a ring of packets instead of one `recv` for each.
pub(super) fn request_ring(socket: &OwnedFd, geometry: Geometry) -> io::Result<()> {
    let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
    set_option(socket, libc::SOL_PACKET, libc::PACKET_VERSION, &version)?;
    set_option(socket, libc::SOL_PACKET, libc::PACKET_RESERVE, &geometry.headroom)?;
    let request = libc::tpacket_req3 {
        tp_block_size: geometry.block_bytes,
        tp_block_nr: geometry.blocks,
        // Only a formality in version 3: packets take as much of a block as they need.
        tp_frame_size: geometry.block_bytes,
        tp_frame_nr: geometry.blocks,
        tp_retire_blk_tov: geometry.retire_ms,
        tp_sizeof_priv: 0,
        tp_feature_req_word: 0,
    };
    set_option(socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)
}

/// Begins to receive: from one interface, or from all if `interface` is 0.
pub(super) fn bind(socket: &OwnedFd, interface: u32) -> io::Result<()> {
    // SAFETY: all zeroes are a valid `sockaddr_ll`.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = i32::try_from(interface).map_err(io::Error::other)?;
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the address is as long as said and lives until the end of the call.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) })
}

/// Number of the interface of that name in the calling thread's network namespace.
pub(super) fn interface_number(name: &str) -> io::Result<u32> {
    let name = std::ffi::CString::new(name)?;
    // SAFETY: the name ends with NUL and lives until the end of the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        number => Ok(number),
    }
}

/// Moves the calling thread into a network namespace.
pub(super) fn enter_namespace(namespace: &impl AsFd) -> io::Result<()> {
    // SAFETY: takes a descriptor and a number only.
    check(unsafe { libc::setns(namespace.as_fd().as_raw_fd(), libc::CLONE_NEWNET) })
}

/// Waits until a block is there or the time is over.
pub(super) fn wait(socket: &OwnedFd, limit: Duration) {
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let milliseconds = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: one valid `pollfd`. An interrupted wait is only a short one.
    unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
}

/// Waits until one of the descriptors can be read or the time is over.
pub(crate) fn wait_for_any<const N: usize>(descriptors: [BorrowedFd<'_>; N], limit: Duration) {
    let mut polls = descriptors.map(|descriptor| libc::pollfd {
        fd: descriptor.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    });
    let limit = libc::timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    let signals = std::ptr::null();
    // SAFETY: as many valid `pollfd` as said. An interrupted wait is only a short one.
    unsafe { libc::ppoll(polls.as_mut_ptr(), N as libc::nfds_t, &raw const limit, signals) };
}

/// Takes a packet, or the beginning of a longer one; never waits.
pub(super) fn receive<'a>(socket: &OwnedFd, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let (start, length) = (buffer.as_mut_ptr().cast(), buffer.len());
    // SAFETY: the kernel writes at most `length` bytes, the size of the buffer.
    let got = unsafe { libc::recv(socket.as_raw_fd(), start, length, libc::MSG_DONTWAIT) };
    buffer.get(..usize::try_from(got).ok()?)
}

/// What the kernel counted since the last call.
pub(super) fn take_counts(socket: &OwnedFd) -> io::Result<Counts> {
    let counts: libc::tpacket_stats_v3 =
        // SAFETY: the kernel fills in a `tpacket_stats_v3`: plain numbers.
        unsafe { option(socket, libc::SOL_PACKET, libc::PACKET_STATISTICS)? };
    Ok(Counts { packets: u64::from(counts.tp_packets), dropped: u64::from(counts.tp_drops) })
}

/// Takes the error that happened on the socket, for example that its interface went down.
pub(super) fn take_error(socket: &OwnedFd) -> io::Result<()> {
    // SAFETY: the kernel fills in a number.
    let error: libc::c_int = unsafe { option(socket, libc::SOL_SOCKET, libc::SO_ERROR)? };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

fn set_option<T>(
    socket: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    let value = std::ptr::from_ref(value).cast();
    // SAFETY: `value` is as long as said and lives until the end of the call.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value, length) })
}

/// # Safety
/// The kernel must fill in a `T` of plain numbers for this option.
unsafe fn option<T>(socket: &OwnedFd, level: libc::c_int, name: libc::c_int) -> io::Result<T> {
    // SAFETY: all zeroes are valid for plain numbers, as the caller promises.
    let mut value: T = unsafe { zeroed() };
    let mut length = size_of::<T>() as libc::socklen_t;
    let place = (&raw mut value).cast();
    // SAFETY: the kernel writes at most `length` bytes, the size of `value`.
    check(unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, place, &raw mut length) })?;
    Ok(value)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The ring's memory, shared with the kernel: each block belongs to one of us at a time, as its
/// status word says.
pub(super) struct Mapping {
    start: NonNull<u8>,
    block_bytes: usize,
    blocks: usize,
}

impl Mapping {
    /// Maps the ring that was requested with this geometry.
    pub(super) fn new(socket: &OwnedFd, geometry: Geometry) -> io::Result<Self> {
        let block_bytes = geometry.block_bytes as usize;
        let blocks = geometry.blocks as usize;
        let length = block_bytes.checked_mul(blocks).ok_or(io::ErrorKind::InvalidInput)?;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at a place that the kernel chooses; it touches no other memory.
        let start = unsafe {
            let null = std::ptr::null_mut();
            libc::mmap(null, length, access, libc::MAP_SHARED, socket.as_raw_fd(), 0)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, block_bytes, blocks })
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }

    /// The bytes of a block, if the kernel has handed it over.
    pub(super) fn block(&mut self, index: usize) -> Option<&mut [u8]> {
        let start = self.block_start(index)?;
        if self.status(index)?.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: the block lies inside the mapping, and until `give_back` the kernel does not
        // touch it; the borrow of `self` keeps us from giving it back meanwhile.
        Some(unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), self.block_bytes) })
    }

    /// Hands a block back to the kernel.
    pub(super) fn give_back(&mut self, index: usize) {
        if let Some(status) = self.status(index) {
            status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        }
    }

    fn block_start(&self, index: usize) -> Option<NonNull<u8>> {
        let offset = index.checked_mul(self.block_bytes).filter(|_| index < self.blocks)?;
        // SAFETY: `index` is below the number of blocks, so the place is inside the mapping.
        Some(unsafe { self.start.add(offset) })
    }

    fn status(&self, index: usize) -> Option<&AtomicU32> {
        let start = self.block_start(index)?;
        // SAFETY: blocks begin at page boundaries, so the word is aligned and inside the mapping,
        // which lives as long as `self`; kernel and we only access it atomically.
        Some(unsafe { AtomicU32::from_ptr(start.add(BLOCK_STATUS).cast().as_ptr()) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the whole mapping, and nothing borrows from it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.block_bytes * self.blocks) };
    }
}
