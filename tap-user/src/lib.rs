//! gatetap watches an HTTP gateway from outside and exports every exchange in full.
//!
//! The modules stand in the order in which data passes through them; a module knows nothing of
//! those after it:
//!
//! ```text
//! capture ── Segment ── http ── Exchange ── gateway ── policy ── export
//! ```

pub mod document;
pub mod frame;
mod scan;
pub mod secret;
pub mod segment;
pub mod units;

pub mod capture;

pub mod flow;

pub mod http;

pub mod gateway;

pub mod policy;

pub mod spool;

pub mod export;

pub mod app;
