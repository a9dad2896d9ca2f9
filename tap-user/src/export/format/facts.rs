//! What gatetap knows beyond the message itself, with the same keys in every format: at the top
//! of a native record, under the one key `tap` in the formats of others.

use super::body::ShownBody;
use super::connections::ConnectionText;
use crate::export::json::Object;
use crate::gateway::{CorrelationSource, Observation};
use crate::http::{Anomalies, Exchange, Framing, Outcome, Switch};
use crate::segment::{ClosedBy, Connection, Leg, Listener, Time};
use std::net::SocketAddr;

/// When the exchange began, as far as it was seen.
pub(super) fn begin(exchange: &Exchange) -> Option<Time> {
    let request = exchange.request.as_ref().map(|request| request.first_byte);
    let interim = || exchange.interim.first().map(|interim| interim.time);
    let response = || exchange.response.as_ref().map(|response| response.first_byte);
    request.or_else(interim).or_else(response)
}

/// Whether nothing is missing: both messages were seen to their ends.
pub(super) fn is_complete(exchange: &Exchange) -> bool {
    let request = exchange.request.as_ref().is_some_and(|request| request.body.complete);
    let response = exchange.response.as_ref().is_some_and(|response| response.body.complete);
    exchange.outcome == Outcome::Complete && request && response
}

/// `client` or `upstream`.
pub(super) fn leg_name(leg: Leg) -> &'static str {
    match leg {
        Leg::Client => "client",
        Leg::Upstream => "upstream",
    }
}

/// `header` or `derived`.
pub(super) fn source_name(source: CorrelationSource) -> &'static str {
    match source {
        CorrelationSource::Header => "header",
        CorrelationSource::Derived => "derived",
    }
}

/// Whether all is here, and if not, why.
pub(super) fn write_outcome(object: &mut Object<'_>, exchange: &Exchange) {
    object.field("complete", is_complete(exchange));
    object.word("outcome", outcome_name(exchange.outcome));
    match exchange.outcome {
        Outcome::Lost(cause) => object.word("lost_cause", cause.name()),
        Outcome::Closed(close) => {
            object.word("closed_by", closer_name(close.by));
            object.flag("reset", close.reset);
        }
        Outcome::Abandoned(cause) => object.word("abandoned_cause", cause.name()),
        Outcome::Complete | Outcome::Ongoing | Outcome::Malformed => {}
    }
    object.optional("switch", exchange.switch.map(switch_name));
}

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Complete => "complete",
        Outcome::Ongoing => "ongoing",
        Outcome::Closed(_) => "closed",
        Outcome::Lost(_) => "lost",
        Outcome::Malformed => "malformed",
        Outcome::Abandoned(_) => "abandoned",
    }
}

fn closer_name(closer: ClosedBy) -> &'static str {
    match closer {
        ClosedBy::Client => "client",
        ClosedBy::Server => "server",
        ClosedBy::Unknown => "unknown",
    }
}

fn switch_name(switch: Switch) -> &'static str {
    match switch {
        Switch::Upgrade => "upgrade",
        Switch::Tunnel => "tunnel",
    }
}

/// What peers may read differently; left out if there is nothing.
pub(super) fn write_anomalies(object: &mut Object<'_>, anomalies: Anomalies) {
    if !anomalies.is_empty() {
        object.array("anomalies", |array| {
            anomalies.iter().for_each(|anomaly| array.item(anomaly.name()));
        });
    }
}

/// How many values each rule replaced; left out if nothing was.
pub(super) fn write_redacted(object: &mut Object<'_>, observation: &Observation) {
    let redacted = observation.redacted.as_ref().filter(|redacted| !redacted.rules.is_empty());
    let Some(redacted) = redacted else { return };
    object.object("redacted", |object| {
        redacted.rules.iter().for_each(|(rule, count)| object.named(&**rule, *count));
    });
}

/// Whether no process of the gateway is known; then a derived id has 0 in its place.
pub(super) fn is_pid_unknown(connection: &Connection) -> bool {
    connection.process.is_none()
}

/// The member `connection`: which connection, whose, and the exchange's place on it. `more` writes
/// what a format says there of the owner beyond that.
pub(super) fn write_connection(
    object: &mut Object<'_>,
    observation: &Observation,
    text: &ConnectionText,
    more: impl FnOnce(&mut Object<'_>),
) {
    let (connection, exchange) = (&*observation.connection, &observation.exchange);
    object.object("connection", |object| {
        object.field("serial", connection.serial);
        object.field("ordinal", exchange.ordinal);
        object.optional("request_ordinal", exchange.request_ordinal);
        object.written(&text.owner);
        more(object);
        object.written(&text.opening);
        if let Some((client, server)) = exchange.proxied {
            object.object("proxied", |object| {
                write_address(object, "client", client);
                write_address(object, "server", server);
            });
        }
    });
}

/// The ends of a connection, and whose it is.
pub(super) fn write_owner(object: &mut Object<'_>, connection: &Connection) {
    write_address(object, "client", connection.client);
    write_address(object, "server", connection.server);
    if let Some(process) = connection.process {
        object.object("process", |object| {
            object.field("pid", process.pid);
            object.field("pid_in_namespace", process.pid_in_namespace);
        });
    }
    match connection.listener {
        Listener::Port(port) => object.field("listener", port),
        Listener::Unknown => object.word("listener", "unknown"),
    }
    object.optional("network_namespace", connection.network_namespace);
    object.optional("control_group", connection.control_group);
}

/// When a connection was opened, as far as it was seen.
pub(super) fn write_opening(object: &mut Object<'_>, connection: &Connection) {
    object.optional("opened", connection.opened);
    object.flag("joined_mid_stream", connection.joined_mid_stream());
}

fn write_address(object: &mut Object<'_>, key: &'static str, address: SocketAddr) {
    object.object(key, |object| {
        object.field("address", address.ip());
        object.field("port", address.port());
    });
}

/// How much of a body there was, how much of it is here, and why the rest is not.
pub(super) fn write_body_facts(object: &mut Object<'_>, shown: &ShownBody<'_>) {
    let body = shown.body;
    object.word("framing", framing_name(body.framing));
    if let Framing::ContentLength(length) = body.framing {
        object.field("content_length", length);
    }
    object.optional("length", body.length);
    object.field("wire_length", body.wire_length);
    object.field("captured", shown.captured());
    object.nonzero("skipped", body.skipped);
    object.nonzero("lost", body.lost);
    object.optional("lost_cause", body.lost_cause.map(|cause| cause.name()));
    object.field("complete", body.complete);
    object.flag("end_inferred", body.end_inferred);
    object.flag("memory_limited", body.memory_limited);
    object.flag("malformed", body.malformed);
    object.flag("redacted", shown.is_redacted());
    object.flag("withheld", shown.is_withheld());
    write_content_facts(object, shown);
}

/// What codings the body had, and whether they are undone.
fn write_content_facts(object: &mut Object<'_>, shown: &ShownBody<'_>) {
    let content = shown.content;
    if !shown.is_empty() {
        object.optional("content_coding", content.content_coding.as_deref());
        object.optional("transfer_coding", content.transfer_coding.as_deref());
    }
    object.optional("decoded_length", shown.decoded_length());
    object.flag("decoded_truncated", content.truncated);
    object.optional("decoding_error", content.error.map(|error| error.name()));
    object.optional("charset", shown.charset());
}

fn framing_name(framing: Framing) -> &'static str {
    match framing {
        Framing::None => "none",
        Framing::ContentLength(_) => "content_length",
        Framing::Chunked => "chunked",
        Framing::UntilClose => "until_close",
    }
}
