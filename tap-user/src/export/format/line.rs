//! One exchange as a line for people:
//!
//! ```text
//! 21:03:11.123 client   200 GET /v1/a?x=1  127.0.0.1:40000 → 127.0.0.1:8000  12.3 ms  75 B → 434 B  ID
//! ```
//!
//! Times are UTC. What is missing is said behind the line: `incomplete: …`.

use super::facts;
use crate::export::json::Page;
use crate::gateway::Observation;
use crate::http::{Body, Outcome, Request, Response};
use crate::segment::{Abandonment, ClosedBy, Leg};
use std::fmt::Write;

/// ANSI escape sequences, or nothing.
struct Palette {
    faint: &'static str,
    good: &'static str,
    redirect: &'static str,
    bad: &'static str,
    reset: &'static str,
}

const COLOURS: Palette = Palette {
    faint: "\x1b[2m",
    good: "\x1b[32m",
    redirect: "\x1b[36m",
    bad: "\x1b[31m",
    reset: "\x1b[0m",
};
const PLAIN: Palette = Palette { faint: "", good: "", redirect: "", bad: "", reset: "" };

/// Longest target shown, in characters.
const TARGET_LIMIT: usize = 120;

/// Appends the line, without its end.
pub(super) fn write(observation: &Observation, coloured: bool, out: &mut Page) {
    let palette = if coloured { &COLOURS } else { &PLAIN };
    // Writing to a `String` cannot fail.
    let mut line = String::with_capacity(160);
    let _ = write_line(observation, palette, &mut line);
    out.extend(line.as_bytes());
}

fn write_line(observation: &Observation, palette: &Palette, line: &mut String) -> std::fmt::Result {
    let exchange = &observation.exchange;
    let connection = &observation.connection;
    let (faint, reset) = (palette.faint, palette.reset);
    let leg = match connection.leg {
        Leg::Client => "client",
        Leg::Upstream => "upstream",
    };
    write!(line, "{faint}{}{reset} {leg:8} ", time_of_day(observation))?;
    write_status(exchange.response.as_ref(), palette, line)?;
    match &exchange.request {
        Some(request) => {
            write!(line, " {} {}", shown(request.method.as_bytes()), shown(&request.target))?
        }
        None => write!(line, " (request not seen)")?,
    }
    write!(line, "  {faint}{} → {}{reset}", connection.client, connection.server)?;
    if let Some(nanoseconds) = duration(exchange.request.as_ref(), exchange.response.as_ref()) {
        write!(line, "  {:.1} ms", nanoseconds as f64 / 1e6)?;
    }
    let sent = exchange.request.as_ref().map_or(0, |one| length(one.head_length, &one.body));
    let answered = exchange.response.as_ref().map_or(0, |one| length(one.head_length, &one.body));
    write!(line, "  {sent} B → {answered} B")?;
    if let Some(correlation) = &observation.correlation {
        write!(line, "  {faint}{}{reset}", shown(correlation.id.as_bytes()))?;
    }
    if !facts::is_complete(exchange) {
        write!(line, "  {}incomplete: {}{reset}", palette.bad, why(observation))?;
    }
    Ok(())
}

fn write_status(
    response: Option<&Response>,
    palette: &Palette,
    line: &mut String,
) -> std::fmt::Result {
    let Some(response) = response else {
        return write!(line, "{}---{}", palette.bad, palette.reset);
    };
    let colour = match response.status {
        100..=299 => palette.good,
        300..=399 => palette.redirect,
        _ => palette.bad,
    };
    write!(line, "{colour}{}{}", response.status, palette.reset)
}

fn time_of_day(observation: &Observation) -> String {
    let exchange = &observation.exchange;
    let request = exchange.request.as_ref().map(|request| request.first_byte);
    let start = request.or_else(|| exchange.response.as_ref().map(|response| response.first_byte));
    let milliseconds = start.map_or(0, |start| start.unix_ns / 1_000_000);
    let seconds = milliseconds / 1_000;
    let (hours, minutes) = (seconds / 3_600 % 24, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, milliseconds % 1_000)
}

fn duration(request: Option<&Request>, response: Option<&Response>) -> Option<u64> {
    Some(response?.last_byte.since(request?.first_byte))
}

fn length(head: u64, body: &Body) -> u64 {
    head.saturating_add(body.wire_length)
}

/// Captured text must not steer the terminal: control characters are escaped.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown: String = text
        .chars()
        .take(TARGET_LIMIT)
        .flat_map(|character| {
            let escaped = character.is_control().then(|| character.escape_default());
            let plain = (!character.is_control()).then_some(character);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect();
    if text.chars().nth(TARGET_LIMIT).is_some() {
        shown.push('…');
    }
    shown
}

fn why(observation: &Observation) -> &'static str {
    match observation.exchange.outcome {
        Outcome::Complete => "parts of a body are missing",
        Outcome::Ongoing => "still going on",
        Outcome::Closed(close) if close.reset => "connection reset",
        Outcome::Closed(close) => match close.by {
            ClosedBy::Client => "closed by the client",
            ClosedBy::Server => "closed by the server",
            ClosedBy::Unknown => "connection ended",
        },
        Outcome::Lost(_) => "bytes were lost",
        Outcome::Malformed => "not HTTP/1",
        Outcome::Abandoned(cause) => match cause {
            Abandonment::CaptureEnded => "the capture ended",
            Abandonment::Idle => "connection silent for long",
            Abandonment::Evicted => "too many connections to watch",
            Abandonment::Replaced => "end of connection not seen",
            Abandonment::TooManyPending => "too many requests without response",
            Abandonment::Switched => "connection left HTTP/1",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(shown(b"/a\x1b[31m\nb\xff"), "/a\\u{1b}[31m\\nb\u{fffd}");
        assert_eq!(shown(&[b'x'; 200]).chars().count(), 121);
    }
}
