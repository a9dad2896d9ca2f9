//! What the live tests share: a gateway to watch ([`site`]), clients that know what they did
//! ([`traffic`], [`mix`]), the tap ([`tap`]) with its [`record`]s, and the [`comparison`] of those
//! with what nginx logged and the clients know.
#![allow(dead_code, unused_imports, reason = "each test program uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

pub(crate) mod call_families;
pub(crate) mod call_server;
pub(crate) mod client;
pub(crate) mod collector;
pub(crate) mod comparison;
pub(crate) mod content;
pub(crate) mod fake;
pub(crate) mod fixture;
pub(crate) mod io_uring;
pub(crate) mod judge;
pub(crate) mod kernel;
pub(crate) mod log_rules;
pub(crate) mod mix;
pub(crate) mod namespace;
pub(crate) mod neighbour;
pub(crate) mod random;
pub(crate) mod record;
pub(crate) mod request;
pub(crate) mod requirements;
pub(crate) mod run;
pub(crate) mod same;
pub(crate) mod site;
pub(crate) mod tap;
pub(crate) mod traffic;
pub(crate) mod wrk;

pub(crate) use fixture::{attempt, exclusive};
pub(crate) use requirements::{require_live, require_nginx, require_root};
pub(crate) use tap::Tap;
