//! `gatetap read` as its users run it, over files made here.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use xtask::requirement;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const FIN: u8 = 0x01;

/// A packet of a pcap file with link type raw IP: IPv4 and TCP without options.
fn packet(
    second: u32,
    from: (u8, u16),
    to: (u8, u16),
    numbers: [u32; 2],
    flags: u8,
    payload: &[u8],
) -> Vec<u8> {
    let length = u16::try_from(40 + payload.len()).unwrap();
    let mut bytes = Vec::new();
    for number in [1_700_000_000 + second, 0, u32::from(length), u32::from(length)] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend([0x45, 0]);
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, from.0, 10, 0, 0, to.0]);
    bytes.extend(from.1.to_be_bytes());
    bytes.extend(to.1.to_be_bytes());
    bytes.extend(numbers.map(u32::to_be_bytes).concat());
    bytes.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    bytes.extend(payload);
    bytes
}

/// A connection of client 10.0.0.`host` to port `port` with one exchange.
fn connection(second: u32, host: u8, port: u16, target: &str) -> Vec<u8> {
    let (client, server) = ((host, 40_000), (99, port));
    let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\nCookie: secret\r\n\r\n");
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let asked = 101 + u32::try_from(request.len()).unwrap();
    let answered = 901 + u32::try_from(response.len()).unwrap();
    [
        packet(second, client, server, [100, 0], SYN, b""),
        packet(second, server, client, [900, 101], SYN | ACK, b""),
        packet(second, client, server, [101, 901], ACK, request.as_bytes()),
        packet(second, server, client, [901, asked], ACK, response),
        packet(second, client, server, [asked, answered], FIN | ACK, b""),
        packet(second, server, client, [answered, asked + 1], FIN | ACK, b""),
    ]
    .concat()
}

fn file(folder: &Path, name: &str, packets: &[Vec<u8>]) -> PathBuf {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    for field in [0_u32, 0, 65_535, 101] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(packets.concat());
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn gatetap(arguments: &[&str], files: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gatetap"))
        .arg("read")
        .args(arguments)
        .args(files)
        .output()
        .unwrap()
}

fn targets(output: &Output) -> Vec<String> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.map(|record| record["request"]["target"].as_str().unwrap().to_owned()).collect()
}

fn three() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let connections = [
        connection(1, 1, 8_000, "/one"),
        connection(2, 2, 9_000, "/two"),
        connection(3, 3, 8_000, "/three"),
    ];
    let path = file(folder.path(), "trace.pcap", &connections);
    (folder, path)
}

#[test]
fn records_go_to_standard_output_and_totals_to_standard_error() {
    let (folder, path) = three();
    let totals = folder.path().join("totals.json");
    let output = gatetap(&["--totals-file", totals.to_str().unwrap()], &[&path]);
    assert!(output.status.success());
    assert_eq!(targets(&output), ["/one", "/two", "/three"]);
    assert!(!String::from_utf8_lossy(&output.stdout).contains("secret"), "redacted");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.starts_with("exchanges  3 (3 client, 0 upstream)\n"), "{told}");
    assert!(!told.contains('\r'), "no progress where nobody looks: {told}");
    let totals: Value = serde_json::from_slice(&std::fs::read(totals).unwrap()).unwrap();
    assert_eq!(totals["exchanges"]["client"], 3);
    assert_eq!(totals["decoding"]["segments"], 18);
    assert_eq!(totals["reassembly"]["opened"], 3);
    assert_eq!(totals["files"][0]["packets"], 18);
    assert_eq!(totals["sinks"][0]["delivered"], 3);
}

/// The first `packets` of a connection with one exchange; each has 16 bytes of packet header.
fn beginning(connection: &[u8], packets: usize) -> Vec<u8> {
    let mut rest = connection;
    for _ in 0..packets {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap());
        rest = &rest[16 + length as usize..];
    }
    connection[..connection.len() - rest.len()].to_vec()
}

#[test]
fn an_end_that_the_capture_does_not_show_is_not_told_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let unanswered = |second, host, target| beginning(&connection(second, host, 80, target), 3);
    // The second connection of host 2 begins without an end of the first; host 3 is silent for
    // more than an hour; the file ends before host 4 is answered.
    let packets = [
        unanswered(1, 2, "/replaced"),
        unanswered(1, 3, "/idle"),
        [packet(2, (2, 40_000), (99, 80), [70_000, 0], SYN, b"")].concat(),
        [packet(2, (99, 80), (2, 40_000), [80_000, 70_001], SYN | ACK, b"")].concat(),
        [packet(2, (2, 40_000), (99, 80), [70_001, 80_001], ACK, b"")].concat(),
        unanswered(5_000, 4, "/cut"),
    ];
    let path = file(folder.path(), "trace.pcap", &packets);
    let totals = folder.path().join("totals.json");
    let output = gatetap(&["--totals-file", totals.to_str().unwrap()], &[&path]);
    let text = String::from_utf8(output.stdout).unwrap();
    let told: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|record| [&record["request"]["target"], &record["abandoned_cause"]].map(Value::clone))
        .collect();
    assert_eq!(told, [["/replaced", "replaced"], ["/idle", "idle"], ["/cut", "capture_ended"]]);
    assert!(!text.contains("closed"), "{text}");
    let totals: Value = serde_json::from_slice(&std::fs::read(totals).unwrap()).unwrap();
    assert_eq!(totals["exchanges"]["abandoned"], 3);
    assert_eq!(totals["exchanges"]["client"], 3);
}

#[test]
fn ports_and_hosts_choose() {
    let (_folder, path) = three();
    assert_eq!(targets(&gatetap(&["--port", "8000"], &[&path])), ["/one", "/three"]);
    assert_eq!(targets(&gatetap(&["--host", "10.0.0.2"], &[&path])), ["/two"]);
    assert_eq!(targets(&gatetap(&["--port", "8000", "--host", "10.0.0.3"], &[&path])), ["/three"]);
    let none = gatetap(&["--port", "1"], &[&path]);
    assert!(none.status.success() && none.stdout.is_empty());
}

#[test]
fn secrets_are_shown_on_request_only() {
    let (_folder, path) = three();
    let output = gatetap(&["--no-redact"], &[&path]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("secret"));
}

#[test]
fn ids_are_the_same_each_time() {
    let (_folder, path) = three();
    for generator in ["tracker", "uuid", "uuid#counter"] {
        let read = || gatetap(&["--correlation-generator", generator], &[&path]).stdout;
        let first = read();
        assert_eq!(first, read(), "{generator}");
        let ids: std::collections::BTreeSet<String> = String::from_utf8(first)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|record| record["correlation_id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ids.len(), 3, "{generator}");
    }
}

/// Files of one capture that was cut by size: a connection goes on in the next one.
#[test]
fn several_files_are_one_capture() {
    let folder = tempfile::tempdir().unwrap();
    let whole = connection(1, 1, 8_000, "/across");
    let (head, tail) = whole.split_at(2 * 56);
    let first = file(folder.path(), "1.pcap", &[head.to_vec()]);
    let second = file(folder.path(), "2.pcap", &[tail.to_vec()]);
    assert_eq!(targets(&gatetap(&[], &[&first, &second])), ["/across"]);
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_the_others_are_read() {
    let (folder, path) = three();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "these are notes").unwrap();
    let missing = folder.path().join("missing.pcap");
    let output = gatetap(&[], &[&text, &missing, &path]);
    assert!(!output.status.success());
    assert_eq!(targets(&output), ["/one", "/two", "/three"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("notes.txt: byte 0: no capture file"), "{told}");
    assert!(told.contains("missing.pcap: ") && told.contains("No such file"), "{told}");
}

#[test]
fn a_file_that_ends_in_the_middle_of_a_packet_is_read_and_told() {
    let (folder, path) = three();
    let mut bytes = std::fs::read(path).unwrap();
    bytes.truncate(bytes.len() - 3);
    let cut = folder.path().join("cut.pcap");
    std::fs::write(&cut, bytes).unwrap();
    let output = gatetap(&[], &[&cut]);
    assert!(output.status.success());
    assert_eq!(targets(&output), ["/one", "/two", "/three"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("cut.pcap ends in the middle of a packet"), "{told}");
}

/// `script` gives the program a terminal, a pipe with a name the time to show something there.
#[test]
fn progress_is_shown_on_a_terminal() {
    let needed = ["/usr/bin/script", "/usr/bin/mkfifo"].into_iter();
    if requirement::met(needed.map(requirement::program).collect::<Result<(), _>>()).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let connections = vec![connection(1, 1, 80, "/"); 200];
    let bytes = std::fs::read(file(folder.path(), "trace.pcap", &connections)).unwrap();
    let pipe = folder.path().join("slow");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let command = format!(
        "{} read {} --sink file:{}",
        env!("CARGO_BIN_EXE_gatetap"),
        pipe.display(),
        folder.path().join("records").display()
    );
    let terminal = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = std::fs::File::options().write(true).open(pipe).unwrap();
    let (before, after) = bytes.split_at(24);
    pipe.write_all(before).unwrap();
    // Longer than files are read without a word.
    std::thread::sleep(Duration::from_millis(1_500));
    pipe.write_all(after).unwrap();
    drop(pipe);
    let output = terminal.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let progress =
        shown.split('\r').find(|line| line.contains("MiB") && line.contains("exchanges"));
    assert!(progress.is_some_and(|line| line.contains("slow: 0 MiB")), "{shown:?}");
}

/// With libpcap the expression chooses; without, the message says what to install.
#[test]
fn a_filter_expression_works_or_says_what_it_needs() {
    let (_folder, path) = three();
    let output = gatetap(&["--filter", "tcp port 9000"], &[&path]);
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        assert_eq!(targets(&output), ["/two"]);
        let wrong = gatetap(&["--filter", "tcp porty"], &[&path]);
        assert!(String::from_utf8_lossy(&wrong.stderr).contains("filter `tcp porty`"));
    } else {
        assert!(told.contains("libpcap") && told.contains("install"), "{told}");
    }
}
