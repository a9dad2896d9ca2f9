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
mod endpoint;
mod milliseconds;
mod poster;
mod retry_after;
mod secret;
mod standing;
mod tls;
mod verdict;

pub use client::InvalidClient;
pub use endpoint::InvalidEndpoint;
pub use milliseconds::Milliseconds;
pub use secret::{InvalidToken, Secret};
pub use tls::InvalidTls;

pub(super) use client::{ClientSettings, ReplyBody};
pub(super) use endpoint::endpoint;
pub(super) use poster::Poster;
pub(super) use secret::TokenSource;
pub(super) use verdict::Receiver;
