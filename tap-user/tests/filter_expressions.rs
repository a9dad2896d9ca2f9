//! Filter expressions: libpcap, loaded at run time, compiles for us what it compiles for tcpdump.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use gatetap::capture::filter;
use std::path::Path;
use std::process::Command;
use xtask::requirement;

const EXPRESSIONS: [&str; 8] = [
    "tcp port 80",
    "ip and tcp port 8000",
    "ip6 and tcp dst portrange 8000-8100",
    "host 10.0.0.1 and not port 22",
    "net 10.0.0.0/8 or ip6 net 2001:db8::/32",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)",
    "greater 100 and less 1500",
];
/// Ethernet, raw IP, Linux cooked in both versions, BSD loopback, PPP.
const LINK_TYPES: [u16; 6] = [1, 101, 113, 276, BSD_LOOPBACK, 9];
const BSD_LOOPBACK: u16 = 0;

/// An empty capture file of a link type: tcpdump compiles for its packets.
fn empty_file(folder: &Path, link_type: u16) -> std::path::PathBuf {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    for field in [0_u32, 0, 262_144, link_type.into()] {
        bytes.extend(field.to_le_bytes());
    }
    let path = folder.join(format!("{link_type}.pcap"));
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The instructions as tcpdump prints them, one a line behind their number.
fn compiled_by_tcpdump(file: &Path, expression: &str) -> Vec<[u32; 4]> {
    let output = Command::new("tcpdump").args(["-ddd", "-r"]).arg(file).arg(expression).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers = |line: &str| {
        let numbers: Vec<u32> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        numbers.try_into().unwrap()
    };
    text.lines().skip(1).map(numbers).collect()
}

#[test]
fn expressions_compile_to_what_tcpdump_compiles() {
    if requirement::met(requirement::program("/usr/bin/tcpdump")).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for link_type in LINK_TYPES {
        let file = empty_file(folder.path(), link_type);
        for expression in EXPRESSIONS {
            let program = filter::compile_for_file(expression, link_type).unwrap();
            let instructions = program.instructions().iter();
            let ours: Vec<_> = instructions
                .map(|one| {
                    [one.code.into(), one.jump_true.into(), one.jump_false.into(), one.constant]
                })
                .collect();
            let theirs = compiled_by_tcpdump(&file, expression);
            assert!(theirs.len() > 1);
            assert_eq!(ours, theirs, "{expression} for link type {link_type}");
            // For the kernel it is the same; BSD loopback is in files only.
            if link_type != BSD_LOOPBACK {
                assert_eq!(filter::compile(expression, link_type).unwrap(), program);
            }
        }
    }
}

#[test]
fn what_no_file_has_is_refused_for_files() {
    if requirement::met(requirement::program("/usr/bin/tcpdump")).is_none() {
        return;
    }
    let refused = filter::compile_for_file("inbound and tcp", 101).unwrap_err().to_string();
    assert!(refused.contains("inbound"), "{refused}");
    assert!(filter::compile("inbound and tcp", 101).is_ok());
}
