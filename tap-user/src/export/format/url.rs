//! The URI and URL of a request as nginx's variables have them (`$request_uri`, `$host`,
//! `$server_port`).

use crate::export::json::{
    LowerCase, Page, Value, append_address, append_number, escape_lossy, quoted,
};
use crate::http::Request;
use std::net::{IpAddr, SocketAddr};

/// The request target in origin form, as `$request_uri` has it: of an absolute form, what
/// follows the authority.
pub(super) fn uri(target: &[u8]) -> &[u8] {
    match split_absolute(target) {
        Some((_, b"")) => b"/",
        Some((_, uri)) => uri,
        None => target,
    }
}

/// What follows the first question mark.
pub(super) fn query(uri: &[u8]) -> &[u8] {
    uri.splitn(2, |&byte| byte == b'?').nth(1).unwrap_or_default()
}

/// Authority and the rest of a target in absolute form (RFC 9112, section 3.2.2).
pub(super) fn split_absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = target.iter().position(|&byte| matches!(byte, b':' | b'/' | b'?'))?;
    let after_scheme = target.get(colon..)?.strip_prefix(b"://")?;
    let end = after_scheme.iter().position(|&byte| matches!(byte, b'/' | b'?'));
    after_scheme.split_at_checked(end.unwrap_or(after_scheme.len()))
}

/// What the connection speaks: connections with TLS are not read yet.
pub(super) const SCHEME: &str = "http";

/// `scheme://host:port` and the URI.
pub(super) struct Url<'a> {
    host: Host<'a>,
    port: u16,
    uri: &'a [u8],
}

impl<'a> Url<'a> {
    /// The URL that a request asks for; `None` for targets that name no resource of the server
    /// (`CONNECT`, and `*`).
    pub(super) fn of(request: &'a Request, server: SocketAddr) -> Option<Self> {
        let uri = uri(&request.target);
        let named = matches!(uri.first(), Some(b'/' | b'?'));
        named.then(|| Self { host: Host::of(request, server), port: server.port(), uri })
    }
}

impl Value for Url<'_> {
    fn write(self, out: &mut Page) {
        quoted(out, |out| {
            out.extend(SCHEME.as_bytes());
            out.extend(b"://");
            self.host.append(out);
            out.extend(b":");
            append_number(out, self.port);
            escape_lossy(out, self.uri);
        });
    }
}

enum Host<'a> {
    /// From the request.
    Named(&'a [u8]),
    /// The request names none: the address that it was sent to.
    Address(IpAddr),
}

impl<'a> Host<'a> {
    /// As `$host`: of an absolute target, else of the `Host` header; without port.
    fn of(request: &'a Request, server: SocketAddr) -> Self {
        let absolute = split_absolute(&request.target).map(|(authority, _)| authority);
        absolute
            .or_else(|| request.headers.get("host"))
            .map(without_port)
            .filter(|host| !host.is_empty())
            .map_or(Self::Address(server.ip()), Self::Named)
    }

    fn append(self, out: &mut Page) {
        match self {
            Self::Named(name) => LowerCase(name).append(out),
            Self::Address(address) => append_address(out, address),
        }
    }
}

/// The host of an authority: without user, port and the dot of a rooted name.
fn without_port(authority: &[u8]) -> &[u8] {
    let host_and_port = authority.rsplit(|&byte| byte == b'@').next().unwrap_or_default();
    let searched_from = host_and_port.iter().position(|&byte| byte == b']').unwrap_or_default();
    let colon = host_and_port.iter().skip(searched_from).position(|&byte| byte == b':');
    let end = colon.map_or(host_and_port.len(), |place| searched_from.saturating_add(place));
    let host = host_and_port.get(..end).unwrap_or_default();
    host.strip_suffix(b".").unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_in_absolute_form() {
        assert_eq!(uri(b"/a?b=http://c/d"), b"/a?b=http://c/d");
        assert_eq!(uri(b"http://h:1/a?b"), b"/a?b");
        assert_eq!(uri(b"http://h"), b"/");
        assert_eq!(uri(b"http://h?x=/"), b"?x=/");
        assert_eq!(uri(b"*"), b"*");
        assert_eq!(uri(b"h:443"), b"h:443");
    }

    #[test]
    fn queries() {
        assert_eq!(query(b"/a?b=c?d"), b"b=c?d");
        assert_eq!(query(b"/a"), b"");
    }

    #[test]
    fn hosts_without_port() {
        for (authority, host) in [
            ("h", "h"),
            ("h:80", "h"),
            ("h.example.:80", "h.example"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("u:p@h:80", "h"),
            ("", ""),
        ] {
            assert_eq!(without_port(authority.as_bytes()), host.as_bytes(), "{authority}");
        }
    }
}
