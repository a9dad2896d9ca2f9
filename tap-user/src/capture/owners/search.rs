//! Looks for the owner of a connection: its sockets in the kernel's table, then these among the
//! descriptors of the gateway's processes.

use super::diag::{self, SocketTable};
use super::{Finding, Owner};
use crate::capture::selection::{self, Found, Selection, scan};
use crate::segment::{Leg, Listener, Process};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Age at which the list of the gateway's processes is made anew if an owner is not among them.
const PROCESSES_AGE_LIMIT: Duration = Duration::from_millis(50);
/// Age at which it is made anew in any case.
pub(super) const PROCESSES_AGE: Duration = Duration::from_millis(900);

/// Looks for owners, several at a time: reading the descriptors of all processes costs most.
pub(super) struct Searcher {
    table: SocketTable,
    selection: Selection,
    processes: Vec<Found>,
    scanned: Instant,
}

/// Outcome of one search.
pub(super) enum Verdict {
    /// More will never be known.
    Over(Finding),
    /// As things are now; it may be known later.
    Later(Finding),
}

/// Processes by the sockets that they have open; `None` for a socket that several have: nobody
/// can say who uses it.
type Holders = HashMap<u64, Option<usize>>;

impl Searcher {
    pub(super) fn new(table: SocketTable, selection: Selection) -> Self {
        let processes = scan(&selection);
        Self { table, selection, processes, scanned: Instant::now() }
    }

    /// Makes the list of processes anew if it is old.
    pub(super) fn refresh(&mut self) {
        self.scan_if_older_than(PROCESSES_AGE);
    }

    /// Looks once for each connection, given by client and server.
    pub(super) fn search(&mut self, connections: &[(SocketAddr, SocketAddr)]) -> Vec<Verdict> {
        // Sockets first: whoever had them then has them among its descriptors now.
        let all: Vec<Ends> =
            connections.iter().map(|&(one, other)| self.ends(one, other)).collect();
        let open: HashSet<u64> = all.iter().flat_map(Ends::inodes).collect();
        let holders = self.holders(&open);
        let is_unknown = |ends: &Ends| {
            ends.inodes().next().is_some() && ends.inodes().all(|i| !holders.contains_key(&i))
        };
        if all.iter().any(is_unknown) {
            self.scan_if_older_than(PROCESSES_AGE_LIMIT);
        }
        let servers = connections.iter().map(|(_, server)| server.port());
        all.iter().zip(servers).map(|(ends, port)| self.judge(ends, port, &holders)).collect()
    }

    fn ends(&self, client: SocketAddr, server: SocketAddr) -> Ends {
        // An error of the kernel's is as good as "not known".
        let find = |local, remote| self.table.find(local, remote).unwrap_or(diag::Found::Nothing);
        Ends { server: find(server, client), client: find(client, server) }
    }

    /// Who has these sockets open, by inode number.
    fn holders(&self, sockets: &HashSet<u64>) -> Holders {
        let mut holders = Holders::new();
        if sockets.is_empty() {
            return holders;
        }
        for (index, found) in self.processes.iter().enumerate() {
            for inode in open_sockets(found.pid).filter(|inode| sockets.contains(inode)) {
                holders
                    .entry(inode)
                    .and_modify(|holder| *holder = holder.filter(|holder| *holder == index))
                    .or_insert(Some(index));
            }
        }
        holders
    }

    fn judge(&self, ends: &Ends, port: u16, holders: &Holders) -> Verdict {
        let owner = |end: diag::Found| match end {
            diag::Found::Open(inode) => self.processes.get((*holders.get(&inode)?)?),
            _ => None,
        };
        if let Some(found) = owner(ends.server) {
            return Verdict::Over(finding(Leg::Client, found, Listener::Port(port)));
        }
        if let Some(found) = owner(ends.client)
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

    fn scan_if_older_than(&mut self, age: Duration) {
        if self.scanned.elapsed() > age {
            self.processes = scan(&self.selection);
            self.scanned = Instant::now();
        }
    }
}

/// The sockets at both ends of a connection, as far as they are on this machine.
struct Ends {
    server: diag::Found,
    client: diag::Found,
}

impl Ends {
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
