//! The native record on many lines, for people.

use super::native;
use crate::gateway::Observation;
use serde::ser::Serialize;
use serde_json::Value;

/// Appends the record, without its end.
pub(super) fn write(observation: &Observation, out: &mut Vec<u8>) {
    let mut compact = Vec::new();
    native::write(observation, &mut compact);
    let Ok(record) = serde_json::from_slice::<Value>(&compact) else {
        out.extend_from_slice(&compact);
        return;
    };
    let mut serializer = serde_json::Serializer::pretty(out);
    // Writing to a `Vec` cannot fail.
    let _ = record.serialize(&mut serializer);
}
