//! What the sinks over HTTP have in common: one client, what its receivers' answers mean, and the
//! settings that both have. Manners: TLS is verified, replies are read (but not beyond a bound),
//! redirects are not followed, proxies of the environment are not used, and neither bodies nor
//! tokens reach a log line.
//!
//! ```text
//! Record ── poster ── client ── receiver
//!             │  verdict   what a status means: taken, later, never
//!             └─ standing  whether a refusal is about the record or about the settings
//! ```

mod client;
mod concurrency;
mod endpoint;
mod milliseconds;
mod poster;
mod retry_after;
mod settings;
mod standing;
mod tls;
mod verdict;

pub use concurrency::Concurrency;
pub use milliseconds::Milliseconds;

pub(super) use client::ReplyBody;
pub(super) use endpoint::endpoint;
pub(super) use poster::Poster;
pub(super) use settings::{ClientSettings, bearer, header_value, token};
pub(super) use verdict::Receiver;
