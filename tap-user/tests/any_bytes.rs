//! Whatever bytes an exchange consists of, each format makes one line of valid JSON of it, with
//! no key twice and with `null` only for the body that Traceable's format does not show, and the
//! native one carries the bytes exactly.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail loudly")]

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gatetap::export::Format;
use gatetap::gateway::Observation;
use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::collections::HashSet;
use std::fmt;
use support::{body, headers, kong_example};

/// JSON of which only this is looked at: that no object has a key twice, and that nothing but a
/// member `body` is `null`.
struct NoKeyTwice;

impl<'de> Deserialize<'de> for NoKeyTwice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for NoKeyTwice {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON without null")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            if key == "body" {
                members.next_value::<Option<Self>>()?;
            } else {
                members.next_value::<Self>()?;
            }
            if let Some(key) = keys.replace(key) {
                return Err(A::Error::custom(format!("key {key:?} twice")));
            }
        }
        Ok(self)
    }
}

/// Bytes among which those that mean something are frequent.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        any::<u8>(),
        prop::sample::select(b"\"\\\n\r\0/?&=%+:@[]*ab4\xe2\x82\xac\xff".as_slice()),
    ];
    vec(byte, 0..80)
}

fn observations() -> impl Strategy<Value = Observation> {
    let fields = || vec((bytes(), bytes()), 0..8);
    (bytes(), fields(), bytes(), fields(), bytes(), bytes()).prop_map(
        |(target, request_fields, request_body, response_fields, reason, response_body)| {
            let with = |fields: &[(Vec<u8>, Vec<u8>)]| {
                headers(fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice())))
            };
            let mut observation = kong_example();
            let request = observation.exchange.request.as_mut().unwrap();
            request.target = target;
            request.headers = with(&request_fields);
            request.body = body(&request_body);
            let response = observation.exchange.response.as_mut().unwrap();
            response.reason = reason.into();
            response.headers = with(&response_fields);
            response.body = body(&response_body);
            observation
        },
    )
}

fn record(format: Format, observation: &Observation) -> Vec<u8> {
    let mut out = Vec::new();
    format.write(observation, &mut out);
    out
}

/// The bytes of a value that is a string, or an object with base64.
fn exact(value: &Value) -> Vec<u8> {
    match value.as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => STANDARD.decode(value["base64"].as_str().unwrap()).unwrap(),
    }
}

/// The bytes of a body as a native record shows them.
fn content(body: &Value) -> Vec<u8> {
    body.get("text").map_or_else(
        || body.get("base64").map(|_| exact(body)).unwrap_or_default(),
        |text| text.as_str().unwrap().as_bytes().to_vec(),
    )
}

proptest! {
    #[test]
    fn a_record_is_one_line_of_json_without_a_key_twice(observation in observations()) {
        for format in Format::RECORDS {
            let record = record(format, &observation);
            let json = record.strip_suffix(format.terminator()).unwrap();
            prop_assert!(json.iter().all(|&byte| byte >= 0x20));
            let parsed = serde_json::from_slice::<NoKeyTwice>(json);
            prop_assert!(parsed.is_ok(), "{format}: {:?}", parsed.err());
        }
    }

    #[test]
    fn a_native_record_carries_the_bytes_exactly(observation in observations()) {
        let written: Value = serde_json::from_slice(&record(Format::Native, &observation)).unwrap();
        let request = observation.exchange.request.as_ref().unwrap();
        let response = observation.exchange.response.as_ref().unwrap();
        prop_assert_eq!(exact(&written["request"]["target"]), request.target.clone());
        prop_assert_eq!(exact(&written["response"]["reason"]), response.reason.to_vec());
        prop_assert_eq!(content(&written["request"]["body"]), request.body.bytes.clone());
        prop_assert_eq!(content(&written["response"]["body"]), response.body.bytes.clone());
        let fields = written["request"]["headers"].as_array().unwrap().iter();
        let fields: Vec<_> = fields.map(|pair| (exact(&pair[0]), exact(&pair[1]))).collect();
        let expected: Vec<_> =
            request.headers.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        prop_assert_eq!(fields, expected);
    }
}
