//! One direction of a connection: cuts its bytes into heads and bodies, and finds the next
//! message again after a gap.
//!
//! Framing is strict as long as nothing is missing. Only after a gap, or on a connection joined
//! mid-stream, are bytes compared with what a message looks like, and only at the start of a
//! turn, a system call or a packet.

use super::body::{BodyEnd, Decoder, Piece};
use super::detect::{self, Match};
use super::exchange::Framing;
use super::fields::PlainHead;
use super::head::{EmptyLine, RawHead};
use super::input::Input;
use super::limits::Limits;
use crate::segment::{Content, Direction, GapCause, Time};
use std::borrow::Cow;

/// What a stretch of a stream turned out to be.
#[derive(Debug)]
pub(super) enum Event<'a> {
    /// A whole head. Whoever reads it calls [`Stream::expect_body`] or [`Stream::malformed`].
    Head(RawHead<'a>),
    /// No head is here: no empty line within the limit, or nothing that looks like one.
    NoHead,
    /// A gap where a message began, or inside its head: one message or more are lost.
    HeadLost(GapCause),
    /// A stretch of the body, and whether the body ends with it.
    Body(Piece<'a>, Option<BodyEnd>),
}

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Stream {
    direction: Direction,
    state: State,
    /// Nothing is missing from this stream so far, so what does not fit is not HTTP.
    gapless: bool,
}

#[derive(Debug)]
enum State {
    /// Between messages, or inside a head.
    Head(PartialHead),
    /// Inside a body; the time is that of the last bytes.
    Body(Decoder, Time),
    /// The framing is lost: waiting for something that looks like a head.
    Searching,
    /// What came is not HTTP/1, nor will the rest be.
    Malformed,
}

impl Stream {
    /// A stream that begins with a message or, if it is joined, somewhere.
    pub(super) fn new(direction: Direction, joined_mid_stream: bool) -> Self {
        let state =
            if joined_mid_stream { State::Searching } else { State::Head(PartialHead::default()) };
        Self { direction, state, gapless: !joined_mid_stream }
    }

    /// Takes bytes from `input` up to the next event; `None` once all are taken.
    pub(super) fn next<'a>(&mut self, input: &mut Input<'a>, limits: &Limits) -> Option<Event<'a>> {
        if input.is_empty() {
            return None;
        }
        if self.must_search() {
            if let Some(event) = self.search(input) {
                return Some(event);
            }
            if input.is_empty() {
                return None;
            }
        }
        if self.is_out_of_step(input.bytes()) {
            input.take_all();
            return Some(Event::NoHead);
        }
        match &mut self.state {
            State::Head(partial) => match input.content {
                Content::Gap { cause, .. } => Some(self.lose_head(input, cause)),
                Content::Bytes(bytes) => partial.take(bytes, input, limits.head_bytes),
            },
            State::Body(..) => Some(self.step_body(input, limits)),
            State::Searching | State::Malformed => {
                input.take_all();
                None
            }
        }
    }

    /// Behind a gap, a message may have been framed wrongly (the response of a HEAD request that
    /// was not seen): then what follows it is no head.
    fn is_out_of_step(&self, bytes: &[u8]) -> bool {
        !self.gapless
            && matches!(&self.state, State::Head(partial) if partial.bytes.is_empty())
            && !bytes.is_empty()
            && self.begins_head(bytes) == Match::No
    }

    fn must_search(&self) -> bool {
        matches!(self.state, State::Searching) || self.is_blind()
    }

    /// Looks whether a message begins at the first byte of `input`.
    fn search<'a>(&mut self, input: &mut Input<'a>) -> Option<Event<'a>> {
        let begins = match self.begins_head(input.bytes()) {
            Match::Yes => input.at_boundary || input.turn_start,
            Match::Maybe => input.turn_start && !input.bytes().is_empty(),
            Match::No => false,
        };
        if begins {
            return self.begin_search_result();
        }
        if let (State::Searching, Content::Gap { cause, .. }) = (&self.state, input.content) {
            return Some(self.lose_head(input, cause));
        }
        if matches!(self.state, State::Searching) {
            input.take_all();
        }
        None
    }

    /// A head begins here: a body without known end ends before it.
    fn begin_search_result<'a>(&mut self) -> Option<Event<'a>> {
        let was_blind = self.is_blind();
        self.state = State::Head(PartialHead::default());
        was_blind.then_some(Event::Body(Piece::Framing(0), Some(BodyEnd::Inferred)))
    }

    fn begins_head(&self, bytes: &[u8]) -> Match {
        match self.direction {
            Direction::ToServer => detect::request_head(bytes),
            Direction::ToClient => detect::response_head(bytes),
        }
    }

    fn lose_head<'a>(&mut self, input: &mut Input<'a>, cause: GapCause) -> Event<'a> {
        input.take_all();
        self.state = State::Searching;
        self.gapless = false;
        Event::HeadLost(cause)
    }

    fn step_body<'a>(&mut self, input: &mut Input<'a>, limits: &Limits) -> Event<'a> {
        let State::Body(decoder, last_time) = &mut self.state else {
            return Event::Body(Piece::Framing(0), None);
        };
        *last_time = input.time;
        let trailer_limits = (limits.head_bytes, limits.fields);
        let (piece, end) = decoder.step(input.content, input.at_boundary, trailer_limits);
        input.take(match piece {
            Piece::Content(bytes) => bytes.len() as u64,
            Piece::OddFraming(length, _) => length,
            Piece::Framing(length) | Piece::Gap(length, _) | Piece::Hidden(length, _) => length,
        });
        match end {
            None => {}
            Some(BodyEnd::Told(_)) => self.state = State::Head(PartialHead::default()),
            Some(BodyEnd::Inferred) => self.state = State::Searching,
            Some(BodyEnd::Malformed) => self.malformed(),
        }
        self.gapless &= !self.is_blind() && !matches!(self.state, State::Searching);
        Event::Body(piece, end)
    }

    /// Tells how the body behind the head goes on; `time` is that of the head's last byte.
    pub(super) fn expect_body(&mut self, framing: Framing, time: Time) {
        self.state = match Decoder::new(framing) {
            Some(decoder) => State::Body(decoder, time),
            None => State::Head(PartialHead::default()),
        };
    }

    /// What came is no message. Behind a gap that may be a false find; otherwise it is final.
    pub(super) fn malformed(&mut self) {
        self.state = if self.gapless { State::Malformed } else { State::Searching };
    }

    /// What came is no message, and nothing that follows will be.
    pub(super) fn is_malformed(&self) -> bool {
        matches!(self.state, State::Malformed)
    }

    /// Whether a body goes on whose framing was lost.
    pub(super) fn is_blind(&self) -> bool {
        matches!(&self.state, State::Body(decoder, _) if decoder.is_blind())
    }

    /// Whether the last that came of a blind body was a gap, which may hold its end.
    pub(super) fn ends_in_gap(&self) -> bool {
        matches!(&self.state, State::Body(decoder, _) if decoder.ends_in_gap())
    }

    /// Whether the stream stands in a body.
    pub(super) fn in_body(&self) -> bool {
        matches!(self.state, State::Body(..))
    }

    /// When a blind body ends by silence, in nanoseconds of the monotonic clock.
    pub(super) fn idle_deadline(&self, idle_limit_ns: u64) -> Option<u64> {
        match &self.state {
            State::Body(decoder, last) if decoder.is_blind() => {
                Some(last.monotonic_ns.saturating_add(idle_limit_ns))
            }
            _ => None,
        }
    }

    /// Whether a head has begun.
    pub(super) fn in_head(&self) -> bool {
        matches!(&self.state, State::Head(partial) if !partial.bytes.is_empty())
    }

    /// Ends a blind body from outside; says whether there was one.
    pub(super) fn end_blind(&mut self) -> bool {
        let blind = self.is_blind();
        if blind {
            self.state = State::Searching;
        }
        blind
    }

    /// Bytes held of a head or trailer section that is not complete yet.
    pub(super) fn held(&self) -> usize {
        match &self.state {
            State::Head(partial) => partial.bytes.len(),
            State::Body(decoder, _) => decoder.held(),
            State::Searching | State::Malformed => 0,
        }
    }
}

/// A head as far as it came.
#[derive(Debug)]
struct PartialHead {
    bytes: Vec<u8>,
    offset: u64,
    first_byte: Time,
    turn_start: bool,
    at_boundary: bool,
    behind_empty_lines: bool,
    scanner: EmptyLine,
}

impl Default for PartialHead {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            offset: 0,
            first_byte: Time::default(),
            turn_start: false,
            at_boundary: false,
            behind_empty_lines: false,
            scanner: EmptyLine::InLine,
        }
    }
}

impl PartialHead {
    /// Takes bytes up to the head's end. A head that lies in one segment is not copied here.
    fn take<'a>(
        &mut self,
        mut bytes: &'a [u8],
        input: &mut Input<'a>,
        maximum: usize,
    ) -> Option<Event<'a>> {
        if self.bytes.is_empty() {
            let head = detect::skip_line_ends(bytes);
            self.behind_empty_lines |= head.len() < bytes.len();
            input.skip((bytes.len() - head.len()) as u64);
            if head.is_empty() {
                return None;
            }
            bytes = head;
            self.begin(input);
        }
        let plain = if self.bytes.is_empty() { PlainHead::read(bytes) } else { None };
        let found = match &plain {
            Some(plain) => Some(plain.length),
            None => self.scanner.find(bytes),
        };
        let length = found.unwrap_or(bytes.len());
        let time = input.time;
        input.take(length as u64);
        if self.bytes.len().saturating_add(length) > maximum {
            *self = Self::default();
            return Some(Event::NoHead);
        }
        let bytes = bytes.get(..length).unwrap_or_default();
        if found.is_some() {
            return Some(Event::Head(self.finish(bytes, plain, time)));
        }
        self.bytes.extend_from_slice(bytes);
        None
    }

    fn begin(&mut self, input: &Input<'_>) {
        self.offset = input.offset;
        self.first_byte = input.time;
        self.turn_start = input.turn_start;
        self.at_boundary = input.at_boundary;
        self.scanner = EmptyLine::InLine;
    }

    fn finish<'a>(&mut self, rest: &'a [u8], plain: Option<PlainHead>, time: Time) -> RawHead<'a> {
        let bytes = if self.bytes.is_empty() {
            Cow::Borrowed(rest)
        } else {
            self.bytes.extend_from_slice(rest);
            Cow::Owned(std::mem::take(&mut self.bytes))
        };
        RawHead {
            bytes,
            offset: self.offset,
            first_byte: self.first_byte,
            last_byte: time,
            turn_start: self.turn_start,
            at_boundary: self.at_boundary,
            behind_empty_lines: self.behind_empty_lines,
            plain,
        }
    }
}
