//! From records to happenings: gives connections their serial numbers, keeps the place of every
//! stream, and tells each byte that no event told as a gap.

use super::event::{Record, connection, direction};
use crate::capture::clock::Clock;
use crate::capture::selection::Found;
use crate::capture::traffic::Traffic;
use crate::segment::{
    Close, ClosedBy, Connection, Content, Direction, GapCause, Happening, Interest, Leg, Listener,
    Segment, Time,
};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use tap_ebpf::{
    DIRECTION_RECEIVED, DIRECTION_SENT, Event, Identity, Socket, event_flag, event_kind, verdict,
};

/// Whoever is told of happenings.
type Handler<'a> = dyn FnMut(u64, Happening<'_>) -> Interest + 'a;

/// A followed connection.
struct Followed {
    connection: Arc<Connection>,
    /// Next byte in each direction, as the gateway sees them.
    received: u64,
    sent: u64,
    ignored: bool,
}

/// Turns records into happenings.
#[derive(Default)]
pub(super) struct Tracker {
    connections: Connections,
    traffic: Traffic,
}

/// All followed connections, by socket cookie.
#[derive(Default)]
struct Connections {
    followed: HashMap<u64, Followed, foldhash::fast::RandomState>,
    last_serial: u64,
    upstream_listeners: HashMap<u32, Listener>,
}

impl Tracker {
    /// Notes which processes have one listener only, so that their upstream legs belong to it.
    pub(super) fn set_listeners(&mut self, found: &[Found]) {
        self.connections.upstream_listeners =
            found.iter().map(|one| (one.pid, one.only_listener())).collect();
    }

    pub(super) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    pub(super) fn count_unreadable(&mut self) {
        self.traffic.unreadable_records += 1;
    }

    /// Turns one record into happenings; says if its connection lost all interest just now.
    pub(super) fn handle(
        &mut self,
        record: &Record<'_>,
        clock: Clock,
        handle: &mut Handler<'_>,
    ) -> Interest {
        let event = &record.event;
        let time = clock.at(event.time_ns);
        let followed = self.connections.open(&event.identity, clock, handle);
        match event.kind {
            event_kind::DATA => data(followed, record, time, &mut self.traffic, handle),
            event_kind::END => end(followed, event, time, &mut self.traffic, handle),
            event_kind::CLOSED => {
                let finals =
                    Finals { received: event.offset, sent: event.length, flags: event.flags };
                self.finish(event.identity.cookie, &finals, time, handle);
                Interest::Keep
            }
            _ => {
                self.count_unreadable();
                Interest::Keep
            }
        }
    }

    /// Whether anything was told of a connection that is not over.
    pub(super) fn knows(&self, socket: &Socket) -> bool {
        self.connections.followed.contains_key(&socket.identity.cookie)
    }

    /// Tells bytes of an open connection that no event told; perhaps nothing was told of it at all.
    pub(super) fn catch_up(&mut self, socket: &Socket, clock: Clock, handle: &mut Handler<'_>) {
        let is_watched = socket.verdict == verdict::COPY && socket.identity.pid != 0;
        if is_watched || self.knows(socket) {
            let followed = self.connections.open(&socket.identity, clock, handle);
            tell_missed(followed, &Finals::of(socket), clock.time(), &mut self.traffic, handle);
        }
    }

    /// Closes a connection whose end no event told; perhaps nothing was told of it at all.
    pub(super) fn close(&mut self, socket: &Socket, clock: Clock, handle: &mut Handler<'_>) {
        self.connections.open(&socket.identity, clock, handle);
        self.finish(socket.identity.cookie, &Finals::of(socket), clock.time(), handle);
    }

    fn finish(&mut self, cookie: u64, finals: &Finals, time: Time, handle: &mut Handler<'_>) {
        let Some(mut followed) = self.connections.followed.remove(&cookie) else {
            return;
        };
        tell_missed(&mut followed, finals, time, &mut self.traffic, handle);
        let connection = &followed.connection;
        let close = close(connection.leg, finals.flags);
        handle(connection.serial, Happening::Closed(close, time));
    }
}

impl Connections {
    /// The connection, made known if it is not yet, and by its present process.
    fn open(
        &mut self,
        identity: &Identity,
        clock: Clock,
        handle: &mut Handler<'_>,
    ) -> &mut Followed {
        let mut make_known = |serial| {
            let listener = self.upstream_listeners.get(&identity.pid);
            let listener = listener.copied().unwrap_or(Listener::Unknown);
            let connection = Arc::new(connection(identity, serial, listener, clock));
            handle(serial, Happening::Opened(Arc::clone(&connection)));
            connection
        };
        match self.followed.entry(identity.cookie) {
            Entry::Occupied(known) => {
                let followed = known.into_mut();
                if !followed.is_used_by(identity.pid) {
                    followed.connection = make_known(followed.connection.serial);
                }
                followed
            }
            Entry::Vacant(place) => {
                self.last_serial += 1;
                let connection = make_known(self.last_serial);
                place.insert(Followed { connection, received: 0, sent: 0, ignored: false })
            }
        }
    }
}

impl Followed {
    /// Whether nothing speaks for another process than the known one (0 = the kernel knows none).
    fn is_used_by(&self, pid: u32) -> bool {
        pid == 0 || self.connection.process.is_some_and(|process| process.pid == pid)
    }
}

fn data(
    followed: &mut Followed,
    record: &Record<'_>,
    time: Time,
    traffic: &mut Traffic,
    handle: &mut Handler<'_>,
) -> Interest {
    let event = &record.event;
    let cause = record.cause_of_gap_before();
    let was_ignored = followed.ignored;
    missed_before(followed, event, cause, time, traffic, handle);
    let mut telling = Telling::new(followed, event.direction, time, traffic, handle);
    telling.lost_interest = *telling.ignored && !was_ignored;
    telling.skip_told(event.offset);
    telling.tell(Content::Bytes(record.head), record.starts_call());
    if let Some((length, cause)) = record.gap() {
        telling.tell(Content::Gap { length, cause }, record.starts_call() && event.head == 0);
    }
    telling.tell(Content::Bytes(record.tail), false);
    telling.interest()
}

fn end(
    followed: &mut Followed,
    event: &Event,
    time: Time,
    traffic: &mut Traffic,
    handle: &mut Handler<'_>,
) -> Interest {
    missed_before(followed, event, GapCause::Missed, time, traffic, handle);
    let leg = followed.connection.leg;
    handle(followed.connection.serial, Happening::Ended(direction(leg, event.direction), time))
}

/// Tells what went both ways before an event and was not told: so whoever looks for messages knows that they
/// are missing before it sees the next one, whichever side speaks next.
fn missed_before(
    followed: &mut Followed,
    event: &Event,
    cause: GapCause,
    time: Time,
    traffic: &mut Traffic,
    handle: &mut Handler<'_>,
) {
    let other =
        if event.direction == DIRECTION_RECEIVED { DIRECTION_SENT } else { DIRECTION_RECEIVED };
    Telling::new(followed, event.direction, time, traffic, handle)
        .missed_up_to(event.offset, cause);
    Telling::new(followed, other, time, traffic, handle)
        .missed_up_to(event.opposite, GapCause::Missed);
}

/// What the kernel counted in all.
struct Finals {
    received: u64,
    sent: u64,
    flags: u8,
}

impl Finals {
    fn of(socket: &Socket) -> Self {
        Self { received: socket.received.next, sent: socket.sent.next, flags: socket.flags }
    }
}

fn tell_missed(
    followed: &mut Followed,
    finals: &Finals,
    time: Time,
    traffic: &mut Traffic,
    handle: &mut Handler<'_>,
) {
    let (received, sent) = ((DIRECTION_RECEIVED, finals.received), (DIRECTION_SENT, finals.sent));
    // Requests first: then what comes next may be one.
    let in_turn = match followed.connection.leg {
        Leg::Client => [received, sent],
        Leg::Upstream => [sent, received],
    };
    for (direction, place) in in_turn {
        Telling::new(followed, direction, time, traffic, handle)
            .missed_up_to(place, GapCause::Missed);
    }
}

/// Telling segments of one direction of a connection.
struct Telling<'a, 'b> {
    serial: u64,
    direction: Direction,
    time: Time,
    next: &'a mut u64,
    ignored: &'a mut bool,
    traffic: &'a mut Traffic,
    handle: &'a mut Handler<'b>,
    /// Bytes of the event that were told already.
    told: u64,
    lost_interest: bool,
}

impl<'a, 'b> Telling<'a, 'b> {
    fn new(
        followed: &'a mut Followed,
        code: u8,
        time: Time,
        traffic: &'a mut Traffic,
        handle: &'a mut Handler<'b>,
    ) -> Self {
        let is_received = code == DIRECTION_RECEIVED;
        Self {
            serial: followed.connection.serial,
            direction: direction(followed.connection.leg, code),
            time,
            next: if is_received { &mut followed.received } else { &mut followed.sent },
            ignored: &mut followed.ignored,
            traffic,
            handle,
            told: 0,
            lost_interest: false,
        }
    }

    /// Tells a gap up to a place that lies ahead.
    fn missed_up_to(&mut self, place: u64, cause: GapCause) {
        let length = place.saturating_sub(*self.next);
        self.tell(Content::Gap { length, cause }, false);
    }

    /// Two threads on one socket may both have told the same place; the first word counts.
    fn skip_told(&mut self, place: u64) {
        self.told = self.next.saturating_sub(place);
    }

    fn tell(&mut self, content: Content<'_>, at_boundary: bool) {
        let skipped = self.told.min(content.length());
        self.told -= skipped;
        let content = without(content, skipped);
        let length = content.length();
        if length == 0 {
            return;
        }
        let offset = *self.next;
        *self.next += length;
        if *self.ignored {
            self.traffic.ignored += length;
            return;
        }
        self.traffic.count(&content);
        let segment =
            Segment { direction: self.direction, offset, time: self.time, at_boundary, content };
        if (self.handle)(self.serial, Happening::Segment(segment)) == Interest::Ignore {
            *self.ignored = true;
            self.lost_interest = true;
        }
    }

    fn interest(&self) -> Interest {
        if self.lost_interest { Interest::Ignore } else { Interest::Keep }
    }
}

/// Content without so many bytes of its beginning.
fn without(content: Content<'_>, skipped: u64) -> Content<'_> {
    match content {
        Content::Bytes(bytes) => {
            let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
            Content::Bytes(bytes.get(skipped..).unwrap_or_default())
        }
        Content::Gap { length, cause } => {
            Content::Gap { length: length.saturating_sub(skipped), cause }
        }
    }
}

/// Who ended a connection, by the roles of the HTTP peers.
fn close(leg: Leg, flags: u8) -> Close {
    let (peer, gateway) = match leg {
        Leg::Client => (ClosedBy::Client, ClosedBy::Server),
        Leg::Upstream => (ClosedBy::Server, ClosedBy::Client),
    };
    let by = if flags & event_flag::PEER_FIRST != 0 {
        peer
    } else if flags & event_flag::GATEWAY_ENDED != 0 {
        gateway
    } else {
        ClosedBy::Unknown
    };
    Close { by, reset: flags & event_flag::RESET != 0 }
}
