//! Runscope's `POST /buckets/{bucketKey}/messages`, as its API schema and Kong's plugin have it:
//! keys, types and units of the message, the bearer token, and the reply with one item.

use super::http::Call;
use super::{Contract, check_call, check_keys, expect};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Messages for one bucket with one token.
pub(crate) struct Runscope {
    pub(crate) bucket_key: &'static str,
    pub(crate) access_token: &'static str,
}

impl Contract for Runscope {
    fn check(&self, call: &Call, record: &Value) -> Vec<String> {
        let mut violations = Vec::new();
        let violations = &mut violations;
        check_call(call, &format!("/buckets/{}/messages", self.bucket_key), violations);
        let expected = format!("Bearer {}", self.access_token);
        expect(call.header("authorization") == [expected.as_str()], violations, "authorization");
        check_keys(
            "message",
            record,
            &["request", "response", "unique_identifier"],
            &[],
            violations,
        );
        expect(record["unique_identifier"].is_string(), violations, "unique_identifier");
        check_request(&record["request"], violations);
        check_response(&record["response"], violations);
        std::mem::take(violations)
    }

    fn id(&self, _: &Call, record: &Value) -> Option<String> {
        record["unique_identifier"].as_str().map(str::to_owned)
    }

    fn success(&self, id: &str) -> String {
        item(id, "success", &Value::Null, &Value::Null)
    }
}

/// The reply to a message, with the misspelt key of Runscope's schema.
pub(crate) fn item(id: &str, status: &str, error: &Value, warning: &Value) -> String {
    let count = |wanted: &str| u64::from(status == wanted);
    json!({
        "data": [{
            "status": status, "uuid": "4f1d", "unique_identifier": id,
            "error": error, "warning": warning,
        }],
        "meta": {
            "succcess_count": count("success"),
            "warning_count": count("warning"),
            "error_count": count("error"),
        },
    })
    .to_string()
}

fn check_request(request: &Value, violations: &mut Vec<String>) {
    let required = ["url", "method", "headers", "timestamp", "form"];
    check_keys("request", request, &required, &["body", "body_encoding"], violations);
    let url = request["url"].as_str().unwrap_or_default();
    expect(has_scheme_host_and_port(url), violations, format!("request.url {url:?}"));
    let method = request["method"].as_str().unwrap_or_default();
    expect(!method.is_empty(), violations, "request.method");
    check_headers("request", &request["headers"], violations);
    check_body("request", request, violations);
    check_time("request.timestamp", &request["timestamp"], violations);
    check_form(request, violations);
}

/// `scheme://host:port/…`: the port is always there.
fn has_scheme_host_and_port(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let authority = rest.and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    authority
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn check_response(response: &Value, violations: &mut Vec<String>) {
    let required = ["status", "headers", "size_bytes", "timestamp", "response_time"];
    check_keys("response", response, &required, &["body", "body_encoding"], violations);
    let status = response["status"].as_u64().unwrap_or_default();
    expect((100..600).contains(&status), violations, format!("response.status {status}"));
    check_headers("response", &response["headers"], violations);
    let size = response["size_bytes"].as_str().unwrap_or_default();
    expect(size.parse::<u64>().is_ok(), violations, format!("response.size_bytes {size:?}"));
    check_body("response", response, violations);
    check_time("response.timestamp", &response["timestamp"], violations);
    let duration = response["response_time"].as_f64().unwrap_or(-1.0);
    // Seconds, not milliseconds: no exchange of these tests takes a minute.
    expect((0.0..60.0).contains(&duration), violations, format!("response_time {duration}"));
}

/// Lower-case names; a string, or an array of several.
fn check_headers(message: &str, headers: &Value, violations: &mut Vec<String>) {
    let Some(headers) = headers.as_object() else {
        violations.push(format!("{message}.headers is no object"));
        return;
    };
    expect(headers.len() <= 100, violations, format!("{message}.headers: {}", headers.len()));
    for (name, value) in headers {
        let several = value.as_array();
        let is_text = value.is_string()
            || several.is_some_and(|all| all.len() > 1 && all.iter().all(Value::is_string));
        let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
        expect(is_text && is_lower, violations, format!("{message}.headers.{name}: {value}"));
    }
}

fn check_body(message: &str, object: &Value, violations: &mut Vec<String>) {
    let body = object.get("body");
    expect(body.is_none_or(Value::is_string), violations, format!("{message}.body"));
    let text = body.and_then(Value::as_str).unwrap_or_default();
    match object.get("body_encoding").map(Value::as_str) {
        None => {}
        Some(Some("base64")) => {
            expect(STANDARD.decode(text).is_ok(), violations, format!("{message}.body: base64"));
        }
        Some(other) => violations.push(format!("{message}.body_encoding {other:?}")),
    }
}

/// Unix time in seconds, a number with milliseconds: between 2015 and 2100.
fn check_time(place: &str, time: &Value, violations: &mut Vec<String>) {
    let seconds = time.as_f64().unwrap_or_default();
    let is_float = time.is_f64();
    expect(is_float && (1.42e9..4.1e9).contains(&seconds), violations, format!("{place} {time}"));
}

/// `{}` unless the body is an urlencoded form; then names with a string, `true` or several.
fn check_form(request: &Value, violations: &mut Vec<String>) {
    let is_form = request["headers"]["content-type"]
        .as_str()
        .is_some_and(|kind| kind.contains("application/x-www-form-urlencoded"));
    let Some(form) = request["form"].as_object() else {
        violations.push("request.form is no object".to_owned());
        return;
    };
    expect(is_form || form.is_empty(), violations, "request.form without a form");
    let single = |value: &Value| value.is_string() || value == &json!(true);
    let fits = |value: &Value| {
        single(value) || value.as_array().is_some_and(|all| all.len() > 1 && all.iter().all(single))
    };
    expect(form.values().all(fits), violations, format!("request.form {form:?}"));
}
