//! Whoever sees bytes: sources of Segments.

#[cfg(feature = "probes")]
pub mod probes;
