//! Sinks against real files, pipes and collectors that misbehave. A collector counts what
//! arrived; the exporter's own totals are compared with that, never only with each other.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail loudly")]

mod support;

use gatetap::export::{Exporter, SinkSettings, SinkTotals, StartError};
use gatetap::gateway::Observation;
use gatetap::segment::Leg;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::{body, kong_example};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

/// Enough for anything here; a test that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

fn exporter(sinks: &[String]) -> Result<Exporter, StartError> {
    let resolve = |sink: &String| sink.parse::<SinkSettings>().unwrap().resolve().unwrap();
    let sinks = sinks.iter().map(resolve).collect();
    Exporter::start(&Handle::current(), sinks)
}

fn numbered(number: usize) -> Observation {
    Observation { id: format!("r-{number}").into(), ..kong_example() }
}

/// An observation whose record takes at least that many bytes.
fn large(number: usize, bytes: usize) -> Observation {
    let mut observation = numbered(number);
    observation.exchange.response.as_mut().unwrap().body = body(&vec![b'x'; bytes]);
    observation
}

fn export_numbered(exporter: &mut Exporter, numbers: std::ops::Range<usize>) {
    numbers.for_each(|number| exporter.export(&numbered(number)));
}

/// Numbers of records in the order in which they stand in `lines`, whatever their format.
fn numbers(lines: &str) -> Vec<usize> {
    lines.lines().map(number).collect()
}

fn number(line: &str) -> usize {
    let record: Value = serde_json::from_str(line).expect("a line is a record");
    let id = record["tap"]["id"].as_str().or(record["id"].as_str()).expect("a record has an id");
    id.strip_prefix("r-").and_then(|number| number.parse().ok()).expect("an id of this test")
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn listen_again(port: u16) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(([127, 0, 0, 1], port).into()).unwrap();
    socket.listen(16).unwrap()
}

async fn accept(listener: &TcpListener) -> TcpStream {
    timeout(PATIENCE, listener.accept()).await.expect("the sink connects").unwrap().0
}

async fn read_records(reader: &mut BufReader<TcpStream>, count: usize) -> String {
    let mut text = String::new();
    for _ in 0..count {
        timeout(PATIENCE, reader.read_line(&mut text)).await.expect("a record comes").unwrap();
    }
    text
}

async fn read_to_end(mut stream: impl AsyncReadExt + Unpin) -> String {
    let mut text = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut text)).await.expect("the stream ends").unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_has_what_its_filter_lets_through() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let yaml = format!(
        "sinks:\n  - file: {{path: {}}}\n    filter: {{exclude: [{{statuses: [2xx]}}]}}\n  - file: {{path: {}}}\n",
        path("errors").display(),
        path("all").display()
    );
    let settings: Value = serde_saphyr::from_str(&yaml).unwrap();
    let sinks = settings["sinks"].as_array().unwrap().iter();
    let sinks = sinks.map(|sink| {
        serde_json::from_value::<SinkSettings>(sink.clone()).unwrap().resolve().unwrap()
    });
    let mut exporter = Exporter::start(&Handle::current(), sinks.collect()).unwrap();
    for (number, status) in [200, 404, 201, 500].into_iter().enumerate() {
        let mut observation = numbered(number);
        observation.exchange.response.as_mut().unwrap().status = status;
        exporter.export(&observation);
    }
    let totals = exporter.shutdown(PATIENCE).await;
    let read = |name: &str| numbers(&std::fs::read_to_string(path(name)).unwrap());
    assert_eq!((read("errors"), totals[0].filtered), (vec![1, 3], 2));
    assert_eq!((read("all"), totals[1].filtered), (vec![0, 1, 2, 3], 0));
}

async fn shut_down(exporter: Exporter) -> SinkTotals {
    let mut totals = exporter.shutdown(PATIENCE).await;
    assert_eq!(totals.len(), 1);
    totals.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_private_and_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.ndjson");
    for numbers in [0..1500, 1500..1503] {
        let mut exporter = exporter(&[format!("file:{}", path.display())]).unwrap();
        let count = numbers.len() as u64;
        export_numbered(&mut exporter, numbers);
        let totals = shut_down(exporter).await;
        assert_eq!((totals.delivered_records, totals.dropped.total()), (count, 0));
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.ends_with("}\n"));
    assert_eq!(numbers(&text), (0..1503).collect::<Vec<_>>());
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_an_error_at_the_start() {
    let error = exporter(&["file:/nowhere/records".to_owned()]).unwrap_err().to_string();
    assert!(error.starts_with("cannot open /nowhere/records to write records: No such file"));
}

/// `/dev/full` takes no byte: the sink keeps trying, and what it holds is dropped at the end.
#[tokio::test]
async fn a_full_disk_is_counted_and_not_fatal() {
    let mut exporter = exporter(&["file:/dev/full".to_owned()]).unwrap();
    export_numbered(&mut exporter, 0..3);
    sleep(Duration::from_millis(300)).await;
    let totals = exporter.shutdown(Duration::ZERO).await.remove(0);
    assert!(totals.failures >= 1);
    assert_eq!((totals.delivered_records, totals.dropped.shutdown), (0, 3));
    assert_eq!((totals.queued_records, totals.queued_bytes), (0, 0));
}

#[tokio::test]
async fn each_sink_gets_its_format_and_its_legs() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let sinks = ["native", "kong", "tcp-body-log"]
        .map(|name| format!("file:{},format={name}", path(name).display()));
    let mut exporter = exporter(&sinks).unwrap();
    let mut upstream = numbered(1);
    Arc::make_mut(&mut upstream.connection).leg = Leg::Upstream;
    exporter.export(&numbered(0));
    exporter.export(&upstream);
    let totals = exporter.shutdown(PATIENCE).await;
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    assert_eq!(numbers(&read("native")), [0, 1]);
    assert_eq!(numbers(&read("kong")), [0]);
    assert_eq!(numbers(&read("tcp-body-log")), [0]);
    assert!(read("tcp-body-log").ends_with("}\r\n"));
    for (totals, name) in totals.iter().zip(["native", "kong", "tcp-body-log"]) {
        assert_eq!(totals.name, format!("file:{}", path(name).display()));
        assert_eq!(totals.delivered_bytes, read(name).len() as u64);
    }
}

/// Runs in a process of its own, started by the test below.
#[tokio::test]
async fn stdout_child() {
    if std::env::var_os("GATETAP_TEST_STDOUT").is_some() {
        let mut exporter = exporter(&["stdout".to_owned()]).unwrap();
        export_numbered(&mut exporter, 0..100);
        assert_eq!(shut_down(exporter).await.delivered_records, 100);
    }
}

#[test]
fn stdout_gets_one_record_a_line() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "stdout_child", "--nocapture", "--test-threads=1"])
        .env("GATETAP_TEST_STDOUT", "1")
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // The first record follows "test stdout_child ... " of the test harness on its line.
    let records: String = text
        .lines()
        .filter_map(|line| line.find('{').and_then(|start| line.get(start..)))
        .map(|record| format!("{record}\n"))
        .collect();
    assert_eq!(numbers(&records), (0..100).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_every_record_in_order() {
    let (listener, port) = listen().await;
    let mut exporter = exporter(&[format!("tcp:127.0.0.1:{port},format=tcp-body-log")]).unwrap();
    export_numbered(&mut exporter, 0..20_000);
    let reading = tokio::spawn(async move { read_to_end(accept(&listener).await).await });
    let totals = shut_down(exporter).await;
    let text = reading.await.unwrap();
    assert!(text.split_inclusive('\n').all(|line| line.ends_with("}\r\n")));
    assert_eq!(numbers(&text), (0..20_000).collect::<Vec<_>>());
    assert_eq!((totals.delivered_records, totals.delivered_bytes), (20_000, text.len() as u64));
    assert_eq!((totals.dropped.total(), totals.reconnects), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_wait_for_a_collector_that_is_absent() {
    let (listener, port) = listen().await;
    drop(listener);
    let mut exporter = exporter(&[format!("tcp:127.0.0.1:{port}")]).unwrap();
    export_numbered(&mut exporter, 0..50);
    sleep(Duration::from_millis(300)).await;
    let before = exporter.totals().remove(0);
    assert_eq!((before.queued_records, before.delivered_records), (50, 0));
    assert!(before.failures >= 1);

    let listener = listen_again(port).await;
    let mut reader = BufReader::new(accept(&listener).await);
    assert_eq!(numbers(&read_records(&mut reader, 50).await), (0..50).collect::<Vec<_>>());
    let totals = shut_down(exporter).await;
    assert_eq!((totals.delivered_records, totals.queued_records), (50, 0));
    assert_eq!((totals.dropped.total(), totals.reconnects), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_collector_fills_the_queue_and_no_more() {
    const QUEUE: u64 = 65_536;
    let (listener, port) = listen().await;
    drop(listener);
    let mut exporter = exporter(&[format!("tcp:127.0.0.1:{port},queue={QUEUE}")]).unwrap();
    (0..100).for_each(|number| exporter.export(&large(number, 10_000)));
    let full = exporter.totals().remove(0);
    assert!(full.queued_bytes <= QUEUE && full.queued_bytes > QUEUE - 12_000);
    // A body of 10,000 bytes and some 1,200 around it: five such records fit.
    assert_eq!((full.queued_records, full.dropped.queue_full), (5, 95));
    let totals = exporter.shutdown(Duration::from_millis(50)).await.remove(0);
    assert_eq!((totals.dropped.queue_full, totals.dropped.shutdown), (95, 5));
    assert_eq!((totals.queued_records, totals.queued_bytes), (0, 0));
}

/// The collector accepts and never reads. Exporting takes no longer for it; once it reads, it
/// has every record that was not counted as dropped.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_reads_does_not_hold_up_the_capture() {
    let (listener, port) = listen().await;
    let mut exporter = exporter(&[format!("tcp:127.0.0.1:{port},queue=1MiB")]).unwrap();
    exporter.export(&numbered(0));
    let stream = accept(&listener).await;
    let begin = Instant::now();
    for number in 1..1000 {
        exporter.export(&large(number, 20_000));
        if number % 20 == 0 {
            // Time for the sink, so that the kernel's buffers fill up too.
            sleep(Duration::from_millis(2)).await;
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "export waited for the collector");
    let full = exporter.totals().remove(0);
    assert!(full.dropped.queue_full > 0 && full.queued_bytes <= 1 << 20);

    let reading = tokio::spawn(read_to_end(stream));
    let totals = shut_down(exporter).await;
    let received = numbers(&reading.await.unwrap());
    assert!(received.is_sorted_by(|one, next| one < next));
    assert_eq!(received.len() as u64, totals.delivered_records);
    assert_eq!(received.len() as u64 + totals.dropped.total(), 1000);
    assert_eq!(totals.reconnects, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_killed_and_restarted_misses_nothing() {
    let (listener, port) = listen().await;
    let mut exporter = exporter(&[format!("tcp:127.0.0.1:{port}")]).unwrap();
    export_numbered(&mut exporter, 0..10);
    let mut reader = BufReader::new(accept(&listener).await);
    assert_eq!(numbers(&read_records(&mut reader, 10).await), (0..10).collect::<Vec<_>>());
    drop((reader, listener));

    export_numbered(&mut exporter, 10..20);
    sleep(Duration::from_millis(300)).await;
    assert_eq!(exporter.totals()[0].delivered_records, 10);
    let listener = listen_again(port).await;
    let mut reader = BufReader::new(accept(&listener).await);
    // What it took just before its end it may not have stored: that comes again, and first.
    let received = numbers(&read_records(&mut reader, 20).await);
    assert_eq!(received, (0..20).collect::<Vec<_>>());
    let totals = shut_down(exporter).await;
    assert_eq!((totals.delivered_records, totals.reconnects), (20, 1));
    assert_eq!(totals.dropped.total(), 0);
}

/// The collector takes the beginning of a record that no buffer can hold and resets: the record
/// comes again from its beginning on the next connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_written_in_part_is_sent_again_from_its_beginning() {
    const LENGTH: usize = 30 << 20;
    let (listener, port) = listen().await;
    let mut exporter = exporter(&[format!("tcp:127.0.0.1:{port}")]).unwrap();
    exporter.export(&large(0, LENGTH));
    exporter.export(&numbered(1));
    let mut stream = accept(&listener).await;
    stream.read_exact(&mut [0; 100_000]).await.unwrap();
    drop(stream);

    let mut reader = BufReader::new(accept(&listener).await);
    let text = read_records(&mut reader, 2).await;
    assert_eq!(numbers(&text), [0, 1]);
    assert!(text.len() > LENGTH);
    let totals = shut_down(exporter).await;
    assert_eq!((totals.delivered_records, totals.delivered_bytes), (2, text.len() as u64));
    assert_eq!((totals.reconnects, totals.dropped.total()), (1, 0));
}

/// A collector that takes nothing for longer than the timeout is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_is_left_after_the_timeout() {
    let (listener, port) = listen().await;
    let mut exporter = exporter(&[format!("tcp:127.0.0.1:{port},timeout=200ms")]).unwrap();
    exporter.export(&large(0, 30 << 20));
    let hanging = accept(&listener).await;
    let mut reader = BufReader::new(accept(&listener).await);
    assert_eq!(numbers(&read_records(&mut reader, 1).await), [0]);
    drop(hanging);
    assert_eq!(shut_down(exporter).await.reconnects, 1);
}

/// What a collector says has no meaning; left unread, it would make the kernel reset the
/// connection at the end and throw away what the collector's own kernel has not taken yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_talkative_collector_gets_everything() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(16).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut exporter = exporter(&[format!("tcp:127.0.0.1:{port}")]).unwrap();
    exporter.export(&numbered(0));
    let mut stream = accept(&listener).await;
    stream.write_all(b"220 welcome\r\n").await.unwrap();
    export_numbered(&mut exporter, 1..200);
    let (reading, mut writing) = stream.into_split();
    let reading = tokio::spawn(read_to_end(reading));
    while exporter.totals()[0].delivered_records < 200 {
        sleep(Duration::from_millis(5)).await;
    }
    writing.write_all(b"250 thank you\r\n").await.unwrap();
    sleep(Duration::from_millis(50)).await;
    assert_eq!(shut_down(exporter).await.delivered_records, 200);
    assert_eq!(numbers(&reading.await.unwrap()), (0..200).collect::<Vec<_>>());
}

/// A collector that takes nothing at all beside a file: the file gets every record at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_sink_delays_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records");
    let (listener, port) = listen().await;
    let stalled = format!("tcp:127.0.0.1:{port},queue=64KiB");
    let mut exporter = exporter(&[stalled, format!("file:{}", path.display())]).unwrap();
    let begin = Instant::now();
    (0..1_000).for_each(|number| exporter.export(&large(number, 20_000)));
    while exporter.totals()[1].delivered_records < 1_000 {
        assert!(begin.elapsed() < PATIENCE, "{:?}", exporter.totals());
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(numbers(&std::fs::read_to_string(&path).unwrap()), (0..1_000).collect::<Vec<_>>());
    let totals = exporter.shutdown(Duration::from_millis(100)).await;
    assert!(totals[0].dropped.total() > 0);
    totals.iter().for_each(assert_adds_up);
    drop(listener);
}

fn assert_adds_up(totals: &SinkTotals) {
    let accounted = totals.queued_records
        + totals.delivered_records
        + totals.rejected_records
        + totals.dropped.total();
    assert_eq!(totals.given_records, accounted, "{totals:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_rotated_without_cutting_or_losing_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records");
    let sink = format!("file:{},rotate.size=64KiB,rotate.keep=100", path.display());
    let mut exporter = exporter(&[sink]).unwrap();
    export_numbered(&mut exporter, 0..500);
    assert_eq!(shut_down(exporter).await.delivered_records, 500);
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert!(files > 5, "{files} files");
    let mut received = Vec::new();
    for number in (1..files).rev() {
        let old = folder.path().join(format!("records.{number}"));
        assert!(old.metadata().unwrap().len() <= 64 << 10);
        received.extend(numbers(&std::fs::read_to_string(old).unwrap()));
    }
    received.extend(numbers(&std::fs::read_to_string(&path).unwrap()));
    assert_eq!(received, (0..500).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_left_out_for_the_sink_that_does_not_want_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let sinks = ["native", "kong", "tcp-body-log"]
        .map(|name| format!("file:{},format={name},log_body=false", path(name).display()));
    let with = format!("file:{}", path("with").display());
    let mut exporter = exporter(&[sinks.to_vec(), vec![with]].concat()).unwrap();
    exporter.export(&large(7, 1_000));
    exporter.shutdown(PATIENCE).await;
    let read = |name: &str| -> Value {
        let text = std::fs::read_to_string(path(name)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    assert_eq!(read("with")["response"]["body"]["text"].as_str().unwrap().len(), 1_000);
    let facts = &read("native")["response"]["body"];
    assert_eq!((&facts["length"], &facts["captured"]), (&Value::from(1_000), &Value::from(0)));
    assert_eq!(facts["withheld"], true);
    assert!(facts.get("text").is_none() && facts.get("base64").is_none());
    assert!(read("kong")["response"].get("body").is_none());
    assert_eq!(read("tcp-body-log")["response"]["size_bytes"], "1000");
}

/// One sink stays, one goes, one comes, and one that cannot start changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn sinks_are_changed_while_records_come() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let sink = |name: &str| format!("file:{}", path(name).display());
    let parse = |sinks: &[String]| sinks.iter().map(|sink| sink.parse().unwrap()).collect();
    let mut exporter = exporter(&[sink("stays"), sink("goes")]).unwrap();
    export_numbered(&mut exporter, 0..10);
    exporter.reconfigure(parse(&[sink("comes"), sink("stays")]), PATIENCE).unwrap();
    export_numbered(&mut exporter, 10..20);
    let impossible = parse(&[sink("stays"), "file:/nowhere/records".to_owned()]);
    assert!(exporter.reconfigure(impossible, PATIENCE).is_err());
    export_numbered(&mut exporter, 20..30);
    let totals = exporter.shutdown(PATIENCE).await;
    let delivered: Vec<_> = totals.iter().map(|totals| totals.delivered_records).collect();
    assert_eq!(delivered, [20, 30, 10]);
    let read = |name: &str| numbers(&std::fs::read_to_string(path(name)).unwrap());
    assert_eq!(read("stays"), (0..30).collect::<Vec<_>>());
    assert_eq!(read("goes"), (0..10).collect::<Vec<_>>());
    assert_eq!(read("comes"), (10..30).collect::<Vec<_>>());
}

/// Reading a capture waits for its collector as long as it takes, and a signal ends that.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_sink_ends_when_told_to_hurry() {
    let (listener, port) = listen().await;
    drop(listener);
    let mut exporter = exporter(&[format!("tcp:127.0.0.1:{port}")]).unwrap();
    export_numbered(&mut exporter, 0..3);
    let hurry = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&hurry);
    let deadline = Duration::from_millis(50);
    let ending =
        tokio::spawn(async move { exporter.shutdown_waiting(&told, deadline).await.remove(0) });
    sleep(Duration::from_millis(300)).await;
    assert!(!ending.is_finished(), "it waits");
    hurry.store(true, Ordering::Relaxed);
    let totals = timeout(PATIENCE, ending).await.expect("it ends").unwrap();
    assert_eq!((totals.delivered_records, totals.dropped.shutdown), (0, 3));
    assert_adds_up(&totals);
}

/// A source that can wait loses nothing, however small the queue and however slow the collector;
/// a record that is larger than the queue goes through as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_waits_loses_nothing() {
    let (listener, port) = listen().await;
    let mut exporter = exporter(&[format!("tcp:127.0.0.1:{port},queue=64KiB")]).unwrap();
    let collector = tokio::spawn(async move {
        let mut reader = BufReader::new(accept(&listener).await);
        sleep(Duration::from_millis(300)).await;
        read_records(&mut reader, 201).await
    });
    let source = std::thread::spawn(move || {
        let hurry = AtomicBool::new(false);
        for number in 0..200 {
            exporter.export_waiting(&large(number, 30_000), &hurry);
        }
        exporter.export_waiting(&large(200, 200_000), &hurry);
        exporter
    });
    let records = timeout(PATIENCE, collector).await.expect("all records come").unwrap();
    assert_eq!(numbers(&records), (0..201).collect::<Vec<_>>());
    let totals = source.join().unwrap().shutdown(PATIENCE).await;
    assert_eq!(totals[0].delivered_records, 201);
    assert_eq!(totals[0].dropped.total(), 0);
}

/// Once it is told to hurry it waits no longer: what finds no room is dropped and counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_in_a_hurry_drops_and_counts() {
    let (_listener, port) = listen().await;
    let mut exporter = exporter(&[format!("tcp:127.0.0.1:{port},queue=64KiB")]).unwrap();
    let hurry = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&hurry);
    let source = std::thread::spawn(move || {
        // Nobody reads: the kernel's buffers take some megabytes, then it waits for ever.
        for number in 0..1_000 {
            exporter.export_waiting(&large(number, 30_000), &told);
        }
        exporter
    });
    sleep(Duration::from_millis(300)).await;
    assert!(!source.is_finished(), "it waits");
    hurry.store(true, Ordering::Relaxed);
    let totals = source.join().unwrap().totals();
    assert!(totals[0].dropped.queue_full > 0, "{totals:?}");
}
