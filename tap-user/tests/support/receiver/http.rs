//! HTTP/1.1 as strictly as RFC 9112 lets a server be: what is unusual is a violation.

use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest head in bytes.
const HEAD_LIMIT: usize = 16 * 1024;
/// Largest body in bytes.
const BODY_LIMIT: usize = 64 << 20;

/// A request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: String,
    /// Names as on the wire.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Call {
    /// All values of a header.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let fields = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn content_length(&self) -> Option<usize> {
        self.header("content-length").first()?.parse().ok()
    }
}

/// Reads a head; `None` if the connection ends where one could begin.
pub(crate) async fn read_head(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<Call>, String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) if head.is_empty() => return Ok(None),
            Err(error) => return Err(format!("the connection ended inside a head: {error}")),
        }
        if head.len() > HEAD_LIMIT {
            return Err("the head is too long".to_owned());
        }
    }
    parse(str::from_utf8(&head).map_err(|_| "the head is no UTF-8")?).map(Some)
}

fn parse(head: &str) -> Result<Call, String> {
    let mut lines = head.trim_end_matches("\r\n").split("\r\n");
    let start = lines.next().unwrap_or_default();
    let [method, target, version] = start.split(' ').collect::<Vec<_>>()[..] else {
        return Err(format!("start line {start:?}"));
    };
    let mut call = Call {
        method: method.to_owned(),
        target: target.to_owned(),
        version: version.to_owned(),
        ..Call::default()
    };
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(format!("field line {line:?}"))?;
        if name.is_empty() || !name.bytes().all(is_token) || value.contains(['\n', '\r', '\0']) {
            return Err(format!("field line {line:?}"));
        }
        call.headers.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
    Ok(call)
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Reads the body that belongs to a head.
pub(crate) async fn read_call(
    mut call: Call,
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Call, String> {
    let length = call.content_length().ok_or("no content-length")?;
    if length > BODY_LIMIT {
        return Err(format!("a body of {length} bytes"));
    }
    call.body = vec![0; length];
    let read = stream.read_exact(&mut call.body).await;
    read.map_err(|error| format!("the connection ended inside a body: {error}"))?;
    Ok(call)
}
