//! An exchange that is not finished: its parts as far as they came.

use super::anomaly::Anomalies;
use super::body::{self, BodyEnd, InvalidLength, Piece};
use super::exchange::{Body, Exchange, Framing, Interim, Outcome, Request, Response, Switch};
use super::limits::{Account, MemoryBudget};
use super::proxy_protocol::Addresses;
use crate::segment::{Direction, Time};

/// Most interim responses that one exchange keeps; with one more it counts as malformed.
const INTERIM_LIMIT: usize = 64;

/// An exchange that is not finished.
#[derive(Debug)]
pub(super) struct Pending {
    /// Its parts. They stay where they are until the exchange has been exported: it is large.
    exchange: Box<Exchange>,
    started: Time,
    /// The request's body goes on.
    request_open: bool,
    interim_anomalies: Anomalies,
    /// The response's body goes on.
    response_open: bool,
    /// Known before the end: what is wrong with it.
    fault: Option<Outcome>,
    /// Nothing more can come, although the parts do not tell.
    over: bool,
    /// Has been yielded as ongoing.
    shown: bool,
    memory: Account,
}

impl Pending {
    /// An exchange of which nothing is known but when it began.
    pub(super) fn new(started: Time, budget: &MemoryBudget) -> Self {
        Self {
            exchange: Box::default(),
            started,
            request_open: false,
            interim_anomalies: Anomalies::NONE,
            response_open: false,
            fault: None,
            over: false,
            shown: false,
            memory: budget.account(),
        }
    }

    pub(super) fn request(&self) -> Option<&Request> {
        self.exchange.request.as_ref()
    }

    pub(super) fn is_answered(&self) -> bool {
        self.exchange.response.is_some() || self.over
    }

    pub(super) fn is_finished(&self) -> bool {
        self.over || (!self.request_open && self.exchange.response.is_some() && !self.response_open)
    }

    /// Nothing more will come; `outcome` unless another fault is known already.
    pub(super) fn finish(&mut self, outcome: Outcome) {
        self.note_fault(outcome);
        self.over = true;
    }

    pub(super) fn note_fault(&mut self, fault: Outcome) {
        self.fault.get_or_insert(fault);
    }

    pub(super) fn begin_request(
        &mut self,
        mut request: Request,
        ordinal: u64,
        framing: Result<Framing, InvalidLength>,
    ) {
        self.request_open = begin_body(&mut request.body, framing);
        self.begin_message(request.head_length, framing.is_err());
        self.exchange.request_ordinal = Some(ordinal);
        self.exchange.request = Some(request);
    }

    /// Begins the final response; says whether its body is still to come.
    pub(super) fn begin_response(
        &mut self,
        mut response: Response,
        framing: Result<Framing, InvalidLength>,
    ) -> bool {
        self.response_open = begin_body(&mut response.body, framing);
        self.begin_message(response.head_length, framing.is_err());
        response.anomalies.extend(self.interim_anomalies);
        self.exchange.response = Some(response);
        self.response_open
    }

    fn begin_message(&mut self, head_length: u64, invalid: bool) {
        self.memory.charge(usize::try_from(head_length).unwrap_or(usize::MAX));
        if invalid {
            self.note_fault(Outcome::Malformed);
        }
    }

    /// Adds an interim response; `false` if there are too many.
    pub(super) fn add_interim(&mut self, response: Response) -> bool {
        if self.exchange.interim.len() >= INTERIM_LIMIT {
            return false;
        }
        self.begin_message(response.head_length, false);
        self.interim_anomalies.extend(response.anomalies);
        self.exchange.interim.push(Interim {
            status: response.status,
            headers: response.headers,
            head_length: response.head_length,
            time: response.first_byte,
        });
        true
    }

    /// HTTP/1 ends here on this connection.
    pub(super) fn switch(&mut self, switch: Switch) {
        self.exchange.switch = Some(switch);
        self.over = true;
    }

    /// Adds a stretch of the body that goes on in that direction, and its end if there is one.
    /// Yields the body once it has ended.
    pub(super) fn add_body(
        &mut self,
        direction: Direction,
        piece: &Piece<'_>,
        end: Option<BodyEnd>,
        time: Time,
        cap: u64,
    ) -> Option<&Body> {
        let (body, last_byte, open, anomalies) = match direction {
            Direction::ToServer => {
                let request = self.exchange.request.as_mut()?;
                let Request { body, last_byte, anomalies, .. } = request;
                (body, last_byte, &mut self.request_open, anomalies)
            }
            Direction::ToClient => {
                let response = self.exchange.response.as_mut()?;
                let Response { body, last_byte, anomalies, .. } = response;
                (body, last_byte, &mut self.response_open, anomalies)
            }
        };
        if !*open {
            return None;
        }
        body::add(body, piece, cap, &mut self.memory);
        if let Piece::OddFraming(_, odd) = piece {
            anomalies.extend(*odd);
        }
        if !matches!(piece, Piece::Framing(0) | Piece::OddFraming(0, _)) {
            *last_byte = time;
        }
        let end = end?;
        *open = false;
        if matches!(end, BodyEnd::Malformed) {
            self.fault.get_or_insert(Outcome::Malformed);
        }
        body::end(body, end);
        Some(body)
    }

    /// The server ended its stream in order: a body that lasts until then is complete.
    pub(super) fn end_of_stream(&mut self) {
        let open = self.response_open;
        let Some(response) = self.exchange.response.as_mut().filter(|_| open) else { return };
        if response.body.framing == Framing::UntilClose {
            response.body.complete = true;
            self.response_open = false;
        }
    }

    /// When it is to be shown although it is not finished, in nanoseconds of the monotonic clock;
    /// `None` if it was, or need not be.
    pub(super) fn show_at(&self, age_limit_ns: u64) -> Option<u64> {
        let due = !self.shown && !self.is_finished();
        due.then(|| self.started.monotonic_ns.saturating_add(age_limit_ns))
    }

    /// Shows it as it is now.
    pub(super) fn show(&mut self, ordinal: u64, proxied: Option<Addresses>) -> Box<Exchange> {
        self.shown = true;
        let mut exchange = self.exchange.clone();
        exchange.ordinal = ordinal;
        exchange.outcome = Outcome::Ongoing;
        exchange.switch = None;
        exchange.proxied = proxied;
        exchange
    }

    /// The exchange, and the memory that it takes.
    pub(super) fn into_exchange(
        mut self,
        ordinal: u64,
        proxied: Option<Addresses>,
    ) -> (Box<Exchange>, Account) {
        self.exchange.ordinal = ordinal;
        self.exchange.outcome = self.fault.unwrap_or(Outcome::Complete);
        self.exchange.proxied = proxied;
        (self.exchange, self.memory)
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        self.memory.held()
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
