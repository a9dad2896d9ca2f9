//! What reassembly may hold, and how long it waits, all in capture time.

/// Connections that are followed at once, unless set otherwise.
pub const DEFAULT_CONNECTIONS: usize = 65_536;
/// Bytes that one direction of a connection may hold back, unless set otherwise.
pub const DEFAULT_BYTES_PER_DIRECTION: usize = 1024 * 1024;
/// Bytes that all connections together may hold back, unless set otherwise.
pub const DEFAULT_BYTES_IN_ALL: u64 = 64 * 1024 * 1024;
/// Nanoseconds after which a missing packet is given up, unless set otherwise.
pub const DEFAULT_HOLE_WAIT_NS: u64 = 1_000_000_000;
/// Nanoseconds after which a packet is given up that its receiver misses too, unless set
/// otherwise.
pub const DEFAULT_LOSS_WAIT_NS: u64 = 30_000_000_000;
/// Packets after which a missing packet is given up that its receiver has, unless set otherwise.
pub const DEFAULT_HOLE_PACKETS: u32 = 16;
/// Nanoseconds after which a reset is believed, unless set otherwise.
pub const DEFAULT_RESET_WAIT_NS: u64 = 1_000_000_000;
/// Bytes that are held back until the roles are guessed, unless set otherwise.
pub const DEFAULT_ROLE_BYTES: usize = 64 * 1024;
/// Nanoseconds of silence after which a connection is given up, unless set otherwise.
pub const DEFAULT_IDLE_NS: u64 = 3_600_000_000_000;
/// Nanoseconds for which a closed connection is remembered, unless set otherwise.
pub const DEFAULT_LINGER_NS: u64 = 60_000_000_000;

/// Bounds of reassembly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowLimits {
    /// Connections that are remembered, closed ones included. With one more, the closed one
    /// that was silent the longest is forgotten; without any, the open one is given up.
    pub connections: usize,
    /// Bytes of one direction that are held back behind a hole. With more, the hole is given up.
    pub bytes_per_direction: usize,
    /// The same for all connections together. With more, the holes that wait the longest are
    /// given up.
    pub bytes_in_all: u64,
    /// Nanoseconds to wait for a packet out of order.
    pub hole_wait_ns: u64,
    /// The same where acknowledgements show that the receiver misses the packet as well: its
    /// sender will repeat it.
    pub loss_wait_ns: u64,
    /// Packets of the connection to wait for where acknowledgements show that the receiver has
    /// what the capture misses.
    pub hole_packets: u32,
    /// Nanoseconds to wait for packets that show that a reset was ignored.
    pub reset_wait_ns: u64,
    /// Bytes of a direction that are held back while the roles of the peers are not known. With
    /// more, or after `hole_wait_ns`, they are guessed.
    pub role_bytes: usize,
    /// Nanoseconds of silence after which an open connection is given up.
    pub idle_ns: u64,
    /// Nanoseconds for which a closed connection is remembered, so that its last packets begin
    /// no new one.
    pub linger_ns: u64,
}

impl Default for FlowLimits {
    fn default() -> Self {
        Self {
            connections: DEFAULT_CONNECTIONS,
            bytes_per_direction: DEFAULT_BYTES_PER_DIRECTION,
            bytes_in_all: DEFAULT_BYTES_IN_ALL,
            hole_wait_ns: DEFAULT_HOLE_WAIT_NS,
            loss_wait_ns: DEFAULT_LOSS_WAIT_NS,
            hole_packets: DEFAULT_HOLE_PACKETS,
            reset_wait_ns: DEFAULT_RESET_WAIT_NS,
            role_bytes: DEFAULT_ROLE_BYTES,
            idle_ns: DEFAULT_IDLE_NS,
            linger_ns: DEFAULT_LINGER_NS,
        }
    }
}
