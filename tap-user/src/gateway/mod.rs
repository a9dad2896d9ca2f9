//! Who handled an exchange: correlation ids, processes, Kong's own fields.

mod correlation;
mod observation;

pub use correlation::*;
pub use observation::*;
