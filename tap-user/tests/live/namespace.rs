//! A network namespace of the test's own. It has no name, so it vanishes with the last process in
//! it, however the test ends.

use super::attempt;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::OnceLock;

/// Moves the calling thread, and whatever it starts from now on, into the namespace that all
/// tests of this program share.
///
/// Call it before the first child is spawned: the thread that spawns children then stays there.
pub(crate) fn enter() {
    static NAMESPACE: OnceLock<File> = OnceLock::new();
    let mut is_inside = false;
    let namespace = NAMESPACE.get_or_init(|| {
        is_inside = true;
        make()
    });
    if !is_inside {
        move_to(namespace);
    }
}

/// Moves the calling thread into a network namespace.
#[track_caller]
pub(crate) fn move_to(namespace: &File) {
    // SAFETY: takes a descriptor and a number only.
    attempt(check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) }));
}

fn make() -> File {
    // SAFETY: takes a number only.
    attempt(check(unsafe { libc::unshare(libc::CLONE_NEWNET) }));
    ip(&["link", "set", "lo", "up"]);
    attempt(File::open("/proc/thread-self/ns/net"))
}

/// Runs `ip` in the calling thread's namespace.
#[track_caller]
pub(crate) fn ip(arguments: &[&str]) {
    let status = attempt(Command::new("ip").args(arguments).status());
    assert!(status.success(), "ip {} failed", arguments.join(" "));
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
