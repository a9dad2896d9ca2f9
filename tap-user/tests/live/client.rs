//! An HTTP client of few lines that knows every byte it wrote and read.

use super::content::Content;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

/// How long the gateway may be silent before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to the gateway.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    /// Bytes taken out of `stream` since the last reply began.
    taken: u64,
}

/// A response as the client read it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Number of 1xx responses before it.
    pub(crate) interim: usize,
    /// Bytes of those.
    pub(crate) interim_length: u64,
    /// Bytes of status line and fields with the empty line.
    pub(crate) head_length: u64,
    /// Bytes of the body with its framing.
    pub(crate) wire_length: u64,
    /// The body without framing.
    pub(crate) content: Content,
}

impl Reply {
    /// All bytes that came for this exchange.
    pub(crate) fn received(&self) -> u64 {
        self.interim_length + self.head_length + self.wire_length
    }
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::try_open(address).unwrap_or_else(|error| panic!("connecting to {address}: {error}"))
    }

    pub(crate) fn try_open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), taken: 0 })
    }

    /// The client's own end.
    pub(crate) fn local(&self) -> SocketAddr {
        self.stream.get_ref().local_addr().unwrap()
    }

    /// Writes all bytes, in as few calls as possible.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Writes one byte a call, so that the gateway reads in many small pieces.
    pub(crate) fn write_slowly(&mut self, bytes: &[u8]) -> io::Result<()> {
        for byte in bytes {
            self.write(std::slice::from_ref(byte))?;
            thread::yield_now();
        }
        Ok(())
    }

    /// Reads the next interim response; its length in bytes.
    pub(crate) fn read_continue(&mut self) -> io::Result<u64> {
        self.taken = 0;
        let head = self.read_head()?;
        assert_eq!(head.status, 100, "expected 100 Continue");
        Ok(self.taken)
    }

    /// Reads the response to a request of that method, interim responses before it too.
    pub(crate) fn read_reply(&mut self, method: &str) -> io::Result<Reply> {
        let mut reply = Reply::default();
        let head = loop {
            self.taken = 0;
            let head = self.read_head()?;
            if head.status >= 200 {
                break head;
            }
            reply.interim += 1;
            reply.interim_length += self.taken;
        };
        reply.status = head.status;
        reply.head_length = std::mem::take(&mut self.taken);
        let body = self.read_body(&head, method)?;
        reply.content = if head.gzip { Content::of_gzip(&body) } else { Content::of(&body) };
        reply.wire_length = self.taken;
        Ok(reply)
    }

    /// Tells the gateway that nothing more will come.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.stream.get_ref().shutdown(Shutdown::Write)
    }

    /// Reads about `length` bytes and forgets them.
    pub(crate) fn read_some(&mut self, length: usize) -> io::Result<()> {
        self.stream.read_exact(&mut vec![0; length])
    }

    /// Closes with a reset instead of an orderly end (SO_LINGER of 0 seconds).
    pub(crate) fn reset(self) {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        let length = size_of_val(&linger) as libc::socklen_t;
        // SAFETY: the descriptor is open, and the option's value is a valid `linger`.
        let result = unsafe {
            let value = (&raw const linger).cast();
            let socket = self.stream.get_ref().as_raw_fd();
            libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_LINGER, value, length)
        };
        assert_eq!(result, 0, "SO_LINGER: {}", io::Error::last_os_error());
    }

    fn read_head(&mut self) -> io::Result<Head> {
        let status_line = self.read_line()?;
        let status = status_line.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| invalid(&status_line))?;
        let mut head = Head { status, content_length: None, chunked: false, gzip: false };
        loop {
            let line = self.read_line()?.to_ascii_lowercase();
            if line.is_empty() {
                return Ok(head);
            }
            let (name, value) = line.split_once(": ").ok_or_else(|| invalid(&line))?;
            match name {
                "content-length" => head.content_length = value.parse().ok(),
                "content-encoding" => head.gzip = value == "gzip",
                "transfer-encoding" => head.chunked = value == "chunked",
                _ => {}
            }
        }
    }

    /// RFC 9112, section 6.3.
    fn read_body(&mut self, head: &Head, method: &str) -> io::Result<Vec<u8>> {
        if method == "HEAD" || matches!(head.status, 204 | 304) {
            return Ok(Vec::new());
        }
        if head.chunked {
            return self.read_chunks();
        }
        match head.content_length {
            Some(length) => self.read_exactly(length),
            None => self.read_until_close(),
        }
    }

    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        loop {
            let line = self.read_line()?;
            let size = u64::from_str_radix(&line, 16).map_err(|_| invalid(&line))?;
            content.extend(self.read_exactly(size)?);
            self.read_line()?;
            if size == 0 {
                return Ok(content);
            }
        }
    }

    fn read_exactly(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.stream.read_exact(&mut bytes)?;
        self.taken += length;
        Ok(bytes)
    }

    fn read_until_close(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.taken += self.stream.read_to_end(&mut bytes)? as u64;
        Ok(bytes)
    }

    /// A line without its end.
    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.taken += self.stream.read_line(&mut line)? as u64;
        let line = line.strip_suffix("\r\n").ok_or_else(|| invalid(&line))?;
        Ok(line.to_owned())
    }
}

struct Head {
    status: u16,
    content_length: Option<u64>,
    chunked: bool,
    gzip: bool,
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("unexpected in a response: {what:?}"))
}
