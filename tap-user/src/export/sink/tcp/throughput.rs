//! What waiting for acknowledgements costs: the sink beside a plain stream that is written to
//! without looking back, on loopback with records of 100 KB.
//! `cargo test --release --lib throughput -- --ignored --nocapture`

use super::{CONCURRENCY, LIMITS, Round, Sink, TcpSettings, TcpSink};
use crate::document::{parse_yaml, read};
use crate::export::record::Record;
use crate::export::totals::Counters;
use bytes::Bytes;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

const RECORD_BYTES: usize = 100_000;
const BATCHES: usize = 2_000;

fn batch() -> Vec<Record> {
    let bytes = Bytes::from(vec![b'x'; RECORD_BYTES]);
    let record = Record { id: "r".into(), duration_ns: None, bytes };
    vec![record; LIMITS.bytes / RECORD_BYTES]
}

/// A collector that reads and forgets; yields its port.
async fn collector() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut room = vec![0; 1 << 20];
        while stream.read(&mut room).await.unwrap() > 0 {}
    });
    port
}

async fn plain() {
    let mut stream = TcpStream::connect(("127.0.0.1", collector().await)).await.unwrap();
    for _ in 0..BATCHES {
        let records = batch();
        let mut slices: Vec<_> = records.iter().map(|it| IoSlice::new(&it.bytes)).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            let written = stream.write_vectored(rest).await.unwrap();
            IoSlice::advance_slices(&mut rest, written);
        }
    }
}

async fn acknowledged() {
    let yaml = format!("{{host: 127.0.0.1, port: {}}}", collector().await);
    let settings: TcpSettings = read(&parse_yaml(&yaml).unwrap()).unwrap();
    let counters = Arc::new(Counters::new("tcp".into()));
    let sink = Arc::new(TcpSink::start(&Handle::current(), settings, counters));
    let mut attempts: JoinSet<bool> = JoinSet::new();
    for number in 0..BATCHES {
        if number >= CONCURRENCY {
            assert!(attempts.join_next().await.unwrap().unwrap());
        }
        let (sink, records) = (Arc::clone(&sink), batch());
        attempts
            .spawn(async move { sink.attempt(records, Round::default()).await.trouble.is_none() });
    }
    assert!(attempts.join_all().await.into_iter().all(|delivered| delivered));
}

fn rate(duration: Duration) -> f64 {
    let bytes = BATCHES * (LIMITS.bytes / RECORD_BYTES) * RECORD_BYTES;
    bytes as f64 / 1e6 / duration.as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; proves nothing"]
async fn throughput_of_acknowledged_delivery() {
    for _ in 0..3 {
        let begin = Instant::now();
        plain().await;
        let plain = begin.elapsed();
        let begin = Instant::now();
        acknowledged().await;
        let rates = (rate(plain), rate(begin.elapsed()));
        println!("MB/s without looking back {:.0}, acknowledged {:.0}", rates.0, rates.1);
    }
}
