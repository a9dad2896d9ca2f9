//! Runscope in settings, with the names, units and defaults of Kong's plugin.

use super::super::http::{
    InvalidClient, InvalidEndpoint, InvalidToken, Milliseconds, Secret, TokenSource,
};
use reqwest::header::HeaderValue;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

const DEFAULT_ENDPOINT: &str = "https://api.runscope.com";
const DEFAULT_TIMEOUT: Milliseconds = Milliseconds(Duration::from_secs(10));
/// Milliseconds indeed: so short that hardly any connection is used twice.
const DEFAULT_KEEPALIVE: Milliseconds = Milliseconds(Duration::from_millis(30));
/// What an endpoint looks like.
pub(super) const EXAMPLE: &str = DEFAULT_ENDPOINT;

/// Messages of a bucket of Runscope (or of whoever speaks its API).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunscopeSettings {
    /// The bucket that gets the messages.
    pub bucket_key: String,
    /// The token that authorizes to write messages. Better given by `access_token_env` or
    /// `access_token_file`.
    #[serde(default)]
    pub access_token: Option<Secret>,
    /// Name of the environment variable that holds the token.
    #[serde(default)]
    pub access_token_env: Option<String>,
    /// Path of the file that holds the token; a line end behind it does no harm.
    #[serde(default)]
    pub access_token_file: Option<PathBuf>,
    /// Where the API is; `/buckets/KEY/messages` is put behind it.
    #[serde(default = "default_endpoint")]
    pub api_endpoint: String,
    /// How long one attempt may take, from connecting to the end of the reply; a bare number is
    /// milliseconds, as in Kong.
    #[serde(default = "default_timeout")]
    pub timeout: Milliseconds,
    /// How long an idle connection is kept; a bare number is milliseconds, as in Kong.
    #[serde(default = "default_keepalive")]
    pub keepalive: Milliseconds,
    /// PEM file with the certificate authorities to trust instead of the machine's.
    #[serde(default)]
    pub tls_ca: Option<PathBuf>,
    /// Whether the certificate is verified.
    #[serde(default = "default_verify")]
    pub tls_verify: bool,
}

fn default_endpoint() -> String {
    DEFAULT_ENDPOINT.to_owned()
}

fn default_timeout() -> Milliseconds {
    DEFAULT_TIMEOUT
}

fn default_keepalive() -> Milliseconds {
    DEFAULT_KEEPALIVE
}

fn default_verify() -> bool {
    true
}

/// What is wrong with the settings of a Runscope sink.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRunscope {
    /// There is no bucket.
    #[error("bucket_key is empty: write the key of the bucket, as runscope:abcdef012345")]
    BucketKey,
    /// The timeout would let nothing through.
    #[error("timeout cannot be 0: write 500ms, 10s or a number of milliseconds")]
    Timeout,
    /// The address.
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
    /// The token.
    #[error(transparent)]
    Token(#[from] InvalidToken),
    /// TLS.
    #[error(transparent)]
    Client(#[from] InvalidClient),
}

impl RunscopeSettings {
    /// The settings of a bucket, all others as they are unless set.
    #[must_use]
    pub fn of_bucket(bucket_key: &str) -> Self {
        Self {
            bucket_key: bucket_key.to_owned(),
            access_token: None,
            access_token_env: None,
            access_token_file: None,
            api_endpoint: default_endpoint(),
            timeout: DEFAULT_TIMEOUT,
            keepalive: DEFAULT_KEEPALIVE,
            tls_ca: None,
            tls_verify: true,
        }
    }

    pub(super) fn bucket_key(&self) -> Result<&str, InvalidRunscope> {
        if self.timeout.0.is_zero() {
            return Err(InvalidRunscope::Timeout);
        }
        // Dots would name another path.
        let is_key = !matches!(self.bucket_key.as_str(), "" | "." | "..");
        is_key.then_some(self.bucket_key.as_str()).ok_or(InvalidRunscope::BucketKey)
    }

    /// The header `Authorization`.
    pub(super) fn authorization(&self) -> Result<HeaderValue, InvalidToken> {
        let source = TokenSource {
            key: "access_token",
            value: self.access_token.as_ref(),
            variable: self.access_token_env.as_deref(),
            file: self.access_token_file.as_deref(),
        };
        source.require()?.header("Bearer ").ok_or(InvalidToken::Characters(source.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_kongs_plugin() {
        let read: RunscopeSettings = serde_saphyr::from_str("bucket_key: k").unwrap();
        assert_eq!(read, RunscopeSettings::of_bucket("k"));
        assert_eq!(read.api_endpoint, "https://api.runscope.com");
        assert_eq!(read.timeout.0, Duration::from_millis(10_000));
        assert_eq!(read.keepalive.0, Duration::from_millis(30));
        assert!(read.tls_verify);
    }

    #[test]
    fn a_token_is_required_and_not_shown() {
        let error = RunscopeSettings::of_bucket("k").authorization().unwrap_err().to_string();
        assert!(error.starts_with("access_token is missing"), "{error}");
        let read: RunscopeSettings =
            serde_saphyr::from_str("{bucket_key: k, access_token: hunter2}").unwrap();
        assert_eq!(read.authorization().unwrap(), "Bearer hunter2");
        assert!(!format!("{read:?}").contains("hunter2"));
    }

    #[test]
    fn impossible_values_are_refused() {
        for key in ["", ".", ".."] {
            assert!(RunscopeSettings::of_bucket(key).bucket_key().is_err(), "{key}");
        }
        let mut settings = RunscopeSettings::of_bucket("k");
        settings.timeout = Milliseconds(Duration::ZERO);
        let error = settings.bucket_key().unwrap_err().to_string();
        assert!(error.starts_with("timeout cannot be 0"), "{error}");
    }
}
