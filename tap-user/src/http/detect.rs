//! What a connection speaks, by the first bytes of a side or of a turn.

use super::exchange::Protocol;

/// Most bytes that any of the signatures here needs.
const SIGNATURE_BYTES: usize = 24;

/// Methods that decide for HTTP by themselves: the registered ones that gateways meet. Any other
/// token may be a method as well, but needs a whole head behind it.
const KNOWN_METHODS: [&[u8]; 19] = [
    b"GET ",
    b"POST ",
    b"PUT ",
    b"HEAD ",
    b"DELETE ",
    b"PATCH ",
    b"OPTIONS ",
    b"CONNECT ",
    b"TRACE ",
    b"PROPFIND ",
    b"PROPPATCH ",
    b"MKCOL ",
    b"COPY ",
    b"MOVE ",
    b"LOCK ",
    b"UNLOCK ",
    b"REPORT ",
    b"SEARCH ",
    b"PURGE ",
];
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0";
const STATUS_LINE: &[u8] = b"HTTP/1.";
/// A MySQL greeting is shorter than this: version text, salts and flags.
const MYSQL_GREETING_MAXIMUM: u8 = 2;
/// Longest line that is looked through for the version at its end.
const REQUEST_LINE_MAXIMUM: usize = 8 * 1024;

/// Whether bytes are what they are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// They are.
    Yes,
    /// They may be, with more bytes.
    Maybe,
    /// They are not.
    No,
}

/// What the first bytes from the client tell.
pub(super) fn from_client(first: &[u8]) -> Protocol {
    let first = skip_line_ends(first);
    let signatures = [
        (tls(first), Protocol::Tls),
        (prefix(first, HTTP2_PREFACE), Protocol::Http2),
        (redis(first), Protocol::Redis),
        (postgres(first), Protocol::Postgres),
        (known_method(first), Protocol::Http1),
    ];
    first_match(&signatures).unwrap_or_else(|| match method(first) {
        Match::No => Protocol::Other,
        Match::Yes | Match::Maybe => Protocol::Undecided,
    })
}

/// What the first bytes from the server tell.
pub(super) fn from_server(first: &[u8]) -> Protocol {
    let signatures = [
        (prefix(first, STATUS_LINE), Protocol::Http1),
        (tls(first), Protocol::Tls),
        (mysql(first), Protocol::Mysql),
    ];
    first_match(&signatures).unwrap_or(Protocol::Other)
}

/// Whether a request begins here: a known method, or a whole line that ends in a version.
pub(super) fn request_head(bytes: &[u8]) -> Match {
    let bytes = skip_line_ends(bytes);
    match known_method(bytes) {
        Match::Yes => known_method_target(bytes),
        Match::Maybe => Match::Maybe,
        Match::No => whole_request_line(bytes),
    }
}

/// Whether a response begins here.
pub(super) fn response_head(bytes: &[u8]) -> Match {
    prefix(skip_line_ends(bytes), STATUS_LINE)
}

/// `bytes` without leading line ends (RFC 9112, section 2.2).
pub(super) fn skip_line_ends(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    bytes.get(start.unwrap_or(bytes.len())..).unwrap_or_default()
}

/// Whether a byte may stand in a token (RFC 9110, section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    TOKENS[usize::from(byte)]
}

/// By a table, because each byte of each field name is asked for.
static TOKENS: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0_u8);
    while byte < 0x7f {
        byte += 1;
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
    }
    table
};

fn first_match(signatures: &[(Match, Protocol)]) -> Option<Protocol> {
    if let Some((_, protocol)) = signatures.iter().find(|(found, _)| *found == Match::Yes) {
        return Some(*protocol);
    }
    signatures.iter().any(|(found, _)| *found == Match::Maybe).then_some(Protocol::Undecided)
}

fn prefix(bytes: &[u8], signature: &[u8]) -> Match {
    if bytes.starts_with(signature) {
        Match::Yes
    } else if signature.starts_with(bytes) {
        Match::Maybe
    } else {
        Match::No
    }
}

fn known_method(bytes: &[u8]) -> Match {
    let mut found = Match::No;
    for method in KNOWN_METHODS {
        match prefix(bytes, method) {
            Match::Yes => return Match::Yes,
            Match::Maybe => found = Match::Maybe,
            Match::No => {}
        }
    }
    found
}

/// Behind a known method: does a target follow (RFC 9112, section 3.2)? A body may well begin
/// with the word "GET", so the word alone is not enough in the middle of a stream.
fn known_method_target(bytes: &[u8]) -> Match {
    let mut rest = bytes.iter().skip_while(|byte| **byte != b' ').skip_while(|b| **b == b' ');
    match rest.next() {
        None => Match::Maybe,
        Some(b'/' | b'*' | b'[') => Match::Yes,
        Some(_) => whole_request_line(bytes),
    }
}

fn whole_request_line(bytes: &[u8]) -> Match {
    if method(bytes) == Match::No {
        return Match::No;
    }
    let Some(end) = bytes.iter().take(REQUEST_LINE_MAXIMUM).position(|&byte| byte == b'\n') else {
        return if bytes.len() < REQUEST_LINE_MAXIMUM { Match::Maybe } else { Match::No };
    };
    let line = bytes.get(..end).unwrap_or_default().trim_ascii_end();
    match line.strip_suffix(b"0").or_else(|| line.strip_suffix(b"1")) {
        Some(rest) if rest.ends_with(b" HTTP/1.") => Match::Yes,
        _ => Match::No,
    }
}

/// A token and a space.
fn method(bytes: &[u8]) -> Match {
    match bytes.iter().position(|&byte| !is_token(byte)) {
        None => Match::Maybe,
        Some(0) => Match::No,
        Some(end) if bytes.get(end) == Some(&b' ') => Match::Yes,
        Some(_) => Match::No,
    }
}

/// A record of TLS 1.0 to 1.3 (or SSL 3): content type, major and minor version.
fn tls(bytes: &[u8]) -> Match {
    match bytes {
        [] => Match::Maybe,
        [0x14..=0x17] | [0x14..=0x17, 3] => Match::Maybe,
        [0x14..=0x17, 3, 0..=4, ..] => Match::Yes,
        _ => Match::No,
    }
}

/// An array of bulk strings: `*2\r\n$3\r\n...`.
fn redis(bytes: &[u8]) -> Match {
    let Some(rest) = bytes.strip_prefix(b"*") else {
        return if bytes.is_empty() { Match::Maybe } else { Match::No };
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match (digits, rest.get(digits..).unwrap_or_default()) {
        (_, []) => Match::Maybe,
        (0, _) => Match::No,
        (_, rest) => prefix(rest, b"\r\n$"),
    }
}

/// A start-up packet of protocol 3, or a request for TLS, GSSAPI or cancellation: length, code.
fn postgres(bytes: &[u8]) -> Match {
    match bytes {
        [0, 0, _, _, 0, 3, 0, 0..=2, ..] | [0, 0, 0, _, 0x04, 0xd2, 0x16, 0x2e..=0x30, ..] => {
            Match::Yes
        }
        [] | [0] | [0, 0] | [0, 0, _] | [0, 0, _, _] | [0, 0, _, _, 0 | 4] => Match::Maybe,
        [0, 0, _, _, 0, 3] | [0, 0, _, _, 4, 0xd2] => Match::Maybe,
        [0, 0, _, _, 0, 3, 0] | [0, 0, _, _, 4, 0xd2, 0x16] => Match::Maybe,
        _ => Match::No,
    }
}

/// A greeting: length in three bytes (low first), sequence 0, protocol 10.
fn mysql(bytes: &[u8]) -> Match {
    match bytes {
        [_, 0..MYSQL_GREETING_MAXIMUM, 0, 0, 10, ..] => Match::Yes,
        [] | [_] | [_, 0..MYSQL_GREETING_MAXIMUM] => Match::Maybe,
        [_, 0..MYSQL_GREETING_MAXIMUM, 0] | [_, 0..MYSQL_GREETING_MAXIMUM, 0, 0] => Match::Maybe,
        _ => Match::No,
    }
}

/// As many first bytes of a direction as any signature needs.
#[derive(Debug, Default)]
pub(super) struct FirstBytes {
    bytes: [u8; SIGNATURE_BYTES],
    length: usize,
}

impl FirstBytes {
    /// Adds bytes and shows all so far. Leading line ends are left out, as they are of requests.
    pub(super) fn add(&mut self, bytes: &[u8]) -> &[u8] {
        let bytes = if self.length == 0 { skip_line_ends(bytes) } else { bytes };
        let room = self.bytes.get_mut(self.length..).unwrap_or_default();
        for (place, byte) in room.iter_mut().zip(bytes) {
            *place = *byte;
            self.length += 1;
        }
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_of_clients() {
        for (bytes, protocol) in [
            (&b"GET / HTTP/1.1"[..], Protocol::Http1),
            (b"\r\nPOST ", Protocol::Http1),
            (b"\x16\x03\x01\x02\x00\x01", Protocol::Tls),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Protocol::Http2),
            (b"*1\r\n$4\r\nPING\r\n", Protocol::Redis),
            (b"\0\0\0\x08\x04\xd2\x16\x2f", Protocol::Postgres),
            (b"\0\0\0\x25\0\x03\0\0user\0", Protocol::Postgres),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Protocol::Other),
            (b"\x01\x02", Protocol::Other),
            (b"GET\r\n", Protocol::Other),
            (b"", Protocol::Undecided),
            (b"G", Protocol::Undecided),
            (b"PRI * HT", Protocol::Undecided),
            (b"EHLO example.org", Protocol::Undecided),
            (b"\x16\x03", Protocol::Undecided),
            (b"*12", Protocol::Undecided),
            (b"\0\0\0\x08\x04", Protocol::Undecided),
        ] {
            assert_eq!(from_client(bytes), protocol, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn first_bytes_of_servers() {
        for (bytes, protocol) in [
            (&b"HTTP/1.1 200"[..], Protocol::Http1),
            (b"J\0\0\0\n8.0.36\0", Protocol::Mysql),
            (b"220 mail.example.org ESMTP\r\n", Protocol::Other),
            (b"+PONG\r\n", Protocol::Other),
            (b"HTTP", Protocol::Undecided),
            (b"J\0\0", Protocol::Undecided),
        ] {
            assert_eq!(from_server(bytes), protocol, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn heads_in_the_middle_of_a_stream() {
        for (bytes, found) in [
            (&b"GET / HT"[..], Match::Yes),
            (b"BREW /pot HTTP/1.1\r\n", Match::Yes),
            (b"GET http://a/ HTTP/1.0\r\n", Match::Yes),
            (b"GET it done\r\n", Match::No),
            (b"BREW /pot", Match::Maybe),
            (b"{\"a\":1}", Match::No),
            (b"0\r\n\r\n", Match::No),
        ] {
            assert_eq!(request_head(bytes), found, "{}", bytes.escape_ascii());
        }
        assert_eq!(response_head(b"HTTP/1.1 200 OK"), Match::Yes);
        assert_eq!(response_head(b"HTTP/2"), Match::No);
    }
}
