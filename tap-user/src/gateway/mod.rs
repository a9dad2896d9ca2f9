//! Who handled an exchange: correlation ids, processes, Kong's own fields.

mod correlation;
mod observation;
mod redacted;

pub use correlation::*;
pub use observation::*;
pub use redacted::*;
