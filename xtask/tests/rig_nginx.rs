//! The rig against the real nginx; skipped where it is not installed.
#![allow(clippy::unwrap_used, reason = "helpers of tests: a panic is the failure report")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use xtask::requirement;
use xtask::rig::{ACCESS_LOG, Nginx, NginxConfig, free_port};

fn nginx_is_missing() -> bool {
    requirement::met(requirement::program("/usr/sbin/nginx")).is_none()
}

fn start(port: u16) -> Nginx {
    let http = format!(
        "{ACCESS_LOG} server {{ listen 127.0.0.1:{port}; listen [::1]:{port}; \
         location / {{ return 200 hello; }} }}"
    );
    Nginx::start(NginxConfig { workers: 2, http, ..NginxConfig::default() }).unwrap()
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nX-Test-Id: 7\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn serves_and_logs_on_both_families() {
    if nginx_is_missing() {
        return;
    }
    let port = free_port().unwrap();
    let nginx = start(port);
    assert!(get(&format!("127.0.0.1:{port}"), "/four").ends_with("hello"));
    assert!(get(&format!("[::1]:{port}"), "/s%22ix").ends_with("hello"));

    let deadline = Instant::now() + Duration::from_secs(5);
    while nginx.access_log().unwrap().len() < 2 && Instant::now() < deadline {}
    let mut log = nginx.access_log().unwrap();
    log.sort_by_key(|entry| entry.text("request_uri").to_owned());
    assert_eq!(log.len(), 2);
    assert_eq!(log[0].text("request_uri"), "/four");
    assert_eq!(log[0].text("http_x_test_id"), "7");
    assert_eq!(log[0].number("status"), Some(200));
    assert_eq!(log[0].number("body_bytes_sent"), Some(5));
    assert_eq!(log[1].text("server_addr"), "::1");
    let pid = u32::try_from(log[1].number("pid").unwrap()).unwrap();
    assert!(nginx.workers().contains(&pid));
}

#[test]
fn reload_gives_new_workers_under_the_same_master() {
    if nginx_is_missing() {
        return;
    }
    let port = free_port().unwrap();
    let mut nginx = start(port);
    let (master, old) = (nginx.master_pid(), nginx.workers());
    nginx.reload().unwrap();
    assert_eq!(nginx.master_pid(), master);
    assert_eq!(nginx.workers().len(), 2);
    assert!(nginx.workers().is_disjoint(&old));
    assert!(get(&format!("127.0.0.1:{port}"), "/").ends_with("hello"));
}

#[test]
fn stop_and_start_again_keeps_the_port() {
    if nginx_is_missing() {
        return;
    }
    let port = free_port().unwrap();
    let mut nginx = start(port);
    let old = nginx.master_pid();
    nginx.stop().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    nginx.start_again().unwrap();
    assert_ne!(nginx.master_pid(), old);
    assert!(get(&format!("127.0.0.1:{port}"), "/").ends_with("hello"));
}

#[test]
fn a_panic_leaves_no_process_and_no_folder() {
    if nginx_is_missing() {
        return;
    }
    let port = free_port().unwrap();
    let nginx = start(port);
    let folder = nginx.dir().to_owned();
    let mut pids: Vec<u32> = nginx.workers().into_iter().collect();
    pids.push(nginx.master_pid());
    let panicked = std::thread::spawn(move || {
        let _nginx = nginx;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert!(!pids.into_iter().any(is_alive));
    assert!(!folder.exists());
}

#[test]
fn a_refused_configuration_is_reported_in_the_words_of_nginx() {
    if nginx_is_missing() {
        return;
    }
    let config = NginxConfig { http: "nonsense;".to_owned(), ..NginxConfig::default() };
    let error = Nginx::start(config).unwrap_err().to_string();
    assert!(error.contains("unknown directive \"nonsense\""), "{error}");
}
