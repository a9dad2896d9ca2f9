//! The observer of one connection: joins both streams, the pairing and the question what the
//! connection speaks at all. It never reads a clock; time is that of the segments.
//!
//! [`recognition`] finds the first message, [`messages`] hands what the streams yield to the pairing.

mod messages;
mod recognition;

use super::anomaly::{Anomalies, Anomaly};
use super::body::{BodyEnd, Piece};
use super::detect::FirstBytes;
use super::exchange::{Exchange, Protocol};
use super::input::Input;
use super::limits::{Account, Limits, MemoryBudget};
use super::pairing::Pairing;
use super::preamble::Preamble;
use super::socks::Socks;
use super::stream::Stream;
use crate::segment::{Abandonment, Close, Direction, Segment, Time};

/// Observes one TCP connection: segments in, exchanges out.
///
/// ```text
/// handle_segment ── PROXY header ── SOCKS ── detection ── Stream (each direction) ── Pairing ── poll
/// ```
#[derive(Debug)]
pub struct Observer {
    limits: Limits,
    protocol: Protocol,
    /// Ended, given up, or not HTTP/1: nothing more is looked at.
    over: bool,
    /// Both streams were seen from their first byte on.
    aligned: bool,
    implausible_turns: u8,
    last_direction: Option<Direction>,
    /// A possible PROXY protocol header, until it is known.
    preamble: Option<Preamble>,
    /// What stands in front of the messages on a connection to a SOCKS proxy; `None`: the client
    /// began with something else.
    socks: Option<Socks>,
    first_to_server: FirstBytes,
    first_to_client: FirstBytes,
    to_server: Stream,
    to_client: Stream,
    pairing: Pairing,
    /// What [`Self::handle_conflict`] was told, for the messages of each direction.
    conflicts_to_server: Anomalies,
    conflicts_to_client: Anomalies,
    /// Memory of heads that are not complete.
    partial: Account,
}

impl Observer {
    /// An observer at the start of a connection, or somewhere in it.
    #[must_use]
    pub fn new(limits: Limits, budget: MemoryBudget, joined_mid_stream: bool) -> Self {
        Self {
            limits,
            protocol: Protocol::Undecided,
            over: false,
            aligned: !joined_mid_stream,
            implausible_turns: 0,
            last_direction: None,
            preamble: (!joined_mid_stream).then(Preamble::default),
            socks: (!joined_mid_stream).then(Socks::default),
            first_to_server: FirstBytes::default(),
            first_to_client: FirstBytes::default(),
            to_server: Stream::new(Direction::ToServer, joined_mid_stream),
            to_client: Stream::new(Direction::ToClient, joined_mid_stream),
            conflicts_to_server: Anomalies::NONE,
            conflicts_to_client: Anomalies::NONE,
            partial: budget.account(),
            pairing: Pairing::new(budget),
        }
    }

    /// What the connection turned out to speak. Once it is neither [`Protocol::Undecided`] nor
    /// [`Protocol::Http1`], nothing more will come of it.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The next exchange that is finished or has reached the age limit.
    pub fn poll(&mut self) -> Option<Box<Exchange>> {
        let mut exchange = self.pairing.poll()?;
        if let Some(request) = &mut exchange.request {
            request.anomalies.extend(self.conflicts_to_server);
        }
        if let Some(response) = &mut exchange.response {
            response.anomalies.extend(self.conflicts_to_client);
        }
        Some(exchange)
    }

    /// When [`Self::handle_timeout`] is to be called next, in nanoseconds of the monotonic clock.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        if self.over {
            return None;
        }
        let age = self.pairing.age_deadline(&self.limits);
        let to_server = self.to_server.idle_deadline(self.limits.idle_limit_ns);
        let to_client = self.to_client.idle_deadline(self.limits.idle_limit_ns);
        earliest(age, earliest(to_server, to_client))
    }

    /// Ends bodies by silence, and shows exchanges that have reached the age limit.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.poll_timeout().is_none_or(|deadline| deadline > now.monotonic_ns) {
            return;
        }
        for direction in [Direction::ToServer, Direction::ToClient] {
            let idle_limit_ns = self.limits.idle_limit_ns;
            let deadline = self.stream(direction).idle_deadline(idle_limit_ns);
            if deadline.is_some_and(|deadline| deadline <= now.monotonic_ns) {
                self.end_blind(direction, now);
            }
        }
        self.pairing.settle();
        self.pairing.age(now, &self.limits);
    }

    /// The next segment of either direction.
    pub fn handle_segment(&mut self, segment: &Segment<'_>) {
        if self.over || segment.content.length() == 0 {
            return;
        }
        // So the result does not depend on how punctual the caller is.
        self.handle_timeout(segment.time);
        let direction = segment.direction;
        let turn_start = self.last_direction.is_some_and(|last| last != direction);
        self.last_direction = Some(direction);
        let mut input = Input::new(segment, turn_start);
        if direction == Direction::ToServer && self.preamble.is_some() {
            self.read_preamble(&mut input);
        }
        self.observe(direction, &mut input);
        self.pairing.settle();
        self.partial.set(if self.over { 0 } else { self.held() });
    }

    /// One direction carried different bytes for the same place.
    pub fn handle_conflict(&mut self, direction: Direction) {
        match direction {
            Direction::ToServer => &mut self.conflicts_to_server,
            Direction::ToClient => &mut self.conflicts_to_client,
        }
        .insert(Anomaly::ConflictingRetransmission);
    }

    /// One direction ended in order.
    pub fn handle_end(&mut self, direction: Direction, time: Time) {
        if self.over {
            return;
        }
        self.handle_timeout(time);
        if direction == Direction::ToClient {
            self.pairing.end_of_responses();
        }
        self.pairing.settle();
    }

    /// The connection is over: whatever is pending is yielded. A response that lasts until the
    /// end is complete if that end was seen and was no reset.
    pub fn handle_close(&mut self, close: Close, time: Time) {
        if self.over {
            return;
        }
        self.handle_timeout(time);
        for direction in [Direction::ToServer, Direction::ToClient] {
            // A gap at the very end may hold the last chunk: no sign of an abort.
            if self.stream(direction).ends_in_gap() {
                self.end_blind(direction, time);
            }
        }
        self.pairing.close(close, self.to_client.is_malformed());
        self.finish();
    }

    /// The connection is observed no longer: whatever is pending is yielded as abandoned.
    pub fn handle_abandon(&mut self, cause: Abandonment, time: Time) {
        if self.over {
            return;
        }
        self.handle_timeout(time);
        self.pairing.abandon(cause, self.to_client.is_malformed());
        self.finish();
    }

    fn finish(&mut self) {
        self.over = true;
        self.preamble = None;
        self.socks = None;
        self.partial.set(0);
    }

    fn held(&self) -> usize {
        let preamble = self.preamble.as_ref().map_or(0, |preamble| preamble.held());
        let socks = self.socks.as_ref().map_or(0, Socks::held);
        let streams = self.to_server.held().saturating_add(self.to_client.held());
        streams.saturating_add(preamble).saturating_add(socks)
    }

    fn stream(&mut self, direction: Direction) -> &mut Stream {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    fn observe(&mut self, direction: Direction, input: &mut Input<'_>) {
        if input.is_empty() || self.over {
            return;
        }
        self.pass_socks(direction, input);
        if input.is_empty() || self.over {
            return;
        }
        if self.protocol == Protocol::Undecided {
            self.detect(direction, input);
        }
        self.end_blind_opposite(direction, input.time);
        while !self.over {
            let time = input.time;
            let limits = &self.limits;
            let stream = match direction {
                Direction::ToServer => &mut self.to_server,
                Direction::ToClient => &mut self.to_client,
            };
            let Some(event) = stream.next(input, limits) else { return };
            self.apply(direction, event, time);
        }
    }

    /// A message whose end is not told ends when the other side speaks: the server's when the
    /// client begins its next message, the client's when the server answers.
    fn end_blind_opposite(&mut self, direction: Direction, time: Time) {
        if direction == Direction::ToClient || !self.to_server.in_body() {
            self.end_blind(direction.reverse(), time);
        }
    }

    fn end_blind(&mut self, direction: Direction, time: Time) {
        if self.stream(direction).end_blind() {
            self.add_body(direction, &Piece::Framing(0), Some(BodyEnd::Inferred), time);
        }
    }

    fn add_body(&mut self, way: Direction, piece: &Piece<'_>, end: Option<BodyEnd>, time: Time) {
        self.pairing.add_body(way, piece, end, time, self.limits.body_cap);
    }
}

/// The earlier of two times, where there are any.
fn earliest(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, None) => one,
        (None, other) => other,
    }
}
