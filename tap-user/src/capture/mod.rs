//! Whoever sees bytes: sources of Segments and Frames.

pub mod clock;
pub mod file;
pub mod filter;
pub mod selection;

#[cfg(feature = "probes")]
pub mod probes;
