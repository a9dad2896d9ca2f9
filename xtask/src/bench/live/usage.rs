//! What processes used, as the kernel tells it under `/proc`.

use std::fs;
use std::ops::Sub;
use std::time::Duration;

use anyhow::{Context, Result};

/// Processor time of one or more processes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Processor {
    pub(super) user: Duration,
    pub(super) system: Duration,
}

impl Processor {
    /// Of these processes, all their threads, so far.
    ///
    /// # Errors
    /// When one of them is gone.
    pub(super) fn of(pids: impl IntoIterator<Item = u32>) -> Result<Self> {
        let mut sum = Self::default();
        for pid in pids {
            let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            let (user, system) = ticks(&text).with_context(|| format!("process {pid}: {text}"))?;
            sum.user += duration(user);
            sum.system += duration(system);
        }
        Ok(sum)
    }
}

impl Sub for Processor {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

/// Fields 14 and 15 of `/proc/<pid>/stat` (proc(5)); the name in field 2 may hold anything.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn duration(ticks: u64) -> Duration {
    // SAFETY: takes a number and returns one.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    let per_second = u64::try_from(per_second).unwrap_or(100).max(1);
    Duration::from_millis(ticks.saturating_mul(1_000) / per_second)
}

/// Largest resident set of a process so far, in KiB.
///
/// # Errors
/// When it is gone.
pub(super) fn peak_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    number_in(&status, "VmHWM:").context("no VmHWM in its status")
}

/// How often the threads of a process went to sleep and were woken.
///
/// # Errors
/// When it is gone.
pub(super) fn wake_ups(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(task?.path().join("status")).unwrap_or_default();
        sum += number_in(&status, "voluntary_ctxt_switches:").unwrap_or(0);
    }
    Ok(sum)
}

/// Time that the BPF programs which a process holds have run, in nanoseconds, and how often; all
/// zero unless the kernel keeps statistics.
///
/// # Errors
/// When the process is gone.
pub(super) fn bpf(pid: u32) -> Result<(u64, u64)> {
    let mut sums = (0, 0);
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        if text.contains("prog_type:") {
            sums.0 += number_in(&text, "run_time_ns:").unwrap_or(0);
            sums.1 += number_in(&text, "run_cnt:").unwrap_or(0);
        }
    }
    Ok(sums)
}

fn number_in(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// While this lives the kernel measures how long BPF programs run, which itself costs something.
pub(super) struct BpfStatistics {
    before: String,
}

/// The switch (kernel.bpf_stats_enabled).
const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

impl BpfStatistics {
    /// Switches them on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn enable() -> Result<Self> {
        let before = fs::read_to_string(SWITCH).context(SWITCH)?;
        fs::write(SWITCH, "1").context(SWITCH)?;
        Ok(Self { before })
    }
}

impl Drop for BpfStatistics {
    fn drop(&mut self) {
        if fs::write(SWITCH, self.before.trim()).is_err() {
            eprintln!("    please write {} into {SWITCH}", self.before.trim());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_behind_a_name_with_brackets_and_spaces() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 17 5 0 0 20 0 1 0 99 1 1";
        assert_eq!(ticks(stat), Some((17, 5)));
    }

    #[test]
    fn this_process_has_used_memory() {
        assert!(peak_kib(std::process::id()).unwrap() > 0);
    }
}
