//! The way back: a native record in, the observation that it tells of out.
//!
//! Pure. Nothing is invented. What a record does not carry stays away: the bytes of a body that was
//! decoded are not there, only its content and all that the record says of it; so the record of such
//! an observation, in any format, says the same as the first one. Written as a native record again, each
//! record that gatetap wrote is the same byte for byte.
//!
//! Of the clock that is never set a record has the durations. They are kept; the rest of that clock
//! is taken from the wall clock.

mod body;
mod wire;

use crate::gateway::{Correlation, Observation, Redacted, ReplacedBody};
use crate::http::content::{Content, Contents};
use crate::http::{Anomalies, Anomaly, Exchange, Headers, Interim, Outcome, Request, Response};
use crate::segment::{Close, Connection, Listener, Process};
use body::Recorded;
use std::sync::Arc;
use wire::{Exact, OutcomeName};

/// Why a line is no native record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is none at all, or has a member that there is not.
    #[error("column {column}: {reason}")]
    Json {
        /// Counted in bytes from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// It is a record of another format.
    #[error("no native record: only those can be sent again, because they tell everything")]
    OtherFormat,
    /// What it says elsewhere needs this member.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// No such anomaly is known.
    #[error("anomaly `{0}` is unknown: was the record written by a newer gatetap?")]
    Anomaly(String),
    /// The number of values that a rule replaced.
    #[error("`redacted` has no number for `{0}`")]
    Redacted(String),
    /// A body in two forms.
    #[error("a body has `text` and `base64`: there is one of them")]
    TwoBodies,
    /// A body that is not as long as it says.
    #[error("a body has {shown} bytes and says that {captured} were captured")]
    Captured {
        /// What it says.
        captured: usize,
        /// What there is.
        shown: usize,
    },
}

/// Of a text that is one line the number of that line tells nothing.
impl From<serde_json::Error> for RecordError {
    fn from(error: serde_json::Error) -> Self {
        let column = error.column();
        let reason = error.to_string();
        let place = format!(" at line {} column {column}", error.line());
        Self::Json { column, reason: reason.strip_suffix(&place).unwrap_or(&reason).to_owned() }
    }
}

/// The observation that a line of native records tells of.
///
/// # Errors
/// The line is no native record, or one that contradicts itself.
pub fn read_record(line: &[u8]) -> Result<Observation, RecordError> {
    match serde_json::from_slice::<wire::Record>(line) {
        Ok(record) => observation(record),
        Err(_) if is_of_another_format(line) => Err(RecordError::OtherFormat),
        Err(error) => Err(error.into()),
    }
}

/// Whether it is JSON without what each native record has.
fn is_of_another_format(line: &[u8]) -> bool {
    let value: Result<serde_json::Value, _> = serde_json::from_slice(line);
    value.is_ok_and(|value| value.get("leg").is_none() || value.get("durations_ns").is_none())
}

fn observation(record: wire::Record) -> Result<Observation, RecordError> {
    let outcome = outcome(&record)?;
    let correlation = match (record.correlation_id, record.correlation_source) {
        (Some(id), Some(source)) => Some(Correlation { id, source }),
        (None, None) => None,
        (Some(_), None) => return Err(RecordError::Missing("correlation_source")),
        (None, Some(_)) => return Err(RecordError::Missing("correlation_id")),
    };
    let (connection, place) = (connection(record.leg, &record.connection), &record.connection);
    let request = record.request.map(request).transpose()?;
    let response = record.response.map(response).transpose()?;
    let (request, of_request) =
        request.map_or((None, Side::default()), |(it, side)| (Some(it), side));
    let (response, of_response) =
        response.map_or((None, Side::default()), |(it, side)| (Some(it), side));
    let mut exchange = Box::new(Exchange {
        ordinal: place.ordinal,
        request_ordinal: place.request_ordinal,
        request,
        interim: record.interim.iter().map(interim).collect(),
        response,
        outcome,
        switch: record.switch,
        proxied: place.proxied.map(|it| (it.client.into(), it.server.into())),
    });
    restore_clock(&mut exchange, record.durations_ns);
    Ok(Observation {
        id: record.id.into(),
        connection: Arc::new(connection),
        correlation,
        exchange,
        contents: Contents::known(of_request.content, of_response.content),
        redacted: redacted(&record.redacted, of_request.replaced, of_response.replaced)?,
    })
}

/// What is told of a body outside of its message.
#[derive(Debug, Default)]
struct Side {
    content: Option<Content>,
    replaced: Option<ReplacedBody>,
}

impl Side {
    fn new(content: Content, replaced: Option<ReplacedBody>) -> Self {
        Self { content: Some(content), replaced }
    }
}

fn outcome(record: &wire::Record) -> Result<Outcome, RecordError> {
    Ok(match record.outcome {
        OutcomeName::Complete => Outcome::Complete,
        OutcomeName::Ongoing => Outcome::Ongoing,
        OutcomeName::Malformed => Outcome::Malformed,
        OutcomeName::Closed => {
            let by = record.closed_by.ok_or(RecordError::Missing("closed_by"))?;
            Outcome::Closed(Close { by, reset: record.reset })
        }
        OutcomeName::Lost => {
            Outcome::Lost(record.lost_cause.ok_or(RecordError::Missing("lost_cause"))?)
        }
        OutcomeName::Abandoned => Outcome::Abandoned(
            record.abandoned_cause.ok_or(RecordError::Missing("abandoned_cause"))?,
        ),
    })
}

fn connection(leg: crate::segment::Leg, recorded: &wire::Connection) -> Connection {
    Connection {
        serial: recorded.serial,
        leg,
        client: recorded.client.into(),
        server: recorded.server.into(),
        process: recorded
            .process
            .map(|wire::Process { pid, pid_in_namespace }| Process { pid, pid_in_namespace }),
        listener: match recorded.listener {
            wire::Listener::Port(port) => Listener::Port(port),
            wire::Listener::Word(wire::Unknown::Unknown) => Listener::Unknown,
        },
        network_namespace: recorded.network_namespace,
        control_group: recorded.control_group,
        opened: recorded.opened,
    }
}

fn request(recorded: wire::Request) -> Result<(Request, Side), RecordError> {
    let headers = headers(&recorded.headers);
    let Recorded { body, content, replaced } = Recorded::new(recorded.body, &headers)?;
    let request = Request {
        method: recorded.method.into(),
        target: recorded.target.bytes().to_vec(),
        version: recorded.version,
        headers,
        head_length: recorded.head_length,
        offset: recorded.offset,
        first_byte: recorded.first_byte,
        last_byte: recorded.last_byte,
        body,
        anomalies: anomalies(recorded.anomalies)?,
    };
    Ok((request, Side::new(content, replaced)))
}

fn response(recorded: wire::Response) -> Result<(Response, Side), RecordError> {
    let headers = headers(&recorded.headers);
    let Recorded { body, content, replaced } = Recorded::new(recorded.body, &headers)?;
    let response = Response {
        status: recorded.status,
        reason: recorded.reason.bytes().to_vec().into(),
        version: recorded.version,
        headers,
        head_length: recorded.head_length,
        offset: recorded.offset,
        first_byte: recorded.first_byte,
        last_byte: recorded.last_byte,
        body,
        anomalies: anomalies(recorded.anomalies)?,
    };
    Ok((response, Side::new(content, replaced)))
}

fn interim(recorded: &wire::Interim) -> Interim {
    Interim {
        status: recorded.status,
        headers: headers(&recorded.headers),
        head_length: recorded.head_length,
        time: recorded.time,
    }
}

fn headers(fields: &[(Exact, Exact)]) -> Headers {
    fields.iter().map(|(name, value)| (name.bytes(), value.bytes())).collect()
}

fn anomalies(names: Vec<String>) -> Result<Anomalies, RecordError> {
    let mut anomalies = Anomalies::NONE;
    for name in names {
        let known = Anomaly::ALL.iter().find(|anomaly| anomaly.name() == name);
        anomalies.insert(*known.ok_or(RecordError::Anomaly(name))?);
    }
    Ok(anomalies)
}

fn redacted(
    rules: &serde_json::Map<String, serde_json::Value>,
    request_body: Option<ReplacedBody>,
    response_body: Option<ReplacedBody>,
) -> Result<Option<Box<Redacted>>, RecordError> {
    let count = |(rule, count): (&String, &serde_json::Value)| {
        let number = count.as_u64().ok_or_else(|| RecordError::Redacted(rule.clone()))?;
        Ok((Arc::from(rule.as_str()), number))
    };
    let rules = rules.iter().map(count).collect::<Result<_, RecordError>>()?;
    let redacted = Redacted { rules, request_body, response_body };
    Ok((redacted != Redacted::default()).then(|| Box::new(redacted)))
}

/// Differences on the clock that is never set are as recorded.
fn restore_clock(exchange: &mut Exchange, durations: wire::Durations) {
    let Some(request) = &mut exchange.request else { return };
    let begin = request.first_byte.monotonic_ns;
    if let Some(duration) = durations.request {
        request.last_byte.monotonic_ns = begin.saturating_add(duration);
    }
    let end = request.last_byte.monotonic_ns;
    let Some(response) = &mut exchange.response else { return };
    response.first_byte.monotonic_ns = match durations.first_byte {
        Some(duration) => end.saturating_add(duration),
        // It began while the request still came, when exactly is not known.
        None => response.first_byte.monotonic_ns.min(end.saturating_sub(1)),
    };
    if let Some(duration) = durations.total {
        response.last_byte.monotonic_ns = begin.saturating_add(duration);
    }
}

#[cfg(test)]
mod tests;
