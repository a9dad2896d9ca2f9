//! Reassembly as a whole: written packets in, what is told of their connections out.

use super::*;
use crate::segment::{ClosedBy, Content, Direction, Happening, Interest, Time};
use std::fmt::Write;
use std::net::SocketAddr;

mod life;
mod order;
mod properties;

const MILLISECOND: u64 = 1_000_000;
const CLIENT: &str = "192.0.2.1:40000";
const SERVER: &str = "192.0.2.2:80";
/// First sequence numbers, of their SYN, of the two peers.
const C: u32 = 1000;
const S: u32 = 5000;

const NONE: Flags = Flags(0);
const ACK: Flags = Flags::ACK;
const SYN: Flags = Flags::SYN;
const SYN_ACK: Flags = Flags::SYN.union(Flags::ACK);
const FIN: Flags = Flags::FIN.union(Flags::ACK);
const RST: Flags = Flags::RST;

fn time(milliseconds: u64) -> Time {
    Time { monotonic_ns: milliseconds * MILLISECOND, unix_ns: milliseconds * MILLISECOND }
}

/// Feeds packets, one a millisecond, and writes down what is told: `>` is to the server.
struct Wire {
    reassembler: Reassembler,
    now: u64,
    told: Vec<String>,
    client: SocketAddr,
    server: SocketAddr,
    ignore: bool,
}

impl Wire {
    fn new() -> Self {
        Self::with(FlowLimits::default())
    }

    fn with(limits: FlowLimits) -> Self {
        let (client, server) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
        let reassembler = Reassembler::new(limits);
        Self { reassembler, now: 0, told: Vec::new(), client, server, ignore: false }
    }

    /// After a handshake, which is not written down.
    fn open() -> Self {
        let mut wire = Self::new();
        wire.handshake().told.clear();
        wire
    }

    fn handshake(&mut self) -> &mut Self {
        self.client(C, 0, SYN, "").server(S, C + 1, SYN_ACK, "").client(C + 1, S + 1, ACK, "")
    }

    fn client(
        &mut self,
        sequence: u32,
        acknowledgement: u32,
        flags: Flags,
        text: &str,
    ) -> &mut Self {
        let (source, destination) = (self.client, self.server);
        self.packet(source, destination, sequence, acknowledgement, flags, text, 0)
    }

    fn server(
        &mut self,
        sequence: u32,
        acknowledgement: u32,
        flags: Flags,
        text: &str,
    ) -> &mut Self {
        let (source, destination) = (self.server, self.client);
        self.packet(source, destination, sequence, acknowledgement, flags, text, 0)
    }

    #[expect(clippy::too_many_arguments, reason = "a packet has as many fields")]
    fn packet(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        sequence: u32,
        acknowledgement: u32,
        flags: Flags,
        text: &str,
        cut: u32,
    ) -> &mut Self {
        self.now += 1;
        let packet = Packet {
            time: time(self.now),
            source,
            destination,
            sequence,
            acknowledgement,
            flags,
            window: 1000,
            payload: text.as_bytes(),
            cut,
            interface: 0,
        };
        let (told, ignore) = (&mut self.told, self.ignore);
        self.reassembler.handle_packet(&packet, &mut |serial, happening| {
            told.push(written(serial, &happening));
            if ignore { Interest::Ignore } else { Interest::Keep }
        });
        self
    }

    fn wait(&mut self, milliseconds: u64) -> &mut Self {
        self.now += milliseconds;
        let told = &mut self.told;
        self.reassembler.handle_timeout(time(self.now), &mut |serial, happening| {
            told.push(written(serial, &happening));
            Interest::Keep
        });
        self
    }

    fn finish(&mut self) -> &mut Self {
        let told = &mut self.told;
        self.reassembler.finish(time(self.now), &mut |serial, happening| {
            told.push(written(serial, &happening));
            Interest::Keep
        });
        self
    }

    /// Compares what was told since the last time.
    #[track_caller]
    fn tells(&mut self, expected: &[&str]) -> &mut Self {
        assert_eq!(std::mem::take(&mut self.told), expected);
        self
    }

    fn counters(&self) -> FlowCounters {
        *self.reassembler.counters()
    }
}

fn written(serial: u64, happening: &Happening<'_>) -> String {
    let arrow = |direction: Direction| if direction == Direction::ToServer { '>' } else { '<' };
    let mut line = format!("{serial} ");
    match happening {
        Happening::Opened(connection) => {
            let opened = connection.opened.map(|time| time.monotonic_ns / MILLISECOND);
            write!(line, "{} > {} opened {opened:?}", connection.client, connection.server)
        }
        Happening::Segment(segment) => {
            let (arrow, offset) = (arrow(segment.direction), segment.offset);
            let within = if segment.at_boundary { "" } else { "~" };
            match segment.content {
                Content::Bytes(bytes) => {
                    write!(line, "{arrow} {offset} {within}{}", bytes.escape_ascii())
                }
                Content::Gap { length, cause } => {
                    write!(line, "{arrow} {offset} {length} {}", cause.name())
                }
            }
        }
        Happening::Conflict(direction) => write!(line, "{} conflict", arrow(*direction)),
        Happening::Ended(direction, _) => write!(line, "{} ended", arrow(*direction)),
        Happening::Abandoned(cause, _) => write!(line, "abandoned: {}", cause.name()),
        Happening::Closed(close, _) => {
            let by = match close.by {
                ClosedBy::Client => "client",
                ClosedBy::Server => "server",
                ClosedBy::Unknown => "nobody",
            };
            write!(line, "closed by {by}{}", if close.reset { " with reset" } else { "" })
        }
    }
    .unwrap();
    line
}
