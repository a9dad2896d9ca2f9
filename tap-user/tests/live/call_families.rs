//! Every way in which a program can move bytes through a socket.

use super::io_uring;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// How bytes are taken from a socket. The number is that of vector entries or messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    Read,
    Readv(usize),
    Recvfrom,
    Recvmsg(usize),
    Recvmmsg(usize),
    /// `recv` with `MSG_WAITALL` for each body.
    WaitForAll,
    /// Looked at twice before it is taken.
    PeekFirst,
    /// Bodies are thrown away by the kernel: `MSG_TRUNC`.
    Discard,
    /// Bodies go from the socket to a pipe.
    Splice,
    /// Two threads wait for each body at once.
    TwoThreads,
}

/// How bytes are given to a socket. The number is that of vector entries or messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Give {
    Write,
    Writev(usize),
    Sendto,
    Sendmsg(usize),
    Sendmmsg(usize),
    /// Without waiting, into a small buffer that is soon full.
    Partly,
    /// The end of a message is announced with `MSG_MORE` before it.
    More,
    /// Bodies go from a file.
    Sendfile,
    /// Bodies go from a pipe.
    Splice,
    /// Bodies are sent by io_uring.
    IoUring,
}

/// Bytes that one receiving call is offered.
const OFFERED: usize = 64 * 1024;

impl Take {
    /// One call that appends what has come.
    pub(crate) fn call(self, socket: RawFd, into: &mut Vec<u8>) -> io::Result<usize> {
        let mut buffer = vec![0; OFFERED];
        let count = match self {
            Self::Read => read(socket, &mut buffer)?,
            Self::Readv(entries) => readv(socket, &mut buffer, entries)?,
            Self::Recvmsg(entries) => recvmsg(socket, &mut buffer, entries)?,
            Self::Recvmmsg(messages) => recvmmsg(socket, &mut buffer, messages)?,
            Self::PeekFirst => {
                let half = buffer.len() / 2;
                recv(socket, &mut buffer[..half], libc::MSG_PEEK)?;
                recv(socket, &mut buffer, libc::MSG_PEEK)?;
                recv(socket, &mut buffer, 0)?
            }
            Self::Recvfrom | Self::WaitForAll | Self::Discard | Self::Splice | Self::TwoThreads => {
                recv(socket, &mut buffer, 0)?
            }
        };
        into.extend(&buffer[..count]);
        Ok(count)
    }
}

impl Give {
    /// One call that sends as many of the bytes as the kernel takes.
    pub(crate) fn call(self, socket: RawFd, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Write => write(socket, bytes),
            Self::Writev(entries) => writev(socket, bytes, entries),
            Self::Sendto => send(socket, bytes, 0),
            Self::Sendmsg(entries) => sendmsg(socket, bytes, entries),
            Self::Sendmmsg(messages) => sendmmsg(socket, bytes, messages),
            Self::Partly => send_partly(socket, bytes),
            Self::More => {
                let (front, last) = bytes.split_at(bytes.len() / 2);
                let sent = send(socket, front, libc::MSG_MORE)?;
                if sent < front.len() { Ok(sent) } else { Ok(sent + send(socket, last, 0)?) }
            }
            Self::Sendfile => sendfile(socket, bytes),
            Self::Splice => splice_out(socket, bytes),
            Self::IoUring => io_uring::send(socket, bytes),
        }
    }

    /// All bytes, in as many calls as it takes.
    pub(crate) fn all(self, socket: RawFd, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let sent = self.call(socket, bytes)?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }
}

pub(crate) fn recv(socket: RawFd, buffer: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
    // SAFETY: pointer and length are those of a slice.
    moved(unsafe { libc::recv(socket, buffer.as_mut_ptr().cast(), buffer.len(), flags) })
}

/// Takes up to `length` bytes without looking at them.
pub(crate) fn discard(socket: RawFd, length: usize) -> io::Result<usize> {
    // SAFETY: with MSG_TRUNC a TCP socket writes nothing, so no buffer is needed (tcp(7)).
    moved(unsafe { libc::recv(socket, ptr::null_mut(), length, libc::MSG_TRUNC) })
}

/// Takes up to `length` bytes through a pipe.
pub(crate) fn splice_in(socket: RawFd, length: usize) -> io::Result<usize> {
    let (read_end, write_end) = pipe()?;
    let moved_bytes = splice(socket, write_end.as_raw_fd(), length)?;
    let mut taken = vec![0; moved_bytes];
    read(read_end.as_raw_fd(), &mut taken)
}

fn read(socket: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length are those of a slice.
    moved(unsafe { libc::read(socket, buffer.as_mut_ptr().cast(), buffer.len()) })
}

fn write(socket: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: pointer and length are those of a slice.
    moved(unsafe { libc::write(socket, bytes.as_ptr().cast(), bytes.len()) })
}

fn readv(socket: RawFd, buffer: &mut [u8], entries: usize) -> io::Result<usize> {
    let vector = vector(buffer, entries);
    // SAFETY: the vector's entries lie within `buffer`, which is exclusively borrowed.
    moved(unsafe { libc::readv(socket, vector.as_ptr(), length(&vector)) })
}

fn recvmsg(socket: RawFd, buffer: &mut [u8], entries: usize) -> io::Result<usize> {
    let mut vector = vector(buffer, entries);
    let mut message = message(&mut vector);
    // SAFETY: the message's vector and the bytes it points to are alive.
    moved(unsafe { libc::recvmsg(socket, &raw mut message, 0) })
}

/// Each message fills a part of the buffer of its own; the parts are moved together afterwards.
fn recvmmsg(socket: RawFd, buffer: &mut [u8], messages: usize) -> io::Result<usize> {
    let part = buffer.len() / messages;
    let mut vectors: Vec<_> = buffer.chunks_mut(part).map(|part| vector(part, 3)).collect();
    let mut batch: Vec<_> = vectors.iter_mut().map(|vector| batched(vector)).collect();
    let flags = libc::MSG_WAITFORONE;
    // SAFETY: the messages' vectors and the bytes they point to are alive.
    let count = unsafe {
        libc::recvmmsg(socket, batch.as_mut_ptr(), batch.len() as u32, flags, ptr::null_mut())
    };
    let count = moved(count as isize)?;
    let mut total = 0;
    for (index, message) in batch.iter().take(count).enumerate() {
        let received = message.msg_len as usize;
        buffer.copy_within(index * part..index * part + received, total);
        total += received;
    }
    Ok(total)
}

fn writev(socket: RawFd, bytes: &[u8], entries: usize) -> io::Result<usize> {
    let mut bytes = bytes.to_vec();
    let vector = vector(&mut bytes, entries);
    // SAFETY: the vector's entries lie within `bytes`.
    moved(unsafe { libc::writev(socket, vector.as_ptr(), length(&vector)) })
}

fn send(socket: RawFd, bytes: &[u8], flags: libc::c_int) -> io::Result<usize> {
    // SAFETY: pointer and length are those of a slice.
    moved(unsafe { libc::send(socket, bytes.as_ptr().cast(), bytes.len(), flags) })
}

fn sendmsg(socket: RawFd, bytes: &[u8], entries: usize) -> io::Result<usize> {
    let mut bytes = bytes.to_vec();
    let mut vector = vector(&mut bytes, entries);
    let message = message(&mut vector);
    // SAFETY: the message's vector and the bytes it points to are alive.
    moved(unsafe { libc::sendmsg(socket, &raw const message, 0) })
}

fn sendmmsg(socket: RawFd, bytes: &[u8], messages: usize) -> io::Result<usize> {
    let mut bytes = bytes.to_vec();
    let part = bytes.len().div_ceil(messages);
    let mut vectors: Vec<_> = bytes.chunks_mut(part).map(|part| vector(part, 3)).collect();
    let mut batch: Vec<_> = vectors.iter_mut().map(|vector| batched(vector)).collect();
    // SAFETY: the messages' vectors and the bytes they point to are alive.
    let count = unsafe { libc::sendmmsg(socket, batch.as_mut_ptr(), batch.len() as u32, 0) };
    let count = moved(count as isize)?;
    Ok(batch.iter().take(count).map(|message| message.msg_len as usize).sum())
}

/// A socket that does not wait and holds little takes less than it is offered, or nothing.
fn send_partly(socket: RawFd, bytes: &[u8]) -> io::Result<usize> {
    let small: libc::c_int = 4096;
    let size = size_of_val(&small) as libc::socklen_t;
    // SAFETY: the option's value is a live integer of the size given.
    unsafe {
        let value = (&raw const small).cast();
        libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, value, size);
    }
    match send(socket, bytes, libc::MSG_DONTWAIT) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let mut wait = libc::pollfd { fd: socket, events: libc::POLLOUT, revents: 0 };
            // SAFETY: one live entry.
            moved(unsafe { libc::poll(&raw mut wait, 1, 1000) } as isize)?;
            Ok(0)
        }
        other => other,
    }
}

fn sendfile(socket: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the name is a constant with its end; the result is a new descriptor or -1.
    let file = owned(unsafe { libc::memfd_create(c"body".as_ptr(), 0) })?;
    Give::Write.all(file.as_raw_fd(), bytes)?;
    let mut offset = 0;
    // SAFETY: `offset` is alive.
    moved(unsafe { libc::sendfile(socket, file.as_raw_fd(), &raw mut offset, bytes.len()) })
}

fn splice_out(socket: RawFd, bytes: &[u8]) -> io::Result<usize> {
    let (read_end, write_end) = pipe()?;
    let filled = Give::Write.call(write_end.as_raw_fd(), &bytes[..bytes.len().min(OFFERED)])?;
    let mut left = filled;
    while left > 0 {
        left -= splice(read_end.as_raw_fd(), socket, left)?;
    }
    Ok(filled)
}

fn splice(from: RawFd, to: RawFd, length: usize) -> io::Result<usize> {
    // SAFETY: no offsets are given, so only the descriptors are used.
    moved(unsafe { libc::splice(from, ptr::null_mut(), to, ptr::null_mut(), length, 0) })
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: there is room for two descriptors.
    moved(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } as isize)?;
    Ok((owned(ends[0])?, owned(ends[1])?))
}

/// `entries` entries over the whole buffer; where there are several, the first and every third
/// one are empty.
fn vector(buffer: &mut [u8], entries: usize) -> Vec<libc::iovec> {
    let is_filled = |index: &usize| entries == 1 || !index.is_multiple_of(3);
    let filled = (0..entries).filter(is_filled).count();
    let share = buffer.len() / filled;
    let (mut rest, mut unfilled, mut vector) = (buffer, filled, Vec::new());
    for index in 0..entries {
        let length = match (is_filled(&index), unfilled) {
            (false, _) => 0,
            (true, 1) => rest.len(),
            (true, _) => share,
        };
        unfilled -= usize::from(is_filled(&index));
        let (entry, after) = std::mem::take(&mut rest).split_at_mut(length);
        vector.push(libc::iovec { iov_base: entry.as_mut_ptr().cast(), iov_len: length });
        rest = after;
    }
    vector
}

fn length(vector: &[libc::iovec]) -> libc::c_int {
    vector.len() as libc::c_int
}

fn message(vector: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: all-zero is a valid header: no name, no control data, no entries.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = vector.as_mut_ptr();
    message.msg_iovlen = vector.len() as _;
    message
}

fn batched(vector: &mut [libc::iovec]) -> libc::mmsghdr {
    libc::mmsghdr { msg_hdr: message(vector), msg_len: 0 }
}

fn owned(descriptor: RawFd) -> io::Result<OwnedFd> {
    moved(descriptor as isize)?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn moved(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
