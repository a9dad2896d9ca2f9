//! Sides of the gateway that nobody wants: the kernel does not copy them, and what is wanted later is
//! followed from then on. The gateway's own log says what passed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod live;

use live::mix::Mix;
use live::site::{self, Site};
use live::tap::gatetap;
use live::traffic::{self, Account, Plan, Step};
use live::{Tap, attempt, exclusive, fixture, require_live};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use xtask::rig::OwnedChild;

/// How long the tap may take for anything.
const LIMIT: Duration = Duration::from_secs(20);
/// Requests of one connection.
const REQUESTS: usize = 50;
/// Enough for each worker of the gateway to have taken one, and to keep what it opened for it.
const CONNECTIONS_BEFORE: usize = 16;

fn gets(mix: &mut Mix) -> Vec<Account> {
    let steps = (0..REQUESTS).map(|_| Step::Ask(mix.get_file("page.bin"))).collect();
    traffic::run(vec![Plan { to: mix.ports().v4(), steps }], 1)
}

#[test]
fn a_leg_that_is_not_wanted_is_not_copied() {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let site = Site::start();
    let pid = site.gateway.master_pid().to_string();
    let mut mix = Mix::new(site.ports, "legs");
    for (leg, other) in [("client", "upstream"), ("upstream", "client")] {
        let before = (site::bytes_moved(&site.gateway), site::bytes_moved(&site.origin));
        let tap = Tap::start(&["--pid", &pid, "--leg", leg].map(str::to_owned));
        let asked = gets(&mut mix).len() as u64;
        let outcome = tap.stop();
        let moved = if leg == "client" {
            site::bytes_moved(&site.gateway) - before.0
        } else {
            site::bytes_moved(&site.origin) - before.1
        };

        assert_eq!(outcome.total(&format!("/exchanges/{leg}")), asked, "{}", outcome.totals);
        assert_eq!(outcome.total(&format!("/exchanges/{other}")), 0, "{}", outcome.totals);
        assert_eq!(outcome.total("/bytes/seen"), moved, "{}", outcome.totals);
        assert_eq!(outcome.total("/kernel/bytes_copied"), moved, "{}", outcome.totals);
        assert_eq!(outcome.total("/bytes/lost"), 0);
        assert!(outcome.records().iter().all(|record| record.leg == leg && record.complete));
    }
}

/// Kong's format carries client legs only. Then a sink comes that wants both: upstream connections that
/// are open all the time are followed from then on.
#[test]
fn what_a_new_sink_wants_is_followed_from_then_on() {
    with_a_new_sink(0);
}

/// The same with upstream connections that were open before the tap came.
#[test]
fn what_was_open_before_is_followed_when_a_new_sink_wants_it() {
    with_a_new_sink(CONNECTIONS_BEFORE);
}

/// Lets a sink come that wants both legs, after so many connections before the tap.
fn with_a_new_sink(connections_before: usize) {
    let _alone = exclusive();
    if !require_live() {
        return;
    }
    let site = Site::start();
    let stage = Stage::new(&site);
    let mut mix = Mix::new(site.ports, "wanted");
    for _ in 0..connections_before {
        gets(&mut mix);
    }
    stage.settings("");
    let mut tap = stage.start();
    let first = gets(&mut mix);
    stage.settings("  - name: both\n    file: {path: FOLDER/both}\n    format: native\n");
    attempt(tap.signal(libc::SIGHUP));
    stage.wait_for("settings read again: new sink both");
    let second = gets(&mut mix);
    stage.stop(tap);

    let totals: Value = serde_json::from_str(&stage.read("totals")).unwrap();
    let all = first.len() + second.len();
    assert_eq!(totals["exchanges"]["client"], all, "{totals}");
    assert_eq!(totals["exchanges"]["upstream"], second.len(), "{totals}");
    assert_eq!(totals["bytes"]["lost"], 0, "{totals}");
    assert_eq!(stage.read("kong").lines().count(), all);
    for leg in ["client", "upstream"] {
        let of_leg = |line: &&str| line.contains(&format!("\"leg\":\"{leg}\""));
        let both = stage.read("both");
        let records: Vec<&str> = both.lines().filter(of_leg).collect();
        assert_eq!(records.len(), second.len(), "{leg}");
        for account in &second {
            let id = format!("\"{}\"", account.request.id);
            assert!(records.iter().any(|record| record.contains(&id)), "{leg}: {id} is missing");
        }
    }
}

/// A folder with the settings of a tap and all that it writes.
struct Stage {
    folder: tempfile::TempDir,
    gateway: u32,
}

impl Stage {
    fn new(site: &Site) -> Self {
        Self { folder: attempt(tempfile::tempdir()), gateway: site.gateway.master_pid() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Writes settings with a sink of Kong's format and more sinks.
    fn settings(&self, sinks: &str) {
        let yaml = format!(
            "select: {{pids: [{}]}}\nadmin: {{listen: \"off\"}}\nsinks:\n\
             \x20 - name: kong\n    file: {{path: FOLDER/kong}}\n    format: kong\n{sinks}",
            self.gateway
        );
        let folder: &Path = self.folder.path();
        let yaml = yaml.replace("FOLDER", &folder.display().to_string());
        attempt(fs::write(self.path("gatetap.yaml"), yaml));
    }

    fn start(&self) -> OwnedChild {
        let mut command = gatetap();
        command.args(["run", "--config"]).arg(self.path("gatetap.yaml"));
        command.arg("--totals-file").arg(self.path("totals"));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(attempt(File::create(self.path("words"))));
        let tap = attempt(OwnedChild::spawn(command));
        self.wait_for("gatetap: watching");
        tap
    }

    #[track_caller]
    fn wait_for(&self, words: &str) {
        let is_said = fixture::wait_until(LIMIT, || self.read("words").contains(words));
        assert!(is_said, "gatetap never said `{words}`: {}", self.read("words"));
    }

    fn stop(&self, mut tap: OwnedChild) {
        attempt(tap.signal(libc::SIGTERM));
        let status = attempt(tap.wait_for_end(LIMIT));
        assert!(status.is_some_and(|status| status.success()), "{}", self.read("words"));
    }
}
