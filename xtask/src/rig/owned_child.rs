//! A child process that never outlives its owner: ended in `Drop`, also on panic, and by the
//! kernel when this process is killed.

use std::io;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use super::spawner;

/// How long a child may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// How often a child that is expected to end is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A child process in a process group of its own.
#[derive(Debug)]
pub struct OwnedChild {
    child: Child,
}

impl OwnedChild {
    /// Starts `command`.
    ///
    /// # Errors
    /// What the operating system says when the program cannot be started.
    pub fn spawn(command: Command) -> io::Result<Self> {
        spawner::spawn(command).map(|child| Self { child })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The read end of standard output, once, if the command asked for a pipe.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The read end of standard error, once, if the command asked for a pipe.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Sends a signal, for example `libc::SIGHUP`. A child that has already ended is no error.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn signal(&mut self, signal: i32) -> io::Result<()> {
        // Not reaped yet, so the id cannot belong to a stranger.
        match self.child.try_wait()? {
            None => send(self.pid(), signal),
            Some(_) => Ok(()),
        }
    }

    /// Waits until the child ends by itself; `None` when `limit` passes first.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn wait_for_end(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            let status = self.child.try_wait()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Ends the child: SIGTERM, and SIGKILL if it takes longer than five seconds.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn stop(&mut self) -> io::Result<ExitStatus> {
        self.signal(libc::SIGTERM)?;
        if let Some(status) = self.wait_for_end(GRACE)? {
            return Ok(status);
        }
        self.child.kill()?;
        self.child.wait()
    }
}

impl Drop for OwnedChild {
    fn drop(&mut self) {
        // Nobody is left to tell; the parent-death signal remains as the last resort.
        let _ = self.stop();
    }
}

/// Sends `signal` to one process.
pub(super) fn send(pid: u32, signal: i32) -> io::Result<()> {
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: kill takes two integers and touches no memory.
    match unsafe { libc::kill(pid, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn sleeping_child() -> OwnedChild {
        let mut command = Command::new("sleep");
        command.arg("600");
        OwnedChild::spawn(command).unwrap()
    }

    #[test]
    fn dropping_ends_the_process() {
        let child = sleeping_child();
        let proc_entry = format!("/proc/{}", child.pid());
        assert!(Path::new(&proc_entry).exists());
        drop(child);
        assert!(!Path::new(&proc_entry).exists());
    }

    #[test]
    fn a_child_outlives_the_thread_that_asked_for_it() {
        let mut child = thread::spawn(sleeping_child).join().unwrap();
        assert_eq!(child.wait_for_end(Duration::from_millis(200)).unwrap(), None);
    }
}
