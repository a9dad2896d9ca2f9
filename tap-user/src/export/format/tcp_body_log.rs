//! The record of the `tcp-body-log` plugin, which is Runscope's message, with its id beside it;
//! what is gatetap's own stands under the one key `tap`. The strict variant has neither.

use super::body::Bodies;
use super::connections::ConnectionText;
use super::message::{self, Elsewhere};
use super::tap;
use crate::export::json::{Page, document};
use crate::export::record::delivery_id;
use crate::gateway::Observation;

/// Appends the record without its terminator.
pub(super) fn write(observation: &Observation, connection: &ConnectionText, out: &mut Page) {
    let bodies = Bodies::of(observation);
    document(out, |object| {
        message::write(object, observation, &bodies, Elsewhere::Said);
        object.field("unique_identifier", &*delivery_id(observation));
        tap::write(object, observation, connection, &bodies, tap::CorrelationId::Here);
    });
}

/// Appends the record with the plugin's own keys only, without its terminator.
pub(super) fn write_strict(observation: &Observation, out: &mut Page) {
    let bodies = Bodies::of(observation);
    document(out, |object| message::write(object, observation, &bodies, Elsewhere::NotSaid));
}
