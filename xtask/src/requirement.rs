//! What a test needs of the machine. Where it is missing the test says so and returns, unless
//! `GATETAP_REQUIRE_LIVE=1` (as CI sets it) makes that a failure.

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::thread;

/// A test that cannot run is a failure where this is `1`.
pub const REQUIRE_LIVE: &str = "GATETAP_REQUIRE_LIVE";

/// Whether a test that cannot run is a failure.
#[must_use]
pub fn is_required() -> bool {
    env::var(REQUIRE_LIVE).is_ok_and(|value| value == "1")
}

/// What was asked for; or a failure or a note if it is missing for the given reason.
///
/// # Panics
/// It is missing, and required.
pub fn met<T>(requirement: Result<T, String>) -> Option<T> {
    // Not `eprintln!`: the harness hides that when a test passes.
    judge(requirement, is_required(), &mut io::stderr())
}

/// That a program is there.
///
/// # Errors
/// It is not; says how to get it.
pub fn program(path: &str) -> Result<(), String> {
    let missing = || format!("{path} is not installed: run `cargo xtask setup`");
    Path::new(path).exists().then_some(()).ok_or_else(missing)
}

fn judge<T>(requirement: Result<T, String>, required: bool, notes: &mut dyn Write) -> Option<T> {
    requirement
        .inspect_err(|reason| {
            assert!(!required, "{REQUIRE_LIVE}=1, but {reason}");
            let thread = thread::current();
            let test = thread.name().unwrap_or("a test");
            // Whoever cannot be told is no reason to fail.
            let _ = writeln!(notes, "skipped: {test}: {reason}");
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_skips() {
        let mut notes = Vec::new();
        assert_eq!(judge(Ok(7), false, &mut notes), Some(7));
        assert_eq!(notes, b"");
        assert_eq!(judge::<()>(Err("there is none".into()), false, &mut notes), None);
        let told = String::from_utf8(notes).unwrap();
        assert!(told.ends_with("requirement::tests::what_is_missing_skips: there is none\n"));
    }

    #[test]
    #[should_panic(expected = "GATETAP_REQUIRE_LIVE=1, but there is none")]
    fn what_is_missing_and_required_fails() {
        judge::<()>(Err("there is none".into()), true, &mut io::sink());
    }

    #[test]
    fn a_program_is_there_or_not() {
        assert_eq!(program("/bin/sh"), Ok(()));
        assert!(program("/no/such/program").unwrap_err().contains("cargo xtask setup"));
    }
}
