//! The list of differences where the truth is wrong, or where we decide otherwise on purpose.

use std::collections::BTreeMap;

const LIST: &str = include_str!("known_differences.tsv");

/// Evidence by difference. Columns: file, client, exchange, difference, evidence.
pub(crate) fn read() -> BTreeMap<String, String> {
    LIST.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (difference, evidence) = line.rsplit_once('\t').unwrap();
            assert_eq!(difference.matches('\t').count(), 3, "{line}");
            assert!(evidence.len() > 20, "no evidence: {line}");
            (difference.to_owned(), evidence.to_owned())
        })
        .collect()
}
