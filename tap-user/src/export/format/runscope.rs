//! The message that Kong's former `runscope` plugin posts, with the two additions that
//! Runscope's API has a place for: `body_encoding`, and the record's id as `unique_identifier`.

use super::body::Bodies;
use super::message::{self, Elsewhere};
use crate::export::json::{Page, document};
use crate::export::record::delivery_id;
use crate::gateway::Observation;

/// Appends the record without its terminator.
pub(super) fn write(observation: &Observation, out: &mut Page) {
    let bodies = Bodies::of(observation);
    document(out, |object| {
        message::write(object, observation, &bodies, Elsewhere::NotSaid);
        object.field("unique_identifier", &*delivery_id(observation));
    });
}
