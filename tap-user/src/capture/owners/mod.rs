//! Which process has a connection that packets showed: asked on a thread of its own, so capture
//! never waits for the answer.
//!
//! ```text
//! openings ──► early ◄── questions      a connection opens; its first bytes were seen
//!                └── search ── diag     its sockets; who has them among its descriptors
//! ```

mod diag;
mod early;
mod processes;
mod search;

use crate::capture::interface::{Openings, namespace, system};
use crate::capture::selection::Selection;
use crate::segment::{Connection, Leg, Listener, Process};
use diag::SocketTable;
use early::{Addresses, Early, Known, Opened};
use processes::Processes;
use search::{Searcher, Verdict};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

pub use diag::finds_connections;

/// How long an owner is looked for: a connection may be seen before the gateway has accepted it,
/// and a process before `/proc` was searched for it.
const SEARCH_LIMIT: Duration = Duration::from_millis(100);
/// How long an answer takes at most: a search from the opening on, and one more.
pub const PATIENCE: Duration = SEARCH_LIMIT.saturating_mul(2);
/// First pause before a search is repeated; each is twice as long as the one before, up to a limit.
const FIRST_PAUSE: Duration = Duration::from_micros(250);
/// Least limit of the pause: a gateway may accept a connection late and close it soon.
const PAUSE_LIMIT: Duration = Duration::from_millis(1);
/// What each search that waits adds to the limit: so there are at most 8,000 searches a second.
const PAUSE_PER_SEARCH: Duration = Duration::from_micros(125);
/// How often findings that nobody asked for are looked at, at least.
const IDLE_PAUSE: Duration = Duration::from_secs(1);
/// The thread has little to do (see [`PAUSE_PER_SEARCH`]), but at once: connections do not wait.
const NICENESS: i32 = -10;
/// Questions that may wait; with more, connections stay without a process.
const QUESTIONS_LIMIT: usize = 16_384;
/// Searches under way beyond which none begins before somebody asks: a flood of requests to open
/// costs no more than that.
const EARLY_SEARCHES_LIMIT: usize = 256;

/// What is known about a connection's end on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The connection's serial number.
    pub serial: u64,
    /// What was found out.
    pub finding: Finding,
}

/// What was found out about a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Finding {
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
    /// A byte in here wakes it.
    wake: UnixStream,
    answers: Receiver<Answer>,
}

struct Question {
    serial: u64,
    addresses: Addresses,
    /// It was open before the tap looked.
    is_old: bool,
}

impl Owners {
    /// Starts to look for processes of the selection, with sockets in that network namespace.
    /// Without `openings` the search for an owner begins when somebody asks.
    pub fn start(
        selection: Selection,
        network_namespace: Option<&Path>,
        openings: Option<Openings>,
    ) -> io::Result<Self> {
        let table = namespace::within(network_namespace, SocketTable::open)?;
        let (questions, asked) = sync_channel(QUESTIONS_LIMIT);
        let (answer, answers) = sync_channel(QUESTIONS_LIMIT);
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let service = Service {
            searcher: Searcher::new(table, Processes::start(selection)?),
            early: Early::default(),
            waiting: Vec::new(),
            openings,
            questions: asked,
            woken,
            answers: answer,
        };
        let work = move || service.serve();
        std::thread::Builder::new().name("gatetap-owners".to_owned()).spawn(work)?;
        Ok(Self { questions, wake, answers })
    }

    /// Asks who has a connection; whether an answer will come.
    #[must_use]
    pub fn ask(&self, connection: &Connection) -> bool {
        let &Connection { serial, client, server, .. } = connection;
        let is_old = connection.joined_mid_stream();
        let question = Question { serial, addresses: (client, server), is_old };
        let is_asked = self.questions.try_send(question).is_ok();
        // Where there is no room for the byte there are bytes enough to wake it.
        let _ = (&self.wake).write(&[0]);
        is_asked
    }

    /// The answers that have come, each within about [`PATIENCE`].
    pub fn answers(&self) -> impl Iterator<Item = Answer> + '_ {
        self.answers.try_iter()
    }
}

/// What the thread has.
struct Service {
    searcher: Searcher,
    early: Early,
    waiting: Vec<Search>,
    openings: Option<Openings>,
    questions: Receiver<Question>,
    woken: UnixStream,
    answers: SyncSender<Answer>,
}

/// A search under way.
struct Search {
    purpose: Purpose,
    addresses: Addresses,
    begun: Instant,
    pause: Duration,
    due: Instant,
}

#[derive(Clone, Copy)]
enum Purpose {
    /// Somebody asked, under that serial number.
    Question(u64),
    /// A connection opened, with that sequence number.
    Opening(u32),
}

impl Search {
    fn new(purpose: Purpose, addresses: Addresses, now: Instant) -> Self {
        Self { purpose, addresses, begun: now, pause: FIRST_PAUSE, due: now }
    }

    /// The same once more after a while, beside so many others; `None` when it was long enough.
    fn again(self, now: Instant, others: usize) -> Option<Self> {
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        let limit = PAUSE_PER_SEARCH.saturating_mul(others).max(PAUSE_LIMIT);
        let pause = self.pause.min(limit);
        let is_over = now.duration_since(self.begun) >= SEARCH_LIMIT;
        (!is_over).then_some(Self { pause: pause * 2, due: now + pause, ..self })
    }
}

impl Service {
    /// Answers until nobody asks any more.
    fn serve(mut self) {
        system::hurry(NICENESS);
        loop {
            self.wait();
            self.take_openings();
            if self.take_questions().is_err() {
                return;
            }
            self.early.forget_old(Instant::now());
            self.search();
        }
    }

    fn wait(&mut self) {
        let now = Instant::now();
        let due = self.waiting.iter().map(|search| search.due.saturating_duration_since(now)).min();
        let limit = due.unwrap_or(IDLE_PAUSE);
        let woken = self.woken.as_fd();
        match &self.openings {
            Some(openings) => system::wait_for_any([woken, openings.as_fd()], limit),
            None => system::wait_for_any([woken], limit),
        }
        // Only that there were bytes matters.
        while self.woken.read(&mut [0; 1_024]).is_ok_and(|count| count > 0) {}
    }

    fn take_openings(&mut self) {
        if self.openings.as_ref().is_some_and(Openings::have_missed) {
            self.early.distrust();
        }
        while let Some(opening) = self.openings.as_ref().and_then(Openings::poll) {
            let now = Instant::now();
            let may_search = self.waiting.len() < EARLY_SEARCHES_LIMIT;
            match self.early.open(&opening, may_search, now) {
                Opened::Passed => continue,
                Opened::New => {}
                Opened::Instead(serial) => self.answer(serial, Finding::default()),
            }
            let addresses = (opening.client, opening.server);
            self.waiting.push(Search::new(Purpose::Opening(opening.sequence), addresses, now));
        }
    }

    /// An error when nobody will ask any more.
    fn take_questions(&mut self) -> Result<(), TryRecvError> {
        loop {
            let Question { serial, addresses, is_old } = match self.questions.try_recv() {
                Ok(question) => question,
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(TryRecvError::Disconnected),
            };
            match self.early.ask(addresses, serial, is_old) {
                Known::Nothing => self.begin_for(serial, addresses),
                Known::Soon => {}
                Known::Already(finding) => self.answer(serial, finding),
            }
        }
    }

    fn begin_for(&mut self, serial: u64, addresses: Addresses) {
        self.waiting.push(Search::new(Purpose::Question(serial), addresses, Instant::now()));
    }

    fn search(&mut self) {
        let now = Instant::now();
        let due: Vec<Search> = self.waiting.extract_if(.., |search| search.due <= now).collect();
        if due.is_empty() {
            return;
        }
        let addresses: Vec<Addresses> = due.iter().map(|search| search.addresses).collect();
        let verdicts = self.searcher.search(&addresses);
        // Whoever took the same addresses meanwhile is known before anything is concluded.
        self.take_openings();
        for (search, verdict) in due.into_iter().zip(verdicts) {
            self.judge(search, verdict);
        }
    }

    fn judge(&mut self, search: Search, verdict: Verdict) {
        let Search { purpose, addresses, begun, .. } = search;
        let finding = match verdict {
            Verdict::Over(finding) => finding,
            Verdict::Later(finding) => match search.again(Instant::now(), self.waiting.len()) {
                Some(again) => return self.waiting.push(again),
                None => finding,
            },
        };
        match purpose {
            Purpose::Question(serial) if self.early.opened_since(addresses, begun) => {
                self.answer(serial, Finding { owner: None, ..finding });
            }
            Purpose::Question(serial) => self.answer(serial, finding),
            Purpose::Opening(sequence) => {
                match self.early.conclude(addresses, sequence, finding) {
                    None => {}
                    // It was early for some; now there is a reason to look once more.
                    Some((serial, Finding { owner: None, .. })) => {
                        self.begin_for(serial, addresses)
                    }
                    Some((serial, finding)) => self.answer(serial, finding),
                }
            }
        }
    }

    fn answer(&self, serial: u64, finding: Finding) {
        // Nobody takes answers any more only when nobody asks any more.
        let _ = self.answers.send(Answer { serial, finding });
    }
}
