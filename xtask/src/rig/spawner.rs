//! Starts children from a thread that lives as long as the process.
//!
//! The kernel's parent-death signal fires when the *thread* that forked ends. Tests run in short
//! threads and share servers, so a child must not be forked from one of them.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

type Reply = Sender<io::Result<Child>>;

/// Starts `command` in a process group of its own; it gets SIGTERM when this process dies, however
/// that happens.
pub(super) fn spawn(mut command: Command) -> io::Result<Child> {
    static REQUESTS: OnceLock<Mutex<Sender<(Command, Reply)>>> = OnceLock::new();

    end_with_parent(&mut command);
    command.process_group(0);

    let (reply, child) = mpsc::channel();
    let requests = REQUESTS.get_or_init(|| Mutex::new(start_thread()));
    let request = requests.lock().unwrap_or_else(PoisonError::into_inner).send((command, reply));
    request.map_err(io::Error::other)?;
    child.recv().map_err(io::Error::other)?
}

fn start_thread() -> Sender<(Command, Reply)> {
    let (requests, queue) = mpsc::channel::<(Command, Reply)>();
    thread::spawn(move || {
        for (mut command, reply) in queue {
            // Who asked may have gone meanwhile; then the child's handle is dropped here.
            let _ = reply.send(command.spawn());
        }
    });
    requests
}

fn end_with_parent(command: &mut Command) {
    let parent = std::process::id();
    let before_exec = move || {
        // SAFETY: plain system calls that are safe between fork and exec; no memory is touched.
        let (set, current_parent) = unsafe {
            (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM), libc::getppid().cast_unsigned())
        };
        match (set, current_parent == parent) {
            (0, true) => Ok(()),
            // The parent died before the signal was set up.
            (0, false) => Err(io::Error::from_raw_os_error(libc::ESRCH)),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: the closure calls only async-signal-safe functions and does not allocate.
    unsafe { command.pre_exec(before_exec) };
}
