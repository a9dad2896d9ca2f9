//! What settings say about redaction.

use super::json::{InvalidPath, JsonPath, TooManySteps};
use super::names::NAME_LIMIT;
use super::pattern::{InvalidPattern, PatternSettings};
use super::replacement::ShortKey;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::path::PathBuf;

/// What is replaced before a record is stored or sent. Without any of these keys the secrets in well-known
/// headers and parameters are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RedactionSettings {
    /// `false` exports everything as it was seen.
    pub enabled: bool,
    /// Replaces each secret by a keyed hash, the same for the same secret, instead of by `REDACTED`.
    pub hash: Option<HashKeySettings>,
    /// Headers whose values are replaced, in requests, responses, interim responses and trailers.
    pub headers: NameSettings,
    /// Parameters of URLs whose values are replaced: in request targets, and in headers that hold URLs.
    pub query: NameSettings,
    /// Fields of urlencoded and multipart forms whose values are replaced.
    pub form: Vec<String>,
    /// Values in JSON bodies that are replaced, by path: `$.user.password`, `$..token`,
    /// `$.cards[*].number`.
    pub json: Vec<JsonPath>,
    /// What is replaced wherever it stands: `card_number`, `bearer_token`, `jwt`, or an expression of your own.
    pub patterns: Vec<PatternSettings>,
}

impl Default for RedactionSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            hash: None,
            headers: NameSettings::default(),
            query: NameSettings::default(),
            form: Vec::new(),
            json: Vec::new(),
            patterns: Vec::new(),
        }
    }
}

/// Names beside, or fewer than, those that are secret by default. They compare without regard to case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NameSettings {
    /// Names that are secret too.
    pub add: Vec<String>,
    /// Names that are not secret although they are by default.
    pub remove: Vec<String>,
}

/// Where the key for hashes is: exactly one of these.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HashKeySettings {
    /// The key itself, at least 16 bytes.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing)]
    pub key: Option<HashKey>,
    /// Environment variable that holds it.
    pub key_env: Option<String>,
    /// File that holds it; white space at its end does not count.
    pub key_file: Option<PathBuf>,
}

/// A key for hashes that is never shown.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct HashKey(SecretString);

impl HashKey {
    /// The key itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

impl PartialEq for HashKey {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

/// Settings of redaction that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedaction {
    /// A name has no bytes, or too many, or some that no name has.
    #[error(
        "redaction.{key}: `{name}` is no name: use 1 to {NAME_LIMIT} characters without spaces"
    )]
    Name {
        /// Where it stands.
        key: &'static str,
        /// The name.
        name: String,
    },
    /// What is to be removed is not there.
    #[error("redaction.{key}.remove: `{name}` is not secret by default; leave it out")]
    NotThere {
        /// Where it stands.
        key: &'static str,
        /// The name.
        name: String,
    },
    /// The correlation id is in every record anyway.
    #[error(
        "redaction.headers.add: `{0}` carries the correlation id, which every record shows; \
         name another header in correlation.header"
    )]
    CorrelationHeader(String),
    /// See [`TooManySteps`].
    #[error("redaction.json: {0}")]
    Paths(#[from] TooManySteps),
    /// See [`InvalidPattern`].
    #[error("redaction.patterns: {0}")]
    Pattern(#[from] InvalidPattern),
    /// Two patterns have the same name.
    #[error("redaction.patterns: `{0}` is there twice")]
    PatternTwice(String),
    /// See [`ShortKey`].
    #[error("redaction.hash: {0}")]
    Key(#[from] ShortKey),
}

impl NameSettings {
    /// `defaults` without what is removed and with what is added.
    pub(super) fn resolve<'a>(
        &'a self,
        key: &'static str,
        defaults: &[&'a str],
    ) -> Result<Vec<&'a str>, InvalidRedaction> {
        let has =
            |names: &[String], name: &str| names.iter().any(|it| it.eq_ignore_ascii_case(name));
        for name in &self.remove {
            if !defaults.iter().any(|default| default.eq_ignore_ascii_case(name)) {
                return Err(InvalidRedaction::NotThere { key, name: name.clone() });
            }
        }
        check_names(key, &self.add)?;
        let kept = defaults.iter().copied().filter(|name| !has(&self.remove, name));
        Ok(kept.chain(self.add.iter().map(String::as_str)).collect())
    }
}

/// Refuses what is no name.
pub(super) fn check_names(key: &'static str, names: &[String]) -> Result<(), InvalidRedaction> {
    let is_name = |name: &String| {
        !name.is_empty()
            && name.len() <= NAME_LIMIT
            && !name.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    match names.iter().find(|name| !is_name(name)) {
        Some(name) => Err(InvalidRedaction::Name { key, name: name.clone() }),
        None => Ok(()),
    }
}

impl<'de> Deserialize<'de> for JsonPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        written.parse().map_err(|error: InvalidPath| serde::de::Error::custom(error))
    }
}

impl Serialize for JsonPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for JsonPath {
    fn schema_name() -> Cow<'static, str> {
        "JsonPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^\$.+",
            "description": "A path into JSON: $.user.password, $..token, $.cards[*].number",
        })
    }
}
