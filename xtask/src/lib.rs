//! The parts of xtask that tests use and `tap-user/build.rs` use too: real programs under test, and
//! where the BPF toolchain is.

pub mod rig;
pub mod toolchain;
