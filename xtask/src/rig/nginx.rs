//! Debian's nginx as a program under test: everything it writes stays in a folder of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::access_log::{self, LogEntry};
use super::owned_child::{self, OwnedChild};

/// Where Debian installs it.
const NGINX: &str = "/usr/sbin/nginx";
/// How long a start or a reload may take.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How often the list of workers is looked at meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// What a worker calls itself; one that a reload retires adds "is shutting down".
const WORKER_TITLE: &str = "nginx: worker process";

/// What an nginx is started with.
#[derive(Debug, Clone)]
pub struct NginxConfig {
    /// Number of worker processes.
    pub workers: usize,
    /// Content of the http block. Relative paths lie in the server's own folder.
    pub http: String,
    /// Further directives of the main block, for example `worker_shutdown_timeout 1s;`.
    pub main: String,
}

impl Default for NginxConfig {
    /// One worker that serves nothing.
    fn default() -> Self {
        Self { workers: 1, http: String::new(), main: String::new() }
    }
}

/// A running nginx: one master with its workers. Dropping it ends all of them.
#[derive(Debug)]
pub struct Nginx {
    // Before the folder, so that the processes end before their files go.
    master: OwnedChild,
    worker_count: usize,
    folder: TempDir,
}

impl Nginx {
    /// Writes the configuration into a new folder, starts nginx and waits until it listens.
    ///
    /// # Errors
    /// When nginx is not installed, refuses the configuration (the error carries its words) or
    /// does not come up within ten seconds.
    pub fn start(config: NginxConfig) -> Result<Self> {
        ensure!(Path::new(NGINX).exists(), "{NGINX} is not installed: run `cargo xtask setup`");
        let folder = tempfile::Builder::new().prefix("gatetap-nginx-").tempdir()?;
        fs::create_dir(folder.path().join("html"))?;
        fs::write(folder.path().join("nginx.conf"), config_file(&config))?;
        let master = OwnedChild::spawn(nginx_command(folder.path())).context("starting nginx")?;
        let mut nginx = Self { master, worker_count: config.workers, folder };
        nginx.wait_for_new_workers(&BTreeSet::new())?;
        Ok(nginx)
    }

    /// Process id of the master.
    pub fn master_pid(&self) -> u32 {
        self.master.pid()
    }

    /// Process ids of the workers that accept connections (not those that a reload retired).
    pub fn workers(&self) -> BTreeSet<u32> {
        let is_worker = |pid: &u32| process_title(*pid).as_deref() == Some(WORKER_TITLE);
        self.children().into_iter().filter(is_worker).collect()
    }

    /// `nginx -s reload`: returns when the new workers are there; old ones may still be busy.
    ///
    /// # Errors
    /// When nginx refuses or the new workers do not come within ten seconds.
    pub fn reload(&mut self) -> Result<()> {
        let old_workers = self.workers();
        let status = nginx_command(self.dir()).args(["-s", "reload"]).status()?;
        ensure!(status.success(), "nginx -s reload failed: {}", self.error_log());
        self.wait_for_new_workers(&old_workers)
    }

    /// Replaces the content of the http block; the next reload or restart reads it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_config(&mut self, config: &NginxConfig) -> Result<()> {
        self.worker_count = config.workers;
        Ok(fs::write(self.dir().join("nginx.conf"), config_file(config))?)
    }

    /// Ends the master and all workers at once; files stay until the value is dropped.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn stop(&mut self) -> Result<()> {
        let children = self.children();
        let ended = self.master.stop();
        // A master that had to be killed leaves its workers alive.
        for pid in children.into_iter().filter(|pid| self.is_ours(*pid)) {
            let _ = owned_child::send(pid, libc::SIGKILL);
        }
        ended.map(|_| ()).context("stopping nginx")
    }

    /// Starts a stopped nginx again, in the same folder on the same ports, as a new process.
    ///
    /// # Errors
    /// As [`Nginx::start`].
    pub fn start_again(&mut self) -> Result<()> {
        self.stop()?;
        self.master = OwnedChild::spawn(nginx_command(self.dir())).context("starting nginx")?;
        self.wait_for_new_workers(&BTreeSet::new())
    }

    /// The folder of this nginx, which is its prefix: `root html;` serves `dir().join("html")`.
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Where [`super::ACCESS_LOG`] writes.
    pub fn access_log_path(&self) -> PathBuf {
        self.dir().join("access.log")
    }

    /// The requests that nginx has logged so far, in its order. A request is logged only after its
    /// response has been sent, so the last ones may be missing for a moment.
    ///
    /// # Errors
    /// When the log cannot be read or is not [`super::ACCESS_LOG`]'s JSON.
    pub fn access_log(&self) -> Result<Vec<LogEntry>> {
        Ok(access_log::read(&self.access_log_path())?)
    }

    /// What nginx wrote to its error log so far.
    pub fn error_log(&self) -> String {
        fs::read_to_string(self.dir().join("error.log")).unwrap_or_default()
    }

    /// All children of the master, helpers and retired workers too.
    fn children(&self) -> Vec<u32> {
        let pid = self.master_pid();
        let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        listed.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// Listening sockets are opened before workers are forked, so new workers mean "it listens".
    fn wait_for_new_workers(&mut self, old: &BTreeSet<u32>) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while self.workers().difference(old).count() < self.worker_count {
            if let Some(status) = self.master.wait_for_end(POLL_INTERVAL)? {
                bail!("nginx ended with {status}: {}", self.error_log());
            }
            ensure!(Instant::now() < deadline, "no new nginx workers: {}", self.error_log());
        }
        // The retired ones show it in their title a moment later.
        while old.iter().any(|pid| self.workers().contains(pid)) {
            ensure!(Instant::now() < deadline, "old nginx workers stay: {}", self.error_log());
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Whether the process works in our folder, so that a reused id is never signalled.
    fn is_ours(&self, pid: u32) -> bool {
        let works_in = fs::read_link(format!("/proc/{pid}/cwd"));
        works_in.is_ok_and(|folder| folder == self.dir())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.stop();
    }
}

fn nginx_command(folder: &Path) -> Command {
    let mut command = Command::new(NGINX);
    // -e keeps it from touching the system's error log before it has read the configuration.
    command.arg("-p").arg(folder).args(["-c", "nginx.conf", "-e", "error.log"]);
    command.current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn config_file(config: &NginxConfig) -> String {
    let NginxConfig { workers, http, main } = config;
    format!(
        "daemon off;
master_process on;
# The folder belongs to who started nginx; the workers must be able to write there.
user root;
worker_processes {workers};
pid nginx.pid;
error_log error.log notice;
{main}
events {{ worker_connections 16384; }}
http {{
client_body_temp_path client_body_temp;
proxy_temp_path proxy_temp;
fastcgi_temp_path fastcgi_temp;
uwsgi_temp_path uwsgi_temp;
scgi_temp_path scgi_temp;
{http}
}}
"
    )
}

fn process_title(pid: u32) -> Option<String> {
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let title = String::from_utf8_lossy(&command_line);
    Some(title.trim_end_matches(['\0', ' ']).to_owned())
}
