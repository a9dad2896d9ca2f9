//! The contents of an exchange, decoded when somebody first asks and not again.

use super::{Content, decode};
use crate::http::exchange::{Body, Request, Response};
use crate::http::headers::Headers;
use crate::http::limits::DEFAULT_BODY_CAP;
use std::sync::OnceLock;

/// Decoded bodies of one exchange. Equal to any other: it holds nothing that the exchange does
/// not tell.
#[derive(Debug, Clone)]
pub struct Contents {
    cap: usize,
    request: OnceLock<Content>,
    response: OnceLock<Content>,
}

impl Contents {
    /// Nothing is decoded yet; of each content at most `cap` bytes will be.
    #[must_use]
    pub fn new(cap: u64) -> Self {
        let cap = usize::try_from(cap).unwrap_or(usize::MAX);
        Self { cap, request: OnceLock::new(), response: OnceLock::new() }
    }

    /// What is known already of contents whose bodies were decoded before; `None`: nothing is.
    #[must_use]
    pub fn known(request: Option<Content>, response: Option<Content>) -> Self {
        let cell = |content: Option<Content>| content.map_or_else(OnceLock::new, OnceLock::from);
        Self { request: cell(request), response: cell(response), ..Self::default() }
    }

    /// Content of the request that these contents belong to.
    pub fn request(&self, request: &Request) -> &Content {
        self.request.get_or_init(|| self.decode(&request.headers, &request.body))
    }

    /// Content of the response that these contents belong to.
    pub fn response(&self, response: &Response) -> &Content {
        self.response.get_or_init(|| self.decode(&response.headers, &response.body))
    }

    /// Lets go of the request's content.
    pub fn forget_request(&mut self) {
        self.request.take();
    }

    /// Lets go of the response's content.
    pub fn forget_response(&mut self) {
        self.response.take();
    }

    fn decode(&self, headers: &Headers, body: &Body) -> Content {
        decode(headers, &body.bytes, body.is_whole(), self.cap)
    }
}

impl Default for Contents {
    fn default() -> Self {
        Self::new(DEFAULT_BODY_CAP)
    }
}

impl PartialEq for Contents {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Contents {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::only_exchange;

    #[test]
    fn a_content_is_decoded_once() {
        let exchange = only_exchange(
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: 7\r\n\r\n\x01\x02\0\xfd\xffhi",
        );
        let response = exchange.response.unwrap();
        let contents = Contents::default();
        let first = contents.response(&response);
        assert_eq!(first.decoded.as_deref(), Some(&b"hi"[..]));
        assert!(std::ptr::eq(first, contents.response(&response)));
    }
}
