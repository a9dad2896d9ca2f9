//! One send through io_uring, with nothing but system calls: `io_uring_setup(2)`, two mappings,
//! `io_uring_enter(2)`.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

/// `IORING_OP_SEND` of linux/io_uring.h.
const SEND: u8 = 26;
const GET_EVENTS: u32 = 1;
const SUBMISSIONS: libc::off_t = 0x1000_0000;
const RING_LENGTH: usize = 4096;

/// `struct io_uring_params` of a kernel with one mapping for both rings (5.4 and later).
#[repr(C)]
#[derive(Default)]
struct Parameters {
    entries: [u32; 2],
    flags: u32,
    thread: [u32; 2],
    features: u32,
    workqueue: u32,
    reserved: [u32; 3],
    submission: Offsets,
    completion: Offsets,
}

/// Places in the mapping of the rings: `struct io_sqring_offsets` and `io_cqring_offsets`.
type Offsets = [u32; 10];
const SUBMISSION_TAIL: usize = 1;
const SUBMISSION_INDICES: usize = 6;
const COMPLETIONS: usize = 5;

/// The part of `struct io_uring_sqe` that a send needs.
#[repr(C)]
#[derive(Default)]
struct Submission {
    operation: u8,
    flags: u8,
    priority: u16,
    descriptor: i32,
    offset: u64,
    address: u64,
    length: u32,
    rest: [u32; 9],
}

/// Sends as many of the bytes as the kernel takes.
pub(crate) fn send(socket: RawFd, bytes: &[u8]) -> io::Result<usize> {
    let mut parameters = Parameters::default();
    // SAFETY: the structure is as long as the kernel's and alive.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, &raw mut parameters) };
    let ring = RawFd::try_from(ring).ok().filter(|ring| *ring >= 0);
    let ring = ring.ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let ring = unsafe { OwnedFd::from_raw_fd(ring) };
    let rings = Mapping::new(&ring, 0)?;
    let submissions = Mapping::new(&ring, SUBMISSIONS)?;
    let submission = Submission {
        operation: SEND,
        descriptor: socket,
        address: bytes.as_ptr() as u64,
        length: u32::try_from(bytes.len()).map_err(io::Error::other)?,
        ..Submission::default()
    };
    // SAFETY: the mapping begins with the only entry, which is longer than what is written.
    unsafe { submissions.0.cast::<Submission>().write(submission) };
    rings.word(parameters.submission[SUBMISSION_INDICES]).store(0, Ordering::Relaxed);
    rings.word(parameters.submission[SUBMISSION_TAIL]).store(1, Ordering::Release);
    enter(&ring)?;
    // A completion is 8 bytes of the user's, then the result.
    let result =
        rings.word(parameters.completion[COMPLETIONS] + 8).load(Ordering::Acquire).cast_signed();
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}

/// Submits one operation and waits for its end.
fn enter(ring: &OwnedFd) -> io::Result<()> {
    let no_mask = ptr::null::<libc::sigset_t>();
    let (number, ring) = (libc::SYS_io_uring_enter, ring.as_raw_fd());
    // SAFETY: no memory is passed.
    match unsafe { libc::syscall(number, ring, 1, 1, GET_EVENTS, no_mask, 0) } {
        1 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

struct Mapping(*mut u8);

impl Mapping {
    fn new(ring: &OwnedFd, offset: libc::off_t) -> io::Result<Self> {
        let (access, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: a new mapping of a descriptor; nothing existing is touched.
        let start = unsafe {
            libc::mmap(ptr::null_mut(), RING_LENGTH, access, shared, ring.as_raw_fd(), offset)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(start.cast()))
    }

    /// The aligned word at a place that the kernel gave.
    fn word(&self, offset: u32) -> &AtomicU32 {
        assert!(offset as usize + 4 <= RING_LENGTH);
        // SAFETY: within the mapping, aligned, and shared with the kernel as an atomic.
        unsafe { AtomicU32::from_ptr(self.0.add(offset as usize).cast()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our own mapping, which nobody refers to any more.
        unsafe { libc::munmap(self.0.cast(), RING_LENGTH) };
    }
}
