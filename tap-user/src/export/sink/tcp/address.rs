//! Where collectors listen, and which of several is the next to be tried.

use crate::units::text_value;
use schemars::json_schema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Name or address, and port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// IPv6 without brackets.
    pub host: String,
    /// From 1 to 65,535.
    pub port: u16,
}

impl Address {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port }
    }

    /// Reads `HOST:PORT`; IPv6 addresses stand in brackets, or the port could not be told from
    /// them.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let inside = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = match inside {
            Some(address) => address,
            None if host.contains(':') => return None,
            None => host,
        };
        let port = port.parse().ok().filter(|&port| port != 0)?;
        (!host.is_empty()).then(|| Self::new(host, port))
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text).ok_or_else(|| {
            format!("`{text}` is not an address; write collector.example:9563 or [::1]:9563")
        })
    }
}

text_value!(
    Address,
    "address",
    json_schema!({"title": "address", "type": "string", "pattern": "^[^ ]+:[0-9]+$"})
);

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(formatter, "[{}]:{}", self.host, self.port),
            false => write!(formatter, "{}:{}", self.host, self.port),
        }
    }
}

/// The addresses of one sink, and which of them has its turn. One that works keeps it.
#[derive(Debug)]
pub(super) struct Ring {
    addresses: Vec<Address>,
    current: usize,
}

impl Ring {
    pub(super) fn new(addresses: Vec<Address>) -> Self {
        Self { addresses, current: 0 }
    }

    /// All of them, the one whose turn it is first.
    pub(super) fn in_turn(&self) -> Vec<Address> {
        let (before, from) =
            self.addresses.split_at_checked(self.current).unwrap_or((&[], &self.addresses));
        from.iter().chain(before).cloned().collect()
    }

    /// This one works.
    pub(super) fn stay_with(&mut self, address: &Address) {
        let place = self.addresses.iter().position(|known| known == address);
        self.current = place.unwrap_or_default();
    }

    /// The current one failed.
    pub(super) fn turn(&mut self) {
        self.current =
            self.current.saturating_add(1).checked_rem(self.addresses.len()).unwrap_or(0);
    }

    /// After a pause the first one is preferred again.
    pub(super) fn start_over(&mut self) {
        self.current = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_they_are_written() {
        for (text, host) in [("h:1", "h"), ("10.0.0.1:9563", "10.0.0.1"), ("[::1]:65535", "::1")] {
            let address = Address::read(text).unwrap();
            assert_eq!((address.host.as_str(), address.to_string().as_str()), (host, text));
        }
        for wrong in ["", "h", ":1", "h:", "h:0", "h:65536", "::1:5", "[]:1", "h:1 "] {
            assert_eq!(Address::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn each_address_has_its_turn_and_keeps_it_while_it_works() {
        let names = |ring: &Ring| -> String {
            ring.in_turn().into_iter().map(|address| address.host).collect()
        };
        let mut ring = Ring::new(["a", "b", "c"].map(|host| Address::new(host, 1)).to_vec());
        assert_eq!(names(&ring), "abc");
        ring.turn();
        assert_eq!(names(&ring), "bca");
        ring.stay_with(&Address::new("c", 1));
        assert_eq!(names(&ring), "cab");
        ring.turn();
        assert_eq!(names(&ring), "abc");
        ring.turn();
        ring.start_over();
        assert_eq!(names(&ring), "abc");
    }
}
