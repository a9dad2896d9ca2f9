//! What reassembly met: nothing is dropped without one of these.
//!
//! At the end, `bytes` = `delivered_bytes` + `cut_bytes` + `retransmitted_bytes` + `stray_bytes` +
//! `ignored_bytes`.

/// Counts since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlowCounters {
    /// Packets handled.
    pub packets: u64,
    /// Payload bytes of these, as on the wire.
    pub bytes: u64,
    /// Payload bytes handed on.
    pub delivered_bytes: u64,
    /// Payload bytes that came again.
    pub retransmitted_bytes: u64,
    /// Packets with a payload that came before what precedes it.
    pub out_of_order: u64,
    /// Packets that carried other bytes for a place than the first copy did.
    pub conflicts: u64,
    /// Keep-alive probes (RFC 9293, section 3.8.4).
    pub keep_alives: u64,
    /// Holes given up: stretches of a stream that no packet carried.
    pub holes: u64,
    /// Their bytes.
    pub hole_bytes: u64,
    /// Bytes that the capture cut off, told as gaps.
    pub cut_bytes: u64,
    /// Packets whose numbers lie outside of everything that the connection may use.
    pub implausible: u64,
    /// Resets outside of the window, which the receiver ignores as well (RFC 5961), and those
    /// that it ignored as its acknowledgements show.
    pub ignored_resets: u64,
    /// Payload bytes that belong to no stream: behind its end, before its beginning, at an
    /// implausible place, in a reset, or of a closed connection.
    pub stray_bytes: u64,
    /// Payload bytes of connections that nobody wants.
    pub ignored_bytes: u64,
    /// Connections told of.
    pub opened: u64,
    /// Of these: without their handshake.
    pub opened_mid_stream: u64,
    /// Of these: the roles of the peers are a guess.
    pub roles_guessed: u64,
    /// Connections ended by a reset.
    pub resets: u64,
    /// Connections whose addresses were used again before their end was seen.
    pub replaced: u64,
    /// Connections given up after silence.
    pub idle: u64,
    /// Connections given up because there were too many.
    pub evictions: u64,
    /// Times that holes were given up early, to stay within the memory.
    pub pressed: u64,
}
