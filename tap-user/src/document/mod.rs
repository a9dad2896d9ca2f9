//! Settings as people write them, with the place where each stands: a tree of keys and scalars
//! ([`Node`]) that YAML becomes, and `key=value` options of the command line too, and the reader
//! that makes typed settings of it.
//!
//! Types of settings are plain serde structs with `deny_unknown_fields`. They need to know nothing
//! of places, because the reader notes the key and the line of whatever they refuse, and because
//! the line of a key can be looked up later ([`Node::line_of`]), when values that are fine by
//! themselves turn out not to fit each other.
//!
//! A scalar is what its reader expects: `8000` is a number for a port and text for a name. Only
//! quotes decide: what stands in quotes is text.

mod keys;
mod node;
mod problem;
mod reader;
mod scalar;
mod yaml;

pub use keys::keys_of;
pub use node::Node;
pub use problem::{Problem, unknown_key};
pub use yaml::parse_yaml;

use serde::de::DeserializeOwned;

/// Makes settings of a tree.
///
/// # Errors
/// Something is unknown, missing, of the wrong type or impossible: the first such thing, with its
/// key and line.
pub fn read<T: DeserializeOwned>(node: &Node) -> Result<T, Problem> {
    T::deserialize(reader::Reader(node)).map_err(|problem| problem.or_at(node.line()))
}
