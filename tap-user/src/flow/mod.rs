//! Frames to segments: what packets carry is decoded and put back into streams. Pure.

pub mod decode;
pub mod packet;

pub use packet::{Flags, Packet};
