//! Options of a TCP collector on the command line: the keys of its settings, with their values as
//! text.

use super::error::InvalidSink;
use crate::export::sink::tcp::TcpSettings;
use serde_json::{Map, Value, json};

/// The option that may be given several times.
pub(super) const FAILOVER: &str = "failover";

pub(super) fn settings(
    host: &str,
    port: u16,
    options: &[(String, String)],
) -> Result<TcpSettings, InvalidSink> {
    let failover: Vec<_> =
        options.iter().filter(|(name, _)| name == FAILOVER).map(|(_, value)| value).collect();
    let mut keys = Map::from_iter(
        options
            .iter()
            .filter(|(name, _)| name != FAILOVER)
            .map(|(name, text)| (name.clone(), value(text))),
    );
    keys.insert("host".to_owned(), json!(host));
    keys.insert("port".to_owned(), json!(port));
    keys.insert(FAILOVER.to_owned(), json!(failover));
    let settings: TcpSettings = serde_json::from_value(Value::Object(keys))
        .map_err(|error| InvalidSink::Tcp(error.to_string()))?;
    settings.check().map_err(|error| InvalidSink::Tcp(error.to_string()))?;
    Ok(settings)
}

fn value(text: &str) -> Value {
    text.parse().map_or_else(|_| json!(text), Value::Bool)
}
