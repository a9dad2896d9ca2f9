//! Which response answers which request.
//!
//! Responses come in the order of the requests (RFC 9112, section 9.3), so the first request
//! without a response is the one that the next response answers, for as long as no message was
//! missed. When messages of either side were, nobody can say how many, and what follows is
//! *unsure*: nothing is guessed, requests and responses are yielded apart, until the client
//! speaks again after the server. A response that is not seen costs its request; a response
//! under the wrong request would be a lie.

use super::body::{BodyEnd, InvalidLength, Piece};
use super::exchange::{Exchange, Framing, Outcome, Request, Response, Switch};
use super::limits::{Account, Limits, MemoryBudget};
use super::pending::Pending;
use super::proxy_protocol::Addresses;
use crate::segment::{Abandonment, Close, ClosedBy, Direction, GapCause, Time};
use std::collections::VecDeque;

/// Place of an exchange in the order in which they began: its ordinal less one.
type Id = u64;

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
    /// In boxes: most connections are idle most of the time, and a queue keeps room for several.
    pending: VecDeque<Box<Pending>>,
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
    ready: VecDeque<(Box<Exchange>, Account)>,
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
    pub(super) fn poll(&mut self) -> Option<Box<Exchange>> {
        self.ready.pop_front().map(|(exchange, _)| exchange)
    }

    /// Requests and responses that are not finished.
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    fn get(&mut self, id: Id) -> Option<&mut Pending> {
        let index = usize::try_from(id.checked_sub(self.first)?).ok()?;
        self.pending.get_mut(index).map(|pending| &mut **pending)
    }

    fn push(&mut self, started: Time) -> (Id, &mut Pending) {
        let id = self.first.saturating_add(self.pending.len() as u64);
        (id, self.pending.push_back_mut(Box::new(Pending::new(started, &self.budget))))
    }

    /// A request's head is complete. `turn_start`: it was the first that the client sent after
    /// the server spoke; `behind_another`: it came in one call with the message before it.
    pub(super) fn begin_request(
        &mut self,
        request: Request,
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
        let (id, pending) = self.push(request.first_byte);
        pending.begin_request(request, ordinal, framing);
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
            if !pending.is_answered() {
                pending.finish(Outcome::Lost(cause));
            }
        }
    }

    /// Messages of that direction were lost, at least one.
    pub(super) fn lose(&mut self, direction: Direction, cause: GapCause) {
        let from = match direction {
            Direction::ToServer => {
                self.lost_request = Some(cause);
                let all_answered = self.pending.iter().all(|pending| pending.is_answered());
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
        self.get(id)?.request().map(|request| &*request.method)
    }

    /// The exchange that the next response belongs to; a new one where there is no request.
    fn exchange_to_answer(&mut self, fault: Option<Outcome>, time: Time) -> Id {
        if let Some(id) = self.answering {
            return id;
        }
        let next = self.pending.iter().position(|pending| !pending.is_answered());
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
        if let Some(fault) = lost.map(Outcome::Lost).or(fault) {
            pending.note_fault(fault);
        }
        id
    }

    /// An interim response; its exchange still waits for the final one. `false`: too many.
    pub(super) fn add_interim(&mut self, response: Response) -> bool {
        let pending = self.answering.and_then(|id| self.get(id));
        pending.is_none_or(|pending| pending.add_interim(response))
    }

    /// A final response's head is complete.
    pub(super) fn begin_response(
        &mut self,
        response: Response,
        framing: Result<Framing, InvalidLength>,
    ) {
        let pending = self.answering.and_then(|id| self.get(id));
        if !pending.is_some_and(|pending| pending.begin_response(response, framing)) {
            self.answering = None;
        }
    }

    /// The response just begun ends HTTP/1 on this connection. What the client sent behind the
    /// request was not HTTP/1 either, whatever it looked like.
    pub(super) fn switch(&mut self, response: Response, switch: Switch) {
        let id = self.answering;
        self.begin_response(response, Ok(Framing::None));
        if let Some(pending) = id.and_then(|id| self.get(id)) {
            pending.switch(switch);
        }
        let keep = id.and_then(|id| id.checked_sub(self.first)).unwrap_or_default();
        let keep = usize::try_from(keep).unwrap_or_default().saturating_add(1);
        self.pending.truncate(keep);
        self.end(Outcome::Abandoned(Abandonment::Switched));
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
        let Some(ended) = pending.add_body(direction, piece, end, time, cap) else { return };
        // What hid the framing may have hidden the next messages as well.
        if let Some(cause) = ended.lost_cause.filter(|_| ended.end_inferred) {
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
        if let Some(pending) = self.answering.and_then(|id| self.get(id)) {
            pending.end_of_stream();
        }
    }

    /// The connection is over: all that is pending is yielded.
    pub(super) fn close(&mut self, close: Close, malformed: bool) {
        if !close.reset && close.by != ClosedBy::Unknown {
            self.end_of_responses();
        }
        self.end_all(Outcome::Closed(close), malformed);
    }

    /// The connection is observed no longer: all that is pending is yielded.
    pub(super) fn abandon(&mut self, cause: Abandonment, malformed: bool) {
        self.end_all(Outcome::Abandoned(cause), malformed);
    }

    fn end_all(&mut self, outcome: Outcome, malformed: bool) {
        if let Some(Unsure { from, cause }) = self.unsure {
            let sure = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
            for pending in self.pending.iter_mut().skip(sure) {
                // A response that was not seen is no sign of an abort.
                if !pending.is_answered() {
                    pending.finish(Outcome::Lost(cause));
                }
            }
        }
        self.end(if malformed { Outcome::Malformed } else { outcome });
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
            self.ready.push_back(pending.into_exchange(self.first, self.proxied));
        }
    }

    /// When the next exchange reaches the age limit, in nanoseconds of the monotonic clock.
    pub(super) fn age_deadline(&self, limits: &Limits) -> Option<u64> {
        self.pending.iter().find_map(|pending| pending.show_at(limits.age_limit_ns))
    }

    /// Shows, once, exchanges that have reached the age limit.
    pub(super) fn age(&mut self, now: Time, limits: &Limits) {
        for (ordinal, pending) in (self.first.saturating_add(1)..).zip(&mut self.pending) {
            match pending.show_at(limits.age_limit_ns) {
                None => {}
                Some(due) if due > now.monotonic_ns => break,
                Some(_) => {
                    let mut memory = self.budget.account();
                    memory.charge(pending.held());
                    self.ready.push_back((pending.show(ordinal, self.proxied), memory));
                }
            }
        }
    }
}
