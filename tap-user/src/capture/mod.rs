//! Whoever sees bytes: sources of Segments and Frames.

pub mod clock;
pub mod file;
pub mod filter;
pub mod interface;
pub mod owners;
pub mod selection;
pub mod traffic;

#[cfg(feature = "probes")]
pub mod probes;
