//! Where metrics and health are told.

use crate::units::text_value;
use schemars::json_schema;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::str::FromStr;

/// An address with its port, or nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum AdminAddress {
    /// Nowhere.
    Off,
    /// There.
    At(SocketAddr),
}

impl FromStr for AdminAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| {
            format!("`{text}` is no address with a port; use 127.0.0.1:9464, [::1]:9464 or off")
        })
    }
}

impl Display for AdminAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => formatter.write_str("off"),
            Self::At(address) => address.fmt(formatter),
        }
    }
}

text_value!(
    AdminAddress,
    "address or off",
    json_schema!({ "title": "address or off", "type": "string", "pattern": "^(off|.+:[0-9]+)$" })
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_a_port() {
        assert_eq!("off".parse(), Ok(AdminAddress::Off));
        for text in ["127.0.0.1:0", "[::1]:9464", "0.0.0.0:80"] {
            assert_eq!(text.parse::<AdminAddress>().unwrap().to_string(), text);
        }
        for text in ["", "9464", "localhost:9464", "127.0.0.1", "127.0.0.1:99999"] {
            assert!(text.parse::<AdminAddress>().is_err(), "{text}");
        }
    }
}
