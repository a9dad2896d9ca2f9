//! Which sinks there are and how they are set, on the command line
//! (`tcp:collector:9563,format=tcp-body-log,timeout=5s`) and in YAML (`type: tcp`, `host:`…).
//! Both become the same [`Settings`], and those a [`SinkSpecification`] in one place.

mod error;
mod quantity;
mod tcp;
mod text;

pub use error::InvalidSink;

use super::tcp::TcpSettings;
use crate::export::Format;
use crate::units::Period;
use error::{MISSING_HOST, MISSING_PATH, MISSING_PORT};
use quantity::{Size, parse_timeout};
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;

/// Bound of a sink's queue in bytes unless set.
const DEFAULT_QUEUE_BYTES: u64 = 64 << 20;

/// Where records go, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Settings")]
pub struct SinkSpecification {
    /// Where to.
    pub target: Target,
    /// What the records look like.
    pub format: Format,
    /// Bound of the records that wait in memory, in bytes. A record that finds no room is
    /// dropped; so one that is larger than the bound always is.
    pub queue_bytes: u64,
}

/// A destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file, appended to; created with mode 0600.
    File {
        /// Its path.
        path: PathBuf,
    },
    /// A TCP collector.
    Tcp(Box<TcpSettings>),
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => formatter.write_str("stdout"),
            Self::File { path } => write!(formatter, "file:{}", path.display()),
            Self::Tcp(settings) => write!(formatter, "tcp:{}", settings.address()),
        }
    }
}

/// A sink as it was written: nothing resolved, nothing checked.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(rename = "type")]
    sink: String,
    path: Option<PathBuf>,
    host: Option<String>,
    port: Option<u16>,
    format: Option<String>,
    timeout: Option<String>,
    queue_bytes: Option<Size>,
    /// Options of the command line that only this sink has.
    #[serde(skip)]
    options: Vec<(String, String)>,
}

impl TryFrom<Settings> for SinkSpecification {
    type Error = InvalidSink;

    fn try_from(settings: Settings) -> Result<Self, InvalidSink> {
        let format = settings.format.as_deref().map(parse_format).transpose()?;
        let queue_bytes = settings.queue_bytes.as_ref().map(Size::bytes).transpose()?;
        let target = settings.target()?;
        let default_format = match target {
            Target::Stdout | Target::File { .. } => Format::Native,
            Target::Tcp(_) => Format::Kong,
        };
        Ok(Self {
            target,
            format: format.unwrap_or(default_format),
            queue_bytes: queue_bytes.unwrap_or(DEFAULT_QUEUE_BYTES),
        })
    }
}

impl Settings {
    fn target(self) -> Result<Target, InvalidSink> {
        let path = ("path", self.path.is_some());
        let host = ("host", self.host.is_some());
        let port = ("port", self.port.is_some());
        let timeout = ("timeout", self.timeout.is_some());
        match self.sink.as_str() {
            "stdout" => {
                refuse("stdout", [path, host, port, timeout])?;
                Ok(Target::Stdout)
            }
            "file" => {
                refuse("file", [host, port, timeout])?;
                let path = self.path.filter(|path| !path.as_os_str().is_empty());
                Ok(Target::File { path: path.ok_or(MISSING_PATH)? })
            }
            "tcp" => {
                refuse("tcp", [path])?;
                let host = self.host.filter(|host| !host.is_empty()).ok_or(MISSING_HOST)?;
                let port = self.port.filter(|&port| port != 0).ok_or(MISSING_PORT)?;
                let mut settings = tcp::settings(&host, port, &self.options)?;
                if let Some(timeout) = self.timeout.as_deref().map(parse_timeout).transpose()? {
                    settings.timeout = Period(timeout);
                }
                Ok(Target::Tcp(Box::new(settings)))
            }
            _ => Err(InvalidSink::Type(self.sink)),
        }
    }
}

/// Fails if one of the options is given that this sink does not have.
fn refuse<const N: usize>(
    sink: &'static str,
    options: [(&'static str, bool); N],
) -> Result<(), InvalidSink> {
    match options.into_iter().find(|&(_, is_given)| is_given) {
        Some((option, _)) => Err(InvalidSink::Inapplicable { sink, option }),
        None => Ok(()),
    }
}

fn parse_format(text: &str) -> Result<Format, InvalidSink> {
    text.parse().map_err(|_| InvalidSink::value("format", text, "use native, kong or tcp-body-log"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn tcp(host: &str, port: u16, seconds: u64) -> Target {
        let timeout = Period(Duration::from_secs(seconds));
        Target::Tcp(Box::new(TcpSettings { timeout, ..TcpSettings::new(host, port) }))
    }

    fn sink(target: Target, format: Format, queue_bytes: u64) -> SinkSpecification {
        SinkSpecification { target, format, queue_bytes }
    }

    #[test]
    fn command_line() {
        let file = Target::File { path: "/a:b".into() };
        for (text, expected) in [
            ("stdout", sink(Target::Stdout, Format::Native, 67_108_864)),
            ("stdout,format=kong", sink(Target::Stdout, Format::Kong, 67_108_864)),
            ("file:/a:b,queue=1GiB", sink(file, Format::Native, 1_073_741_824)),
            ("tcp:h:9563", sink(tcp("h", 9563, 10), Format::Kong, 67_108_864)),
            (
                "tcp:[::1]:1,timeout=1m,format=tcp-body-log,queue=65536",
                sink(tcp("::1", 1, 60), Format::TcpBodyLog, 65_536),
            ),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn command_line_of_tcp() {
        let text =
            "tcp:h:1,tls=true,tls_ca=/a,keepalive=5s,replay=1MiB,failover=b:2,failover=[::1]:3";
        let read: SinkSpecification = text.parse().unwrap();
        let Target::Tcp(settings) = read.target else { panic!("{text}") };
        assert!(settings.tls && settings.tls_verify);
        assert_eq!(settings.tls_ca.as_deref(), Some("/a".as_ref()));
        assert_eq!(settings.keepalive, Period(Duration::from_secs(5)));
        assert_eq!(
            settings.failover.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["b:2", "[::1]:3"]
        );
        for wrong in ["tls=maybe", "replay=much", "failover=b", "colour=red"] {
            let error = format!("tcp:h:1,{wrong}").parse::<SinkSpecification>().unwrap_err();
            let (_, value) = wrong.split_once('=').unwrap();
            assert!(
                error.to_string().contains(value) || error.to_string().contains("colour"),
                "{error}"
            );
        }
    }

    #[test]
    fn yaml_says_the_same() {
        for (yaml, text) in [
            ("type: stdout", "stdout"),
            ("{type: file, path: /x, format: kong}", "file:/x,format=kong"),
            (
                "{type: tcp, host: '::1', port: 7, timeout: 2s, queue_bytes: 1048576}",
                "tcp:[::1]:7,timeout=2s,queue=1MiB",
            ),
            ("{type: tcp, host: h, port: 7, queue_bytes: 2MiB}", "tcp:h:7,queue=2097152"),
        ] {
            let read: SinkSpecification = serde_saphyr::from_str(yaml).unwrap();
            assert_eq!(Ok(read), text.parse(), "{yaml}");
        }
    }

    #[test]
    fn yaml_with_an_unknown_key_is_refused() {
        let result: Result<SinkSpecification, _> =
            serde_saphyr::from_str("{type: stdout, colour: red}");
        assert!(result.unwrap_err().to_string().contains("colour"));
    }

    #[test]
    fn errors_name_the_option_and_what_is_allowed() {
        for (text, expected) in [
            ("kafka:x", r#"sink "kafka:x" is unknown: use stdout, file:PATH or tcp:HOST:PORT"#),
            ("stdout:x", r#"sink "stdout:x" is unknown: use stdout, file:PATH or tcp:HOST:PORT"#),
            ("file:", "a file sink needs a path: write file:/var/log/gatetap.ndjson"),
            ("tcp::1", "a tcp sink needs a host: write tcp:collector.example:9563"),
            (
                "tcp:h",
                "a tcp sink needs a port (1 to 65535): write tcp:collector.example:9563 or tcp:[::1]:9563",
            ),
            ("tcp:h:0", r#"port cannot be "0": use a number from 1 to 65535"#),
            ("tcp:::1:5", r#"host cannot be "::1": write IPv6 addresses as [::1]"#),
            ("stdout,timeout=1s", "a stdout sink has no timeout"),
            ("stdout,colour=red", r#"option "colour" is unknown: use format=, timeout= or queue="#),
            (
                "tcp:h:1,tls_sni=n",
                "tls_sni has no meaning without TLS: add tls: true (tls=true), or leave it out",
            ),
            ("stdout,tls=true", r#"option "tls" is unknown: use format=, timeout= or queue="#),
            ("tcp:h:1,tls=true,tls=true", r#"option "tls" is given twice"#),
            ("stdout,format=xml", r#"format cannot be "xml": use native, kong or tcp-body-log"#),
            ("stdout,format=kong,format=kong", r#"option "format" is given twice"#),
            (
                "tcp:h:1,timeout=0s",
                r#"timeout cannot be "0s": use a positive time with its unit, as 500ms or 10s"#,
            ),
            (
                "stdout,queue=12MB",
                r#"queue cannot be "12MB": use at least 64KiB, with its unit: 512KiB, 64MiB, 1GiB"#,
            ),
            (
                "stdout,queue=99999999999GiB",
                r#"queue cannot be "99999999999GiB": use at least 64KiB, with its unit: 512KiB, 64MiB, 1GiB"#,
            ),
        ] {
            let error = text.parse::<SinkSpecification>().unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn names_read_as_they_are_written() {
        for text in ["stdout", "file:/x", "tcp:h:1", "tcp:[::1]:2"] {
            let read: SinkSpecification = text.parse().unwrap();
            assert_eq!(read.target.to_string(), text);
        }
    }
}
