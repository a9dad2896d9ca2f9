//! What both sinks over HTTP let people set, and how tokens become headers.

use crate::document::Problem;
use crate::secret::Secret;
use reqwest::header::HeaderValue;
use std::path::Path;
use std::time::Duration;

/// Settings of connections.
#[derive(Debug, Clone, Copy)]
pub(in crate::export::sink) struct ClientSettings<'a> {
    /// How long one attempt may take, from connecting to the end of the reply.
    pub(in crate::export::sink) timeout: Duration,
    /// How long an idle connection is kept.
    pub(in crate::export::sink) keepalive: Duration,
    /// Idle connections that are kept at most.
    pub(in crate::export::sink) connections: usize,
    /// Certificate authorities instead of the machine's.
    pub(in crate::export::sink) tls_ca: Option<&'a Path>,
    /// Whether certificates are verified.
    pub(in crate::export::sink) tls_verify: bool,
}

impl ClientSettings<'_> {
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.timeout.is_zero() {
            let message =
                "0 would let nothing through; write 500ms, 10s or a number of milliseconds";
            return Err(Problem::at("timeout", message));
        }
        Ok(())
    }
}

/// The header value for a text in settings.
pub(in crate::export::sink) fn header_value(
    key: &'static str,
    text: &str,
) -> Result<HeaderValue, Problem> {
    let value = HeaderValue::from_str(text).ok().filter(|value| !value.is_empty());
    value.ok_or_else(|| Problem::at(key, "use a text of visible characters, on one line"))
}

/// The header value for a token, which libraries do not show either.
pub(in crate::export::sink) fn token(
    key: &'static str,
    secret: &Secret,
) -> Result<HeaderValue, Problem> {
    sensitive(key, secret.expose())
}

/// The same for the header `Authorization` (RFC 6750, section 2.1).
pub(in crate::export::sink) fn bearer(
    key: &'static str,
    secret: &Secret,
) -> Result<HeaderValue, Problem> {
    token(key, secret)?;
    sensitive(key, &format!("Bearer {}", secret.expose()))
}

fn sensitive(key: &'static str, text: &str) -> Result<HeaderValue, Problem> {
    let invalid = "the secret holds characters that cannot stand in an HTTP header, or only spaces";
    let value = HeaderValue::from_str(text).ok().filter(|_| !text.trim().is_empty());
    let mut value = value.ok_or_else(|| Problem::at(key, invalid))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_shows_itself() {
        let header = bearer("access_token", &"hunter2".into()).unwrap();
        assert_eq!(header.as_bytes(), b"Bearer hunter2");
        assert!(!format!("{header:?}").contains("hunter2"));
    }

    #[test]
    fn a_token_that_is_no_header_value_is_refused_without_showing_it() {
        for text in ["hunter2\nhunter3", "hunter2\u{1}", " ", "hunter2\r\nX-Evil: 1"] {
            let problem = bearer("access_token", &text.into()).unwrap_err().to_string();
            assert!(problem.starts_with("access_token: the secret holds"), "{problem}");
            assert!(!problem.contains("hunter"), "{problem}");
        }
    }
}
