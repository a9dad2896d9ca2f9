//! Packets to segments: frames are decoded, and what their packets carry is put back into the
//! streams of their connections. Pure.
//!
//! ```text
//! Packet ── table ── conversation ─┬─ succession    which of two connections it belongs to
//!                                  ├─ role          who is the client
//!                                  ├─ stream ─┬─ assembler   one direction
//!                                  │          └─ history
//!                                  ├─ ending ── reset
//!                                  └─ delivery ── Happening
//! ```

pub mod decode;
pub mod packet;

mod assembler;
mod conversation;
mod counters;
mod delivery;
mod ending;
#[doc(hidden)]
pub mod fuzz;
mod history;
mod limits;
mod recency;
mod reset;
mod role;
mod sequence;
mod stream;
mod succession;
mod table;
#[cfg(test)]
mod tests;

pub use counters::FlowCounters;
pub use limits::{
    DEFAULT_BYTES_IN_ALL, DEFAULT_BYTES_PER_DIRECTION, DEFAULT_CONNECTIONS, DEFAULT_HOLE_PACKETS,
    DEFAULT_HOLE_WAIT_NS, DEFAULT_IDLE_NS, DEFAULT_LINGER_NS, DEFAULT_LOSS_WAIT_NS,
    DEFAULT_RESET_WAIT_NS, DEFAULT_ROLE_BYTES, FlowLimits,
};
pub use packet::{Flags, Packet};
pub use table::Reassembler;
