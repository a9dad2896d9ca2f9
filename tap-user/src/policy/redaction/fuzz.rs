//! What the fuzz target runs; it stands here to see what it tests. Seeds stand in
//! `tap-user/fuzz/seeds/redaction`, and an ordinary test runs them all.

use super::{Redaction, RedactionSettings};
use crate::gateway::{Instead, Observation};
use crate::http::content::Contents;
use crate::http::{Anomalies, Body, Exchange, Headers, Outcome, Request, Version};
use crate::segment::{Connection, Leg, Listener, Time};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// Content types that the first byte chooses from.
const CONTENT_TYPES: [&str; 6] = [
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "text/plain; charset=utf-16le",
    "image/png",
];

const RULES: &str = "{form: [password], json: ['$..password', '$.a[*].b', '$.a[0]'], \
                     patterns: [card_number, bearer_token, jwt]}";

/// Redacts an exchange: the first byte chooses the content type and whether the body is cut, the first line
/// behind it is target and header, the rest is the body.
///
/// # Panics
/// A length changes, or it never comes to rest: where two secrets overlap, what stands behind them may look
/// like a part of the replacement, and goes the next time, but no more than once.
pub fn redaction(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else { return };
    let line_end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    let (line, body) = rest.split_at_checked(line_end).unwrap_or_default();
    let content_type = CONTENT_TYPES.get(usize::from(first & 7)).copied().unwrap_or_default();
    let redaction = rules();
    let redact = |line: &[u8], body: &[u8]| {
        redacted(&redaction, observation(line, content_type, body, first & 8 == 0))
    };
    let Some((target, shown)) = redact(line, body) else { return };
    // What was UTF-16 is UTF-8 now, and so not of the charset that it claims. Of a body in parts whose
    // last delimiter is cut, the second time takes more; so it does of a word without end.
    let is_other = content_type.contains("utf-16") || content_type.starts_with("multipart");
    if is_other || shown.contains(&0) || shown.starts_with(b"\xff\xfe") || shown.len() > 8_000 {
        return;
    }
    let Some((target, shown)) = redact(&target, &shown) else { return };
    assert_eq!(redact(&target, &shown), Some((target, shown)));
}

/// Target and body as records show them; `None` if there is no body that they may show.
fn redacted(redaction: &Redaction, mut observation: Observation) -> Option<(Vec<u8>, Vec<u8>)> {
    let length = observation.exchange.request.as_ref()?.body.bytes.len();
    redaction.redact(&mut observation);
    check_lengths(&observation, length);
    let request = observation.exchange.request.as_ref()?;
    let shown = match observation.redacted.as_ref().and_then(|it| it.request_body.as_ref()) {
        None => request.body.bytes.clone(),
        Some(replaced) => match &replaced.instead {
            Instead::Altered(altered) | Instead::Recorded(altered) => altered.bytes.clone(),
            Instead::Withheld => return None,
        },
    };
    Some((request.target.clone(), shown))
}

fn rules() -> Redaction {
    let settings: Option<RedactionSettings> = serde_saphyr::from_str(RULES).ok();
    let redaction = settings.and_then(|it| Redaction::new(&it, None, "X-Request-ID").ok());
    assert!(redaction.is_some());
    redaction.unwrap_or_default()
}

fn check_lengths(observation: &Observation, length: usize) {
    let replaced = observation.redacted.as_ref().and_then(|it| it.request_body.as_ref());
    if let Some(Instead::Altered(altered)) = replaced.map(|it| &it.instead) {
        assert!(altered.captured <= length && length <= altered.captured.saturating_add(3));
    }
    let request = observation.exchange.request.as_ref();
    assert_eq!(request.map(|it| it.body.wire_length), Some(length as u64));
}

fn observation(line: &[u8], content_type: &str, body: &[u8], is_whole: bool) -> Observation {
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
    let length = body.len() as u64;
    let body = Body {
        bytes: body.to_vec(),
        length: is_whole.then_some(length),
        wire_length: length,
        ..Body::default()
    };
    let time = Time::default();
    let request = Request {
        method: "POST".into(),
        target: line.to_vec(),
        version: Version::Http11,
        headers: headers(&[(b"content-type", content_type.as_bytes()), (b"location", line)]),
        head_length: 0,
        offset: 0,
        first_byte: time,
        last_byte: time,
        body,
        anomalies: Anomalies::NONE,
    };
    let connection = Connection {
        serial: 1,
        leg: Leg::Client,
        client: nobody,
        server: nobody,
        process: None,
        listener: Listener::Unknown,
        network_namespace: None,
        control_group: None,
        opened: None,
    };
    Observation {
        id: "".into(),
        connection: Arc::new(connection),
        correlation: None,
        exchange: Box::new(Exchange {
            ordinal: 1,
            request_ordinal: Some(1),
            request: Some(request),
            interim: Vec::new(),
            response: None,
            outcome: Outcome::Complete,
            switch: None,
            proxied: None,
        }),
        contents: Contents::default(),
        redacted: None,
    }
}

fn headers(fields: &[(&[u8], &[u8])]) -> Headers {
    let values: Vec<_> = fields.iter().map(|(_, value)| value.to_vec()).enumerate().collect();
    let (mut raw, mut places) = (Vec::new(), Vec::new());
    for (name, _) in fields {
        let start = u32::try_from(raw.len()).unwrap_or_default();
        raw.extend_from_slice(name);
        let end = u32::try_from(raw.len()).unwrap_or_default();
        places.push((start..end, end..end));
    }
    Headers::new(raw.into(), places).with_values(&values)
}
