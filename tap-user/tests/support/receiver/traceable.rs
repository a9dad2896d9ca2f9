//! A Traceable agent's `POST /ext_cap/v1/req_res_cap` in the form of its Traefik plugin: JSON keys
//! in snake_case, headers in both spellings.

use super::http::Call;
use super::{Contract, check_call, check_keys, expect};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// Bytes of a body that the agent takes.
const BODY_LIMIT: usize = 131_072;
const ALLOWED_TYPES: [&str; 4] = ["json", "xml", "x-www-form-urlencoded", "grpc"];

/// Who is expected to call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traceable {
    pub(crate) module_name: &'static str,
    pub(crate) module_version: &'static str,
    pub(crate) service_name: &'static str,
    pub(crate) environment: Option<&'static str>,
    pub(crate) agent_token: Option<&'static str>,
    /// Whether bodies are marked by `truncated`.
    pub(crate) marked: bool,
}

impl Contract for Traceable {
    fn check(&self, call: &Call, record: &Value) -> Vec<String> {
        let mut violations = Vec::new();
        let violations = &mut violations;
        check_call(call, "/ext_cap/v1/req_res_cap", violations);
        self.check_headers(call, violations);
        let keys = ["request_timestamp_in_ms", "request", "response"];
        check_keys("record", record, &keys, &[], violations);
        let time = &record["request_timestamp_in_ms"];
        // Milliseconds, a whole number: between 2015 and 2100.
        let in_range =
            time.as_u64().is_some_and(|ms| (1.42e12 as u64..4.1e12 as u64).contains(&ms));
        expect(in_range, violations, format!("request_timestamp_in_ms {time}"));
        self.check_request(&record["request"], violations);
        self.check_response(&record["request"], &record["response"], violations);
        std::mem::take(violations)
    }

    fn id(&self, call: &Call, _: &Value) -> Option<String> {
        call.header("x-gatetap-record-id").first().map(|&id| id.to_owned())
    }

    fn success(&self, _: &str) -> String {
        // What agents reply is not documented; nothing in it may matter.
        "{\"anything\":true}".to_owned()
    }
}

impl Traceable {
    fn check_headers(&self, call: &Call, violations: &mut Vec<String>) {
        for (name, expected) in [
            ("traceableai-module-name", Some(self.module_name)),
            ("traceableai.module.name", Some(self.module_name)),
            ("traceableai-module-version", Some(self.module_version)),
            ("traceableai.module.version", Some(self.module_version)),
            ("traceableai-service-name", Some(self.service_name)),
            ("traceableai.service.name", Some(self.service_name)),
            ("traceableai-environment-name", self.environment),
            ("traceableai.environment.name", None),
            ("traceableai-agent-token", self.agent_token),
            ("traceableai.agent.token", None),
            ("authorization", None),
        ] {
            let expected: Vec<&str> = expected.into_iter().collect();
            expect(call.header(name) == expected, violations, format!("header {name}"));
        }
        let dashed = call.header("traceableai-total-duration-nanos");
        let dotted = call.header("traceableai.total_duration_nanos");
        let is_number = dashed.iter().all(|text| text.parse::<u64>().is_ok());
        expect(dashed == dotted && dashed.len() < 2 && is_number, violations, "duration");
        let ids = call.header("x-gatetap-record-id");
        expect(ids.len() == 1, violations, format!("x-gatetap-record-id {ids:?}"));
    }

    fn check_request(&self, request: &Value, violations: &mut Vec<String>) {
        let mut keys = vec![
            "method",
            "headers",
            "scheme",
            "path",
            "host",
            "body",
            "source_address",
            "source_port",
        ];
        keys.extend(self.marked.then_some("truncated"));
        check_keys("request", request, &keys, &[], violations);
        for key in ["method", "scheme", "path", "host", "source_address"] {
            expect(request[key].is_string(), violations, format!("request.{key}"));
        }
        let path = request["path"].as_str().unwrap_or_default();
        expect(!path.contains('?'), violations, format!("request.path {path:?}"));
        let address = request["source_address"].as_str().unwrap_or_default();
        let is_address = address.parse::<std::net::IpAddr>().is_ok();
        expect(is_address, violations, format!("request.source_address {address:?}"));
        let port = request["source_port"].as_u64();
        expect(port.is_some_and(|port| port <= 65_535), violations, "request.source_port");
        let headers = check_fields("request", &request["headers"], violations);
        expect(!headers.contains_key("host"), violations, "request.headers.host");
        let forwarded = headers.get("x-forwarded-proto");
        let scheme = forwarded.and_then(Value::as_str).and_then(|all| all.split(';').next());
        let is_scheme = request["scheme"] == scheme.unwrap_or("http");
        expect(is_scheme, violations, format!("request.scheme {}", request["scheme"]));
        self.check_body("request", request, &headers, violations);
    }

    fn check_response(&self, request: &Value, response: &Value, violations: &mut Vec<String>) {
        let mut keys = vec!["headers", "body", "request_url", "status_code"];
        keys.extend(self.marked.then_some("truncated"));
        check_keys("response", response, &keys, &[], violations);
        let headers = check_fields("response", &response["headers"], violations);
        let kind = text(&headers, "content-type");
        let is_grpc = kind.starts_with("application/grpc") && !kind.contains("grpc-web");
        let status = response["status_code"].as_u64().unwrap_or(u64::MAX);
        let expected = if is_grpc { 0..1 } else { 100..600 };
        expect(expected.contains(&status), violations, format!("status_code {status}"));
        let url = response["request_url"].as_str().unwrap_or_default();
        let part = |key: &str| request[key].as_str().unwrap_or_default().to_owned();
        let begin = format!("{}://{}{}", part("scheme"), part("host"), part("path"));
        let fits = url.strip_prefix(&begin).is_some_and(|r| r.is_empty() || r.starts_with('?'));
        expect(fits, violations, format!("response.request_url {url:?}, not {begin:?}"));
        self.check_body("response", response, &headers, violations);
    }

    fn check_body(
        &self,
        message: &str,
        object: &Value,
        headers: &Map<String, Value>,
        violations: &mut Vec<String>,
    ) {
        let kind = text(headers, "content-type").to_ascii_lowercase();
        let is_allowed = ALLOWED_TYPES.iter().any(|allowed| kind.contains(allowed));
        match &object["body"] {
            Value::Null => {}
            Value::String(body) => {
                let length = STANDARD.decode(body).map(|bytes| bytes.len());
                let fits = length.is_ok_and(|length| (1..=BODY_LIMIT).contains(&length));
                expect(fits && is_allowed, violations, format!("{message}.body"));
            }
            other => violations.push(format!("{message}.body {other}")),
        }
        let marked = object.get("truncated").is_none_or(Value::is_boolean);
        expect(marked, violations, format!("{message}.truncated"));
    }
}

/// Lower-case names, each with one string.
fn check_fields(
    message: &str,
    headers: &Value,
    violations: &mut Vec<String>,
) -> Map<String, Value> {
    let Some(headers) = headers.as_object() else {
        violations.push(format!("{message}.headers is no object"));
        return Map::new();
    };
    for (name, value) in headers {
        let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
        let fits = value.is_string() && is_lower;
        expect(fits, violations, format!("{message}.headers.{name}: {value}"));
    }
    headers.clone()
}

fn text<'a>(headers: &'a Map<String, Value>, name: &str) -> &'a str {
    headers.get(name).and_then(Value::as_str).unwrap_or_default()
}
