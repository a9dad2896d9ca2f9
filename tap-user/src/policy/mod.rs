//! What may leave the tap. For now one fixed rule: the values of headers that carry credentials
//! are replaced before a record is written, wherever such a header stands (request, response,
//! interim response, trailers).

mod bodies;

pub use bodies::without_bodies;

use crate::gateway::Observation;

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

    /// Replaces the values of these headers wherever they stand.
    pub fn redact(&self, observation: &mut Observation) {
        let exchange = &mut observation.exchange;
        let request = exchange.request.iter_mut();
        let request =
            request.flat_map(|request| [&mut request.headers, &mut request.body.trailers]);
        let interim = exchange.interim.iter_mut().map(|interim| &mut interim.headers);
        let response = exchange.response.iter_mut();
        let response = response.flat_map(|it| [&mut it.headers, &mut it.body.trailers]);
        for headers in request.chain(interim).chain(response) {
            let secret = headers.iter().enumerate().filter(|(_, (name, _))| self.applies_to(name));
            let values: Vec<_> = secret.map(|(place, _)| (place, REDACTED.into())).collect();
            if !values.is_empty() {
                *headers = headers.with_values(&values);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_replaced_whatever_the_case() {
        let redaction = Redaction::standard();
        for name in ["Authorization", "PROXY-AUTHORIZATION", "cookie", "Set-Cookie", "X-Api-Key"] {
            assert!(redaction.applies_to(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn other_headers_stay() {
        let redaction = Redaction::standard();
        for name in ["Cookies", "X-Authorization", "Content-Type", ""] {
            assert!(!redaction.applies_to(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn switched_off_replaces_nothing() {
        assert!(!Redaction::none().applies_to(b"Authorization"));
    }
}
