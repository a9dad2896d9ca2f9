//! Compares what two taps recorded of the same traffic, field by field.

use super::attempt;
use super::request::TEST_ID;
use super::tap::Outcome;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};

/// What tells of the capture, not of the exchange: the tap's own numbers, times, and which of two
/// correlation ids derived from them.
const OF_THE_CAPTURE: [&str; 10] = [
    "id",
    "time",
    "correlation_id",
    "serial",
    "ordinal",
    "opened",
    "first_byte",
    "last_byte",
    "durations_ns",
    "pid_unknown",
];

/// What nobody knows whose process is not known.
const OF_THE_PROCESS: [&str; 2] = ["process", "control_group"];

/// Exchanges that went to their end, by leg and by the test's id of the request.
pub(crate) type Exchanges = BTreeMap<(String, String), Vec<Value>>;

/// Reads what both taps recorded, apart from exchanges that either of them saw aborted: bytes that
/// the gateway never took from its socket were on the wire all the same.
pub(crate) fn exchanges_of_both(left: &Outcome, right: &Outcome) -> (Exchanges, Exchanges) {
    let (mut left, mut right) = (exchanges(left), exchanges(right));
    let is_aborted =
        |records: &Vec<Value>| records.iter().any(|record| text(&record["outcome"]) != "complete");
    let all = left.iter().chain(&right);
    let aborted: Vec<_> =
        all.filter(|(_, records)| is_aborted(records)).map(|(key, _)| key.clone()).collect();
    for key in aborted {
        left.remove(&key);
        right.remove(&key);
    }
    (left, right)
}

/// Reads the exchanges of a tap.
pub(crate) fn exchanges(outcome: &Outcome) -> Exchanges {
    let mut exchanges = Exchanges::new();
    for line in BufReader::new(attempt(File::open(outcome.records_path()))).lines() {
        let mut record: Value = attempt(serde_json::from_str(&attempt(line)));
        let Some(id) = test_id(&record) else { continue };
        let leg = text(&record["leg"]).to_owned();
        let joined = record["connection"]["joined_mid_stream"] == true;
        strip(&mut record, joined);
        exchanges.entry((leg, id)).or_default().push(record);
    }
    exchanges
}

/// Differences between what both recorded; none if they agree. Where one of them does not know
/// the process, processes are not compared.
pub(crate) fn differences(left: &Exchanges, right: &Exchanges) -> Vec<String> {
    let mut differences = Vec::new();
    for key in left.keys().chain(right.keys().filter(|key| !left.contains_key(key))) {
        let place = format!("{} {}", key.0, key.1);
        let of = |exchanges: &Exchanges| exchanges.get(key).cloned().unwrap_or_default();
        let (left, right) = (of(left), of(right));
        if left.len() != right.len() {
            differences.push(format!("{place}: {} and {} records", left.len(), right.len()));
        }
        for (left, right) in left.iter().zip(&right) {
            compare(&place, left, right, &mut differences);
        }
    }
    differences
}

fn compare(place: &str, left: &Value, right: &Value, differences: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            for key in left.keys().chain(right.keys().filter(|key| !left.contains_key(*key))) {
                let (left, right) = (left.get(key), right.get(key));
                if OF_THE_PROCESS.contains(&key.as_str()) && (left.is_none() || right.is_none()) {
                    continue;
                }
                let value = |value: Option<&Value>| value.cloned().unwrap_or_default();
                compare(&format!("{place}/{key}"), &value(left), &value(right), differences);
            }
        }
        _ if left != right => {
            differences.push(format!(
                "{place}: {left:.80} and {right:.80}",
                left = shown(left),
                right = shown(right)
            ));
        }
        _ => {}
    }
}

fn strip(record: &mut Value, joined: bool) {
    let Value::Object(members) = record else { return };
    let offset = joined.then_some("offset");
    members
        .retain(|key, _| !OF_THE_CAPTURE.contains(&key.as_str()) && Some(key.as_str()) != offset);
    for member in members.values_mut() {
        match member {
            Value::Array(items) => items.iter_mut().for_each(|item| strip(item, joined)),
            other => strip(other, joined),
        }
    }
}

fn test_id(record: &Value) -> Option<String> {
    let headers = record["request"]["headers"].as_array()?;
    let named = |pair: &&Value| text(&pair[0]).eq_ignore_ascii_case(TEST_ID);
    headers.iter().find(named).map(|pair| text(&pair[1]).to_owned())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn shown(value: &Value) -> String {
    value.to_string()
}
