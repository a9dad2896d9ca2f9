//! The native record on many lines, for people.

use super::connections::ConnectionText;
use super::native;
use crate::export::json::Page;
use crate::gateway::Observation;
use serde::ser::Serialize;
use serde_json::Value;

/// Appends the record, without its end.
pub(super) fn write(observation: &Observation, connection: &ConnectionText, out: &mut Page) {
    let mut compact = Page::default();
    native::write(observation, connection, &mut compact);
    let Ok(record) = serde_json::from_slice::<Value>(compact.written()) else {
        out.extend(compact.written());
        return;
    };
    let mut serializer = serde_json::Serializer::pretty(out);
    // Writing to a page cannot fail.
    let _ = record.serialize(&mut serializer);
}
