//! Who handled an exchange: correlation ids, processes, Kong's own fields.

mod observation;

pub use observation::*;
