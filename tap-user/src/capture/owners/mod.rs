//! Which process has a connection that packets showed: asked on a thread of its own, so capture
//! never waits for the answer.

mod diag;

use crate::capture::interface::namespace;
use crate::capture::selection::{self, Found, Selection, scan};
use crate::segment::{Connection, Leg, Listener, Process};
use diag::SocketTable;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// How long an owner is looked for: a connection may be seen before the gateway has accepted it,
/// and a process before `/proc` was searched for it.
pub const PATIENCE: Duration = Duration::from_millis(100);
/// First pause before a question is asked again; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// Age at which the list of the gateway's processes is made anew if an owner is not among them.
const PROCESSES_AGE_LIMIT: Duration = Duration::from_millis(50);
/// Age at which it is made anew in any case.
const PROCESSES_AGE: Duration = Duration::from_millis(900);
/// Questions that may wait; with more, connections stay without a process.
const QUESTIONS_LIMIT: usize = 16_384;

/// What is known about a connection's end on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The connection's serial number.
    pub serial: u64,
    /// Which side of the gateway it is on; `None` if none of its processes is known.
    pub leg: Option<Leg>,
    /// Who has it.
    pub owner: Option<Owner>,
}

/// A process of the gateway that has one end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The process.
    pub process: Process,
    /// The listener that the connection belongs to.
    pub listener: Listener,
    /// Identifier of the process's control group (version 2).
    pub control_group: Option<u64>,
}

/// The thread that looks for owners.
pub struct Owners {
    questions: SyncSender<Question>,
    answers: Receiver<Answer>,
}

struct Question {
    serial: u64,
    client: SocketAddr,
    server: SocketAddr,
    asked: Instant,
}

impl Owners {
    /// Starts to look for processes of the selection, with sockets in that network namespace.
    pub fn start(selection: Selection, network_namespace: Option<&Path>) -> io::Result<Self> {
        let table = namespace::within(network_namespace, SocketTable::open)?;
        let (questions, asked) = sync_channel(QUESTIONS_LIMIT);
        let (answer, answers) = sync_channel(QUESTIONS_LIMIT);
        let searcher = Searcher::new(table, selection);
        let work = move || searcher.serve(&asked, &answer);
        std::thread::Builder::new().name("gatetap-owners".to_owned()).spawn(work)?;
        Ok(Self { questions, answers })
    }

    /// Asks who has a connection; whether an answer will come.
    #[must_use]
    pub fn ask(&self, connection: &Connection) -> bool {
        let &Connection { serial, client, server, .. } = connection;
        let question = Question { serial, client, server, asked: Instant::now() };
        self.questions.try_send(question).is_ok()
    }

    /// The answers that have come, each within about [`PATIENCE`].
    pub fn answers(&self) -> impl Iterator<Item = Answer> + '_ {
        self.answers.try_iter()
    }
}

/// Looks for owners, several at a time: reading the descriptors of all processes costs most.
struct Searcher {
    table: SocketTable,
    selection: Selection,
    processes: Vec<Found>,
    scanned: Instant,
}

/// Outcome of one search.
enum Search {
    Over(Answer),
    /// It may be known later.
    Later(Question),
}

impl Searcher {
    fn new(table: SocketTable, selection: Selection) -> Self {
        let processes = scan(&selection);
        Self { table, selection, processes, scanned: Instant::now() }
    }

    /// Answers until nobody asks any more.
    fn serve(mut self, questions: &Receiver<Question>, answers: &SyncSender<Answer>) {
        let mut waiting = Vec::new();
        let mut pause = FIRST_PAUSE;
        loop {
            let limit = if waiting.is_empty() { PROCESSES_AGE } else { pause };
            match questions.recv_timeout(limit) {
                Ok(question) => {
                    waiting.push(question);
                    waiting.extend(questions.try_iter());
                    pause = FIRST_PAUSE;
                }
                Err(RecvTimeoutError::Timeout) => pause *= 2,
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.scan_if_older_than(PROCESSES_AGE);
            for search in self.search(std::mem::take(&mut waiting)) {
                match search {
                    // Nobody takes answers any more only when nobody asks any more.
                    Search::Over(answer) => drop(answers.send(answer)),
                    Search::Later(question) => waiting.push(question),
                }
            }
        }
    }

    fn search(&mut self, questions: Vec<Question>) -> Vec<Search> {
        if questions.is_empty() {
            return Vec::new();
        }
        // Sockets first: whoever had them then has them among its descriptors now.
        let asked: Vec<_> = questions.into_iter().map(|question| self.ends(question)).collect();
        let open = |ends: &Ends| ends.inodes().next().is_some();
        let descriptors = if asked.iter().any(|(_, ends)| open(ends)) {
            self.descriptors()
        } else {
            HashMap::new()
        };
        let is_unknown =
            |ends: &Ends| open(ends) && ends.inodes().all(|i| !descriptors.contains_key(&i));
        if asked.iter().any(|(_, ends)| is_unknown(ends)) {
            self.scan_if_older_than(PROCESSES_AGE_LIMIT);
        }
        asked
            .into_iter()
            .map(|(question, ends)| self.judge(question, &ends, &descriptors))
            .collect()
    }

    fn ends(&self, question: Question) -> (Question, Ends) {
        let Question { client, server, .. } = question;
        // An error of the kernel's is as good as "not known".
        let find = |local, remote| self.table.find(local, remote).unwrap_or(diag::Found::Nothing);
        let ends = Ends { server: find(server, client), client: find(client, server) };
        (question, ends)
    }

    /// Owners of the sockets that the gateway's processes have open, by inode number.
    fn descriptors(&self) -> HashMap<u64, usize> {
        let mut owners = HashMap::new();
        for (index, found) in self.processes.iter().enumerate() {
            if let Some(pid) = i32::try_from(found.pid).ok()
                && let Ok(process) = procfs::process::Process::new(pid)
            {
                let sockets = selection::open_sockets(&process);
                // A worker and the master that forked it share listeners, never connections.
                owners.extend(sockets.map(|inode| (inode, index)));
            }
        }
        owners
    }

    fn judge(&self, question: Question, ends: &Ends, descriptors: &HashMap<u64, usize>) -> Search {
        let owner = |end: diag::Found| match end {
            diag::Found::Open(inode) => {
                descriptors.get(&inode).and_then(|index| self.processes.get(*index))
            }
            _ => None,
        };
        let port = question.server.port();
        let (leg, found, listener) = if let Some(found) = owner(ends.server) {
            (Leg::Client, found, Listener::Port(port))
        } else if let Some(found) = owner(ends.client)
            && (ends.server != diag::Found::Ownerless || !self.listens(port))
        {
            (Leg::Upstream, found, found.only_listener())
        } else if ends.may_change() && question.asked.elapsed() < PATIENCE {
            return Search::Later(question);
        } else {
            let leg = self.leg_by_port(port);
            return Search::Over(Answer { serial: question.serial, leg, owner: None });
        };
        let owner = owner_of(found, listener);
        let serial = question.serial;
        Search::Over(Answer { serial, leg: Some(leg), owner: Some(owner) })
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
    fn inodes(&self) -> impl Iterator<Item = u64> {
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
