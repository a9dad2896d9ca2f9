//! Exchanges as the truth files and as native records have them.

use serde_json::{Value, json};
use std::path::Path;

/// What is compared.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) client: String,
    pub(crate) server: String,
    /// `None`: a response whose request was not seen.
    pub(crate) method: Option<String>,
    pub(crate) target: String,
    pub(crate) status: Option<u64>,
    /// Bytes of the bodies after dechunking; `None`: not known.
    pub(crate) request_length: Option<u64>,
    pub(crate) response_length: Option<u64>,
}

/// Reads a truth file; one that is not there means that the capture has no exchange.
pub(crate) fn of_truth(path: &Path) -> Vec<Exchange> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| line["req_frame"].as_u64().unwrap_or_default());
    lines
        .iter()
        .map(|line| Exchange {
            client: without_brackets(&line["client"]),
            server: without_brackets(&line["server"]),
            method: line["method"].as_str().map(str::to_owned),
            target: line["target"].as_str().unwrap_or_default().to_owned(),
            status: line["status"].as_u64(),
            request_length: line["req_len"].as_u64(),
            response_length: line["resp_len"].as_u64(),
        })
        .collect()
}

/// Reads native records.
pub(crate) fn of_records(text: &str) -> Vec<Exchange> {
    text.lines().map(|line| of_record(&serde_json::from_str(line).unwrap())).collect()
}

fn of_record(record: &Value) -> Exchange {
    let (request, response) = (&record["request"], &record["response"]);
    Exchange {
        client: address(&record["connection"]["client"]),
        server: address(&record["connection"]["server"]),
        method: request["method"].as_str().map(str::to_owned),
        target: text(&request["target"]),
        status: response["status"].as_u64(),
        request_length: length(&request["body"]),
        response_length: length(&response["body"]),
    }
}

fn address(value: &Value) -> String {
    let address = value["address"].as_str().unwrap();
    let port = value["port"].as_u64().unwrap();
    format!("{address}:{port}")
}

/// The truth files write IPv6 addresses in both ways.
fn without_brackets(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace(['[', ']'], "")
}

/// What is not UTF-8 stands there as base64; the comparison does not look at such bytes.
fn text(value: &Value) -> String {
    use base64::Engine;
    let Some(encoded) = value["base64"].as_str() else {
        return value.as_str().unwrap_or_default().to_owned();
    };
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// A body that says itself that something of it is missing has no known length.
fn length(body: &Value) -> Option<u64> {
    body["complete"].as_bool()?.then(|| body["length"].as_u64())?
}

impl Exchange {
    /// As the corpus' `compare.py` reads it.
    pub(crate) fn for_compare(&self, file: &str) -> Value {
        json!({
            "file": file, "client": self.client, "server": self.server, "method": self.method,
            "target": self.target, "status": self.status, "req_len": self.request_length,
            "resp_len": self.response_length,
        })
    }
}
