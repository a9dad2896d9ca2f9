//! What clients do, and the account that each gives of it.

use super::client::{Connection, Reply};
use super::content::Content;
use super::request::Request;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;

/// One thing that a client does on its connection.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A request, then its response.
    Ask(Request),
    /// Several requests in one write, then their responses.
    Pipeline(Vec<Request>),
    /// A request and the end of the client's side, then its response.
    AskLast(Request),
    /// A request in writes of one byte.
    AskSlowly(Request),
    /// The head with `Expect: 100-continue`; the body after `100 Continue`.
    AwaitContinue(Request),
    /// A request that the client gives up, and its connection with it.
    GiveUp(Request, GiveUp),
    /// The beginning of a request head, then the end of the connection.
    HalfAHead(Request),
}

/// Where a client gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GiveUp {
    /// Half of the request's body is written.
    InRequestBody,
    /// The gateway waits for its upstream.
    BeforeResponse,
    /// Some of the response was read; the connection is reset.
    InResponse,
}

/// All that a client does on one connection.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) to: SocketAddr,
    pub(crate) steps: Vec<Step>,
}

/// What a client knows of one exchange.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) request: Request,
    /// The two ends of the connection.
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    /// 1-based place among the requests of its connection, counted by the client.
    pub(crate) ordinal: u64,
    /// Whether the connection was open before the tap was there.
    pub(crate) joined: bool,
    /// Requests on it before that.
    pub(crate) before_tap: u64,
    /// Bytes written.
    pub(crate) sent: u64,
    /// Body written, without framing.
    pub(crate) content: Content,
    /// The response; `None` where the client gave up.
    pub(crate) reply: Option<Reply>,
    pub(crate) given_up: Option<GiveUp>,
}

/// A client in the middle of its plan.
pub(crate) struct Client {
    connection: Connection,
    server: SocketAddr,
    requests: u64,
    joined: bool,
    before_tap: u64,
    steps: VecDeque<Step>,
}

impl Client {
    pub(crate) fn open(plan: Plan) -> Self {
        let connection = Connection::open(plan.to);
        let steps = plan.steps.into();
        Self { connection, server: plan.to, requests: 0, joined: false, before_tap: 0, steps }
    }

    /// Does the first `count` steps of the plan before the tap is attached.
    pub(crate) fn before_tap(&mut self, count: usize) -> Vec<Account> {
        let steps: Vec<_> = self.steps.drain(..count).collect();
        let accounts = steps.into_iter().flat_map(|step| self.keep_open(step)).collect();
        (self.joined, self.before_tap) = (true, self.requests);
        accounts
    }

    /// Does the rest of the plan.
    pub(crate) fn finish(mut self) -> Vec<Account> {
        let mut accounts = Vec::new();
        while let Some(step) = self.steps.pop_front() {
            match step {
                Step::GiveUp(request, how) => {
                    accounts.push(self.give_up(request, how));
                    return accounts;
                }
                Step::HalfAHead(request) => {
                    let head = request.head();
                    self.connection.write(&head[..head.len() / 2]).unwrap();
                    return accounts;
                }
                step => accounts.extend(self.keep_open(step)),
            }
        }
        accounts
    }

    fn keep_open(&mut self, step: Step) -> Vec<Account> {
        let what = format!("{step:.300?}");
        self.try_step(step).unwrap_or_else(|error| panic!("{error} in {what}"))
    }

    fn try_step(&mut self, step: Step) -> io::Result<Vec<Account>> {
        match step {
            Step::Ask(request) => {
                self.connection.write(&request.wire())?;
                Ok(vec![self.read(request)?])
            }
            Step::AskLast(request) => {
                self.connection.write(&request.wire())?;
                self.connection.end()?;
                Ok(vec![self.read(request)?])
            }
            Step::AskSlowly(request) => {
                self.connection.write_slowly(&request.wire())?;
                Ok(vec![self.read(request)?])
            }
            Step::Pipeline(requests) => {
                let wire: Vec<u8> = requests.iter().flat_map(Request::wire).collect();
                self.connection.write(&wire)?;
                requests.into_iter().map(|request| self.read(request)).collect()
            }
            Step::AwaitContinue(request) => {
                self.connection.write(&request.head())?;
                let interim_length = self.connection.read_continue()?;
                self.connection.write(&request.body())?;
                let mut account = self.read(request)?;
                if let Some(reply) = &mut account.reply {
                    reply.interim += 1;
                    reply.interim_length += interim_length;
                }
                Ok(vec![account])
            }
            Step::GiveUp(..) | Step::HalfAHead(_) => panic!("ends its connection"),
        }
    }

    fn read(&mut self, request: Request) -> io::Result<Account> {
        let reply = self.connection.read_reply(request.method)?;
        let sent = request.wire().len() as u64;
        let content = Content::of(request.content());
        Ok(self.account(request, sent, content, Some(reply), None))
    }

    fn give_up(mut self, request: Request, how: GiveUp) -> Account {
        let mut wire = request.wire();
        let mut content = request.content();
        if how == GiveUp::InRequestBody {
            let written = content.len() / 2;
            content = &content[..written];
            wire.truncate(request.head().len() + written);
        }
        let content = Content::of(content);
        self.connection.write(&wire).unwrap();
        let sent = wire.len() as u64;
        let account = self.account(request, sent, content, None, Some(how));
        match how {
            GiveUp::InRequestBody => {}
            // Long enough for the gateway to have read the request and asked its upstream.
            GiveUp::BeforeResponse => thread::sleep(std::time::Duration::from_millis(20)),
            GiveUp::InResponse => {
                self.connection.read_some(1000).unwrap();
                self.connection.reset();
            }
        }
        account
    }

    fn account(
        &mut self,
        request: Request,
        sent: u64,
        content: Content,
        reply: Option<Reply>,
        given_up: Option<GiveUp>,
    ) -> Account {
        self.requests += 1;
        let (ordinal, joined, before_tap) = (self.requests, self.joined, self.before_tap);
        let (client, server) = (self.connection.local(), self.server);
        Account {
            request,
            client,
            server,
            ordinal,
            joined,
            before_tap,
            sent,
            content,
            reply,
            given_up,
        }
    }
}

/// Carries out all plans on `threads` threads; a thread opens its next connection as soon as it
/// has closed the one before, so that descriptors and ports are used again at once.
pub(crate) fn run(plans: Vec<Plan>, threads: usize) -> Vec<Account> {
    let queue = Mutex::new(VecDeque::from(plans));
    let next = || queue.lock().unwrap().pop_front();
    let work = || {
        let mut accounts = Vec::new();
        while let Some(plan) = next() {
            accounts.extend(Client::open(plan).finish());
        }
        accounts
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

/// Bytes that clients sent and received, by their own count.
pub(crate) fn bytes_moved(accounts: &[Account]) -> u64 {
    let received = |account: &Account| account.reply.as_ref().map_or(0, |reply| reply.received());
    accounts.iter().map(|account| account.sent + received(account)).sum()
}
