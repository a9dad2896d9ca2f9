//! What differs between the truth and our exchanges, by the rules of the corpus.

use super::exchanges::Exchange;
use std::collections::BTreeMap;

/// A pair of addresses, whichever of them is called the client.
type Pair = [String; 2];

/// One line per difference: client, exchange, what differs. Exchanges of one pair of addresses
/// are matched by method and target in their order, then out of order.
pub(crate) fn compare(truth: &[Exchange], ours: &[Exchange]) -> Vec<String> {
    let (truth, mut ours) = (by_pair(truth), by_pair(ours));
    let mut differences = Vec::new();
    for (pair, expected) in truth {
        compare_pair(&expected, &ours.remove(&pair).unwrap_or_default(), &mut differences);
    }
    for exchange in ours.into_values().flatten() {
        differences.push(describe(exchange, "extra"));
    }
    differences
}

fn by_pair(exchanges: &[Exchange]) -> BTreeMap<Pair, Vec<&Exchange>> {
    let mut pairs: BTreeMap<Pair, Vec<&Exchange>> = BTreeMap::new();
    for exchange in exchanges.iter().filter(|exchange| exchange.method.is_some()) {
        let mut pair = [exchange.client.clone(), exchange.server.clone()];
        pair.sort();
        pairs.entry(pair).or_default().push(exchange);
    }
    pairs
}

fn compare_pair(truth: &[&Exchange], ours: &[&Exchange], differences: &mut Vec<String>) {
    let pairs = matches(truth, ours);
    for &(expected, found) in &pairs {
        compare_values(truth[expected], ours[found], differences);
    }
    for (at, exchange) in truth.iter().enumerate() {
        if pairs.iter().all(|(expected, _)| *expected != at) {
            differences.push(describe(exchange, "missing"));
        }
    }
    for (at, exchange) in ours.iter().enumerate() {
        if pairs.iter().all(|(_, found)| *found != at) {
            differences.push(describe(exchange, "extra"));
        }
    }
}

fn matches(truth: &[&Exchange], ours: &[&Exchange]) -> Vec<(usize, usize)> {
    let mut pairs = longest_common_subsequence(truth, ours);
    for (at, expected) in truth.iter().enumerate() {
        if pairs.iter().any(|(matched, _)| *matched == at) {
            continue;
        }
        let is_free = |found: &usize| pairs.iter().all(|(_, taken)| taken != found);
        let found =
            (0..ours.len()).filter(is_free).find(|found| key(ours[*found]) == key(expected));
        pairs.extend(found.map(|found| (at, found)));
    }
    pairs.sort_unstable();
    pairs
}

fn longest_common_subsequence(truth: &[&Exchange], ours: &[&Exchange]) -> Vec<(usize, usize)> {
    let keys = |list: &[&Exchange]| list.iter().map(|one| key(one)).collect::<Vec<_>>();
    let (left, right) = (keys(truth), keys(ours));
    let mut lengths = vec![vec![0_usize; right.len() + 1]; left.len() + 1];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            lengths[i][j] = if left[i] == right[j] {
                lengths[i + 1][j + 1] + 1
            } else {
                lengths[i + 1][j].max(lengths[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < left.len() && j < right.len() {
        if left[i] == right[j] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if lengths[i + 1][j] >= lengths[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

/// A length that we do not know because something is missing is no difference.
fn compare_values(truth: &Exchange, ours: &Exchange, differences: &mut Vec<String>) {
    let mut differ = |what: &str, expected: Option<u64>, found: Option<u64>| {
        let (expected, found) = (shown(expected), shown(found));
        let what = format!("{what}: truth {expected}, ours {found}");
        differences.push(describe(truth, &what));
    };
    if truth.status != ours.status {
        differ("status", truth.status, ours.status);
    }
    let known = |length: Option<u64>, other: Option<u64>| length.is_some() && other.is_some();
    let (expected, found) = (truth.request_length, ours.request_length);
    if known(expected, found) && expected != found {
        differ("request length", expected, found);
    }
    let (expected, found) = (truth.response_length, ours.response_length);
    if truth.status.is_some() && known(expected, found) && expected != found {
        differ("response length", expected, found);
    }
}

fn shown(number: Option<u64>) -> String {
    number.map_or("none".to_owned(), |number| number.to_string())
}

fn describe(exchange: &Exchange, what: &str) -> String {
    let (method, target) = key(exchange);
    let target: String = target.chars().take(60).collect();
    format!("{}\t{method} {target}\t{what}", exchange.client)
}

/// Method and target, without what tshark shows in its own way: scheme and host of the target,
/// and bytes that are not printable.
fn key(exchange: &Exchange) -> (String, String) {
    let method = exchange.method.clone().unwrap_or_default();
    let target = match method.as_str() {
        "CONNECT" => exchange.target.clone(),
        _ => without_origin(&exchange.target),
    };
    (method, printable(&target))
}

fn without_origin(target: &str) -> String {
    let Some((scheme, rest)) = target.split_once("://") else { return target.to_owned() };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+.-".contains(letter));
    if !is_scheme {
        return target.to_owned();
    }
    match rest.find(['/', '?', '#']) {
        Some(path) => rest[path..].to_owned(),
        None => "/".to_owned(),
    }
}

/// Each run of unprintable or escaped bytes becomes one `?`.
fn printable(target: &str) -> String {
    let mut shown = String::new();
    let mut rest = target;
    while let Some(first) = rest.chars().next() {
        let hidden = escape_length(rest);
        if hidden == 0 && ('\x21'..='\x7e').contains(&first) {
            shown.push(first);
            rest = &rest[1..];
        } else {
            if !shown.ends_with('?') {
                shown.push('?');
            }
            rest = &rest[hidden.max(first.len_utf8())..];
        }
    }
    shown.replace("??", "?")
}

/// Length of `\xHH` or `\OOO` at the beginning, else 0.
fn escape_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let all = |range: std::ops::Range<usize>, is: fn(&u8) -> bool| {
        bytes.get(range).is_some_and(|part| part.iter().all(is))
    };
    let is_hexadecimal = bytes.get(1) == Some(&b'x') && all(2..4, u8::is_ascii_hexdigit);
    let is_octal = all(1..4, |byte| (b'0'..=b'7').contains(byte));
    if bytes.first() == Some(&b'\\') && (is_hexadecimal || is_octal) { 4 } else { 0 }
}
