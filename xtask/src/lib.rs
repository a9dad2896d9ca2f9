//! The parts of xtask that tests use too: real programs under test, started and ended cleanly.

pub mod rig;
