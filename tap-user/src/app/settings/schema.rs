//! The JSON Schema of the settings file, made from the types, and a view of it for what is written
//! from it: documentation and defaults.

use super::file::SettingsFile;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The schema (JSON Schema 2020-12).
pub(crate) fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<SettingsFile>().to_value()
}

/// A key in the schema.
pub(super) struct Key<'a> {
    pub(super) name: &'a str,
    /// What the schema says where the key stands: meaning, default, flag.
    pub(super) stated: &'a Value,
    /// The schema of its values.
    pub(super) values: Values<'a>,
    pub(super) is_required: bool,
}

/// The schema of the values of a key, references followed.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    root: &'a Value,
    pub(super) schema: &'a Value,
    /// Whether there may be nothing.
    pub(super) is_optional: bool,
}

impl<'a> Values<'a> {
    /// Those of the whole file.
    pub(super) fn of_file(root: &'a Value) -> Self {
        Self { root, schema: root, is_optional: false }
    }

    fn of(root: &'a Value, schema: &'a Value) -> Self {
        let null = Value::from("null");
        if let Some(reference) = schema["$ref"].as_str() {
            let pointer = reference.trim_start_matches('#');
            return Self::of(root, root.pointer(pointer).unwrap_or(&Value::Null));
        }
        if let Some([values, nothing]) = schema["anyOf"].as_array().map(Vec::as_slice)
            && nothing["type"] == null
        {
            return Self { is_optional: true, ..Self::of(root, values) };
        }
        let is_optional = schema["type"].as_array().is_some_and(|types| types.contains(&null));
        Self { root, schema, is_optional }
    }

    /// The keys below, in their order; none if these are no objects.
    pub(super) fn keys(&self) -> Vec<Key<'a>> {
        let Self { root, schema, .. } = *self;
        let required = schema["required"].as_array();
        let is_required =
            |name: &str| required.is_some_and(|names| names.iter().any(|other| other == name));
        let properties = schema["properties"].as_object().into_iter().flatten();
        properties
            .map(|(name, stated)| Key {
                name,
                stated,
                values: Values::of(root, stated),
                is_required: is_required(name),
            })
            .collect()
    }

    pub(super) fn is_object(&self) -> bool {
        self.schema["type"] == "object" && self.schema["properties"].is_object()
            || self.schema["additionalProperties"] == false
    }

    /// What the entries of a list are.
    pub(super) fn entries(&self) -> Option<Values<'a>> {
        self.schema.get("items").map(|items| Self::of(self.root, items))
    }

    /// Keys of which exactly one must be there.
    pub(super) fn choices(&self) -> Vec<&'a str> {
        let choices = self.schema["oneOf"].as_array().into_iter().flatten();
        choices.filter_map(|choice| choice["required"][0].as_str()).collect()
    }
}

impl<'a> Key<'a> {
    /// What it is for.
    pub(super) fn meaning(&self) -> String {
        self.stated["description"].as_str().unwrap_or_default().replace('\n', " ")
    }

    pub(super) fn default(&self) -> Option<&'a Value> {
        self.stated.get("default").filter(|value| !value.is_null())
    }

    /// A value that can stand there.
    pub(super) fn example(&self) -> Option<&'a Value> {
        self.stated["examples"].as_array().and_then(|examples| examples.first())
    }
}
