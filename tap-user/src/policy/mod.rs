//! What may leave the tap. For now one fixed rule: the values of headers that carry credentials
//! are replaced before a record is written, wherever such a header stands (request, response,
//! interim response, trailers).

/// What a redacted value reads in every record format.
pub const REDACTED: &str = "REDACTED";

/// Headers that carry credentials, in lower case.
const CREDENTIALS: &[&str] =
    &["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"];

/// Which header values are replaced by [`REDACTED`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    names: &'static [&'static str],
}

impl Redaction {
    /// The values of `authorization`, `proxy-authorization`, `cookie`, `set-cookie` and
    /// `x-api-key` are replaced.
    #[must_use]
    pub fn standard() -> Self {
        Self { names: CREDENTIALS }
    }

    /// Every value leaves as it is.
    #[must_use]
    pub fn none() -> Self {
        Self { names: &[] }
    }

    /// Whether the value of that header is replaced; names compare without regard to ASCII case.
    #[must_use]
    pub fn applies_to(&self, header_name: &[u8]) -> bool {
        self.names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(header_name))
    }

    /// `value`, or what is shown in its place.
    #[must_use]
    pub fn shown<'a>(&self, header_name: &[u8], value: &'a [u8]) -> &'a [u8] {
        if self.applies_to(header_name) { REDACTED.as_bytes() } else { value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_replaced_whatever_the_case() {
        let redaction = Redaction::standard();
        for name in ["Authorization", "PROXY-AUTHORIZATION", "cookie", "Set-Cookie", "X-Api-Key"] {
            assert_eq!(redaction.shown(name.as_bytes(), b"secret"), b"REDACTED", "{name}");
        }
    }

    #[test]
    fn other_headers_stay() {
        let redaction = Redaction::standard();
        for name in ["Cookies", "X-Authorization", "Content-Type", ""] {
            assert_eq!(redaction.shown(name.as_bytes(), b"value"), b"value", "{name}");
        }
    }

    #[test]
    fn switched_off_replaces_nothing() {
        assert_eq!(Redaction::none().shown(b"Authorization", b"secret"), b"secret");
    }
}
