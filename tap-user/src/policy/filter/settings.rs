//! What settings say about filters.

use crate::policy::status::Statuses;
use crate::segment::Leg;
use crate::units::ByteSize;
use clap::ValueEnum;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// Which exchanges leave: those that match one entry of `include` (all, if there is none) and none of
/// `exclude`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FilterSettings {
    /// Only exchanges that match one of these.
    pub include: Vec<ConditionSettings>,
    /// No exchanges that match one of these.
    pub exclude: Vec<ConditionSettings>,
}

/// All keys that are given must hold; of the values of a key, one. What is asked of a part that was not
/// seen does not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConditionSettings {
    /// Host that the request asks for, without port: `api.example.com`, `*.example.com`.
    pub hosts: Option<Vec<Glob>>,
    /// Path of the request target, percent signs undone: `/health`, `/api/*` (one level), `/api/**` (all).
    pub paths: Option<Vec<Glob>>,
    /// Methods, in upper case as on the wire.
    pub methods: Option<Vec<String>>,
    /// Status codes: `404`, `5xx`, `400-428`, or `none` if no response was seen.
    pub statuses: Option<Vec<Statuses>>,
    /// Ports of the side that accepted the connection: the gateway's on client legs, the upstream's on
    /// upstream legs.
    pub ports: Option<Vec<u16>>,
    /// Media types of the response, without parameters: `application/json`, `image/*`.
    pub content_types: Option<Vec<Glob>>,
    /// Media types of the request.
    pub request_content_types: Option<Vec<Glob>>,
    /// Bytes of the request on the wire, head and body.
    pub request_size: Option<SizeRange>,
    /// Bytes of the response on the wire, head and body.
    pub response_size: Option<SizeRange>,
    /// Sides of the gateway: `client`, `upstream`.
    pub legs: Option<Vec<LegName>>,
}

/// Sizes from `min` to `max`, both included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SizeRange {
    /// The smallest size.
    #[schemars(with = "Option<String>")]
    pub min: Option<ByteSize>,
    /// The largest size.
    #[schemars(with = "Option<String>")]
    pub max: Option<ByteSize>,
}

impl SizeRange {
    pub(super) fn contains(self, size: u64) -> bool {
        self.min.is_none_or(|min| min.0 <= size) && self.max.is_none_or(|max| size <= max.0)
    }

    pub(super) fn is_possible(self) -> bool {
        self.min.zip(self.max).is_none_or(|(min, max)| min.0 <= max.0)
    }
}

/// A side of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LegName {
    /// Connections that the gateway accepted.
    Client,
    /// Connections that it opened.
    Upstream,
}

impl From<Leg> for LegName {
    fn from(leg: Leg) -> Self {
        match leg {
            Leg::Client => Self::Client,
            Leg::Upstream => Self::Upstream,
        }
    }
}

/// A text with `*` (anything but `/`), `**` (anything), `?`, `[a-z]` and `{a,b}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(globset::Glob);

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// It is none.
    pub fn new(text: &str) -> Result<Self, globset::Error> {
        GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build().map(Self)
    }

    /// The same in lower case, for what has no case.
    pub(super) fn lower_case(&self) -> Result<Self, globset::Error> {
        Self::new(&self.0.glob().to_ascii_lowercase())
    }

    /// All of them as one.
    pub(super) fn set(globs: &[Self]) -> Result<GlobSet, globset::Error> {
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            set.add(glob.0.clone());
        }
        set.build()
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(|error| {
            serde::de::Error::custom(format!("{error}: write for example *.example.com or /api/**"))
        })
    }
}

impl Serialize for Glob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.glob())
    }
}

impl JsonSchema for Glob {
    fn schema_name() -> Cow<'static, str> {
        "Glob".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A text with * (anything but /), ** (anything), ?, [a-z] and {a,b}",
        })
    }
}
