//! `gatetap spool`: what waits in spools. Only looks, also while gatetap runs.

use super::arguments::SpoolArguments;
use super::settings::Loaded;
use super::{Failure, with_causes};
use crate::spool::{Examined, examine};
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// One spool as it is shown.
#[derive(Debug, Serialize)]
struct Row {
    path: PathBuf,
    #[serde(flatten)]
    state: State,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum State {
    Held(Box<Held>),
    Unreadable { error: String },
}

#[derive(Debug, Serialize)]
struct Held {
    #[serde(flatten)]
    examined: Examined,
    /// The same times as the nanoseconds, for people.
    oldest: Option<String>,
    newest: Option<String>,
}

/// Shows what waits; the exit code is 0 if every spool could be read.
pub(super) fn show(arguments: &SpoolArguments) -> Result<ExitCode, Failure> {
    let mut paths = arguments.paths.clone();
    if let Some(config) = &arguments.config {
        paths.extend(spools(config)?);
        if paths.is_empty() {
            return Err(format!("no sink in {} has a spool", config.display()).into());
        }
    }
    let rows: Vec<_> = paths.iter().map(|path| row(path)).collect();
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print!("{}", Table(&rows));
    }
    let all = rows.iter().all(|row| matches!(row.state, State::Held(_)));
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Folders of all spools that the sinks in a settings file have.
fn spools(config: &Path) -> Result<Vec<PathBuf>, Failure> {
    let sinks = Loaded::read(Some(config))?.settings.sinks;
    Ok(sinks.into_iter().filter_map(|sink| Some(sink.spool?.path)).collect())
}

fn row(path: &Path) -> Row {
    let state = match examine(path) {
        Ok(examined) => {
            let oldest = examined.oldest_ns.map(time);
            let newest = examined.newest_ns.map(time);
            State::Held(Box::new(Held { examined, oldest, newest }))
        }
        Err(error) => State::Unreadable { error: with_causes(&error) },
    };
    Row { path: path.into(), state }
}

/// A time in nanoseconds since 1970, to the second.
fn time(ns: u64) -> String {
    let seconds = i64::try_from(ns / 1_000_000_000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| ns.to_string(), |time| time.to_string())
}

/// A number of bytes, to a tenth of a unit.
fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|&(power, _)| bytes >> power > 0) {
        Some((power, unit)) => format!("{:.1} {unit}", bytes as f64 / (1_u64 << power) as f64),
        None => format!("{bytes} B"),
    }
}

struct Table<'a>(&'a [Row]);

const TITLES: [&str; 9] = [
    "SPOOL",
    "RECORDS",
    "SIZE",
    "OLDEST",
    "NEWEST",
    "SEGMENTS",
    "ON DISK",
    "ACKNOWLEDGED",
    "DAMAGE",
];

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![TITLES.map(str::to_owned)];
        lines.extend(self.0.iter().filter_map(line));
        for line in &lines {
            let cells: Vec<_> = (0..).zip(line).map(|(at, cell)| pad(&lines, at, cell)).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        for row in self.0 {
            if let State::Unreadable { error } = &row.state {
                writeln!(f, "{error}")?;
            }
        }
        Ok(())
    }
}

/// Fills a cell up to the widest one of its column; counts stand at the right.
fn pad(lines: &[[String; 9]], at: usize, cell: &str) -> String {
    let width = |line: &[String; 9]| line.get(at).map_or(0, |cell| cell.chars().count());
    let widest = lines.iter().map(width).max().unwrap_or(0);
    if matches!(at, 1 | 2 | 5 | 6 | 7) {
        format!("{cell:>widest$}")
    } else {
        format!("{cell:<widest$}")
    }
}

fn line(row: &Row) -> Option<[String; 9]> {
    let State::Held(held) = &row.state else { return None };
    let Held { examined, oldest, newest } = &**held;
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let acknowledged = match examined.acknowledged {
        _ if examined.position_damaged => "damaged".to_owned(),
        Some(sequence) => sequence.to_string(),
        None => "-".to_owned(),
    };
    Some([
        row.path.display().to_string(),
        examined.records.to_string(),
        size(examined.bytes),
        or_none(oldest),
        or_none(newest),
        examined.segments.to_string(),
        size(examined.file_bytes),
        acknowledged,
        damage(examined),
    ])
}

fn damage(examined: &Examined) -> String {
    let Examined { missing_records, damaged_bytes, unfinished_bytes, .. } = *examined;
    let mut found = Vec::new();
    if missing_records > 0 {
        found.push(format!("{missing_records} records missing"));
    }
    if damaged_bytes > 0 {
        found.push(format!("{} damaged", size(damaged_bytes)));
    }
    if unfinished_bytes > 0 {
        found.push(format!("{} unfinished", size(unfinished_bytes)));
    }
    if found.is_empty() { "none".to_owned() } else { found.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_for_people() {
        let examined = Examined {
            segments: 3,
            file_bytes: 34_000_000,
            records: 12_345,
            bytes: 10_485_760,
            oldest_ns: Some(1_700_000_000_000_000_000),
            newest_ns: Some(1_700_000_100_999_999_999),
            acknowledged: Some(99),
            missing_records: 2,
            damaged_bytes: 900,
            unfinished_bytes: 0,
            position_damaged: false,
        };
        let held = |examined: Examined| {
            let oldest = examined.oldest_ns.map(time);
            let newest = examined.newest_ns.map(time);
            State::Held(Box::new(Held { examined, oldest, newest }))
        };
        let rows = [
            Row { path: "/var/spool/a".into(), state: held(examined) },
            Row { path: "/b".into(), state: held(Examined::default()) },
            Row { path: "/c".into(), state: State::Unreadable { error: "no".into() } },
        ];
        let expected = "\
SPOOL         RECORDS      SIZE  OLDEST                NEWEST                SEGMENTS   ON DISK  ACKNOWLEDGED  DAMAGE
/var/spool/a    12345  10.0 MiB  2023-11-14T22:13:20Z  2023-11-14T22:15:00Z         3  32.4 MiB            99  2 records missing, 900 B damaged
/b                  0       0 B  -                     -                            0       0 B             -  none
no
";
        assert_eq!(Table(&rows).to_string(), expected);
    }
}
