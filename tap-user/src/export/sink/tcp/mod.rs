//! A collector that takes records on a TCP connection.

pub(super) mod settings;

pub use settings::TcpSettings;

use super::Sink;
use bytes::Bytes;
use std::io::{self, IoSlice};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Room for what a collector sends; it is thrown away.
const DISCARD_BYTES: usize = 4 * 1024;

pub(super) struct TcpSink {
    host: String,
    port: u16,
    timeout: Duration,
    stream: Option<TcpStream>,
}

impl TcpSink {
    /// `timeout` bounds connecting, name resolution included, and each wait for the collector
    /// to take more.
    pub(super) fn new(settings: TcpSettings) -> Self {
        let TcpSettings { host, port, timeout } = settings;
        Self { host, port: port.number(), timeout: timeout.0, stream: None }
    }
}

impl Sink for TcpSink {
    const CONTINUES: bool = false;

    async fn open(&mut self) -> io::Result<()> {
        self.stream = None;
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = timeout(self.timeout, connecting).await??;
        stream.set_nodelay(true)?;
        self.stream = Some(stream);
        Ok(())
    }

    async fn write(&mut self, pieces: Vec<Bytes>) -> io::Result<usize> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        check_open(stream)?;
        let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        match timeout(self.timeout, stream.write_vectored(&slices)).await?? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            bytes => Ok(bytes),
        }
    }

    async fn close(&mut self) {
        let Some(mut stream) = self.stream.take() else { return };
        // What is left unread when a socket is closed makes the kernel reset the connection,
        // and the collector might lose what it has not read yet. Nothing is left to be told
        // about errors here: every record is in the kernel.
        let _ = check_open(&stream);
        let _ = stream.shutdown().await;
    }
}

/// Fails if the collector has closed: the kernel would still take one more write, and what it
/// took would be gone. What a collector sends has no meaning here and is thrown away.
fn check_open(stream: &TcpStream) -> io::Result<()> {
    let mut discarded = [0; DISCARD_BYTES];
    loop {
        match stream.try_read(&mut discarded) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
