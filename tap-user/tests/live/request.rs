//! A request as the client writes it, byte for byte.

/// The header that every request of the tests carries, by which logs and records are joined.
pub(crate) const TEST_ID: &str = "X-Test-Id";

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) version: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) payload: Payload,
}

/// A request's body and how its end is told.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    None,
    /// With `Content-Length`.
    Sized(Vec<u8>),
    /// In chunks of at most `chunk` bytes, with all that RFC 9112, section 7.1 allows.
    Chunked {
        content: Vec<u8>,
        chunk: usize,
        extensions: bool,
        trailers: bool,
    },
}

impl Request {
    pub(crate) fn new(id: String, method: &'static str, target: impl Into<String>) -> Self {
        let target = target.into();
        Self {
            id,
            method,
            target,
            version: "HTTP/1.1",
            headers: Vec::new(),
            payload: Payload::None,
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// The request line as nginx logs it.
    pub(crate) fn line(&self) -> String {
        format!("{} {} {}", self.method, self.target, self.version)
    }

    /// Request line and fields with the empty line.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head =
            format!("{}\r\nHost: gateway.test\r\n{TEST_ID}: {}\r\n", self.line(), self.id);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        match &self.payload {
            Payload::None => {}
            Payload::Sized(content) => head += &format!("Content-Length: {}\r\n", content.len()),
            Payload::Chunked { .. } => head += "Transfer-Encoding: chunked\r\n",
        }
        (head + "\r\n").into_bytes()
    }

    /// The body without framing.
    pub(crate) fn content(&self) -> &[u8] {
        match &self.payload {
            Payload::None => &[],
            Payload::Sized(content) | Payload::Chunked { content, .. } => content,
        }
    }

    /// The body as it goes over the wire.
    pub(crate) fn body(&self) -> Vec<u8> {
        match &self.payload {
            Payload::None => Vec::new(),
            Payload::Sized(content) => content.clone(),
            Payload::Chunked { content, chunk, extensions, trailers } => {
                chunked(content, *chunk, *extensions, *trailers)
            }
        }
    }

    /// Head and body.
    pub(crate) fn wire(&self) -> Vec<u8> {
        [self.head(), self.body()].concat()
    }
}

fn chunked(content: &[u8], chunk: usize, extensions: bool, trailers: bool) -> Vec<u8> {
    let extension = if extensions { ";name=value;quoted=\"a;b\"" } else { "" };
    let mut wire = Vec::new();
    for piece in content.chunks(chunk) {
        wire.extend(format!("{:X}{extension}\r\n", piece.len()).into_bytes());
        wire.extend(piece);
        wire.extend(b"\r\n");
    }
    wire.extend(format!("0{extension}\r\n").into_bytes());
    if trailers {
        wire.extend(b"X-Trailer: after the body\r\nX-Second: 2\r\n");
    }
    wire.extend(b"\r\n");
    wire
}
