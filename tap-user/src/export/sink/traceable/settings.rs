//! A Traceable agent in settings, with the names, units and defaults of Traceable's Kong plugin
//! where it has the same.

use super::super::http::{
    InvalidClient, InvalidEndpoint, InvalidToken, Milliseconds, Secret, TokenSource,
};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

const DEFAULT_SERVICE_NAME: &str = "kong";
const DEFAULT_MODULE_NAME: &str = "gatetap";
const DEFAULT_MODULE_VERSION: &str = env!("CARGO_PKG_VERSION");
const DEFAULT_TIMEOUT: Milliseconds = Milliseconds(Duration::from_millis(500));
/// Less than the 60 seconds after which an agent closes an idle connection.
const DEFAULT_KEEPALIVE: Milliseconds = Milliseconds(Duration::from_secs(30));
/// What an endpoint looks like.
pub(super) const EXAMPLE: &str = "http://agent.traceable:5442";

const AGENT_TOKEN: HeaderName = HeaderName::from_static("traceableai-agent-token");

/// A Traceable agent (platform agent or module extension) with its `ext_cap` receiver.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceableSettings {
    /// Where the agent's REST server is, `http` or `https`; `/ext_cap/v1/req_res_cap` is put
    /// behind it.
    pub ext_cap_endpoint: String,
    /// The service that the exchanges belong to.
    #[serde(default = "default_service_name")]
    pub service_name: String,
    /// The name under which gatetap introduces itself.
    #[serde(default = "default_module_name")]
    pub module_name: String,
    /// The version that it tells of itself.
    #[serde(default = "default_module_version")]
    pub module_version: String,
    /// The environment that the exchanges belong to.
    #[serde(default)]
    pub environment: Option<String>,
    /// The token that agents with authentication want. Better given by `agent_token_env` or
    /// `agent_token_file`.
    #[serde(default)]
    pub agent_token: Option<Secret>,
    /// Name of the environment variable that holds the token.
    #[serde(default)]
    pub agent_token_env: Option<String>,
    /// Path of the file that holds the token; a line end behind it does no harm.
    #[serde(default)]
    pub agent_token_file: Option<PathBuf>,
    /// How long one attempt may take, from connecting to the agent's answer; a bare number is
    /// milliseconds, as in Kong.
    #[serde(default = "default_timeout")]
    pub timeout: Milliseconds,
    /// How long an idle connection is kept; a bare number is milliseconds.
    #[serde(default = "default_keepalive")]
    pub keepalive: Milliseconds,
    /// PEM file with the certificate authorities to trust instead of the machine's.
    #[serde(default)]
    pub tls_ca: Option<PathBuf>,
    /// Whether the certificate is verified.
    #[serde(default = "default_verify")]
    pub tls_verify: bool,
}

fn default_service_name() -> String {
    DEFAULT_SERVICE_NAME.to_owned()
}

fn default_module_name() -> String {
    DEFAULT_MODULE_NAME.to_owned()
}

fn default_module_version() -> String {
    DEFAULT_MODULE_VERSION.to_owned()
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

/// What is wrong with the settings of a Traceable sink.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTraceable {
    /// A value that goes into a header cannot stand there.
    #[error("{0} holds characters that cannot stand in an HTTP header, or is empty")]
    Header(&'static str),
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

impl TraceableSettings {
    /// The settings of an agent, all others as they are unless set.
    #[must_use]
    pub fn of_endpoint(ext_cap_endpoint: &str) -> Self {
        Self {
            ext_cap_endpoint: ext_cap_endpoint.to_owned(),
            service_name: default_service_name(),
            module_name: default_module_name(),
            module_version: default_module_version(),
            environment: None,
            agent_token: None,
            agent_token_env: None,
            agent_token_file: None,
            timeout: DEFAULT_TIMEOUT,
            keepalive: DEFAULT_KEEPALIVE,
            tls_ca: None,
            tls_verify: true,
        }
    }

    /// Headers of every call: module and service in both spellings (proxies may drop names with
    /// dots), environment and token with dashes only.
    pub(super) fn headers(&self) -> Result<HeaderMap, InvalidTraceable> {
        if self.timeout.0.is_zero() {
            return Err(InvalidTraceable::Timeout);
        }
        let mut headers = HeaderMap::new();
        for (key, value, names) in [
            (
                "module_name",
                &self.module_name,
                ["traceableai-module-name", "traceableai.module.name"],
            ),
            (
                "module_version",
                &self.module_version,
                ["traceableai-module-version", "traceableai.module.version"],
            ),
            (
                "service_name",
                &self.service_name,
                ["traceableai-service-name", "traceableai.service.name"],
            ),
        ] {
            let value = header_value(key, value)?;
            for name in names {
                headers.insert(HeaderName::from_static(name), value.clone());
            }
        }
        if let Some(environment) = &self.environment {
            let name = HeaderName::from_static("traceableai-environment-name");
            headers.insert(name, header_value("environment", environment)?);
        }
        if let Some(token) = self.token()? {
            headers.insert(AGENT_TOKEN, token);
        }
        Ok(headers)
    }

    fn token(&self) -> Result<Option<HeaderValue>, InvalidToken> {
        let source = TokenSource {
            key: "agent_token",
            value: self.agent_token.as_ref(),
            variable: self.agent_token_env.as_deref(),
            file: self.agent_token_file.as_deref(),
        };
        Ok(source.read()?.and_then(|token| token.header("")))
    }
}

fn header_value(key: &'static str, text: &str) -> Result<HeaderValue, InvalidTraceable> {
    let value = HeaderValue::from_str(text).ok().filter(|value| !value.is_empty());
    value.ok_or(InvalidTraceable::Header(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(yaml: &str) -> Result<Vec<(String, String)>, String> {
        let settings: TraceableSettings = serde_saphyr::from_str(yaml).unwrap();
        let headers = settings.headers().map_err(|error| error.to_string())?;
        let shown = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        let mut headers: Vec<_> = headers.iter().map(shown).collect();
        headers.sort();
        Ok(headers)
    }

    #[test]
    fn defaults_are_those_of_the_plugin() {
        let read: TraceableSettings = serde_saphyr::from_str("ext_cap_endpoint: http://h").unwrap();
        assert_eq!(read, TraceableSettings::of_endpoint("http://h"));
        assert_eq!((read.service_name.as_str(), read.timeout.0.as_millis()), ("kong", 500));
    }

    #[test]
    fn module_and_service_have_two_spellings_the_rest_one() {
        let found = headers(
            "{ext_cap_endpoint: http://h, service_name: s, module_name: m, module_version: '1', \
             environment: e, agent_token: t}",
        );
        let expected = [
            ("traceableai-agent-token", "t"),
            ("traceableai-environment-name", "e"),
            ("traceableai-module-name", "m"),
            ("traceableai-module-version", "1"),
            ("traceableai-service-name", "s"),
            ("traceableai.module.name", "m"),
            ("traceableai.module.version", "1"),
            ("traceableai.service.name", "s"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, Ok(expected.to_vec()));
    }

    #[test]
    fn values_that_no_header_can_carry_are_refused() {
        let error = headers("{ext_cap_endpoint: http://h, service_name: \"a\\nb\"}").unwrap_err();
        assert!(error.starts_with("service_name holds characters"), "{error}");
        assert!(headers("{ext_cap_endpoint: http://h, module_name: ''}").is_err());
        assert!(headers("{ext_cap_endpoint: http://h, timeout: 0}").is_err());
        let error = headers("{ext_cap_endpoint: http://h, agent_token: ''}").unwrap_err();
        assert_eq!(error, "agent_token is empty");
    }
}
