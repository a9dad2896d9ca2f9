//! One connection to a collector, with or without TLS.

use super::failure::Ended;
use super::metered::Metered;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

/// Room for what a collector sends; it has no meaning and is thrown away.
const DISCARD_BYTES: usize = 4 * 1024;

/// What a connection did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It took that many bytes, of which the TLS layer may still hold some.
    Took(usize),
    /// The kernel has everything.
    Flushed,
}

pub(super) enum Connection {
    Plain(Metered),
    Tls(Box<TlsStream<Metered>>),
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

impl Connection {
    fn metered(&self) -> &Metered {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    fn stream(&mut self) -> Pin<&mut dyn Stream> {
        match self {
            Self::Plain(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(stream),
        }
    }

    /// Bytes that the kernel took, those of TLS included.
    pub(super) fn sent(&self) -> u64 {
        self.metered().sent()
    }

    /// How many of them the peer's TCP has acknowledged.
    pub(super) fn acknowledged(&self) -> io::Result<u64> {
        self.metered().acknowledged()
    }

    /// Writes once, or flushes if asked to, and meanwhile throws away what the collector sends:
    /// left unread, it would make the kernel reset the connection at its end, and keep a
    /// collector that waits until it is read from reading. Waits while there is nothing to do.
    pub(super) async fn work(
        &mut self,
        pieces: &[IoSlice<'_>],
        flush: bool,
    ) -> Result<Progress, Ended> {
        poll_fn(|context| {
            if let Poll::Ready(ended) = self.poll_discard(context) {
                return Poll::Ready(Err(ended));
            }
            match flush {
                true => self.poll_flush(context),
                false if pieces.is_empty() => Poll::Pending,
                false => self.poll_write(context, pieces),
            }
        })
        .await
    }

    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<Result<Progress, Ended>> {
        Poll::Ready(match ready!(self.stream().poll_write_vectored(context, pieces)) {
            Ok(0) => Err(Ended::Broken(io::ErrorKind::WriteZero.into())),
            Ok(bytes) => Ok(Progress::Took(bytes)),
            Err(error) => Err(self.broken(context, error)),
        })
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<Progress, Ended>> {
        Poll::Ready(match ready!(self.stream().poll_flush(context)) {
            Ok(()) => Ok(Progress::Flushed),
            Err(error) => Err(self.broken(context, error)),
        })
    }

    /// Ready once the collector has ended the connection.
    fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        let mut room = [0; DISCARD_BYTES];
        loop {
            let mut buffer = ReadBuf::new(&mut room);
            match ready!(self.stream().poll_read(context, &mut buffer)) {
                Ok(()) if buffer.filled().is_empty() => return Poll::Ready(Ended::Closed),
                Ok(()) => {}
                Err(error) => return Poll::Ready(Ended::of(error)),
            }
        }
    }

    /// A write failed: why, may still be there to be read (an alert of TLS).
    fn broken(&mut self, context: &mut Context<'_>, error: io::Error) -> Ended {
        match self.poll_discard(context) {
            Poll::Ready(ended @ Ended::Tls(_)) => ended,
            _ => Ended::of(error),
        }
    }

    /// Waits until anything came from the collector since the handshake, or its end.
    ///
    /// The handshake of TLS 1.3 is over for the client before the collector has looked at the
    /// client's certificate. What comes next are session tickets, or an alert.
    pub(super) async fn heard(&mut self) -> Result<(), Ended> {
        let before = self.metered().received();
        poll_fn(|context| match self.poll_discard(context) {
            Poll::Ready(ended) => Poll::Ready(Err(ended)),
            Poll::Pending if self.metered().received() > before => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Ends the stream and waits until the collector has done the same.
    pub(super) async fn close(&mut self) -> Ended {
        if let Err(error) = poll_fn(|context| self.stream().poll_shutdown(context)).await {
            return Ended::of(error);
        }
        poll_fn(|context| self.poll_discard(context)).await
    }
}
