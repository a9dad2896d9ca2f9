//! How a TCP collector is set.

use super::address::Address;
use crate::units::{ByteSize, Period};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// A collector that takes records on a TCP connection, one after another. Names are those of
/// Kong's `tcp-log` plugin where it has them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpSettings {
    /// Name or address of the collector; IPv6 addresses without brackets.
    pub host: String,
    /// Its port.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Further collectors as `HOST:PORT`, tried in turn when the one in use fails.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub failover: Vec<Address>,
    /// How long connecting may take (name resolution and TLS included), and how long the
    /// collector may take nothing while records wait for it.
    #[serde(default = "default_timeout")]
    #[schemars(with = "String")]
    pub timeout: Period,
    /// A connection without records for so long is closed; the next record opens a new one.
    #[serde(default = "default_keepalive")]
    #[schemars(with = "String")]
    pub keepalive: Period,
    /// Whether to speak TLS (1.2 or 1.3).
    #[serde(default)]
    pub tls: bool,
    /// Name that the collector's certificate must be for, and that it is asked for (SNI), if it
    /// is not `host`.
    #[serde(default)]
    pub tls_sni: Option<String>,
    /// PEM file with the certificates of the authorities that may have signed the collector's
    /// certificate, instead of those that the system trusts.
    #[serde(default)]
    pub tls_ca: Option<PathBuf>,
    /// PEM file with the certificate to show to the collector, and those between it and the
    /// authority; needs `tls_key`.
    #[serde(default)]
    pub tls_certificate: Option<PathBuf>,
    /// PEM file with the private key of `tls_certificate`.
    #[serde(default)]
    pub tls_key: Option<PathBuf>,
    /// Whether the collector's certificate is verified. Without it anybody on the way can read
    /// all records.
    #[serde(default = "default_verify")]
    pub tls_verify: bool,
    /// The last records that the collector's kernel acknowledged are kept up to this size, and
    /// sent again when the connection ends abnormally: a collector that is killed loses what it
    /// had not read. 0 keeps none.
    #[serde(default = "default_replay")]
    #[schemars(with = "String")]
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

/// Settings of which each is possible, and which do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTcp {
    /// No host.
    #[error("a tcp sink needs a host: write tcp:collector.example:9563")]
    Host,
    /// Port 0.
    #[error(
        "a tcp sink needs a port (1 to 65535): write tcp:collector.example:9563 or tcp:[::1]:9563"
    )]
    Port,
    /// An option of TLS without TLS.
    #[error("{0} has no meaning without TLS: add tls: true (tls=true), or leave it out")]
    WithoutTls(&'static str),
    /// A certificate without its key, or a key without its certificate.
    #[error("tls_certificate and tls_key belong together: give both, or none")]
    HalfIdentity,
    /// An authority that nobody asks.
    #[error("tls_ca has no meaning with tls_verify: false: leave one of them out")]
    UnusedAuthority,
}

impl TcpSettings {
    /// A collector with default settings.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            failover: Vec::new(),
            timeout: default_timeout(),
            keepalive: default_keepalive(),
            tls: false,
            tls_sni: None,
            tls_ca: None,
            tls_certificate: None,
            tls_key: None,
            tls_verify: default_verify(),
            replay: default_replay(),
        }
    }

    /// Whether the settings go together.
    ///
    /// # Errors
    /// What does not, and what to do about it.
    pub fn check(&self) -> Result<(), InvalidTcp> {
        if self.host.is_empty() {
            return Err(InvalidTcp::Host);
        }
        if self.port == 0 {
            return Err(InvalidTcp::Port);
        }
        if let Some(option) = self.tls_option().filter(|_| !self.tls) {
            return Err(InvalidTcp::WithoutTls(option));
        }
        if self.tls_certificate.is_some() != self.tls_key.is_some() {
            return Err(InvalidTcp::HalfIdentity);
        }
        if !self.tls_verify && self.tls_ca.is_some() {
            return Err(InvalidTcp::UnusedAuthority);
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
    pub(in crate::export) fn address(&self) -> Address {
        Address::new(&self.host, self.port)
    }

    /// All collectors, in the order in which they are preferred.
    pub(super) fn addresses(&self) -> Vec<Address> {
        std::iter::once(self.address()).chain(self.failover.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<TcpSettings, String> {
        let settings: TcpSettings =
            serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
        settings.check().map_err(|error| error.to_string())?;
        Ok(settings)
    }

    #[test]
    fn host_and_port_are_enough() {
        assert_eq!(read("{host: h, port: 9563}"), Ok(TcpSettings::new("h", 9563)));
    }

    #[test]
    fn every_key_has_its_place() {
        let yaml = "{host: h, port: 1, failover: ['b:2', '[::1]:3'], timeout: 2s, keepalive: 30ms, \
                    tls: true, tls_sni: n, tls_ca: /a, tls_certificate: /c, tls_key: /k, \
                    tls_verify: true, replay: 1MiB}";
        let expected = TcpSettings {
            failover: vec![Address::new("b", 2), Address::new("::1", 3)],
            timeout: Period(Duration::from_secs(2)),
            keepalive: Period(Duration::from_millis(30)),
            tls: true,
            tls_sni: Some("n".into()),
            tls_ca: Some("/a".into()),
            tls_certificate: Some("/c".into()),
            tls_key: Some("/k".into()),
            replay: ByteSize(1 << 20),
            ..TcpSettings::new("h", 1)
        };
        assert_eq!(read(yaml), Ok(expected));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (more, expected) in [
            ("tls_sni: n", "tls_sni has no meaning without TLS"),
            ("tls_verify: false", "tls_verify has no meaning without TLS"),
            ("tls: true, tls_key: /k", "tls_certificate and tls_key belong together"),
            ("tls: true, tls_verify: false, tls_ca: /a", "tls_ca has no meaning with tls_verify"),
            ("failover: [b]", "`b` is not an address: write collector.example:9563"),
            ("retries: 3", "retries"),
        ] {
            let error = read(&format!("{{host: h, port: 1, {more}}}")).unwrap_err();
            assert!(error.contains(expected), "{more}: {error}");
        }
        assert!(read("{host: '', port: 1}").unwrap_err().contains("needs a host"));
        assert!(read("{host: h, port: 0}").unwrap_err().contains("1 to 65535"));
        assert!(read("{host: h}").unwrap_err().contains("port"));
    }
}
