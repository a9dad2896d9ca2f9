//! A Traceable agent in settings, with the names, units and defaults of Traceable's Kong plugin
//! where it has the same.

use crate::document::{Problem, keys_of};
use crate::export::Format;
use crate::export::sink::http::{ClientSettings, Concurrency, Milliseconds, header_value, token};
use crate::export::sink::specification::{DestinationSettings, Kind, Place};
use crate::secret::Secret;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceableSettings {
    /// Where the agent's REST server is, `http` or `https`; `/ext_cap/v1/req_res_cap` is put
    /// behind it.
    #[schemars(example = EXAMPLE)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The token that agents with authentication want. Better given by `agent_token_env` or
    /// `agent_token_file`.
    #[serde(default, skip_serializing)]
    pub agent_token: Option<Secret>,
    /// Name of the environment variable that holds the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_token_env: Option<String>,
    /// Path of the file that holds the token; a line end behind it does no harm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_token_file: Option<PathBuf>,
    /// How long one attempt may take, from connecting to the agent's answer; a bare number is
    /// milliseconds, as in Kong.
    #[serde(default = "default_timeout")]
    pub timeout: Milliseconds,
    /// How long an idle connection is kept; a bare number is milliseconds.
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

pub(in crate::export::sink) static KIND: Kind = Kind {
    name: "traceable",
    text_form: "traceable:URL",
    default_format: Format::Traceable,
    keys: keys_of::<TraceableSettings>,
    place,
};

fn place(text: &str) -> Result<Place, Problem> {
    if text.is_empty() {
        return Err(KIND.misspelt("traceable:http://agent.traceable:5442"));
    }
    Ok(vec![("ext_cap_endpoint", text.to_owned())])
}

impl DestinationSettings for TraceableSettings {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn label(&self) -> String {
        format!("traceable:{}", self.ext_cap_endpoint)
    }

    fn check(&self) -> Result<(), Problem> {
        super::poster(self).map(drop)
    }
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
            concurrency: Concurrency::default(),
            tls_ca: None,
            tls_verify: true,
        }
    }

    /// Headers of every call: module and service in both spellings (proxies may drop names with
    /// dots), environment and token with dashes only.
    pub(super) fn headers(&self) -> Result<HeaderMap, Problem> {
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

    fn token(&self) -> Result<Option<HeaderValue>, Problem> {
        let (value, key) = (self.agent_token.as_ref(), "agent_token");
        let (variable, file) = (self.agent_token_env.as_deref(), self.agent_token_file.as_deref());
        let secret = Secret::resolve(key, value, variable, file)?;
        secret.map(|secret| token(key, &secret)).transpose()
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

    fn settings(yaml: &str) -> TraceableSettings {
        read(&parse_yaml(yaml).unwrap()).unwrap()
    }

    #[test]
    fn defaults_are_those_of_the_plugin() {
        let read = settings("ext_cap_endpoint: http://h");
        assert_eq!(read, TraceableSettings::of_endpoint("http://h"));
        assert_eq!((read.service_name.as_str(), read.timeout.0.as_millis()), ("kong", 500));
        assert_eq!(read.check(), Ok(()));
    }

    #[test]
    fn module_and_service_have_two_spellings_the_rest_one() {
        let headers = settings(
            "{ext_cap_endpoint: http://h, service_name: s, module_name: m, module_version: '1', \
             environment: e, agent_token: t}",
        )
        .headers()
        .unwrap();
        let mut found: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        found.sort_unstable();
        let expected: [(&str, &[u8]); 8] = [
            ("traceableai-agent-token", b"t"),
            ("traceableai-environment-name", b"e"),
            ("traceableai-module-name", b"m"),
            ("traceableai-module-version", b"1"),
            ("traceableai-service-name", b"s"),
            ("traceableai.module.name", b"m"),
            ("traceableai.module.version", b"1"),
            ("traceableai.service.name", b"s"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn impossible_values_are_refused_by_their_keys() {
        for (yaml, key) in [
            ("{ext_cap_endpoint: agent}", "ext_cap_endpoint"),
            ("{ext_cap_endpoint: 'http://user:pass@h'}", "ext_cap_endpoint"),
            ("{ext_cap_endpoint: http://h, service_name: \"a\\nb\"}", "service_name"),
            ("{ext_cap_endpoint: http://h, module_name: ''}", "module_name"),
            ("{ext_cap_endpoint: http://h, timeout: 0}", "timeout"),
            ("{ext_cap_endpoint: http://h, agent_token: ''}", "agent_token"),
            ("{ext_cap_endpoint: https://h, tls_ca: /nowhere}", "tls_ca"),
        ] {
            assert_eq!(settings(yaml).check().unwrap_err().key(), key, "{yaml}");
        }
    }
}
