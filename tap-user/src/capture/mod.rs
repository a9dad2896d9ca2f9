//! Whoever sees bytes: sources of Segments.

pub mod clock;
pub mod file;
pub mod selection;

#[cfg(feature = "probes")]
pub mod probes;
