//! The TCP sink against real collectors (rsyslog; openssl for TLS) and against scripted ones that
//! misbehave. In each case every record that was accepted arrives at least once, told by its id.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail loudly")]

mod collectors;
mod support;

use collectors::certificates::{Authority, NAME};
use collectors::log::Log;
use collectors::openssl::{self, OpensslServer};
use collectors::rsyslog::{self, Rsyslog};
use collectors::scripted::{Act, Scripted};
use collectors::{
    assert_complete, export, exporter, has, numbers, observation, shut_down, start, until,
};
use gatetap::export::SinkTotals;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;
use xtask::rig::free_port;

fn kinds(totals: &SinkTotals) -> Vec<&'static str> {
    totals.failures_by_kind.keys().copied().collect()
}

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

// Real: rsyslog.

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_gets_every_record_of_both_formats() {
    if !has(rsyslog::PROGRAM) {
        return;
    }
    for format in ["kong", "tcp-body-log"] {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port().unwrap();
        let collector = Rsyslog::start(folder.path(), "received", port);
        let file = folder.path().join("expected");
        let mut exporter = start(&[
            format!("tcp:127.0.0.1:{port},format={format}"),
            format!("file:{},format={format}", file.display()),
        ])
        .unwrap();
        export(&mut exporter, 0..1000, 0);
        export(&mut exporter, 1000..1050, 200_000);
        exporter.shutdown(collectors::PATIENCE).await;
        until("rsyslog has written all", || collector.text().lines().count() >= 1050).await;
        let expected = std::fs::read_to_string(file).unwrap();
        assert_eq!(records(&collector.stop()), records(&expected), "{format}");
    }
}

/// In the middle of a stream of records, so that there is more to come.
async fn interrupted_rsyslog(interrupt: fn(Rsyslog) -> String) -> (Vec<usize>, SinkTotals) {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port().unwrap();
    let first = Rsyslog::start(folder.path(), "first", port);
    let mut exporter = exporter(&format!("tcp:127.0.0.1:{port}"));
    let mut interrupted = None;
    for number in 0..4000 {
        exporter.export(&observation(number, 500));
        if number % 100 == 0 {
            sleep(Duration::from_millis(10)).await;
        }
        if number == 2000 {
            until("rsyslog is at work", || !first.text().is_empty()).await;
            interrupted = Some(interrupt(first));
            break;
        }
    }
    export(&mut exporter, 2001..4000, 500);
    let second = Rsyslog::start(folder.path(), "second", port);
    let totals = shut_down(exporter).await;
    let ends = |text: String| text.lines().any(|line| collectors::number(line) == Some(3999));
    until("rsyslog has written the last", || ends(second.text())).await;
    let mut received = numbers(&interrupted.unwrap());
    received.extend(numbers(&second.stop()));
    (received, totals)
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_killed_in_the_middle_misses_nothing() {
    if has(rsyslog::PROGRAM) {
        let (received, totals) = interrupted_rsyslog(Rsyslog::kill).await;
        assert_complete(&received, 4000);
        assert_eq!((totals.delivered_records, totals.dropped.total()), (4000, 0));
        assert!(totals.reconnects >= 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_restarted_in_the_middle_misses_nothing() {
    if has(rsyslog::PROGRAM) {
        let (received, totals) = interrupted_rsyslog(Rsyslog::stop).await;
        assert_complete(&received, 4000);
        assert_eq!((totals.delivered_records, totals.dropped.total()), (4000, 0));
    }
}

// Real: TLS by openssl.

#[tokio::test(flavor = "multi_thread")]
async fn openssl_gets_every_record_by_tls() {
    if !has(openssl::PROGRAM) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let identity = authority.sign("server", NAME, 1);
    for version in ["-tls1_2", "-tls1_3"] {
        let server = OpensslServer::start(folder.path(), &identity, &[version]);
        let mut exporter = exporter(&format!(
            "tcp:127.0.0.1:{},tls=true,tls_ca={},tls_sni={NAME}",
            server.port,
            authority.path().display()
        ));
        export(&mut exporter, 0..500, 0);
        export(&mut exporter, 500..510, 300_000);
        let totals = shut_down(exporter).await;
        assert_eq!((totals.delivered_records, totals.failures), (510, 0), "{version}");
        until("openssl has written all", || server.text().lines().count() >= 510).await;
        assert_eq!(numbers(&server.text()), (0..510).collect::<Vec<_>>(), "{version}");
    }
}

/// What the log says when a record is to go to a server that must not get it.
async fn refusal(server: &OpensslServer, options: &str) -> String {
    let (log, _guard) = Log::capture();
    let mut exporter = exporter(&format!("tcp:127.0.0.1:{},tls=true,{options}", server.port));
    export(&mut exporter, 0..1, 0);
    until("an attempt has failed", || exporter.totals()[0].failures > 0).await;
    let totals = exporter.shutdown(Duration::ZERO).await.remove(0);
    assert_eq!((totals.delivered_records, totals.dropped.shutdown), (0, 1));
    assert_eq!(kinds(&totals), ["tls"]);
    assert_eq!(server.text(), "");
    log.text()
}

#[tokio::test]
async fn certificates_that_must_not_be_trusted_are_refused_and_explained() {
    if !has(openssl::PROGRAM) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let stranger = Authority::new(folder.path(), "stranger");
    let (good, expired) = (authority.sign("server", NAME, 1), authority.sign("expired", NAME, -1));
    let ca = |authority: &Authority| format!("tls_ca={}", authority.path().display());
    for (identity, options, expected) in [
        (&good, format!("{},tls_sni={NAME}", ca(&stranger)), "name the authority with tls_ca"),
        (&good, format!("tls_sni={NAME}"), "is signed by an authority that is not trusted"),
        (&good, ca(&authority), "is not for 127.0.0.1, but for"),
        (
            &good,
            format!("{},tls_sni=other.test", ca(&authority)),
            "is not for other.test, but for DnsName(\"collector.test\"): set tls_sni",
        ),
        (&expired, format!("{},tls_sni={NAME}", ca(&authority)), "has expired: renew it"),
    ] {
        let server = OpensslServer::start(folder.path(), identity, &[]);
        let log = refusal(&server, &options).await;
        assert!(log.contains(expected), "{expected}:\n{log}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    if !has(openssl::PROGRAM) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let stranger = Authority::new(folder.path(), "stranger");
    let server_identity = authority.sign("server", NAME, 1);
    let ca = authority.path().display().to_string();
    let trust = format!("tls_ca={ca},tls_sni={NAME}");
    let shown = |(certificate, key): &(std::path::PathBuf, std::path::PathBuf)| {
        format!("{trust},tls_certificate={},tls_key={}", certificate.display(), key.display())
    };
    let client = shown(&authority.sign("client", "gatetap.test", 1));
    let foreign = shown(&stranger.sign("foreign", "gatetap.test", 1));
    for version in ["-tls1_2", "-tls1_3"] {
        let asks = [version, "-Verify", "1", "-verify_return_error", "-CAfile", &ca];
        let server = || OpensslServer::start(folder.path(), &server_identity, &asks);
        let log = refusal(&server(), &trust).await;
        assert!(log.contains("tls_certificate and tls_key"), "{version}: {log}");
        let log = refusal(&server(), &foreign).await;
        assert!(log.contains("does not accept the client certificate"), "{version}: {log}");

        let server = server();
        let mut exporter = exporter(&format!("tcp:127.0.0.1:{},tls=true,{client}", server.port));
        export(&mut exporter, 0..10, 0);
        assert_eq!(shut_down(exporter).await.delivered_records, 10, "{version}");
        until("openssl has written all", || numbers(&server.text()).len() == 10).await;
    }
}

#[tokio::test]
async fn verification_can_be_switched_off_and_says_so() {
    if !has(openssl::PROGRAM) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let server = OpensslServer::start(folder.path(), &authority.sign("expired", NAME, -1), &[]);
    let (log, _guard) = Log::capture();
    let mut exporter =
        exporter(&format!("tcp:127.0.0.1:{},tls=true,tls_verify=false", server.port));
    export(&mut exporter, 0..10, 0);
    assert_eq!(shut_down(exporter).await.delivered_records, 10);
    until("openssl has written all", || numbers(&server.text()).len() == 10).await;
    assert!(log.text().contains("tls_verify is off"), "{}", log.text());
}

#[tokio::test]
async fn files_of_tls_are_looked_at_from_the_start() {
    if !has(openssl::PROGRAM) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let (one, other) = (authority.sign("one", NAME, 1), authority.sign("other", NAME, 1));
    let path = |path: &Path| path.display().to_string();
    let empty = path(&folder.path().join("empty.pem"));
    std::fs::write(&empty, "").unwrap();
    for (options, expected) in [
        ("tls_ca=/nowhere/ca.pem".to_owned(), "cannot read tls_ca /nowhere/ca.pem: No such file"),
        (format!("tls_ca={empty}"), "empty.pem holds no certificate: it must have a \"-----BEGIN"),
        (format!("tls_ca={}", path(&one.1)), "one.key holds no certificate"),
        (
            format!("tls_certificate={},tls_key={}", path(&one.0), path(&other.1)),
            "other.key does not belong to the first certificate in tls_certificate",
        ),
        (
            format!("tls_certificate={},tls_key={}", path(&one.0), path(&one.0)),
            "one.pem holds no private key in the clear: write it with `openssl pkey",
        ),
    ] {
        let error = start(&[format!("tcp:127.0.0.1:1,tls=true,{options}")]).unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[tokio::test]
async fn a_collector_without_tls_is_told_apart() {
    let collector = Scripted::start(&[Act::ReadAll]);
    let (log, _guard) = Log::capture();
    let mut exporter =
        exporter(&format!("tcp:127.0.0.1:{},tls=true,timeout=300ms", collector.port));
    export(&mut exporter, 0..1, 0);
    until("an attempt has failed", || exporter.totals()[0].failures > 0).await;
    exporter.shutdown(Duration::ZERO).await;
    assert!(log.text().contains("does it speak TLS?"), "{}", log.text());
}

// Scripted.

async fn play(acts: &[Act], options: &str, count: usize, bytes: usize) -> (usize, SinkTotals) {
    let collector = Scripted::start(acts);
    let mut exporter = exporter(&format!("tcp:127.0.0.1:{}{options}", collector.port));
    export(&mut exporter, 0..count, bytes);
    until("all is delivered", || exporter.totals()[0].delivered_records == count as u64).await;
    until("the collector has all", || {
        numbers(&collector.text()).iter().collect::<std::collections::BTreeSet<_>>().len() == count
    })
    .await;
    let totals = shut_down(exporter).await;
    assert_eq!((totals.delivered_records, totals.dropped.total()), (count as u64, 0));
    (assert_complete(&numbers(&collector.text()), count), totals)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_closes_after_every_few_records_gets_all() {
    let (_, totals) = play(&[Act::Lines(7)], "", 100, 0).await;
    assert!(totals.reconnects >= 100 / 7, "{totals:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_cuts_in_the_middle_of_records_gets_all() {
    let cuts = [Act::Bytes(100), Act::Bytes(1_900), Act::Bytes(70_000), Act::ReadAll];
    let (_, totals) = play(&cuts, "", 200, 2_000).await;
    assert_eq!(totals.reconnects, 3);
}

/// Its kernel has acknowledged all, and it has read nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_and_not_read_comes_again() {
    let acts = [Act::Reset(Duration::from_millis(300)), Act::ReadAll];
    let (doubles, totals) = play(&acts, "", 50, 0).await;
    assert_eq!((doubles, totals.replayed_records, totals.reconnects), (0, 50, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_replay_window_it_does_not() {
    let collector = Scripted::start(&[Act::Reset(Duration::from_millis(200)), Act::ReadAll]);
    let mut exporter = exporter(&format!("tcp:127.0.0.1:{},replay=0", collector.port));
    export(&mut exporter, 0..50, 0);
    sleep(Duration::from_millis(400)).await;
    export(&mut exporter, 50..60, 0);
    let totals = shut_down(exporter).await;
    assert_eq!((totals.delivered_records, totals.replayed_records), (60, 0));
    until("the collector has the rest", || numbers(&collector.text()).len() == 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_drips_gets_all_without_doubles() {
    let (doubles, totals) = play(&[Act::Drip], "", 40, 0).await;
    assert_eq!((doubles, totals.reconnects, totals.failures), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_stalls_is_left_and_all_goes_to_the_next() {
    let (stalled, next) = (Scripted::start(&[Act::Stall]), Scripted::start(&[Act::ReadAll]));
    let mut exporter = exporter(&format!(
        "tcp:127.0.0.1:{},timeout=300ms,failover=127.0.0.1:{}",
        stalled.port, next.port
    ));
    // More than the buffers of both kernels take.
    export(&mut exporter, 0..40, 500_000);
    until("the next has all", || numbers(&next.text()).len() >= 40).await;
    let totals = shut_down(exporter).await;
    assert_complete(&numbers(&next.text()), 40);
    assert_eq!((totals.delivered_records, kinds(&totals)), (40, vec!["timeout"]));
    assert_eq!(stalled.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_address_takes_over_and_the_first_one_again() {
    let (first, second) = (Scripted::start(&[Act::ReadAll]), Scripted::start(&[Act::ReadAll]));
    let (port, other) = (first.port, second.port);
    let mut exporter = exporter(&format!("tcp:127.0.0.1:{port},failover=127.0.0.1:{other}"));
    export(&mut exporter, 0..10, 0);
    until("the first has its share", || numbers(&first.text()).len() == 10).await;
    let mut received = numbers(&first.stop().await);
    export(&mut exporter, 10..20, 0);
    until("the second has its share", || numbers(&second.text()).contains(&19)).await;
    let again = Scripted::again(port, &[Act::ReadAll]);
    received.extend(numbers(&second.stop().await));
    export(&mut exporter, 20..30, 0);
    until("the first has the rest", || numbers(&again.text()).contains(&29)).await;
    let totals = shut_down(exporter).await;
    received.extend(numbers(&again.text()));
    assert_complete(&received, 30);
    assert_eq!((totals.delivered_records, totals.reconnects), (30, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_refuses_is_tried_until_it_is_there() {
    let port = free_port().unwrap();
    let mut exporter = exporter(&format!("tcp:127.0.0.1:{port}"));
    export(&mut exporter, 0..20, 0);
    until("it was refused twice", || exporter.totals()[0].failures >= 2).await;
    assert_eq!(kinds(&exporter.totals()[0]), ["connect"]);
    let collector = Scripted::again(port, &[Act::ReadAll]);
    shut_down(exporter).await;
    until("it has all", || numbers(&collector.text()).len() == 20).await;
}

/// Nothing is in doubt then: nothing comes again.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_in_good_order() {
    let collector = Scripted::start(&[Act::ReadAll]);
    let mut exporter = exporter(&format!("tcp:127.0.0.1:{},keepalive=100ms", collector.port));
    for round in 0..3 {
        export(&mut exporter, round * 10..round * 10 + 10, 0);
        until("records arrive", || numbers(&collector.text()).len() == round * 10 + 10).await;
        sleep(Duration::from_millis(250)).await;
    }
    let totals = shut_down(exporter).await;
    assert_eq!((totals.replayed_records, totals.failures, totals.reconnects), (0, 0, 2));
    assert_eq!(numbers(&collector.text()), (0..30).collect::<Vec<_>>());
}

/// It had time for what it read: nothing comes again.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_closes_after_a_rest_has_read_all() {
    let collector = Scripted::start(&[Act::ReadAll]);
    let port = collector.port;
    let mut exporter = exporter(&format!("tcp:127.0.0.1:{port}"));
    export(&mut exporter, 0..10, 0);
    until("records arrive", || numbers(&collector.text()).len() == 10).await;
    sleep(Duration::from_millis(1_200)).await;
    collector.stop().await;
    let collector = Scripted::again(port, &[Act::ReadAll]);
    export(&mut exporter, 10..20, 0);
    until("the rest arrives", || numbers(&collector.text()).len() == 10).await;
    assert_eq!(shut_down(exporter).await.replayed_records, 0);
    assert_eq!(numbers(&collector.text()), (10..20).collect::<Vec<_>>());
}
