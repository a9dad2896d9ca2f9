//! A TCP collector in settings.

use crate::document::{Problem, keys_of};
use crate::export::Format;
use crate::export::sink::specification::{DestinationSettings, Kind, Place};
use crate::units::{Period, Port};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// As Kong's `tcp-log` has it.
const DEFAULT_TIMEOUT: Period = Period(Duration::from_secs(10));

/// A collector that takes records on a TCP connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpSettings {
    /// Name or address of the collector; IPv6 without brackets.
    #[schemars(example = "collector.example")]
    pub host: String,
    /// Its port.
    #[schemars(example = 9563)]
    pub port: Port,
    /// How long connecting or one write may take.
    #[serde(default = "default_timeout")]
    pub timeout: Period,
}

fn default_timeout() -> Period {
    DEFAULT_TIMEOUT
}

pub(in crate::export::sink) static KIND: Kind = Kind {
    name: "tcp",
    text_form: "tcp:HOST:PORT",
    default_format: Format::Kong,
    keys: keys_of::<TcpSettings>,
    place,
};

/// What a place looks like when it is right.
const EXAMPLES: &str = "tcp:collector.example:9563 or tcp:[::1]:9563";

impl DestinationSettings for TcpSettings {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn label(&self) -> String {
        if self.host.contains(':') {
            format!("tcp:[{}]:{}", self.host, self.port)
        } else {
            format!("tcp:{}:{}", self.host, self.port)
        }
    }

    fn check(&self) -> Result<(), Problem> {
        if self.host.is_empty() || self.host.contains(['[', ']', ' ', '/']) {
            let host = &self.host;
            let message = format!("`{host}` is not a host; use a name or an address, as ::1");
            return Err(Problem::at("host", message));
        }
        Ok(())
    }
}

fn place(text: &str) -> Result<Place, Problem> {
    let (host, port) = text.rsplit_once(':').ok_or_else(|| KIND.misspelt(EXAMPLES))?;
    // IPv6 addresses stand in brackets, or the port could not be told from them.
    let inside = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if host.is_empty() || (inside.is_none() && host.contains(':')) {
        return Err(KIND.misspelt(EXAMPLES));
    }
    Ok(vec![("host", inside.unwrap_or(host).to_owned()), ("port", port.to_owned())])
}
