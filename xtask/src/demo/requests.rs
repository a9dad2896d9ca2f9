//! A handful of varied requests, sent by curl.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::interrupt;

/// One call of curl; several paths go over one connection.
struct Call {
    what: &'static str,
    arguments: &'static [&'static str],
    paths: &'static [&'static str],
}

const CALLS: [Call; 7] = [
    Call { what: "GET", arguments: &[], paths: &["/hello"] },
    Call {
        what: "POST with JSON",
        arguments: &[
            "--header",
            "Content-Type: application/json",
            "--data",
            r#"{"customer":"Ada","items":[{"sku":"A-1","count":2}]}"#,
        ],
        paths: &["/orders"],
    },
    Call { what: "chunked response", arguments: &[], paths: &["/page"] },
    Call { what: "HEAD", arguments: &["--head"], paths: &["/hello"] },
    Call { what: "what is not there", arguments: &[], paths: &["/missing"] },
    Call { what: "large download (8 MiB)", arguments: &[], paths: &["/download"] },
    Call {
        what: "three requests over one connection",
        arguments: &[],
        paths: &["/hello?turn=1", "/page?turn=2", "/hello?turn=3"],
    },
];

/// Sends all requests to the gateway, one after another, and returns how many there were.
///
/// # Errors
/// When curl gets no response or the demo is interrupted.
pub(super) fn send_all(port: u16) -> Result<usize> {
    for call in &CALLS {
        interrupt::check()?;
        eprintln!("    {:36} -> {}", call.what, send(call, port)?);
    }
    Ok(CALLS.iter().map(|call| call.paths.len()).sum())
}

/// The status of each response.
fn send(call: &Call, port: u16) -> Result<String> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "10"]);
    curl.args(["--write-out", "%{stderr}%{http_code} "]);
    curl.args(call.arguments);
    for path in call.paths {
        curl.args(["--output", "/dev/null"]).arg(format!("http://127.0.0.1:{port}{path}"));
    }
    let output = curl.stdin(Stdio::null()).output().context("starting curl")?;
    if !output.status.success() {
        // Ctrl-C reaches curl as well.
        interrupt::check()?;
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "curl failed at {}: {said}", call.what);
    Ok(said)
}
