//! rsyslog as a TCP collector: lines come in by its module imtcp and go to a file. It has its own
//! configuration, work directory and pid file, and does not touch the system's log.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use xtask::rig::OwnedChild;

pub(crate) const PROGRAM: &str = "/usr/sbin/rsyslogd";

#[derive(Debug)]
pub(crate) struct Rsyslog {
    child: OwnedChild,
    output: PathBuf,
}

impl Rsyslog {
    /// Starts one whose files have that name, and waits until it listens.
    pub(crate) fn start(folder: &Path, name: &str, port: u16) -> Self {
        let output = folder.join(format!("{name}.ndjson"));
        let configuration = folder.join(format!("{name}.conf"));
        fs::write(&configuration, Self::configuration(folder, &output, port)).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("-n").arg("-f").arg(&configuration);
        command.arg("-i").arg(folder.join(format!("{name}.pid")));
        command.stdout(Stdio::null()).stdin(Stdio::null());
        let child = OwnedChild::spawn(command).unwrap();
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(10), "rsyslogd does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { child, output }
    }

    fn configuration(folder: &Path, output: &Path, port: u16) -> String {
        format!(
            r#"global(workDirectory="{}" maxMessageSize="64m"
       parser.escapeControlCharactersOnReceive="off")
module(load="imtcp")
template(name="raw" type="string" string="%rawmsg%\n")
ruleset(name="records" queue.type="Direct") {{
    action(type="omfile" file="{}" template="raw" queue.type="Direct")
}}
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="records"
      supportOctetCountedFraming="off")
"#,
            folder.display(),
            output.display(),
        )
    }

    /// What it has written so far.
    pub(crate) fn text(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    pub(crate) fn stop(mut self) -> String {
        self.child.stop().unwrap();
        self.text()
    }

    pub(crate) fn kill(mut self) -> String {
        self.child.signal(libc::SIGKILL).unwrap();
        self.child.wait_for_end(Duration::from_secs(5)).unwrap();
        self.text()
    }
}
