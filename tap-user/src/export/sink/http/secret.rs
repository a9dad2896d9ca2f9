//! Tokens: read from settings, an environment variable or a file, and never shown.

use reqwest::header::HeaderValue;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes of a file that can be a token; a larger file is another file.
const FILE_LIMIT: u64 = 64 * 1024;

/// A text that shows itself nowhere: not by `Debug`, and it has no `Display`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(#[schemars(with = "String")] SecretString);

impl Secret {
    /// The text itself, for the one place that sends it.
    pub(in crate::export::sink) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The value of a header that libraries do not show either: `prefix` and the text.
    pub(in crate::export::sink) fn header(&self, prefix: &str) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("{prefix}{}", self.expose())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// For settings that are compared when they are read again.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

/// The three places where settings can name a token.
#[derive(Debug, Clone, Copy)]
pub(in crate::export::sink) struct TokenSource<'a> {
    /// The key of the token itself; the others are this with `_env` and `_file`.
    pub(in crate::export::sink) key: &'static str,
    pub(in crate::export::sink) value: Option<&'a Secret>,
    pub(in crate::export::sink) variable: Option<&'a str>,
    pub(in crate::export::sink) file: Option<&'a Path>,
}

/// Why there is no token; the texts hold nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum InvalidToken {
    /// None of the three is given.
    #[error("{0} is missing: give {0}, {0}_env (a variable's name) or {0}_file (a path)")]
    Missing(&'static str),
    /// More than one of the three is given.
    #[error("give only one of {0}, {0}_env and {0}_file")]
    Several(&'static str),
    /// The variable is not set, or is no text.
    #[error("{key}_env: the environment variable {name} is not set")]
    Variable {
        /// The token's key.
        key: &'static str,
        /// The variable.
        name: String,
    },
    /// The file cannot be read.
    #[error("{key}_file: cannot read {path}: {source}", path = path.display())]
    File {
        /// The token's key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Only white space, or nothing at all.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// Characters that no header can carry.
    #[error(
        "{0} holds characters that cannot stand in an HTTP header (line breaks, control characters)"
    )]
    Characters(&'static str),
}

impl TokenSource<'_> {
    /// Reads the token, without the line end that files have; `None` where none is named.
    pub(in crate::export::sink) fn read(&self) -> Result<Option<Secret>, InvalidToken> {
        let key = self.key;
        let read =
            match (self.value, self.variable, self.file) {
                (None, None, None) => return Ok(None),
                (Some(value), None, None) => value.expose().to_owned(),
                (None, Some(name), None) => std::env::var(name)
                    .map_err(|_| InvalidToken::Variable { key, name: name.to_owned() })?,
                (None, None, Some(path)) => read_file(path)
                    .map_err(|source| InvalidToken::File { key, path: path.to_owned(), source })?,
                _ => return Err(InvalidToken::Several(key)),
            };
        let token = read.trim_end_matches(['\r', '\n']);
        if token.trim().is_empty() {
            return Err(InvalidToken::Empty(key));
        }
        let secret = Secret::from(token.to_owned());
        secret.header("").ok_or(InvalidToken::Characters(key))?;
        Ok(Some(secret))
    }

    /// The same where there must be one.
    pub(in crate::export::sink) fn require(&self) -> Result<Secret, InvalidToken> {
        self.read()?.ok_or(InvalidToken::Missing(self.key))
    }
}

fn read_file(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(FILE_LIMIT).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn source(value: Option<&Secret>) -> TokenSource<'_> {
        TokenSource { key: "access_token", value, variable: None, file: None }
    }

    #[test]
    fn a_token_never_shows_itself() {
        let secret = Secret::from("hunter2".to_owned());
        let header = secret.header("Bearer ").unwrap();
        assert_eq!(header.as_bytes(), b"Bearer hunter2");
        for shown in
            [format!("{secret:?}"), format!("{header:?}"), format!("{:?}", source(Some(&secret)))]
        {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn a_file_may_end_with_a_line_end() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"hunter2\r\n").unwrap();
        let source = TokenSource { file: Some(file.path()), ..source(None) };
        assert_eq!(source.require().unwrap().expose(), "hunter2");
    }

    #[test]
    fn a_token_comes_from_an_environment_variable() {
        // Every process that cargo starts has this one.
        let source = TokenSource { variable: Some("CARGO_PKG_NAME"), ..source(None) };
        assert_eq!(source.require().unwrap().expose(), "tap-user");
        let source = TokenSource { variable: Some("GATETAP_NO_SUCH_VARIABLE"), ..source };
        let error = source.read().unwrap_err().to_string();
        assert_eq!(
            error,
            "access_token_env: the environment variable GATETAP_NO_SUCH_VARIABLE is not set"
        );
    }

    #[test]
    fn errors_hold_nothing_of_the_token() {
        let message = |token: &str| {
            let secret = Secret::from(token.to_owned());
            source(Some(&secret)).require().unwrap_err().to_string()
        };
        assert_eq!(message(" \n"), "access_token is empty");
        assert!(message("hunter2\nhunter3").starts_with("access_token holds characters"));
        assert!(!message("hunter2\u{1}").contains("hunter2"));
        let missing = source(None).require().unwrap_err().to_string();
        assert!(missing.contains("access_token_env") && missing.contains("access_token_file"));
    }

    #[test]
    fn a_token_named_twice_is_refused() {
        let secret = Secret::from("x".to_owned());
        let twice = TokenSource { variable: Some("HOME"), ..source(Some(&secret)) };
        let error = twice.read().unwrap_err().to_string();
        assert_eq!(error, "give only one of access_token, access_token_env and access_token_file");
    }
}
