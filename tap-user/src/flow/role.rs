//! Which of two peers is the client, where no handshake tells it.

use std::net::SocketAddr;

/// What the first bytes of a packet show its sender to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    Client,
    Server,
}

/// Longest method that is believed without a version behind its target.
const METHOD_MAXIMUM: usize = 20;
/// Longest request line that is looked through for its version.
const REQUEST_LINE_MAXIMUM: usize = 8 * 1024;
/// A TLS record of handshake messages, any version (RFC 8446, section 5.1).
const TLS_HANDSHAKE: &[u8] = &[22, 3];
/// Where a TLS record holds the type of its first handshake message.
const TLS_MESSAGE_TYPE: usize = 5;

/// Who begins a packet with these bytes; `None` if that says nothing.
pub(super) fn speaker(bytes: &[u8]) -> Option<Speaker> {
    if bytes.starts_with(b"HTTP/1.") {
        return Some(Speaker::Server);
    }
    if bytes.starts_with(TLS_HANDSHAKE) {
        return match bytes.get(TLS_MESSAGE_TYPE) {
            Some(1) => Some(Speaker::Client),
            Some(2) => Some(Speaker::Server),
            _ => None,
        };
    }
    let proxied = bytes.starts_with(b"PROXY ") || bytes.starts_with(b"\r\n\r\n\0\r\nQUIT\n");
    (proxied || begins_request(bytes)).then_some(Speaker::Client)
}

fn begins_request(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii_start();
    let method = bytes.iter().take_while(|byte| byte.is_ascii_graphic()).count();
    let (method, rest) = bytes.split_at_checked(method).unwrap_or_default();
    let Some(target) = rest.strip_prefix(b" ") else { return false };
    let plain = method.len() <= METHOD_MAXIMUM
        && method.iter().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'));
    let targeted = [&b"/"[..], b"* ", b"http://", b"https://"];
    !method.is_empty()
        && (plain && targeted.iter().any(|begin| target.starts_with(begin)) || versioned(target))
}

/// Whether a request line's version stands at the end of the first line.
fn versioned(target: &[u8]) -> bool {
    let line = target.get(..REQUEST_LINE_MAXIMUM).unwrap_or(target);
    let end = line.iter().position(|byte| *byte == b'\n');
    let line = end.and_then(|end| line.get(..end)).unwrap_or_default().trim_ascii_end();
    line.last_chunk::<9>().is_some_and(|version| version.starts_with(b" HTTP/1."))
}

/// Whether the first of two peers is the client, by what is usual: servers have the lower port.
/// With equal ports, whoever spoke first is.
pub(super) fn guess(first_speaker: SocketAddr, other: SocketAddr) -> bool {
    first_speaker.port() >= other.port()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speakers() {
        let clients: [&[u8]; 7] = [
            b"GET / HTTP/1.1\r\n",
            b"\r\nPOST /a",
            b"OPTIONS * HTTP/1.1\r\n",
            b"CONNECT host:443 HTTP/1.1\r\nHost: host\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
            &[22, 3, 1, 0, 80, 1, 0],
        ];
        for bytes in clients {
            assert_eq!(speaker(bytes), Some(Speaker::Client), "{}", bytes.escape_ascii());
        }
        for bytes in [&b"HTTP/1.1 200 OK\r\n"[..], &[22, 3, 3, 0, 80, 2, 0]] {
            assert_eq!(speaker(bytes), Some(Speaker::Server), "{}", bytes.escape_ascii());
        }
        let neither: [&[u8]; 6] = [b"", b"GET", b"\0", b"Get me / soon", b" / ", &[22, 3, 1]];
        for bytes in neither {
            assert_eq!(speaker(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
