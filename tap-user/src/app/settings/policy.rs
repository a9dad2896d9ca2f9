//! What may leave, from settings.

use super::file::SettingsFile;
use crate::document::Problem;
use crate::policy::{
    Filter, HashKeySettings, RateLimit, Redaction, RedactionSettings, Rules, Sampling,
};
use std::os::unix::ffi::OsStringExt;

/// The rules, with the key for hashes read from where it is.
pub(super) fn rules(settings: &SettingsFile) -> Result<Rules, Problem> {
    let SettingsFile { redaction, filter, sampling, rate_limit, correlation, .. } = settings;
    Ok(Rules {
        filter: Filter::new(filter).map_err(|error| Problem::told("filter", &error))?,
        sampling: match sampling.rates.is_empty() {
            true => None,
            false => {
                Some(Sampling::new(sampling).map_err(|error| Problem::told("sampling", &error))?)
            }
        },
        rate_limit: rate_limit.map(RateLimit::new),
        redaction: self::redaction(redaction, &correlation.header.to_string())?,
    })
}

fn redaction(settings: &RedactionSettings, id_header: &str) -> Result<Redaction, Problem> {
    let hash = settings.hash.as_ref().filter(|_| settings.enabled);
    let key = hash.map(hash_key).transpose().map_err(|problem| problem.below("redaction"))?;
    Redaction::new(settings, key.as_deref(), id_header)
        .map_err(|error| Problem::told("redaction", &error))
}

/// The key for hashes from where the settings say that it is. No error ever shows it.
fn hash_key(settings: &HashKeySettings) -> Result<Vec<u8>, Problem> {
    match settings {
        HashKeySettings { key: Some(key), key_env: None, key_file: None } => {
            Ok(key.expose().to_vec())
        }
        HashKeySettings { key: None, key_env: Some(name), key_file: None } => {
            let key = std::env::var_os(name).map(OsStringExt::into_vec);
            key.ok_or_else(|| Problem::at("hash.key_env", format!("`{name}` is not set")))
        }
        HashKeySettings { key: None, key_env: None, key_file: Some(path) } => {
            let key = std::fs::read(path).map_err(|error| {
                Problem::at("hash.key_file", format!("{}: {error}", path.display()))
            })?;
            Ok(key.trim_ascii_end().to_vec())
        }
        _ => Err(Problem::at("hash", "give exactly one of key, key_env and key_file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;
    use std::io::Write;

    fn parse(yaml: &str) -> SettingsFile {
        document::read(&document::parse_yaml(yaml).unwrap()).unwrap()
    }

    #[test]
    fn the_documented_policy_is_valid() {
        let page = include_str!("../../../../docs/settings.md");
        let (_, section) = page.split_once("## What may leave").unwrap();
        let example = section.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
        let mut key = tempfile::NamedTempFile::new().unwrap();
        key.write_all(b"0123456789abcdef\n").unwrap();
        let path = key.path().display().to_string();
        let settings = parse(&example.replace("/etc/gatetap/hash.key", &path));
        let names = rules(&settings).unwrap().redaction.rules();
        for rule in ["header:x-tenant-secret", "json:$..token", "pattern:customer", "form:pin"] {
            assert!(names.contains(&rule.into()), "{rule}");
        }
        assert!(!names.contains(&"query:code".into()));
    }

    #[test]
    fn nothing_is_replaced_where_redaction_is_off() {
        let rules = rules(&parse("redaction: {enabled: false, json: [$.a]}")).unwrap();
        assert!(rules.redaction.rules().is_empty());
    }

    #[test]
    fn a_key_has_one_place() {
        for (wrong, named) in [("{}", "exactly one"), ("{key_env: NO_SUCH_KEY}", "NO_SUCH_KEY")] {
            let problem = rules(&parse(&format!("redaction: {{hash: {wrong}}}"))).unwrap_err();
            assert!(problem.to_string().contains(named), "{problem}");
        }
    }

    /// Each default name, and no other, is in the documentation.
    #[test]
    fn the_default_names_are_documented() {
        let page = include_str!("../../../../docs/settings.md");
        for rule in Redaction::default().rules() {
            let name = rule.split_once(':').map_or(&*rule, |(_, name)| name);
            assert!(page.contains(&format!("`{name}`")), "{rule}");
        }
    }
}
