//! Collectors that misbehave as a script tells them.

use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What happens to one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// It is read to its end.
    ReadAll,
    /// So many lines are read, then it is closed.
    Lines(usize),
    /// So many bytes are read, then it is closed.
    Bytes(usize),
    /// Nothing is read for that time, then it is reset.
    Reset(Duration),
    /// Nothing is read for ever.
    Stall,
    /// It is read byte by byte.
    Drip,
}

/// A collector on a port of its own. Whole lines that it read are kept.
#[derive(Debug)]
pub(crate) struct Scripted {
    pub(crate) port: u16,
    lines: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Scripted {
    /// Plays one act a connection, the last one again and again.
    pub(crate) fn start(acts: &[Act]) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // Its port is to be had again while connections of it are still on their way out.
        socket.set_reuseaddr(true).unwrap();
        if acts.iter().any(|act| matches!(act, Act::Drip)) {
            socket.set_recv_buffer_size(4096).unwrap();
        }
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self::on(socket.listen(16).unwrap(), acts)
    }

    /// The same on a port that another one had.
    pub(crate) fn again(port: u16, acts: &[Act]) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(([127, 0, 0, 1], port).into()).unwrap();
        Self::on(socket.listen(16).unwrap(), acts)
    }

    fn on(listener: TcpListener, acts: &[Act]) -> Self {
        let port = listener.local_addr().unwrap().port();
        let (lines, connections) = (Arc::default(), Arc::default());
        let play = play(listener, acts.to_vec(), Arc::clone(&lines), Arc::clone(&connections));
        Self { port, lines, connections, task: tokio::spawn(play) }
    }

    /// What was read, in whole lines.
    pub(crate) fn text(&self) -> String {
        self.lines.lock().unwrap().concat()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    /// Ends it: its listener and the connection it has are closed.
    pub(crate) async fn stop(self) -> String {
        self.task.abort();
        let _ = self.task.await;
        self.lines.lock().unwrap().concat()
    }
}

async fn play(
    listener: TcpListener,
    acts: Vec<Act>,
    lines: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
) {
    for place in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        *connections.lock().unwrap() += 1;
        let act = acts.get(place).or(acts.last()).unwrap();
        perform(*act, stream, &lines).await;
    }
}

async fn perform(act: Act, stream: TcpStream, lines: &Mutex<Vec<String>>) {
    match act {
        Act::ReadAll => read_lines(stream, usize::MAX, lines).await,
        Act::Lines(count) => read_lines(stream, count, lines).await,
        Act::Bytes(count) => {
            let mut stream = stream;
            let _ = stream.read_exact(&mut vec![0; count]).await;
        }
        Act::Reset(after) => {
            sleep(after).await;
            stream.set_zero_linger().unwrap();
        }
        Act::Stall => std::future::pending().await,
        Act::Drip => drip(stream, lines).await,
    }
}

async fn read_lines(stream: TcpStream, count: usize, lines: &Mutex<Vec<String>>) {
    // No more is taken from the kernel than what is looked at soon.
    let mut reader = BufReader::with_capacity(1024, stream);
    for _ in 0..count {
        let mut line = String::new();
        match reader.read_line(&mut line).await {
            Ok(length) if length > 0 && line.ends_with('\n') => lines.lock().unwrap().push(line),
            _ => return,
        }
    }
}

async fn drip(mut stream: TcpStream, lines: &Mutex<Vec<String>>) {
    let mut line = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        line.push(byte);
        if byte == b'\n' {
            let line = String::from_utf8(std::mem::take(&mut line)).unwrap();
            lines.lock().unwrap().push(line);
        }
    }
}
