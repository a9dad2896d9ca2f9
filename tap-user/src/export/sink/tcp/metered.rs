//! A TCP connection that counts its bytes and knows how many of them the peer's TCP has
//! acknowledged.

use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP connection with its counters.
#[derive(Debug)]
pub(super) struct Metered {
    stream: TcpStream,
    sent: u64,
    received: u64,
}

impl Metered {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, sent: 0, received: 0 }
    }

    /// Bytes that the kernel took.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes that came from the peer.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// How many of the bytes sent the peer's TCP has acknowledged; also right after the
    /// connection broke. Not meant for a stream whose own end was sent: Linux counts that too.
    pub(super) fn acknowledged(&self) -> io::Result<u64> {
        let mut outstanding: libc::c_int = 0;
        // SIOCOUTQ, which has the number of TIOCOUTQ: bytes written and not acknowledged, tcp(7).
        // SAFETY: the kernel writes one int.
        let result =
            unsafe { libc::ioctl(self.stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut outstanding) };
        match result {
            0 => Ok(self.sent.saturating_sub(outstanding.try_into().unwrap_or(0))),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn count_sent(&mut self, result: io::Result<usize>) -> Poll<io::Result<usize>> {
        if let Ok(bytes) = &result {
            self.sent = self.sent.saturating_add(*bytes as u64);
        }
        Poll::Ready(result)
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        let bytes = buffer.filled().len().saturating_sub(before) as u64;
        self.received = self.received.saturating_add(bytes);
        Poll::Ready(result)
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        self.count_sent(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, pieces));
        self.count_sent(result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket};

    /// A connection to a peer whose buffers are small.
    async fn connected() -> (Metered, TcpStream) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener: TcpListener = socket.listen(1).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Metered::new(stream), listener.accept().await.unwrap().0)
    }

    async fn wait_for(metered: &Metered, acknowledged: u64) {
        while metered.acknowledged().unwrap() < acknowledged {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn what_the_peer_has_no_room_for_is_not_acknowledged() {
        let (mut metered, mut peer) = connected().await;
        assert_eq!((metered.sent(), metered.acknowledged().unwrap()), (0, 0));
        metered.write_all(&[0; 100]).await.unwrap();
        wait_for(&metered, 100).await;
        metered.write_all(&[0; 50_000]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let acknowledged = metered.acknowledged().unwrap();
        assert!((100..20_000).contains(&acknowledged), "{acknowledged}");
        peer.read_exact(&mut [0; 50_100]).await.unwrap();
        wait_for(&metered, 50_100).await;
        assert_eq!((metered.sent(), metered.acknowledged().unwrap()), (50_100, 50_100));
    }

    #[tokio::test]
    async fn the_count_survives_a_reset() {
        let (mut metered, peer) = connected().await;
        metered.write_all(&[0; 100]).await.unwrap();
        wait_for(&metered, 100).await;
        metered.write_all(&[0; 100_000]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = metered.acknowledged().unwrap();
        drop(peer);
        metered.read_exact(&mut [0; 1]).await.unwrap_err();
        assert_eq!(metered.acknowledged().unwrap(), before);
    }
}
