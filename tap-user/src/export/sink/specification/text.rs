//! Sinks as they are written on the command line: `NAME:PLACE,key=value,…`, where keys are those
//! of YAML, of the sink or of its destination, with dots to inner ones (`rotate.size=1GiB`). A
//! value with a comma needs the YAML form; a list is a key given several times.

use super::destination::{KINDS, Kind, text_forms};
use super::settings::SinkSettings;
use crate::document::{Node, Problem, keys_of, read, unknown_key};
use std::str::FromStr;

/// Short names of keys on the command line.
const SHORT_NAMES: [(&str, &str); 2] = [("queue", "queue_bytes"), ("spool", "spool.path")];

impl FromStr for SinkSettings {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let mut parts = text.split(',');
        let target = parts.next().unwrap_or_default();
        let (name, place) = target.split_once(':').unwrap_or((target, ""));
        let kind = KINDS.into_iter().find(|kind| kind.name == name).ok_or_else(|| {
            Problem::new(format!("there is no sink `{name}`; use {}", text_forms()))
        })?;
        let mut node = Node::empty();
        node.set_map(kind.name);
        for (key, value) in (kind.place)(place)? {
            node.set(&format!("{name}.{key}"), &value)?;
        }
        parts.try_for_each(|option| set(&mut node, kind, option))?;
        read(&node)
    }
}

fn set(node: &mut Node, kind: &Kind, option: &str) -> Result<(), Problem> {
    let Some((path, value)) = option.split_once('=') else {
        let message = format!("`{option}` is no option; write key=value (in a value, no comma)");
        return Err(Problem::new(message));
    };
    let key = path.split('.').next().unwrap_or(path);
    if let Some((_, long)) = SHORT_NAMES.into_iter().find(|&(short, _)| short == path) {
        return node.set(long, value);
    }
    if (kind.keys)().contains(&key) {
        return node.set(&format!("{}.{path}", kind.name), value);
    }
    let mut common: Vec<&str> = keys_of::<SinkSettings>().to_vec();
    common.retain(|key| KINDS.iter().all(|kind| kind.name != *key));
    if common.contains(&key) {
        return node.set(path, value);
    }
    let mut known = (kind.keys)().to_vec();
    known.extend(common);
    known.extend(SHORT_NAMES.map(|(short, _)| short));
    Err(unknown_key(key, &known))
}
