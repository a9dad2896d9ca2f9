//! Kernel probes: the bytes that the gateway's sockets carry, as Segments.

pub mod btf;
mod offsets;
pub mod programs;
