//! Sinks as they are written on the command line.

use super::error::{InvalidSink, MISSING_PORT};
use super::quantity::Size;
use super::tcp::FAILOVER;
use super::{Settings, SinkSpecification};
use std::str::FromStr;

impl FromStr for SinkSpecification {
    type Err = InvalidSink;

    /// Reads `stdout`, `file:PATH` or `tcp:HOST:PORT`, each with options appended after commas:
    /// `format=`, `timeout=` (tcp only) and `queue=`. A path with a comma needs the YAML form.
    fn from_str(text: &str) -> Result<Self, InvalidSink> {
        let mut parts = text.split(',');
        let mut settings = parse_target(parts.next().unwrap_or_default())?;
        parts.try_for_each(|option| settings.set(option))?;
        settings.try_into()
    }
}

fn parse_target(text: &str) -> Result<Settings, InvalidSink> {
    let (sink, place) = text.split_once(':').unwrap_or((text, ""));
    let mut settings = Settings { sink: sink.to_owned(), ..Settings::default() };
    match sink {
        "file" => settings.path = Some(place.into()),
        "tcp" => {
            let (host, port) = place.rsplit_once(':').ok_or(MISSING_PORT)?;
            settings.host = Some(without_brackets(host)?);
            settings.port = Some(parse_port(port)?);
        }
        _ if text == "stdout" => {}
        _ => return Err(InvalidSink::Type(text.to_owned())),
    }
    Ok(settings)
}

/// IPv6 addresses stand in brackets, or the port could not be told from them.
fn without_brackets(host: &str) -> Result<String, InvalidSink> {
    let inside = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inside {
        Some(address) => Ok(address.to_owned()),
        None if host.contains(':') => {
            Err(InvalidSink::value("host", host, "write IPv6 addresses as [::1]"))
        }
        None => Ok(host.to_owned()),
    }
}

fn parse_port(text: &str) -> Result<u16, InvalidSink> {
    text.parse()
        .ok()
        .filter(|&port| port != 0)
        .ok_or_else(|| InvalidSink::value("port", text, "use a number from 1 to 65535"))
}

impl Settings {
    fn set(&mut self, option: &str) -> Result<(), InvalidSink> {
        let Some((name, value)) = option.split_once('=') else {
            return Err(InvalidSink::Option(option.to_owned()));
        };
        let repeated = match name {
            "format" => self.format.replace(value.to_owned()).is_some(),
            "timeout" => self.timeout.replace(value.to_owned()).is_some(),
            "queue" => self.queue_bytes.replace(Size::WithUnit(value.to_owned())).is_some(),
            _ if self.sink == "tcp" => self.set_own(name, value),
            _ => return Err(InvalidSink::Option(name.to_owned())),
        };
        if repeated { Err(InvalidSink::Repeated(name.to_owned())) } else { Ok(()) }
    }

    /// Notes an option that only this sink has; yields whether it is given once too often.
    fn set_own(&mut self, name: &str, value: &str) -> bool {
        let is_known = self.options.iter().any(|(known, _)| known == name);
        self.options.push((name.to_owned(), value.to_owned()));
        is_known && name != FAILOVER
    }
}
