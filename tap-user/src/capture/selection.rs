//! Which processes are the gateway: what the user asked for, and what `/proc` says.

use crate::segment::Listener;
use procfs::process::{FDTarget, Process};
use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the user asked for. Ports narrow processes that are named otherwise; alone they select
/// whoever listens there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Listening ports.
    pub ports: Vec<u16>,
    /// Process names (`comm`, at most 15 bytes).
    pub names: Vec<String>,
    /// Process ids; their descendants of the same name belong to them.
    pub pids: Vec<u32>,
    /// Only processes in this network namespace (inode number).
    pub network_namespace: Option<u32>,
    /// Only processes in this control group (identifier, version 2).
    pub control_group: Option<u64>,
}

impl Selection {
    /// Whether listening on a wanted port alone makes a process the gateway.
    #[must_use]
    pub fn selects_by_port(&self) -> bool {
        self.names.is_empty() && self.pids.is_empty()
    }
}

/// A process that the selection found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Process id.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// Inode number of its network namespace.
    pub network_namespace: u32,
    /// Ports on which it listens, ascending.
    pub ports: Vec<u16>,
}

impl Found {
    /// Whether the process still has the name that it was found by.
    #[must_use]
    pub fn is_still_the_same(&self) -> bool {
        let name = std::fs::read(format!("/proc/{}/comm", self.pid));
        let is_same =
            |name: Vec<u8>| String::from_utf8_lossy(&name).trim_end_matches('\n') == self.name;
        name.is_ok_and(is_same)
    }

    /// The only listener of the process, if it has exactly one.
    #[must_use]
    pub fn only_listener(&self) -> Listener {
        match self.ports.as_slice() {
            [port] => Listener::Port(*port),
            _ => Listener::Unknown,
        }
    }
}

/// Looks through `/proc`. A process that vanishes meanwhile or may not be looked at is passed
/// over.
#[must_use]
pub fn scan(selection: &Selection) -> Vec<Found> {
    let processes = candidates(selection);
    let by_pid = if selection.selects_by_port() {
        HashSet::new()
    } else {
        chosen_pids(selection, &processes)
    };
    let mut listeners = Listeners::default();
    let mut found = Vec::new();
    for candidate in &processes {
        let chosen = by_pid.contains(&candidate.pid);
        if !chosen && !selection.selects_by_port() {
            continue;
        }
        let ports = listeners.of(candidate);
        if chosen || ports.iter().any(|port| selection.ports.contains(port)) {
            found.push(Found {
                pid: candidate.pid,
                name: candidate.name.clone(),
                network_namespace: candidate.network_namespace,
                ports,
            });
        }
    }
    found
}

/// Inode number of the network namespace that this process is in.
#[must_use]
pub fn own_network_namespace() -> Option<u32> {
    network_namespace(std::process::id())
}

/// Any process in a network namespace, by the namespace's inode number.
#[must_use]
pub fn process_inside(namespace: u32) -> Option<u32> {
    let pids = procfs::process::all_processes().ok()?.filter_map(Result::ok);
    let mut pids = pids.filter_map(|process| u32::try_from(process.pid()).ok());
    pids.find(|pid| network_namespace(*pid) == Some(namespace))
}

fn network_namespace(pid: u32) -> Option<u32> {
    let namespace = std::fs::metadata(format!("/proc/{pid}/ns/net")).ok()?;
    u32::try_from(namespace.ino()).ok()
}

/// A process as far as its own files tell.
struct Candidate {
    pid: u32,
    parent: u32,
    name: String,
    network_namespace: u32,
    process: Process,
}

/// All processes that pass the filters of namespace and control group.
fn candidates(selection: &Selection) -> Vec<Candidate> {
    let Ok(all) = procfs::process::all_processes() else {
        return Vec::new();
    };
    let own = std::process::id();
    all.filter_map(Result::ok)
        .filter_map(candidate)
        .filter(|one| one.pid != own)
        .filter(|one| selection.network_namespace.is_none_or(|ns| ns == one.network_namespace))
        .filter(|one| {
            selection.control_group.is_none_or(|group| control_group(&one.process) == Some(group))
        })
        .collect()
}

fn candidate(process: Process) -> Option<Candidate> {
    let stat = process.stat().ok()?;
    let pid = u32::try_from(stat.pid).ok()?;
    Some(Candidate {
        pid,
        parent: u32::try_from(stat.ppid).unwrap_or(0),
        name: stat.comm,
        network_namespace: network_namespace(pid)?,
        process,
    })
}

/// Processes named by name or id, with the descendants of the latter.
fn chosen_pids(selection: &Selection, processes: &[Candidate]) -> HashSet<u32> {
    let mut chosen: HashSet<u32> = processes
        .iter()
        .filter(|one| selection.pids.contains(&one.pid) || selection.names.contains(&one.name))
        .map(|one| one.pid)
        .collect();
    let names: HashMap<u32, &str> =
        processes.iter().map(|one| (one.pid, one.name.as_str())).collect();
    loop {
        let before = chosen.len();
        for one in processes {
            let parent_name = names.get(&one.parent).copied();
            if chosen.contains(&one.parent) && parent_name == Some(one.name.as_str()) {
                chosen.insert(one.pid);
            }
        }
        if chosen.len() == before {
            return chosen;
        }
    }
}

/// Listening sockets, read once per network namespace.
#[derive(Default)]
struct Listeners {
    by_namespace: HashMap<u32, HashMap<u64, u16>>,
}

impl Listeners {
    /// Ports on which a process listens.
    fn of(&mut self, candidate: &Candidate) -> Vec<u16> {
        let sockets = self
            .by_namespace
            .entry(candidate.network_namespace)
            .or_insert_with(|| listening_sockets(&candidate.process));
        if sockets.is_empty() {
            return Vec::new();
        }
        let mut ports: Vec<u16> = open_sockets(&candidate.process)
            .filter_map(|inode| sockets.get(&inode).copied())
            .collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

/// Inode numbers and ports of the TCP sockets that listen in the process's network namespace.
fn listening_sockets(process: &Process) -> HashMap<u64, u16> {
    let v4 = process.tcp().unwrap_or_default();
    let v6 = process.tcp6().unwrap_or_default();
    v4.into_iter()
        .chain(v6)
        .filter(|entry| entry.state == procfs::net::TcpState::Listen)
        .map(|entry| (entry.inode, entry.local_address.port()))
        .collect()
}

/// Inode numbers of the sockets that a process has open.
pub(super) fn open_sockets(process: &Process) -> impl Iterator<Item = u64> {
    process.fd().into_iter().flatten().filter_map(Result::ok).filter_map(|descriptor| {
        match descriptor.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        }
    })
}

/// Identifier of the control group (version 2) of a process: the inode number of its folder.
pub(super) fn control_group(process: &Process) -> Option<u64> {
    let groups = process.cgroups().ok()?;
    let path = groups.0.into_iter().find(|group| group.hierarchy == 0)?.pathname;
    control_group_identifier(Path::new(path.trim_start_matches('/')))
}

/// Identifier of a control group, by its path below the mount point or as an absolute path.
#[must_use]
pub fn control_group_identifier(path: &Path) -> Option<u64> {
    let absolute = control_group_mount()?.join(path);
    std::fs::metadata(absolute).ok().map(|folder| folder.ino())
}

/// Where the version 2 hierarchy is mounted: alone, or beside version 1.
fn control_group_mount() -> Option<PathBuf> {
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .into_iter()
        .map(PathBuf::from)
        .find(|mount| mount.join("cgroup.procs").exists())
}
