//! Real programs under test, on loopback, that leave nothing behind.
//!
//! ```no_run
//! use xtask::rig::{ACCESS_LOG, Nginx, NginxConfig, free_port};
//!
//! # fn main() -> anyhow::Result<()> {
//! let port = free_port()?;
//! let gateway = Nginx::start(NginxConfig {
//!     workers: 2,
//!     http: format!("{ACCESS_LOG} server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }}"),
//!     ..NginxConfig::default()
//! })?;
//! println!("watch process {}", gateway.master_pid());
//! # Ok(())
//! # }
//! ```

mod access_log;
mod nginx;
mod owned_child;
mod ports;
mod spawner;

pub use access_log::{ACCESS_LOG, LogEntry};
pub use nginx::{Nginx, NginxConfig};
pub use owned_child::OwnedChild;
pub use ports::free_port;
