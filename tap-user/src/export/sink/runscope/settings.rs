//! Runscope in settings, with the names, units and defaults of Kong's plugin.

use crate::document::{Problem, keys_of};
use crate::export::Format;
use crate::export::sink::http::{ClientSettings, Concurrency, Milliseconds, bearer};
use crate::export::sink::specification::{DestinationSettings, Kind, Place};
use crate::secret::Secret;
use reqwest::header::HeaderValue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

const DEFAULT_ENDPOINT: &str = "https://api.runscope.com";
const DEFAULT_TIMEOUT: Milliseconds = Milliseconds(Duration::from_secs(10));
/// Milliseconds indeed: so short that hardly any connection is used twice.
const DEFAULT_KEEPALIVE: Milliseconds = Milliseconds(Duration::from_millis(30));
/// What an endpoint looks like.
pub(super) const EXAMPLE: &str = DEFAULT_ENDPOINT;

/// Messages of a bucket of Runscope (or of whoever speaks its API).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunscopeSettings {
    /// The bucket that gets the messages.
    #[schemars(example = &"abcdef012345")]
    pub bucket_key: String,
    /// The token that authorizes to write messages. Better given by `access_token_env` or
    /// `access_token_file`.
    #[serde(default, skip_serializing)]
    pub access_token: Option<Secret>,
    /// Name of the environment variable that holds the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_env: Option<String>,
    /// Path of the file that holds the token; a line end behind it does no harm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// Requests under way at once.
    #[serde(default)]
    pub concurrency: Concurrency,
    /// PEM file with the certificate authorities to trust instead of the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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

pub(in crate::export::sink) static KIND: Kind = Kind {
    name: "runscope",
    text_form: "runscope:BUCKET_KEY",
    default_format: Format::Runscope,
    keys: keys_of::<RunscopeSettings>,
    place,
};

fn place(text: &str) -> Result<Place, Problem> {
    if text.is_empty() {
        return Err(KIND.misspelt("runscope:abcdef012345,access_token_file=/run/secrets/runscope"));
    }
    Ok(vec![("bucket_key", text.to_owned())])
}

impl DestinationSettings for RunscopeSettings {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn label(&self) -> String {
        format!("runscope:{}", self.bucket_key)
    }

    fn check(&self) -> Result<(), Problem> {
        super::poster(self).map(drop)
    }
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
            concurrency: Concurrency::default(),
            tls_ca: None,
            tls_verify: true,
        }
    }

    pub(super) fn bucket_key(&self) -> Result<&str, Problem> {
        // Dots would name another path.
        if matches!(self.bucket_key.as_str(), "" | "." | "..") {
            let message = "this is no key of a bucket; use one as abcdef012345";
            return Err(Problem::at("bucket_key", message));
        }
        Ok(&self.bucket_key)
    }

    /// The header `Authorization`.
    pub(super) fn authorization(&self) -> Result<HeaderValue, Problem> {
        let (value, key) = (self.access_token.as_ref(), "access_token");
        let (variable, file) =
            (self.access_token_env.as_deref(), self.access_token_file.as_deref());
        let missing =
            "the token is missing; use access_token_env, access_token_file or access_token";
        let token = Secret::resolve(key, value, variable, file)?;
        bearer(key, &token.ok_or_else(|| Problem::at(key, missing))?)
    }

    pub(super) fn client(&self) -> ClientSettings<'_> {
        ClientSettings {
            timeout: self.timeout.0,
            keepalive: self.keepalive.0,
            connections: self.concurrency.requests(),
            tls_ca: self.tls_ca.as_deref(),
            tls_verify: self.tls_verify,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{parse_yaml, read};

    fn settings(yaml: &str) -> RunscopeSettings {
        read(&parse_yaml(yaml).unwrap()).unwrap()
    }

    #[test]
    fn defaults_are_those_of_kongs_plugin() {
        let read = settings("bucket_key: k");
        assert_eq!(read, RunscopeSettings::of_bucket("k"));
        assert_eq!(read.api_endpoint, "https://api.runscope.com");
        assert_eq!(read.timeout.0, Duration::from_millis(10_000));
        assert_eq!(read.keepalive.0, Duration::from_millis(30));
        assert!(read.tls_verify);
    }

    #[test]
    fn a_token_is_required_and_not_shown() {
        let problem = settings("bucket_key: k").check().unwrap_err().to_string();
        assert!(problem.starts_with("access_token: the token is missing"), "{problem}");
        let read = settings("{bucket_key: k, access_token: hunter2, timeout: 250}");
        assert_eq!(read.authorization().unwrap(), "Bearer hunter2");
        assert_eq!(read.timeout.0, Duration::from_millis(250));
        let written = serde_json::to_string(&read).unwrap();
        assert!(!format!("{read:?}{written}{}", read.label()).contains("hunter2"));
    }

    #[test]
    fn impossible_values_are_refused_by_their_keys() {
        for (yaml, key) in [
            ("{bucket_key: '..', access_token: x}", "bucket_key"),
            ("{bucket_key: k, access_token: x, timeout: 0}", "timeout"),
            ("{bucket_key: k, access_token: x, api_endpoint: h}", "api_endpoint"),
            ("{bucket_key: k, access_token: x, tls_ca: /nowhere}", "tls_ca"),
            ("{bucket_key: k, access_token: x, access_token_env: HOME}", "access_token"),
        ] {
            assert_eq!(settings(yaml).check().unwrap_err().key(), key, "{yaml}");
        }
    }
}
