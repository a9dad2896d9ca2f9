//! Which response answers which request.
//!
//! Responses come in the order of the requests (RFC 9112, section 9.3), so the first request
//! without a response is the one that the next response answers, for as long as no message was
//! missed. When messages of either side were, nobody can say how many, and what follows is
//! *unsure*: nothing is guessed, requests and responses are yielded apart, until the client
//! speaks again after the server. A response that is not seen costs its request; a response
//! under the wrong request would be a lie.

use super::body::{self, BodyEnd, InvalidLength, Piece};
use super::exchange::{Body, Exchange, Framing, Interim, Outcome, Request, Response, Switch};
use super::limits::{Account, Limits, MemoryBudget};
use super::proxy_protocol::Addresses;
use crate::segment::{Close, ClosedBy, Direction, GapCause, Time};
use std::collections::VecDeque;

/// Most interim responses that one exchange keeps; with one more it counts as malformed.
const INTERIM_LIMIT: usize = 64;

/// Place of an exchange in the order in which they began: its ordinal less one.
type Id = u64;

/// An exchange that is not finished.
#[derive(Debug)]
struct Pending {
    started: Time,
    request_ordinal: Option<u64>,
    request: Option<Request>,
    /// The request's body goes on.
    request_open: bool,
    interim: Vec<Interim>,
    response: Option<Response>,
    /// The response's body goes on.
    response_open: bool,
    /// Known before the end: what is wrong with it.
    fault: Option<Outcome>,
    switch: Option<Switch>,
    /// Nothing more can come; set where the parts do not tell.
    over: bool,
    /// Has been yielded as ongoing.
    shown: bool,
    memory: Account,
}

impl Pending {
    fn is_finished(&self) -> bool {
        self.over || (!self.request_open && self.response.is_some() && !self.response_open)
    }

    fn may_be_shown(&self) -> bool {
        !self.shown && !self.is_finished()
    }

    fn finish(&mut self, outcome: Outcome) {
        self.fault.get_or_insert(outcome);
        self.over = true;
    }
}

/// From some place on it is not known which response answers which request.
#[derive(Debug, Clone, Copy)]
struct Unsure {
    /// Exchanges from here on.
    from: Id,
    /// What was lost first.
    cause: GapCause,
}

/// The exchanges of a connection, from their first part to when they are polled.
#[derive(Debug)]
pub(super) struct Pairing {
    pending: VecDeque<Pending>,
    /// Id of the first pending exchange.
    first: Id,
    requests: u64,
    /// The exchange whose request is being read.
    reading: Option<Id>,
    /// The exchange that is being answered.
    answering: Option<Id>,
    unsure: Option<Unsure>,
    /// Requests were lost since the last one that was seen.
    lost_request: Option<GapCause>,
    /// The client was seen to send a request before the one before it was answered.
    pipelines: bool,
    proxied: Option<Addresses>,
    ready: VecDeque<(Exchange, Account)>,
    budget: MemoryBudget,
}

impl Pairing {
    pub(super) fn new(budget: MemoryBudget) -> Self {
        Self {
            pending: VecDeque::new(),
            first: 0,
            requests: 0,
            reading: None,
            answering: None,
            unsure: None,
            lost_request: None,
            pipelines: false,
            proxied: None,
            ready: VecDeque::new(),
            budget,
        }
    }

    pub(super) fn set_proxied(&mut self, addresses: Option<Addresses>) {
        self.proxied = addresses;
    }

    /// The next exchange that is finished or has aged.
    pub(super) fn poll(&mut self) -> Option<Exchange> {
        self.ready.pop_front().map(|(exchange, _)| exchange)
    }

    /// Requests and responses that are not finished.
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    fn get(&mut self, id: Id) -> Option<&mut Pending> {
        let index = usize::try_from(id.checked_sub(self.first)?).ok()?;
        self.pending.get_mut(index)
    }

    fn push(&mut self, started: Time) -> (Id, &mut Pending) {
        let id = self.first.saturating_add(self.pending.len() as u64);
        let memory = self.budget.account();
        let pending = Pending {
            started,
            request_ordinal: None,
            request: None,
            request_open: false,
            interim: Vec::new(),
            response: None,
            response_open: false,
            fault: None,
            switch: None,
            over: false,
            shown: false,
            memory,
        };
        (id, self.pending.push_back_mut(pending))
    }

    /// A request's head is complete. `turn_start`: it was the first that the client sent after
    /// the server spoke; `behind_another`: it came in one call with the message before it.
    pub(super) fn begin_request(
        &mut self,
        mut request: Request,
        framing: Result<Framing, InvalidLength>,
        turn_start: bool,
        behind_another: bool,
    ) {
        if turn_start {
            self.resynchronise();
        }
        self.pipelines |= behind_another && self.reading.is_some();
        self.lost_request = None;
        self.requests = self.requests.saturating_add(1);
        let ordinal = self.requests;
        let open = begin_body(&mut request.body, framing);
        let (id, pending) = self.push(request.first_byte);
        pending.memory.charge(head_memory(request.head_length));
        pending.request_ordinal = Some(ordinal);
        pending.request_open = open;
        pending.fault = framing.err().map(|_| Outcome::Malformed);
        pending.request = Some(request);
        self.reading = Some(id);
    }

    /// The client speaks after the server: what is unsure and not answered by now never will be.
    fn resynchronise(&mut self) {
        let Some(Unsure { from, cause }) = self.unsure else { return };
        if from > self.first {
            return;
        }
        self.unsure = None;
        for pending in &mut self.pending {
            if pending.response.is_none() {
                pending.finish(Outcome::Lost(cause));
            }
        }
    }

    /// Messages of that direction were lost, at least one.
    pub(super) fn lose(&mut self, direction: Direction, cause: GapCause) {
        let from = match direction {
            Direction::ToServer => {
                self.lost_request = Some(cause);
                let all_answered = self.pending.iter().all(|pending| pending.response.is_some());
                if all_answered && !self.pipelines {
                    // The next request is sent when those that were lost are answered.
                    return;
                }
                self.first.saturating_add(self.pending.len() as u64)
            }
            Direction::ToClient => {
                self.answering = None;
                self.first
            }
        };
        self.unsure = Some(match self.unsure {
            None => Unsure { from, cause },
            Some(before) => Unsure { from: before.from.min(from), cause: before.cause },
        });
    }

    /// Method of the request that the next response answers.
    pub(super) fn method_to_answer(&mut self, fault: Option<Outcome>, time: Time) -> Option<&str> {
        let id = self.exchange_to_answer(fault, time);
        self.answering = Some(id);
        self.get(id)?.request.as_ref().map(|request| request.method.as_str())
    }

    /// The exchange that the next response belongs to; a new one where there is no request.
    fn exchange_to_answer(&mut self, fault: Option<Outcome>, time: Time) -> Id {
        if let Some(id) = self.answering {
            return id;
        }
        let next =
            self.pending.iter().position(|pending| pending.response.is_none() && !pending.over);
        let next = next.and_then(|index| self.first.checked_add(index as u64));
        if let Some(id) = next
            && self.unsure.is_none_or(|unsure| id < unsure.from)
        {
            let last = self.first.saturating_add(self.pending.len() as u64).saturating_sub(1);
            self.pipelines |= id < last;
            return id;
        }
        let lost = self.unsure.map(|unsure| unsure.cause).or(self.lost_request);
        let (id, pending) = self.push(time);
        pending.fault = lost.map(Outcome::Lost).or(fault);
        id
    }

    /// An interim response; its exchange still waits for the final one. `false`: too many.
    pub(super) fn add_interim(&mut self, response: Response) -> bool {
        let Some(pending) = self.answering.and_then(|id| self.get(id)) else { return true };
        if pending.interim.len() >= INTERIM_LIMIT {
            return false;
        }
        pending.memory.charge(head_memory(response.head_length));
        pending.interim.push(Interim {
            status: response.status,
            headers: response.headers,
            head_length: response.head_length,
            time: response.first_byte,
        });
        true
    }

    /// A final response's head is complete.
    pub(super) fn begin_response(
        &mut self,
        mut response: Response,
        framing: Result<Framing, InvalidLength>,
    ) {
        let open = begin_body(&mut response.body, framing);
        let Some(pending) = self.answering.and_then(|id| self.get(id)) else { return };
        if framing.is_err() {
            pending.fault.get_or_insert(Outcome::Malformed);
        }
        pending.memory.charge(head_memory(response.head_length));
        pending.response = Some(response);
        pending.response_open = open;
        if !open {
            self.answering = None;
        }
    }

    /// The response just begun ends HTTP/1 on this connection. What the client sent behind the
    /// request was not HTTP/1 either, whatever it looked like.
    pub(super) fn switch(&mut self, response: Response, switch: Switch) {
        let id = self.answering;
        self.begin_response(response, Ok(Framing::None));
        if let Some(pending) = id.and_then(|id| self.get(id)) {
            pending.switch = Some(switch);
            pending.over = true;
        }
        let keep = id.and_then(|id| id.checked_sub(self.first)).unwrap_or_default();
        let keep = usize::try_from(keep).unwrap_or_default().saturating_add(1);
        self.pending.truncate(keep);
        self.end(Outcome::Abandoned);
    }

    /// A stretch of the body that is going on in that direction.
    pub(super) fn add_body(
        &mut self,
        direction: Direction,
        piece: &Piece<'_>,
        end: Option<BodyEnd>,
        time: Time,
        cap: u64,
    ) {
        let id = match direction {
            Direction::ToServer => self.reading,
            Direction::ToClient => self.answering,
        };
        if end.is_some() && direction == Direction::ToClient {
            self.answering = None;
        }
        let Some(pending) = id.and_then(|id| self.get(id)) else { return };
        let (message, open) = match direction {
            Direction::ToServer => (
                pending.request.as_mut().map(|m| (&mut m.body, &mut m.last_byte)),
                &mut pending.request_open,
            ),
            Direction::ToClient => (
                pending.response.as_mut().map(|m| (&mut m.body, &mut m.last_byte)),
                &mut pending.response_open,
            ),
        };
        let Some((body, last_byte)) = message.filter(|_| *open) else { return };
        body::add(body, piece, cap, &mut pending.memory);
        if *piece != Piece::Framing(0) {
            *last_byte = time;
        }
        let Some(end) = end else { return };
        *open = false;
        if matches!(end, BodyEnd::Malformed) {
            pending.fault.get_or_insert(Outcome::Malformed);
        }
        // What hid the framing may have hidden the next messages as well.
        let swallowed = body.lost_cause.filter(|_| matches!(end, BodyEnd::Inferred));
        body::end(body, end);
        if let Some(cause) = swallowed {
            self.lose(direction, cause);
        }
    }

    /// The server answered with something that is no response.
    pub(super) fn malformed_response(&mut self, time: Time) {
        let id = self.exchange_to_answer(Some(Outcome::Malformed), time);
        self.answering = None;
        if let Some(pending) = self.get(id) {
            pending.finish(Outcome::Malformed);
        }
    }

    /// The server ended its stream in order: a body that lasts until then is complete.
    pub(super) fn end_of_responses(&mut self) {
        let Some(pending) = self.answering.and_then(|id| self.get(id)) else { return };
        let open = pending.response_open;
        let Some(response) = pending.response.as_mut().filter(|_| open) else { return };
        if response.body.framing == Framing::UntilClose {
            response.body.complete = true;
            pending.response_open = false;
            self.answering = None;
        }
    }

    /// The connection is over: all that is pending is yielded.
    pub(super) fn close(&mut self, close: Close, malformed: bool) {
        if !close.reset && close.by != ClosedBy::Unknown {
            self.end_of_responses();
        }
        if let Some(Unsure { from, cause }) = self.unsure {
            let sure = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
            for pending in self.pending.iter_mut().skip(sure) {
                // A response that was not seen is no sign of an abort.
                if pending.response.is_none() {
                    pending.finish(Outcome::Lost(cause));
                }
            }
        }
        self.end(if malformed { Outcome::Malformed } else { Outcome::Closed(close) });
    }

    /// Yields all that is pending, with this outcome where none is known.
    pub(super) fn end(&mut self, outcome: Outcome) {
        for pending in &mut self.pending {
            if !pending.is_finished() {
                pending.finish(outcome);
            }
        }
        self.settle();
    }

    /// Makes finished exchanges ready, in order.
    pub(super) fn settle(&mut self) {
        while let Some(pending) = self.pending.pop_front_if(|pending| pending.is_finished()) {
            self.first = self.first.saturating_add(1);
            let outcome = pending.fault.unwrap_or(Outcome::Complete);
            let exchange = Exchange {
                ordinal: self.first,
                request_ordinal: pending.request_ordinal,
                request: pending.request,
                interim: pending.interim,
                response: pending.response,
                outcome,
                switch: pending.switch,
                proxied: self.proxied,
            };
            self.ready.push_back((exchange, pending.memory));
        }
    }

    /// When the next exchange reaches the age limit, in nanoseconds of the monotonic clock.
    pub(super) fn age_deadline(&self, limits: &Limits) -> Option<u64> {
        let next = self.pending.iter().find(|pending| pending.may_be_shown())?;
        Some(next.started.monotonic_ns.saturating_add(limits.age_limit_ns))
    }

    /// Shows, once, exchanges that have reached the age limit.
    pub(super) fn age(&mut self, now: Time, limits: &Limits) {
        let first = self.first;
        for (index, pending) in self.pending.iter_mut().enumerate() {
            if !pending.may_be_shown() {
                continue;
            }
            if pending.started.monotonic_ns.saturating_add(limits.age_limit_ns) > now.monotonic_ns {
                break;
            }
            pending.shown = true;
            let exchange = Exchange {
                ordinal: first.saturating_add(index as u64).saturating_add(1),
                request_ordinal: pending.request_ordinal,
                request: pending.request.clone(),
                interim: pending.interim.clone(),
                response: pending.response.clone(),
                outcome: Outcome::Ongoing,
                switch: None,
                proxied: self.proxied,
            };
            let mut memory = self.budget.account();
            memory.set(pending.memory.held());
            self.ready.push_back((exchange, memory));
        }
    }
}

/// Sets a body's framing; says whether it is still to come. With an invalid length there is one,
/// but it cannot be followed.
fn begin_body(body: &mut Body, framing: Result<Framing, InvalidLength>) -> bool {
    let Ok(framing) = framing else {
        body.complete = false;
        body.malformed = true;
        body.length = None;
        return false;
    };
    let open = !matches!(framing, Framing::None | Framing::ContentLength(0));
    body.framing = framing;
    body.complete = !open;
    open
}

fn head_memory(head_length: u64) -> usize {
    usize::try_from(head_length).unwrap_or(usize::MAX)
}
