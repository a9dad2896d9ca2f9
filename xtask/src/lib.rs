//! The parts of xtask that tests and `tap-user/build.rs` use too: real programs under test, what a
//! test requires of the machine, and where the BPF toolchain is.

pub mod requirement;
pub mod rig;
pub mod toolchain;
