//! What the demo shows: readable lines, one record in full, the totals.

use anyhow::{Context, Result};
use serde_json::Value;

/// The totals that are shown: what they count, and where gatetap's totals file has them.
const TOTALS: [(&str, &str); 5] = [
    ("exchanges, client leg", "/exchanges/client"),
    ("exchanges, upstream leg", "/exchanges/upstream"),
    ("bytes seen", "/bytes/seen"),
    ("bytes skipped (beyond the body cap)", "/bytes/skipped"),
    ("bytes lost", "/bytes/lost"),
];

/// One line for each exchange, as `gatetap watch` prints it.
pub(super) fn show_lines(lines: &[String]) {
    heading("The exchanges as gatetap saw them");
    for line in lines {
        println!("{line}");
    }
}

/// The client's POST, because it has a body on both sides and a correlation id.
///
/// # Errors
/// When there is no record at all.
pub(super) fn show_one_in_full(records: &[Value]) -> Result<()> {
    heading("One record in full");
    let post = records
        .iter()
        .find(|record| record["request"]["method"] == "POST" && record["leg"] == "client");
    let record = post.or(records.first()).context("gatetap wrote no record")?;
    println!("{record:#}");
    Ok(())
}

/// The sums over everything.
///
/// # Errors
/// When a total is missing.
pub(super) fn show_totals(totals: &Value) -> Result<()> {
    heading("Totals");
    for (name, place) in TOTALS {
        let count = totals.pointer(place).and_then(Value::as_u64);
        let count = count.with_context(|| format!("gatetap's totals lack {place}"))?;
        println!("{name:36} {count:>12}");
    }
    Ok(())
}

/// On standard output, unlike the progress before it, so that the report can be kept in a file.
fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.len()));
}
