//! A collector that takes records on a TCP connection. A record that was not completely written
//! when a connection ended begins anew on the next one.

pub(super) mod settings;

pub use settings::TcpSettings;

use super::attempt::{Attempt, BatchLimits, Sink};
use super::failure::Failure;
use crate::export::record::Record;
use crate::export::totals::Counters;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Room for what a collector sends; it is thrown away.
const DISCARD_BYTES: usize = 4 * 1024;

/// What one attempt takes: Linux writes no more than 1,024 pieces in one call.
const LIMITS: BatchLimits = BatchLimits { records: 1_024, bytes: 1 << 20 };

pub(super) struct TcpSink {
    host: String,
    port: u16,
    timeout: Duration,
    counters: Arc<Counters>,
    stream: Mutex<Option<TcpStream>>,
}

impl TcpSink {
    /// `timeout` bounds connecting, name resolution included, and each wait for the collector
    /// to take more.
    pub(super) fn new(settings: TcpSettings, counters: Arc<Counters>) -> Self {
        let TcpSettings { host, port, timeout } = settings;
        let (port, timeout) = (port.number(), timeout.0);
        Self { host, port, timeout, counters, stream: Mutex::new(None) }
    }

    async fn connect(&self) -> Result<TcpStream, Failure> {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = timeout(self.timeout, connecting)
            .await
            .map_err(|_| Failure::Timeout(self.timeout))?
            .map_err(Failure::Connect)?;
        stream.set_nodelay(true).map_err(Failure::Connect)?;
        self.counters.opened();
        Ok(stream)
    }

    /// Writes once; yields how many bytes the kernel took, at least one.
    async fn write(
        &self,
        stream: &mut TcpStream,
        slices: &[IoSlice<'_>],
    ) -> Result<usize, Failure> {
        check_open(stream)?;
        match timeout(self.timeout, stream.write_vectored(slices)).await {
            Err(_) => Err(Failure::Timeout(self.timeout)),
            Ok(Err(error)) => Err(Failure::Write(error)),
            Ok(Ok(0)) => Err(Failure::Closed),
            Ok(Ok(bytes)) => Ok(bytes),
        }
    }

    /// Writes all records, and counts in `delivered` those that are written completely.
    async fn write_all(
        &self,
        stream: &mut TcpStream,
        records: &[Record],
        delivered: &mut usize,
    ) -> Result<(), Failure> {
        let mut slices: Vec<_> = records.iter().map(|record| IoSlice::new(&record.bytes)).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            let written = self.write(stream, rest).await?;
            IoSlice::advance_slices(&mut rest, written);
            *delivered = records.len().saturating_sub(rest.len());
        }
        Ok(())
    }
}

impl Sink for TcpSink {
    fn limits(&self) -> BatchLimits {
        LIMITS
    }

    async fn attempt(&self, records: Vec<Record>) -> Attempt {
        let mut place = self.stream.lock().await;
        // Taken out, so that a stream that fails, or an attempt that is given up, leaves none.
        let mut stream = match place.take() {
            Some(stream) => stream,
            None => match self.connect().await {
                Ok(stream) => stream,
                Err(error) => return Attempt::failed(0, error),
            },
        };
        let mut delivered = 0;
        match self.write_all(&mut stream, &records, &mut delivered).await {
            Ok(()) => {
                *place = Some(stream);
                Attempt::delivered(delivered)
            }
            Err(error) => Attempt::failed(delivered, error),
        }
    }

    async fn close(&self) {
        let Some(mut stream) = self.stream.lock().await.take() else { return };
        // What is left unread when a socket is closed makes the kernel reset the connection,
        // and the collector might lose what it has not read yet. Nothing is left to be told
        // about errors here: every record is in the kernel.
        let _ = check_open(&stream);
        let _ = stream.shutdown().await;
    }
}

/// Fails if the collector has closed: the kernel would still take one more write, and what it
/// took would be gone. What a collector sends has no meaning here and is thrown away.
fn check_open(stream: &TcpStream) -> Result<(), Failure> {
    let mut discarded = [0; DISCARD_BYTES];
    loop {
        match stream.try_read(&mut discarded) {
            Ok(0) => return Err(Failure::Closed),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(Failure::Write(error)),
        }
    }
}
