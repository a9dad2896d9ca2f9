//! Looks for the owner of a connection: its sockets in the kernel's table, then these among the
//! descriptors of the gateway's processes.

use super::diag::{self, SocketTable};
use super::processes::Processes;
use super::{Finding, Owner};
use crate::capture::selection::{self, Found};
use crate::segment::{Leg, Listener, Process};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::SocketAddr;

/// Looks for owners, several at a time: reading the descriptors of all processes costs most.
pub(super) struct Searcher {
    table: SocketTable,
    processes: Processes,
}

/// Outcome of one search.
pub(super) enum Verdict {
    /// More will never be known.
    Over(Finding),
    /// As things are now; it may be known later.
    Later(Finding),
}

impl Searcher {
    pub(super) fn new(table: SocketTable, processes: Processes) -> Self {
        Self { table, processes }
    }

    /// Looks once for each connection, given by client and server.
    pub(super) fn search(&self, connections: &[(SocketAddr, SocketAddr)]) -> Vec<Verdict> {
        // Sockets first: whoever had them then has them among its descriptors now.
        let all: Vec<Ends> =
            connections.iter().map(|&(one, other)| self.ends(one, other)).collect();
        let open: HashSet<u64> = all.iter().flat_map(Ends::inodes).collect();
        let processes = self.processes.list();
        let gateway = Gateway::new(&processes, &open);
        let ends_and_ports = || all.iter().zip(connections.iter().map(|(_, server)| server.port()));
        if ends_and_ports().any(|(ends, port)| gateway.may_be_incomplete(ends, port)) {
            self.processes.want_anew();
        }
        ends_and_ports().map(|(ends, port)| gateway.judge(ends, port)).collect()
    }

    fn ends(&self, client: SocketAddr, server: SocketAddr) -> Ends {
        // An error of the kernel's is as good as "not known".
        let find = |local, remote| self.table.find(local, remote).unwrap_or(diag::Found::Nothing);
        Ends { server: find(server, client), client: find(client, server) }
    }
}

/// The gateway's processes at one moment.
struct Gateway<'a> {
    processes: &'a [Found],
    /// Those that have a socket open, by its inode number; `None` for a socket that several have:
    /// nobody can say who uses it.
    holders: HashMap<u64, Option<&'a Found>>,
}

impl<'a> Gateway<'a> {
    /// Looks who has one of these sockets open.
    fn new(processes: &'a [Found], sockets: &HashSet<u64>) -> Self {
        let mut holders = HashMap::new();
        for found in processes.iter().filter(|_| !sockets.is_empty()) {
            for inode in open_sockets(found.pid).filter(|inode| sockets.contains(inode)) {
                let same = |holder: &&Found| holder.pid == found.pid;
                holders
                    .entry(inode)
                    .and_modify(|holder: &mut Option<&Found>| *holder = holder.filter(same))
                    .or_insert(Some(found));
            }
        }
        Self { processes, holders }
    }

    /// Whether somebody has an end of the connection who may be a process that is not listed yet.
    fn may_be_incomplete(&self, ends: &Ends, port: u16) -> bool {
        let is_foreign = |end: diag::Found| match end {
            diag::Found::Open(inode) => !self.holders.contains_key(&inode),
            _ => false,
        };
        // Whoever is a client of the gateway need not be on the list.
        is_foreign(ends.server) || is_foreign(ends.client) && !self.listens(port)
    }

    fn owner(&self, end: diag::Found) -> Option<&'a Found> {
        match end {
            diag::Found::Open(inode) => self.holders.get(&inode).copied().flatten(),
            _ => None,
        }
    }

    fn judge(&self, ends: &Ends, port: u16) -> Verdict {
        if let Some(found) = self.owner(ends.server) {
            return Verdict::Over(finding(Leg::Client, found, Listener::Port(port)));
        }
        if let Some(found) = self.owner(ends.client)
            && (ends.server != diag::Found::Ownerless || !self.listens(port))
        {
            return Verdict::Over(finding(Leg::Upstream, found, found.only_listener()));
        }
        let unknown = Finding { leg: self.leg_by_port(port), owner: None };
        if ends.may_change() { Verdict::Later(unknown) } else { Verdict::Over(unknown) }
    }

    fn listens(&self, port: u16) -> bool {
        self.processes.iter().any(|found| found.ports.contains(&port))
    }

    fn leg_by_port(&self, port: u16) -> Option<Leg> {
        let is_known = self.processes.iter().any(|found| !found.ports.is_empty());
        is_known.then(|| if self.listens(port) { Leg::Client } else { Leg::Upstream })
    }
}

/// The sockets at both ends of a connection, as far as they are on this machine.
struct Ends {
    server: diag::Found,
    client: diag::Found,
}

impl Ends {
    /// Inode numbers of those that a process has open.
    fn inodes(&self) -> impl Iterator<Item = u64> + use<> {
        [self.server, self.client].into_iter().filter_map(|end| match end {
            diag::Found::Open(inode) => Some(inode),
            _ => None,
        })
    }

    /// Whether asking again can give another answer.
    fn may_change(&self) -> bool {
        self.server != diag::Found::Nothing || self.client != diag::Found::Nothing
    }
}

/// Inode numbers of the sockets that a process has open. Nothing but links is read: it is a race
/// against the end of a connection.
fn open_sockets(pid: u32) -> impl Iterator<Item = u64> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors.filter_map(|descriptor| {
        let target = fs::read_link(descriptor.path()).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    })
}

fn finding(leg: Leg, found: &Found, listener: Listener) -> Finding {
    Finding { leg: Some(leg), owner: Some(owner_of(found, listener)) }
}

fn owner_of(found: &Found, listener: Listener) -> Owner {
    let process =
        i32::try_from(found.pid).ok().and_then(|pid| procfs::process::Process::new(pid).ok());
    let namespaces = process.as_ref().and_then(|process| process.status().ok()?.nspid);
    let innermost = namespaces.and_then(|pids| u32::try_from(*pids.last()?).ok());
    Owner {
        process: Process { pid: found.pid, pid_in_namespace: innermost.unwrap_or(found.pid) },
        listener,
        control_group: process.as_ref().and_then(selection::control_group),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    #[test]
    fn sockets_of_this_process_are_found_with_their_inode_numbers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
        let inodes: Vec<_> = open_sockets(std::process::id()).collect();
        let is_there =
            inodes.iter().any(|inode| link.to_str() == Some(&format!("socket:[{inode}]")));
        assert!(is_there, "{link:?} is not among {inodes:?}");
        assert_eq!(open_sockets(u32::MAX).count(), 0);
    }
}
