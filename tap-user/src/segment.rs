//! The noun between whoever sees bytes and whoever understands them: a [`Segment`] is a run of
//! bytes of one connection in one direction, at a known place of the stream and a known time.
//!
//! What could not be seen, or was left out on purpose, is a [`Content::Gap`] in the same stream. So
//! offsets always add up to what the kernel moved, and nothing goes missing in silence.

use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// When something was captured: nanoseconds on two clocks.
///
/// Durations are differences of `monotonic_ns`, so a step of the wall clock never disturbs them;
/// `unix_ns` says what the wall showed. For a capture file both are the time of the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    /// Nanoseconds since an arbitrary start; never steps back.
    pub monotonic_ns: u64,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_ns: u64,
}

impl Time {
    /// Nanoseconds from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.monotonic_ns.saturating_sub(earlier.monotonic_ns)
    }
}

/// Appends an address as `to_string` has it: each record shows some, and the formatting machinery takes
/// longer for one than everything else for a small record's head.
pub(crate) fn push_address(text: &mut String, address: IpAddr) {
    let IpAddr::V4(address) = address else { return text.push_str(&address.to_string()) };
    let [first, rest @ ..] = address.octets();
    push_octet(text, first);
    for octet in rest {
        text.push('.');
        push_octet(text, octet);
    }
}

fn push_octet(text: &mut String, octet: u8) {
    let mut push = |digit: u8| text.push(char::from(b'0' | digit));
    if octet >= 100 {
        push(octet / 100);
    }
    if octet >= 10 {
        push(octet / 10 % 10);
    }
    push(octet % 10);
}

/// Which of its two sides of a gateway a connection belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leg {
    /// The gateway accepted the connection: it is the server.
    Client,
    /// The gateway opened the connection: it is the client.
    Upstream,
}

/// The legs that somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Legs {
    /// Connections that the gateway accepted.
    pub client: bool,
    /// Connections that it opened.
    pub upstream: bool,
}

impl Legs {
    /// All there are.
    pub const BOTH: Self = Self { client: true, upstream: true };

    /// Those for which this holds.
    #[must_use]
    pub fn that(is_wanted: impl Fn(Leg) -> bool) -> Self {
        Self { client: is_wanted(Leg::Client), upstream: is_wanted(Leg::Upstream) }
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn contains(self, leg: Leg) -> bool {
        match leg {
            Leg::Client => self.client,
            Leg::Upstream => self.upstream,
        }
    }
}

/// The way bytes travel, by the roles of the HTTP peers (not by who is being watched).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the HTTP client to the HTTP server: requests.
    ToServer,
    /// From the HTTP server to the HTTP client: responses.
    ToClient,
}

impl Direction {
    /// The other way.
    #[must_use]
    pub fn reverse(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

/// The gateway's process that owns its end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Process {
    /// Process id as the host sees it.
    pub pid: u32,
    /// Process id inside the process's own PID namespace: what the gateway itself would log.
    pub pid_in_namespace: u32,
}

/// The listening socket that a connection belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listener {
    /// The local port of the accepted connection, or of the only listener of the process.
    Port(u16),
    /// An upstream connection of a process that serves several listeners.
    Unknown,
}

/// One TCP connection of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Serial number given by the tap when it first saw the connection; never reused in one run.
    pub serial: u64,
    /// Which side of the gateway.
    pub leg: Leg,
    /// The peer that opened the connection. IPv4-mapped addresses are shown as IPv4.
    pub client: SocketAddr,
    /// The peer that accepted the connection.
    pub server: SocketAddr,
    /// The process that uses it; `None` where the source cannot know (capture files).
    pub process: Option<Process>,
    /// Listener it belongs to.
    pub listener: Listener,
    /// Inode number of the network namespace; `None` where the source cannot know.
    pub network_namespace: Option<u32>,
    /// Identifier of the control group (version 2); `None` where the source cannot know.
    pub control_group: Option<u64>,
    /// When it was established; `None` if it was open before the tap looked.
    pub opened: Option<Time>,
}

impl Connection {
    /// Whether the connection was already open when the tap first saw it.
    #[must_use]
    pub fn joined_mid_stream(&self) -> bool {
        self.opened.is_none()
    }
}

/// Why bytes of a stream are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// Left out on purpose: beyond what the body cap asks for.
    Skipped,
    /// No event arrived: the ring was full, or the call was not seen.
    Missed,
    /// Sent with `sendfile`: the bytes never were in the gateway's memory.
    Sendfile,
    /// Moved with `splice`, `vmsplice` or `tee`.
    Splice,
    /// Moved by `io_uring`.
    IoUring,
    /// Moved by a system call whose arguments are not understood.
    OtherCall,
    /// The gateway's memory could not be read when the call ended.
    Unreadable,
    /// Several threads were in calls on the socket at once: their order is not known.
    ConcurrentCalls,
    /// The gateway discarded the bytes unread (`MSG_TRUNC`).
    Discarded,
    /// A packet is missing from the capture.
    PacketMissing,
    /// The capture kept only the beginning of a packet.
    SnapLength,
}

impl GapCause {
    /// Whether the bytes were left out on purpose; otherwise they are lost.
    #[must_use]
    pub fn is_skipped(self) -> bool {
        self == Self::Skipped
    }

    /// Stable name, as records and metrics carry it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Missed => "missed",
            Self::Sendfile => "sendfile",
            Self::Splice => "splice",
            Self::IoUring => "io_uring",
            Self::OtherCall => "other_call",
            Self::Unreadable => "unreadable",
            Self::ConcurrentCalls => "concurrent_calls",
            Self::Discarded => "discarded",
            Self::PacketMissing => "packet_missing",
            Self::SnapLength => "snap_length",
        }
    }
}

/// What a [`Segment`] consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// The bytes themselves.
    Bytes(&'a [u8]),
    /// That many bytes were moved, but are not here.
    Gap {
        /// Number of bytes; never 0.
        length: u64,
        /// Why they are missing.
        cause: GapCause,
    },
}

impl Content<'_> {
    /// Number of bytes of the stream that this covers.
    #[must_use]
    pub fn length(&self) -> u64 {
        match *self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Gap { length, .. } => length,
        }
    }
}

/// A run of bytes of one connection in one direction. Segments of a direction come in stream
/// order without overlap; a hole between them is always told by a [`Content::Gap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Which way the bytes went.
    pub direction: Direction,
    /// Place of the first byte in its direction's stream (0 = first byte seen or, for a
    /// connection seen from its start, the first byte at all).
    pub offset: u64,
    /// When the bytes were moved.
    pub time: Time,
    /// Whether the first byte is the first of a system call or packet: after a hole, a message
    /// may begin here.
    pub at_boundary: bool,
    /// The bytes, or how many are missing.
    pub content: Content<'a>,
}

/// Who ended a connection first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosedBy {
    /// The HTTP client.
    Client,
    /// The HTTP server.
    Server,
    /// It ended, but not seen is by whom.
    Unknown,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Close {
    /// Who ended it first.
    pub by: ClosedBy,
    /// Whether it ended by a reset instead of an orderly end of both streams.
    pub reset: bool,
}

/// Why a connection is observed no longer, although nobody saw it end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Abandonment {
    /// The tap stopped, or the capture file ends there.
    CaptureEnded,
    /// Nothing was heard of it for long.
    Idle,
    /// It made room for others: a bound on memory.
    Evicted,
    /// Another connection has its addresses; its own end was not seen.
    Replaced,
    /// More of its requests wait for a response than are kept.
    TooManyPending,
    /// It left HTTP/1 before the exchange was complete.
    Switched,
}

impl Abandonment {
    /// Stable name, as records carry it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CaptureEnded => "capture_ended",
            Self::Idle => "idle",
            Self::Evicted => "evicted",
            Self::Replaced => "replaced",
            Self::TooManyPending => "too_many_pending",
            Self::Switched => "switched",
        }
    }
}

/// What a source tells about a connection, in the order in which it happened.
#[derive(Debug, Clone)]
pub enum Happening<'a> {
    /// The connection is seen for the first time, or passed on to another process.
    Opened(Arc<Connection>),
    /// Bytes were moved.
    Segment(Segment<'a>),
    /// One direction carried different bytes for the same place; those that came first were told,
    /// which of them the receiver took is not known.
    Conflict(Direction),
    /// One direction ended in an orderly way.
    Ended(Direction, Time),
    /// The connection is over: nothing follows under its serial number.
    Closed(Close, Time),
    /// The source gives the connection up, which may go on unseen: nothing follows under its
    /// serial number.
    Abandoned(Abandonment, Time),
}

/// What the receiver of a [`Happening`] thinks of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interest {
    /// Go on.
    Keep,
    /// Its bytes are of no use: the source need not copy them any more.
    Ignore,
}

#[cfg(test)]
mod tests {
    use super::{Time, push_address};
    use std::net::IpAddr;

    #[test]
    fn addresses_look_as_the_standard_library_shows_them() {
        for text in ["0.0.0.0", "127.0.0.1", "10.20.99.100", "255.255.255.255", "2001:db8::1"] {
            let mut pushed = String::new();
            push_address(&mut pushed, text.parse::<IpAddr>().unwrap());
            assert_eq!(pushed, text);
        }
    }

    #[test]
    fn a_step_of_the_wall_clock_disturbs_no_duration() {
        let before = Time { monotonic_ns: 1_000, unix_ns: 1_700_000_000_000_000_000 };
        let after_step = Time { monotonic_ns: 3_500, unix_ns: 1_600_000_000_000_000_000 };
        assert_eq!(after_step.since(before), 2_500);
        assert_eq!(before.since(after_step), 0);
    }
}
