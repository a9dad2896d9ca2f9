use super::*;
use crate::export::Format;
use crate::gateway::{AlteredContent, Instead};
use crate::http::Body;
use crate::policy::examples::{self, body, cut, example};
use proptest::prelude::*;
use std::io::Write;

fn redaction(yaml: &str) -> Redaction {
    Redaction::new(&serde_saphyr::from_str(yaml).unwrap(), None, "X-Request-ID").unwrap()
}

fn refused(yaml: &str) -> String {
    let settings = serde_saphyr::from_str(yaml).unwrap();
    Redaction::new(&settings, None, "X-Request-ID").unwrap_err().to_string()
}

/// A request with that body, redacted.
fn posted(yaml: &str, fields: &[(&str, &str)], body: Body) -> Observation {
    let mut observation = example("POST", "/", 200);
    let request = observation.exchange.request.as_mut().unwrap();
    request.headers = examples::headers(fields);
    request.body = body;
    redaction(yaml).redact(&mut observation);
    observation
}

fn altered(observation: &Observation) -> &AlteredContent {
    let redacted = observation.redacted.as_ref().unwrap();
    match &redacted.request_body.as_ref().unwrap().instead {
        Instead::Altered(altered) | Instead::Recorded(altered) => altered,
        Instead::Withheld => panic!("withheld"),
    }
}

fn shown(yaml: &str, content_type: &str, body: Body) -> String {
    let observation = posted(yaml, &[("Content-Type", content_type)], body);
    String::from_utf8(altered(&observation).bytes.clone()).unwrap()
}

fn records(observation: &Observation) -> String {
    let mut out = Vec::new();
    Format::ALL.iter().for_each(|format| format.write(observation, &mut out));
    String::from_utf8(out).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn by_default_credentials_are_replaced_wherever_they_stand() {
    let mut observation = example("GET", "http://u:hunter2@h/?a=1&access_token=hunter2", 302);
    let exchange = &mut observation.exchange;
    let request = exchange.request.as_mut().unwrap();
    request.headers = examples::headers(&[
        ("AUTHORIZATION", "Bearer hunter2"),
        ("Cookie", "a=hunter2"),
        ("Referer", "https://h/?token=hunter2"),
        ("X-Forwarded-For", "1.2.3.4"),
    ]);
    request.body.trailers = examples::headers(&[("X-Api-Key", "hunter2")]);
    let response = exchange.response.as_mut().unwrap();
    response.headers = examples::headers(&[
        ("Set-Cookie", "a=hunter2"),
        ("Set-Cookie", "b=hunter2"),
        ("Location", "/cb#access_token=hunter2"),
        ("Link", "</?token=hunter2>; rel=next"),
    ]);
    exchange.interim.push(crate::http::Interim {
        status: 103,
        headers: examples::headers(&[("Link", "</?sig=hunter2>; rel=preload")]),
        head_length: 1,
        time: crate::segment::Time::default(),
    });
    Redaction::default().redact(&mut observation);
    let records = records(&observation);
    assert!(!records.contains("hunter2") && records.contains("1.2.3.4"), "{records}");
    let redacted = observation.redacted.unwrap();
    let count = |rule: &str| redacted.rules.iter().find(|it| &*it.0 == rule).map(|it| it.1);
    assert_eq!(count("header:set-cookie"), Some(2));
    assert_eq!((count("query:token"), count("query:access_token")), (Some(2), Some(2)));
    assert_eq!(count("userinfo"), Some(1));
}

#[test]
fn nothing_is_touched_where_nothing_is_secret() {
    let before = example("GET", "/a?b=c", 200);
    let mut after = before.clone();
    Redaction::default().redact(&mut after);
    assert_eq!(after, before);
    let mut secret = example("GET", "/?token=a", 200);
    Redaction::none().redact(&mut secret);
    assert_eq!(secret, example("GET", "/?token=a", 200));
    redaction("enabled: false").redact(&mut secret);
    assert_eq!(secret, example("GET", "/?token=a", 200));
}

#[test]
fn names_are_added_and_removed() {
    let rules = redaction("{headers: {add: [X-Mine], remove: [Cookie]}, query: {remove: [code]}}");
    let mut observation = example("GET", "/?code=de&token=a", 200);
    let fields = examples::headers(&[("x-mine", "a"), ("Cookie", "b")]);
    observation.exchange.request.as_mut().unwrap().headers = fields;
    rules.redact(&mut observation);
    let request = observation.exchange.request.unwrap();
    assert_eq!(request.headers.get("x-mine"), Some(&b"REDACTED"[..]));
    assert_eq!(request.headers.get("cookie"), Some(&b"b"[..]));
    assert_eq!(request.target, b"/?code=de&token=REDACTED");
}

#[test]
fn the_correlation_id_is_kept() {
    let mut observation = example("GET", "/", 200);
    examples::set_header(&mut observation, "x-request-id", "4111111111111111?token=a");
    redaction("patterns: [card_number]").redact(&mut observation);
    assert_eq!(observation.redacted, None);
    assert!(refused("headers: {add: [x-request-id]}").contains("correlation.header"));
}

#[test]
fn forms_multipart_and_json() {
    let form = "application/x-www-form-urlencoded";
    assert_eq!(shown("form: [pw]", form, body(b"a=1&PW=x")), "a=1&PW=REDACTED");
    let parts = b"--x\r\nContent-Disposition: form-data; name=\"pw\"\r\n\r\nsecret\r\n--x\r\n\
                  Content-Disposition: form-data; name=\"meta\"\r\n\r\n{\"pin\":1}\r\n--x--\r\n";
    let shown_parts =
        shown("{form: [pw], json: [$.pin]}", "multipart/form-data; boundary=x", body(parts));
    assert!(shown_parts.contains("\r\n\r\nREDACTED\r\n--x\r\n"), "{shown_parts}");
    assert!(shown_parts.contains("{\"pin\":\"REDACTED\"}"), "{shown_parts}");
    for content_type in ["application/json", "application/problem+json; a=b", "text/plain", ""] {
        let text = shown("json: [$.pin]", content_type, body(b"{\"pin\":1}"));
        assert_eq!(text, "{\"pin\":\"REDACTED\"}", "{content_type}");
    }
}

#[test]
fn patterns_in_targets_headers_and_bodies() {
    let mut observation = example("GET", "/cards/4111111111111111", 200);
    examples::set_header(&mut observation, "X-Card", "5555 5555 5555 4444");
    let response = observation.exchange.response.as_mut().unwrap();
    response.body = body(b"\xfd\xfecard 378282246310005\xff");
    redaction("patterns: [card_number]").redact(&mut observation);
    let records = records(&observation);
    assert!(!records.contains("4111") && !records.contains("5555"), "{records}");
    let redacted = observation.redacted.unwrap();
    assert_eq!(&*redacted.rules, [("pattern:card_number".into(), 3)]);
}

#[test]
fn a_coded_body_is_looked_into_and_keeps_its_lengths() {
    let content = b"{\"a\":1,\"pin\":\"secret secret secret\"}";
    let coded = gzip(content);
    let fields = [("Content-Encoding", "gzip"), ("Content-Type", "application/json")];
    let observation = posted("json: [$.pin]", &fields, body(&coded));
    let altered = altered(&observation);
    assert_eq!(altered.bytes, b"{\"a\":1,\"pin\":\"REDACTED\"}");
    assert_eq!((altered.captured, altered.decoded_length), (coded.len(), Some(content.len())));
    assert!(observation.exchange.request.unwrap().body.bytes.is_empty());
}

#[test]
fn a_body_that_cannot_be_decoded_is_withheld_if_a_rule_would_look_into_it() {
    for coding in ["aws-chunked", "gzip"] {
        let fields = [("Content-Encoding", coding)];
        let observation = posted("json: [$.pin]", &fields, body(b"{\"pin\":\"hunter2\"}"));
        let records = records(&observation);
        assert!(!records.contains("hunter2") && records.contains("\"withheld\":true"), "{records}");
        assert_eq!(&*observation.redacted.unwrap().rules, [("withheld".into(), 1)]);
        let observation = posted("{}", &fields, body(b"hunter2"));
        assert_eq!(observation.redacted, None);
    }
}

#[test]
fn other_charsets_are_looked_into() {
    let json = "{\"pin\":\"geheim\u{df}\"}";
    let latin = json.replace('\u{df}', "?").into_bytes().into_iter();
    let latin: Vec<u8> = latin.map(|byte| if byte == b'?' { 0xdf } else { byte }).collect();
    let wide: Vec<u8> = json.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let expected = "{\"pin\":\"REDACTED\"}";
    for (charset, bytes) in
        [("; charset=latin1", &latin), ("; charset=utf-16le", &wide), ("", &wide)]
    {
        let content_type = format!("application/json{charset}");
        let fields = [("Content-Type", content_type.as_str())];
        let observation = posted("json: [$.pin]", &fields, body(bytes));
        let altered = altered(&observation);
        assert_eq!(altered.bytes, expected.as_bytes(), "{charset}");
        assert_eq!(altered.captured, bytes.len());
    }
}

/// As UTF-16 it would be Chinese, and so would a record show it: reversibly.
#[test]
fn a_body_that_lies_about_its_charset_is_withheld() {
    let fields = [("Content-Type", "application/json; charset=utf-16le")];
    let observation = posted("json: [$.pin]", &fields, body(b"{\"pin\":\"hunter22\"}"));
    let redacted = observation.redacted.unwrap();
    assert_eq!(redacted.request_body.unwrap().instead, Instead::Withheld);
}

#[test]
fn what_a_cut_divides_is_replaced() {
    assert_eq!(shown("json: [$.pin]", "", cut(b"{\"pin\":\"hunt")), "{\"pin\":\"REDACTED\"");
    let form = "application/x-www-form-urlencoded";
    assert_eq!(shown("form: [pw]", form, cut(b"a=1&pw=hunt")), "a=1&pw=REDACTED");
    let text = "text/plain";
    assert_eq!(shown("patterns: [jwt]", text, cut(b"see eyJhbGciOi")), "see REDACTED");
    assert_eq!(shown("patterns: [card_number]", text, cut(b"no 4111 1111 1")), "no REDACTED");
    let observation =
        posted("patterns: [jwt]", &[], cut("see eyJ\u{20ac}".as_bytes().split_last().unwrap().1));
    let altered = altered(&observation);
    assert_eq!((altered.bytes.as_slice(), altered.captured), (&b"see REDACTED"[..], 7));
}

#[test]
fn hashes_are_the_same_for_the_same_secret() {
    let settings: RedactionSettings = serde_saphyr::from_str("{json: [$.t], form: [t]}").unwrap();
    let keyed = Redaction::new(&settings, Some(b"0123456789abcdef"), "X-Request-ID").unwrap();
    let mut observation = example("GET", "/?token=a%2Fb", 200);
    let request = observation.exchange.request.as_mut().unwrap();
    request.headers =
        examples::headers(&[("X-Api-Key", "a/b"), ("Content-Type", "application/json")]);
    request.body = body(b"{\"t\":\"a\\/b\"}");
    keyed.redact(&mut observation);
    let hash = observation.exchange.request.as_ref().unwrap().target.clone();
    let hash = String::from_utf8(hash).unwrap().split_once('=').unwrap().1.to_owned();
    assert!(hash.starts_with("hmac-sha256:") && hash.len() == 12 + 16, "{hash}");
    assert_eq!(altered(&observation).bytes, format!("{{\"t\":\"{hash}\"}}").as_bytes());
    let request = observation.exchange.request.unwrap();
    assert_eq!(request.headers.get("x-api-key"), Some(hash.as_bytes()));
    let error = Redaction::new(&settings, Some(b"short"), "").unwrap_err().to_string();
    assert!(error.contains("redaction.hash"), "{error}");
}

#[test]
fn settings_that_cannot_be_are_refused() {
    for (yaml, named) in [
        ("headers: {remove: [x-unknown]}", "redaction.headers.remove"),
        ("query: {add: ['a b']}", "redaction.query"),
        ("form: ['']", "redaction.form"),
        ("patterns: [{name: a, regex: '('}]", "redaction.patterns"),
        ("patterns: [jwt, jwt]", "twice"),
    ] {
        assert!(refused(yaml).contains(named), "{yaml}");
    }
    for (yaml, named) in [("json:\n  - user", "$..token"), ("jsn: []\n", "json")] {
        let error = serde_saphyr::from_str::<RedactionSettings>(yaml).unwrap_err().to_string();
        assert!(error.contains(named) && error.contains("line"), "{error}");
    }
}

#[test]
fn the_defaults_are_valid_and_every_rule_is_named() {
    let rules = Redaction::default().rules();
    assert!(rules.contains(&"header:x-api-key".into()) && rules.contains(&"userinfo".into()));
    assert_eq!(Redaction::none().rules().len(), 0);
}

const ALL_RULES: &str = "{form: [pw], json: [$..pw], patterns: [card_number, bearer_token, jwt]}";
const SECRET: &str = "hunter2hunter2hunter2";

/// Bodies that hold the secret, with the content type that says how.
fn secret_bodies() -> impl Strategy<Value = (&'static str, String)> {
    let filler = "[ -~\u{e4}\u{20ac}\n]{0,40}";
    let quoted = "[ -!#-\\[\\]-~\u{e4}]{0,40}";
    prop_oneof![
        (quoted, quoted, 0..4_usize).prop_map(|(before, behind, depth)| {
            let (open, close) = ("{\"x\":[1,".repeat(depth), "]}".repeat(depth));
            let secret =
                format!("{{\"a\":\"{before}\",\"p\\u0077\": \"{SECRET}\",\"b\":\"{behind}\"}}");
            ("application/json", format!("{open}{secret}{close}"))
        }),
        ("[a-z0-9+%.]{0,20}", "[a-z0-9+%.]{0,20}").prop_map(|(before, behind)| {
            ("application/x-www-form-urlencoded", format!("a={before}&p%77={SECRET}&b={behind}"))
        }),
        (filler, filler).prop_map(|(before, behind)| {
            ("text/plain", format!("{before} Bearer {SECRET} {behind}"))
        }),
        (filler, filler).prop_map(|(before, behind)| {
            let part = |name, content: &str| {
                format!(
                    "--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n"
                )
            };
            let text = format!(
                "{}{}{}--xyz--\r\n",
                part("a", &before),
                part("PW", SECRET),
                part("b", &behind)
            );
            ("multipart/form-data; boundary=xyz", text)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Of the secret no more than three characters in a row, wherever the body is cut, coded or not.
    #[test]
    fn a_planted_secret_is_in_no_record(
        (content_type, text) in secret_bodies(),
        place in 0.0..1.0_f64,
        coded in any::<bool>(),
    ) {
        let bytes = if coded { gzip(text.as_bytes()) } else { text.clone().into_bytes() };
        let end = (place * (bytes.len() + 20) as f64) as usize;
        let body = if end < bytes.len() { cut(&bytes[..end]) } else { body(&bytes) };
        let mut fields = vec![("Content-Type", content_type)];
        fields.extend(coded.then_some(("Content-Encoding", "gzip")));
        let wire_length = body.wire_length;
        let mut observation = example("POST", &format!("/?token={SECRET}"), 200);
        let request = observation.exchange.request.as_mut().unwrap();
        request.headers = examples::headers(&fields);
        request.body = body;
        redaction(ALL_RULES).redact(&mut observation);
        let records = records(&observation);
        prop_assert!(!records.contains("hunter2"), "{}", records);
        prop_assert!(!records.contains("hunt"), "{}", records);
        prop_assert_eq!(observation.exchange.request.as_ref().unwrap().body.wire_length, wire_length);
    }

    /// Redacting once more changes nothing, and lengths are those of the wire. (Of a body in parts whose
    /// last delimiter is cut, the second time takes more.)
    #[test]
    fn redaction_is_idempotent(
        (content_type, text) in secret_bodies(),
        bytes in prop::collection::vec(prop::sample::select(b"{}[]\"':,\\pw=&;?%7 .\n\xe4ab".as_slice()), 0..200),
        end in 0..300_usize,
    ) {
        prop_assume!(!content_type.starts_with("multipart"));
        for text in [text.as_bytes(), bytes.as_slice()] {
            let text = &text[..end.min(text.len())];
            let first = posted(ALL_RULES, &[("Content-Type", content_type)], cut(text));
            let Some(redacted) = &first.redacted else { continue };
            let Some(Instead::Altered(once)) = redacted.request_body.as_ref().map(|it| &it.instead) else { continue };
            let second = posted(ALL_RULES, &[("Content-Type", content_type)], cut(&once.bytes));
            prop_assert_eq!(&altered(&second).bytes, &once.bytes);
            prop_assert!(once.captured <= text.len() && text.len() <= once.captured + 3);
        }
    }
}
