//! Segments in, exchanges out: HTTP/1.1 as an observer sees it.

mod exchange;

pub use exchange::*;
