//! `openssl s_server` as a collector that speaks TLS: what it receives goes to a file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use xtask::rig::{OwnedChild, free_port};

pub(crate) const PROGRAM: &str = "/usr/bin/openssl";

#[derive(Debug)]
pub(crate) struct OpensslServer {
    _child: OwnedChild,
    output: PathBuf,
    pub(crate) port: u16,
}

impl OpensslServer {
    /// Starts one with a certificate, its key and further arguments.
    pub(crate) fn start(
        folder: &Path,
        (certificate, key): &(PathBuf, PathBuf),
        more: &[&str],
    ) -> Self {
        let port = free_port().unwrap();
        let output = folder.join(format!("received-{port}"));
        let mut command = Command::new(PROGRAM);
        command.args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}")]);
        command.arg("-cert").arg(certificate).arg("-key").arg(key).args(more);
        // With standard input at its end it would close every connection.
        command.stdin(Stdio::piped()).stdout(File::create(&output).unwrap());
        command.stderr(File::create(folder.join(format!("log-{port}"))).unwrap());
        let child = OwnedChild::spawn(command).unwrap();
        wait_for_listener(port);
        Self { _child: child, output, port }
    }

    pub(crate) fn text(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }
}

/// Without connecting: it serves one connection after another.
fn wait_for_listener(port: u16) {
    let begin = Instant::now();
    let listens = || {
        // Local address and state LISTEN, as in proc(5).
        let wanted = format!(": 0100007F:{port:04X} 00000000:0000 0A");
        fs::read_to_string("/proc/net/tcp").unwrap().contains(&wanted)
    };
    while !listens() {
        assert!(begin.elapsed() < Duration::from_secs(10), "openssl does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
}
