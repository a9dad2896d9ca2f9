//! Secrets in settings: a key `token` is written as `token: VALUE`, or the value stands outside:
//! `token_env: NAME` takes it from an environment variable, `token_file: PATH` from a file (as
//! Kubernetes mounts secrets). A struct of settings has the three as fields, and
//! [`Secret::resolve`] makes one of them. No secret is ever shown: not by `Debug`, and not by the
//! errors here.

use crate::document::Problem;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::fs::Metadata;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Longest secret in a file, in bytes: whatever is longer is another file.
const LENGTH_LIMIT: u64 = 64 * 1024;
/// Bits of a file's mode that let others than owner and group read it.
const READABLE_BY_OTHERS: u32 = 0o004;

/// A text that is not shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(SecretString);

impl Secret {
    /// The text itself, for where it must be used.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The secret of `key` from its value, the environment or a file; `None` if it is not given.
    /// Newlines at the end are not part of it.
    ///
    /// # Errors
    /// It is given in more than one way, the variable is not set, the file cannot be read, or it is
    /// empty.
    pub fn resolve(
        key: &str,
        value: Option<&Self>,
        variable: Option<&str>,
        file: Option<&Path>,
    ) -> Result<Option<Self>, Problem> {
        let secret = match (value, variable, file) {
            (None, None, None) => return Ok(None),
            (Some(value), None, None) => value.expose().to_owned(),
            (None, Some(name), None) => from_environment(name)
                .map_err(|message| Problem::at(format!("{key}_env"), message))?,
            (None, None, Some(path)) => {
                from_file(path).map_err(|message| Problem::at(format!("{key}_file"), message))?
            }
            _ => {
                let ways = format!("use one of {key}, {key}_env and {key}_file");
                return Err(Problem::at(key, format!("this is given more than once; {ways}")));
            }
        };
        let secret = secret.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(Problem::at(key, "the secret is empty"));
        }
        Ok(Some(secret.into()))
    }

    /// What is unwise about a file with a secret: that everybody may read it.
    #[must_use]
    pub fn warning(file: &Path) -> Option<String> {
        let mode = std::fs::metadata(file).as_ref().map(Metadata::mode).ok()?;
        (mode & READABLE_BY_OTHERS != 0).then(|| {
            let path = file.display();
            format!("{path} may be read by everybody: chmod o-r {path}")
        })
    }
}

fn from_environment(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| match error {
        std::env::VarError::NotPresent => {
            format!("the environment variable `{name}` is not set")
        }
        std::env::VarError::NotUnicode(_) => {
            format!("the environment variable `{name}` is not UTF-8")
        }
    })
}

fn from_file(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let file = std::fs::File::open(path).map_err(|error| format!("{shown}: {error}"))?;
    let mut bytes = Vec::new();
    file.take(LENGTH_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("{shown}: {error}"))?;
    if bytes.len() as u64 > LENGTH_LIMIT {
        return Err(format!("{shown} is longer than a secret can be (64KiB)"));
    }
    String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8"))
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(secret)")
    }
}

/// Says only that there is one.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(secret)")
    }
}

/// Tells whether settings have changed; nobody outside can measure how long that takes.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"title": "secret", "type": "string", "minLength": 1, "writeOnly": true})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn resolve(
        value: Option<&str>,
        variable: Option<&str>,
        file: Option<&Path>,
    ) -> Result<Option<Secret>, String> {
        let value = value.map(Secret::from);
        Secret::resolve("token", value.as_ref(), variable, file)
            .map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_secret_comes_from_its_value_the_environment_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "hidden\r\n\n").unwrap();
        assert_eq!(resolve(None, None, None), Ok(None));
        assert_eq!(resolve(Some("hidden"), None, None), Ok(Some("hidden".into())));
        assert_eq!(resolve(None, None, Some(&path)), Ok(Some("hidden".into())));
        // Cargo sets it for every test.
        let name = std::env::var("CARGO_PKG_NAME").unwrap();
        assert_eq!(resolve(None, Some("CARGO_PKG_NAME"), None), Ok(Some(name.as_str().into())));
    }

    #[test]
    fn what_is_wrong_names_its_key_and_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        std::fs::write(&empty, "\n").unwrap();
        let long = folder.path().join("long");
        std::fs::write(&long, vec![b'x'; 70_000]).unwrap();
        let binary = folder.path().join("binary");
        std::fs::write(&binary, [b's', 0xff]).unwrap();
        for (variable, file, expected) in [
            (
                Some("GATETAP_NO_SUCH_VARIABLE"),
                None,
                "token_env: the environment variable `GATETAP_NO_SUCH_VARIABLE` is not set",
            ),
            (
                None,
                Some("/nowhere/token".as_ref()),
                "token_file: /nowhere/token: No such file or directory (os error 2)",
            ),
            (None, Some(empty.as_path()), "token: the secret is empty"),
            (None, Some(folder.path()), "Is a directory"),
            (None, Some(long.as_path()), "longer than a secret can be"),
            (None, Some(binary.as_path()), "is not UTF-8"),
            (
                Some("HOME"),
                Some(empty.as_path()),
                "token: this is given more than once; use one of token, token_env and token_file",
            ),
        ] {
            let problem = resolve(None, variable, file).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::from("hidden");
        assert!(!format!("{secret:?} {:#?}", Some(&secret)).contains("hidden"));
    }

    #[test]
    fn a_file_that_everybody_may_read_is_warned_of() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let set = |mode| file.as_file().set_permissions(std::fs::Permissions::from_mode(mode));
        set(0o640).unwrap();
        assert_eq!(Secret::warning(file.path()), None);
        set(0o644).unwrap();
        assert!(Secret::warning(file.path()).unwrap().contains("chmod o-r"));
    }
}
