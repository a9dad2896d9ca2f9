//! How a TCP collector is set.

use super::address::Address;
use super::tls::client_config;
use crate::document::{Problem, keys_of};
use crate::export::Format;
use crate::export::sink::specification::{DestinationSettings, Kind, Place};
use crate::units::{ByteSize, Period, Port};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// A collector that takes records on a TCP connection, one after another. Names are those of
/// Kong's `tcp-log` plugin where it has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpSettings {
    /// Name or address of the collector; IPv6 addresses without brackets.
    #[schemars(example = "collector.example")]
    pub host: String,
    /// Its port.
    #[schemars(example = 9563)]
    pub port: Port,
    /// Further collectors as `HOST:PORT`, tried in turn when the one in use fails.
    #[serde(default)]
    pub failover: Vec<Address>,
    /// How long connecting may take (name resolution and TLS included), and how long the
    /// collector may take nothing while records wait for it.
    #[serde(default = "default_timeout")]
    pub timeout: Period,
    /// A connection without records for so long is closed; the next record opens a new one.
    #[serde(default = "default_keepalive")]
    pub keepalive: Period,
    /// Whether to speak TLS (1.2 or 1.3).
    #[serde(default)]
    pub tls: bool,
    /// Name that the collector's certificate must be for, and that it is asked for (SNI), if it
    /// is not `host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_sni: Option<String>,
    /// PEM file with the certificates of the authorities that may have signed the collector's
    /// certificate, instead of those that the system trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ca: Option<PathBuf>,
    /// PEM file with the certificate to show to the collector, and those between it and the
    /// authority; needs `tls_key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_certificate: Option<PathBuf>,
    /// PEM file with the private key of `tls_certificate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Whether the collector's certificate is verified. Without it anybody on the way can read
    /// all records.
    #[serde(default = "default_verify")]
    pub tls_verify: bool,
    /// The last records that the collector's kernel acknowledged are kept up to this size, and
    /// sent again when the connection ends abnormally: a collector that is killed loses what it
    /// had not read. 0 keeps none.
    #[serde(default = "default_replay")]
    pub replay: ByteSize,
}

fn default_timeout() -> Period {
    Period(Duration::from_secs(10))
}

fn default_keepalive() -> Period {
    Period(Duration::from_secs(60))
}

fn default_verify() -> bool {
    true
}

fn default_replay() -> ByteSize {
    ByteSize(8 << 20)
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
        format!("tcp:{}", self.address())
    }

    fn check(&self) -> Result<(), Problem> {
        self.check_host()?;
        self.check_tls()?;
        if self.tls {
            client_config(self).map_err(|error| Problem::new(error.to_string()))?;
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

impl TcpSettings {
    fn check_host(&self) -> Result<(), Problem> {
        let host = &self.host;
        if host.is_empty() || host.contains(['[', ']', ' ', '/']) {
            let message = format!("`{host}` is not a host; use a name or an address, as ::1");
            return Err(Problem::at("host", message));
        }
        Ok(())
    }

    /// Whether the settings of TLS go together.
    fn check_tls(&self) -> Result<(), Problem> {
        if let Some(option) = self.tls_option().filter(|_| !self.tls) {
            let message = "it has no meaning without TLS; add tls: true, or leave it out";
            return Err(Problem::at(option, message));
        }
        if self.tls_certificate.is_some() != self.tls_key.is_some() {
            let message = "tls_certificate and tls_key belong together; give both, or none";
            return Err(Problem::at("tls_key", message));
        }
        if !self.tls_verify && self.tls_ca.is_some() {
            let message = "it has no meaning with tls_verify: false; leave one of them out";
            return Err(Problem::at("tls_ca", message));
        }
        Ok(())
    }

    /// One that only TLS gives a meaning.
    fn tls_option(&self) -> Option<&'static str> {
        [
            ("tls_sni", self.tls_sni.is_some()),
            ("tls_ca", self.tls_ca.is_some()),
            ("tls_certificate", self.tls_certificate.is_some()),
            ("tls_key", self.tls_key.is_some()),
            ("tls_verify", !self.tls_verify),
        ]
        .into_iter()
        .find_map(|(option, is_set)| is_set.then_some(option))
    }

    /// Where the first collector listens.
    fn address(&self) -> Address {
        Address::new(&self.host, self.port.number())
    }

    /// All collectors, in the order in which they are preferred.
    pub(super) fn addresses(&self) -> Vec<Address> {
        std::iter::once(self.address()).chain(self.failover.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::export::SinkSettings;

    fn problem(text: &str) -> String {
        let settings: Result<SinkSettings, _> = text.parse();
        settings.and_then(|settings| settings.resolve()).unwrap_err().to_string()
    }

    #[test]
    fn every_key_has_its_place() {
        let text = "tcp:h:1,failover=b:2,failover=[::1]:3,timeout=2s,keepalive=30ms,replay=1MiB";
        let settings = text.parse::<SinkSettings>().unwrap().tcp.unwrap();
        let failover: Vec<_> = settings.failover.iter().map(ToString::to_string).collect();
        assert_eq!(failover, ["b:2", "[::1]:3"]);
        assert_eq!(settings.keepalive.to_string(), "30ms");
        assert_eq!(settings.replay.to_string(), "1MiB");
        assert!(settings.tls_verify && !settings.tls);
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (more, expected) in [
            ("tls_sni=n", "tcp.tls_sni: it has no meaning without TLS"),
            ("tls_verify=false", "tcp.tls_verify: it has no meaning without TLS"),
            ("tls=true,tls_key=/k", "tls_certificate and tls_key belong together"),
            ("tls=true,tls_verify=false,tls_ca=/a", "tcp.tls_ca: it has no meaning with"),
            ("failover=b", "`b` is not an address; write collector.example:9563"),
            ("tls=true,tls_ca=/nowhere/ca.pem", "tcp: cannot read tls_ca /nowhere/ca.pem: No such"),
        ] {
            let problem = problem(&format!("tcp:h:1,{more}"));
            assert!(problem.contains(expected), "{more}: {problem}");
        }
    }
}
