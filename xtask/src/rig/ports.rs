//! Free ports on loopback.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below Linux's ephemeral range (32768 and up), so that no outgoing connection of a test takes
/// the port while a server is stopped and started again.
const FIRST_PORT: u16 = 20_000;
/// Number of ports tried from [`FIRST_PORT`] on.
const PORT_COUNT: u16 = 12_000;

/// A TCP port that nobody listens on, neither at 127.0.0.1 nor at ::1.
///
/// The port is not reserved: two processes can pick the same one, which is unlikely because each
/// begins at a place that depends on its process id. One process never gets a port twice.
///
/// # Errors
/// When every port of the range is taken.
pub fn free_port() -> io::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);

    // 97 is coprime to PORT_COUNT: neighbouring process ids start far from each other.
    let start = std::process::id().wrapping_mul(97) % u32::from(PORT_COUNT);
    for _ in 0..PORT_COUNT {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let offset = (start + step) % u32::from(PORT_COUNT);
        let port = FIRST_PORT + u16::try_from(offset).unwrap_or(0);
        if is_free(port) {
            return Ok(port);
        }
    }
    Err(io::Error::new(ErrorKind::AddrInUse, "no free loopback port"))
}

fn is_free(port: u16) -> bool {
    let taken = |error: io::Error| error.kind() == ErrorKind::AddrInUse;
    let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    // A machine without IPv6 refuses with another error; that does not make the port taken.
    let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
    v4.is_ok() && !v6.is_err_and(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_and_can_be_bound() {
        let (first, second) = (free_port().unwrap(), free_port().unwrap());
        assert_ne!(first, second);
        TcpListener::bind((Ipv4Addr::LOCALHOST, first)).unwrap();
    }

    #[test]
    fn a_port_with_a_listener_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
    }
}
