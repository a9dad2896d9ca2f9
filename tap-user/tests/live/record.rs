//! Records of the native format, as far as the tests look at them. Bodies are hashed while they
//! are read, so a file of many large ones can be compared.

use super::attempt;
use super::content::Content;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) leg: String,
    pub(crate) complete: bool,
    pub(crate) outcome: String,
    pub(crate) connection: Connection,
    pub(crate) request: Option<Message>,
    #[serde(default)]
    pub(crate) interim: Vec<Interim>,
    pub(crate) response: Option<Message>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Connection {
    pub(crate) serial: u64,
    pub(crate) request_ordinal: Option<u64>,
    pub(crate) client: Endpoint,
    pub(crate) server: Endpoint,
    pub(crate) process: Option<Process>,
    #[serde(default)]
    pub(crate) listener: Value,
    #[serde(default)]
    pub(crate) joined_mid_stream: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) pid_in_namespace: u32,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Interim {
    pub(crate) status: u16,
    pub(crate) head_length: u64,
}

/// A request or a response.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Message {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Value)>,
    pub(crate) head_length: u64,
    pub(crate) length: u64,
    pub(crate) body: Body,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Body {
    pub(crate) framing: Value,
    pub(crate) length: Option<u64>,
    pub(crate) wire_length: u64,
    pub(crate) captured: u64,
    pub(crate) skipped: u64,
    pub(crate) lost: u64,
    pub(crate) lost_cause: Option<String>,
    pub(crate) complete: bool,
    pub(crate) end_inferred: bool,
    /// What the record holds of it.
    #[serde(flatten, deserialize_with = "hashed")]
    pub(crate) content: Content,
}

impl From<Endpoint> for SocketAddr {
    fn from(Endpoint { address, port }: Endpoint) -> Self {
        Self::new(address, port)
    }
}

impl Record {
    /// Value of the request's field of that name.
    pub(crate) fn request_header(&self, name: &str) -> Option<&str> {
        let headers = &self.request.as_ref()?.headers;
        headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).and_then(|(_, v)| v.as_str())
    }

    pub(crate) fn request_line(&self) -> Option<String> {
        let Message { method, target, version, .. } = self.request.as_ref()?;
        Some(format!("{method} {target} {version}"))
    }
}

/// All records of a file.
pub(crate) fn read(path: &Path) -> Vec<Record> {
    let lines = BufReader::new(attempt(File::open(path))).lines();
    lines.map(|line| parse(&attempt(line))).collect()
}

/// One line of a file.
pub(crate) fn parse(line: &str) -> Record {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in the record {line:.2000}"))
}

#[derive(Deserialize)]
struct Encoded {
    text: Option<String>,
    base64: Option<String>,
}

fn hashed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Content, D::Error> {
    let Encoded { text, base64 } = Encoded::deserialize(deserializer)?;
    match base64 {
        None => Ok(Content::of(text.unwrap_or_default().as_bytes())),
        Some(base64) => {
            let bytes = STANDARD.decode(base64).map_err(serde::de::Error::custom)?;
            Ok(Content::of(&bytes))
        }
    }
}
