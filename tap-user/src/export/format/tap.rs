//! The one key `tap` under which the formats of others carry what is gatetap's own.

use super::body::{Bodies, ShownBody};
use super::connections::ConnectionText;
use super::{facts, pairs};
use crate::export::json::Object;
use crate::gateway::Observation;
use crate::http::{Anomalies, Exchange, Headers, Version};

/// Where a format carries the correlation id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CorrelationId {
    /// Under `tap`.
    Here,
    /// At a place of the format's own.
    Elsewhere,
}

/// Writes the member `tap`.
pub(super) fn write(
    object: &mut Object<'_>,
    observation: &Observation,
    connection: &ConnectionText,
    bodies: &Bodies<'_>,
    place: CorrelationId,
) {
    let exchange = &observation.exchange;
    object.object("tap", |object| {
        object.field("id", &*observation.id);
        if let Some(correlation) = &observation.correlation {
            let here = (place == CorrelationId::Here).then_some(correlation.id.as_str());
            object.optional("correlation_id", here);
            object.word("correlation_source", facts::source_name(correlation.source));
        }
        facts::write_outcome(object, exchange);
        facts::write_redacted(object, observation);
        object.flag("text_altered", is_text_altered(exchange));
        facts::write_anomalies(object, anomalies(exchange));
        object.flag("pid_unknown", facts::is_pid_unknown(&observation.connection));
        facts::write_connection(object, observation, connection, |_| {});
        if let Some(request) = &exchange.request {
            object.object("request", |object| {
                write_message(object, request.version, &request.headers, bodies.request.as_ref());
            });
        }
        if let Some(response) = &exchange.response {
            object.object("response", |object| {
                let shown = bodies.response.as_ref();
                write_message(object, response.version, &response.headers, shown);
            });
        }
    });
}

/// Those of both messages.
fn anomalies(exchange: &Exchange) -> Anomalies {
    let mut anomalies = Anomalies::NONE;
    exchange.request.iter().for_each(|request| anomalies.extend(request.anomalies));
    exchange.response.iter().for_each(|response| anomalies.extend(response.anomalies));
    anomalies
}

fn write_message(
    object: &mut Object<'_>,
    version: Version,
    headers: &Headers,
    shown: Option<&ShownBody<'_>>,
) {
    object.word("version", version.as_str());
    let omitted = headers.len().saturating_sub(pairs::LIMIT) as u64;
    object.nonzero("headers_omitted", omitted);
    if let Some(shown) = shown {
        object.object("body", |object| facts::write_body_facts(object, shown));
    }
}

/// Whether the target or a header holds bytes that are no UTF-8, which these formats cannot
/// carry exactly.
fn is_text_altered(exchange: &Exchange) -> bool {
    let altered = |headers: &Headers| {
        !headers.is_ascii() && headers.iter().any(|(name, value)| !is_text(name) || !is_text(value))
    };
    exchange.request.as_ref().is_some_and(|request| !is_text(&request.target))
        || exchange.request.as_ref().is_some_and(|request| altered(&request.headers))
        || exchange.response.as_ref().is_some_and(|response| altered(&response.headers))
}

fn is_text(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok()
}
