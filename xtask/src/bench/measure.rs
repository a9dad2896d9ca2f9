//! One program run, and what the kernel says that it used.

use std::mem::MaybeUninit;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::interrupt;
use crate::step;

/// What a run took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) wall: Duration,
    /// Processor time, user and system.
    pub(super) cpu: Duration,
    /// Largest resident set, in KiB.
    pub(super) peak_kib: u64,
}

/// Runs a program to its end, its output thrown away.
///
/// # Errors
/// When it cannot be started or fails.
pub(super) fn run(command: &mut Command) -> Result<Usage> {
    interrupt::check()?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let child = command.spawn().with_context(|| format!("starting {}", step::shown(command)))?;
    let (status, usage) = wait(child.id())?;
    let wall = start.elapsed();
    interrupt::check()?;
    ensure!(status == 0, "`{}` failed (wait status {status})", step::shown(command));
    let cpu = duration(usage.ru_utime) + duration(usage.ru_stime);
    Ok(Usage { wall, cpu, peak_kib: u64::try_from(usage.ru_maxrss)? })
}

/// The first processor core that this process may use.
///
/// # Errors
/// When the kernel does not tell.
pub(super) fn a_core() -> Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let first = list.and_then(|list| list.trim().split([',', '-']).next());
    Ok(first.context("no Cpus_allowed_list in /proc/self/status")?.to_owned())
}

/// The run in the middle, by wall time.
pub(super) fn median(mut runs: Vec<Usage>) -> Option<Usage> {
    runs.sort_by_key(|usage| usage.wall);
    runs.get(runs.len() / 2).copied()
}

/// Waits for a child and asks what it used, which the standard library cannot.
fn wait(pid: u32) -> Result<(i32, libc::rusage)> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both places are valid for writing; the child is ours and not yet reaped.
    let result =
        unsafe { libc::wait4(i32::try_from(pid)?, &raw mut status, 0, usage.as_mut_ptr()) };
    ensure!(result > 0, "waiting for process {pid}: {}", std::io::Error::last_os_error());
    // SAFETY: all zeros is a valid `rusage`, and the call has filled it in.
    Ok((status, unsafe { usage.assume_init() }))
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let microseconds = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(microseconds)
}
