//! What stands under `deploy/`, tried as written: manifests against the schemas of Kubernetes, the unit
//! by systemd's own check, and gatetap started with exactly the settings that they carry.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod live;

use live::{attempt, exclusive, require_live};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use xtask::requirement::{met, program};
use xtask::rig::OwnedChild;

const KUBECTL: &str = "/usr/bin/kubectl";
const PYTHON: &str = "/usr/bin/python3";
/// Where `cargo xtask setup` puts the validator.
const VALIDATOR: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/python/kubernetes_validate");
/// Version of Kubernetes whose schemas the manifests must match.
const KUBERNETES: &str = "1.31";
const OVERLAYS: [&str; 4] = ["base", "overlays/tcp", "overlays/runscope", "overlays/traceable"];
/// How long starting or ending may take.
const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn manifests_match_the_schemas_of_kubernetes() {
    if met(program(KUBECTL)).is_none() || met(program(VALIDATOR)).is_none() {
        return;
    }
    for overlay in OVERLAYS {
        let output = validate(&rendered(overlay));
        assert!(output.status.success(), "{overlay}: {}", words(&output));
        assert!(words(&output).contains("daemonset/gatetap"), "{overlay}: {}", words(&output));
    }
}

/// The check above can fail.
#[test]
fn a_misspelt_key_does_not_match_them() {
    if met(program(KUBECTL)).is_none() || met(program(VALIDATOR)).is_none() {
        return;
    }
    let output = validate(&rendered("base").replace("hostPID", "hostPid"));
    assert!(!output.status.success() && words(&output).contains("hostPid"), "{}", words(&output));
}

#[test]
fn systemd_accepts_the_unit() {
    if met(program("/usr/bin/systemd-analyze")).is_none() {
        return;
    }
    let folder = attempt(tempfile::tempdir());
    let unit = attempt(fs::read_to_string(deploy("systemd/gatetap.service")));
    let path = folder.path().join("gatetap.service");
    // The program is not installed here.
    attempt(fs::write(
        &path,
        unit.replace("/usr/local/bin/gatetap", env!("CARGO_BIN_EXE_gatetap")),
    ));
    let output = attempt(Command::new("systemd-analyze").arg("verify").arg(&path).output());
    assert!(output.status.success() && output.stderr.is_empty(), "{}", words(&output));
}

/// Exactly the settings that the ConfigMap carries, at the place where they are mounted, with the
/// arguments of the DaemonSet, until the probes of the DaemonSet find it healthy and ready.
#[test]
fn gatetap_starts_as_the_daemonset_starts_it() {
    let _alone = exclusive();
    if !require_live() || met(program(KUBECTL)).is_none() {
        return;
    }
    for overlay in OVERLAYS {
        let manifests = documents(&rendered(overlay));
        let settings = of_kind(&manifests, "ConfigMap")["data"]["gatetap.yaml"].clone();
        let container =
            &of_kind(&manifests, "DaemonSet")["spec"]["template"]["spec"]["containers"][0];
        let arguments = container["args"].as_array().unwrap();
        let arguments: Vec<&str> = arguments.iter().map(|word| word.as_str().unwrap()).collect();
        let node = Node::start(settings.as_str().unwrap(), &arguments);
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            node.wait_for(&container[probe]["httpGet"]);
        }
        node.stop();
    }
}

#[test]
fn gatetap_starts_as_the_unit_starts_it() {
    let _alone = exclusive();
    if !require_live() || met(program("/usr/bin/setpriv")).is_none() {
        return;
    }
    let settings = attempt(fs::read_to_string(deploy("systemd/gatetap.yaml")));
    let node =
        Node::start_by(&bounded(), &settings, &["run", "--config", "/etc/gatetap/gatetap.yaml"]);
    node.wait_for(&serde_json::json!({ "port": 9464, "path": "/readyz" }));
    node.stop();
}

/// The unit's bounding set of capabilities, as setpriv takes it.
fn bounded() -> Vec<String> {
    let unit = attempt(fs::read_to_string(deploy("systemd/gatetap.service")));
    let line = unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    let kept = line.unwrap().split_whitespace().map(|name| name.trim_start_matches("CAP_"));
    let kept: Vec<String> = kept.map(|name| format!("+{}", name.to_lowercase())).collect();
    vec![
        "setpriv".into(),
        "--no-new-privs".into(),
        format!("--bounding-set=-all,{}", kept.join(",")),
    ]
}

/// A machine as far as gatetap sees it: a network of its own, and `/etc`, `/run` and `/var` that
/// nobody else sees.
struct Node {
    gatetap: OwnedChild,
    folder: TempDir,
}

impl Node {
    fn start(settings: &str, arguments: &[&str]) -> Self {
        Self::start_by(&[], settings, arguments)
    }

    fn start_by(starter: &[String], settings: &str, arguments: &[&str]) -> Self {
        let folder = attempt(tempfile::Builder::new().prefix("gatetap-deploy-").tempdir());
        attempt(fs::write(folder.path().join("gatetap.yaml"), settings));
        let mut command = Command::new("unshare");
        command.args(["--mount", "--net", "sh", "-c", PREPARE, "sh"]).arg(folder.path());
        command.args(starter).arg(env!("CARGO_BIN_EXE_gatetap")).args(arguments);
        let log = attempt(fs::File::create(folder.path().join("log")));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self { gatetap: attempt(OwnedChild::spawn(command)), folder }
    }

    /// Asks as the kubelet does until the answer is good.
    fn wait_for(&self, probe: &Value) {
        let (port, path) = (&probe["port"], probe["path"].as_str().unwrap());
        let deadline = Instant::now() + LIMIT;
        let url = format!("http://127.0.0.1:{port}{path}");
        let pid = self.gatetap.pid().to_string();
        loop {
            let mut curl = Command::new("nsenter");
            curl.args([
                "--target",
                &pid,
                "--net",
                "curl",
                "--fail",
                "--silent",
                "--show-error",
                &url,
            ]);
            let output = attempt(curl.output());
            if output.status.success() {
                return;
            }
            assert!(Instant::now() < deadline, "{url}: {}\n{}", words(&output), self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn stop(mut self) {
        attempt(self.gatetap.signal(libc::SIGTERM));
        let status = attempt(self.gatetap.wait_for_end(LIMIT));
        assert!(status.is_some_and(|status| status.success()), "{status:?}: {}", self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// Runs the rest of its arguments where only the settings and an empty `/run` and `/var` are seen.
const PREPARE: &str = "set -e
folder=$1; shift
ip link set lo up
mkdir $folder/upper $folder/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=$folder/upper,workdir=$folder/work /etc
mkdir /etc/gatetap && cp $folder/gatetap.yaml /etc/gatetap/
mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var
mkdir -p -m 0700 /run/secrets/gatetap /var/spool/gatetap /var/lib/gatetap
(umask 077 && echo not-a-token > /run/secrets/gatetap/access_token)
exec \"$@\"";

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}

/// All manifests of a folder as `kubectl apply -k` sends them.
fn rendered(folder: &str) -> String {
    let folder = deploy("kubernetes").join(folder);
    let output = attempt(Command::new(KUBECTL).arg("kustomize").arg(folder).output());
    assert!(output.status.success(), "{}", words(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn documents(manifests: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(manifests).unwrap()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    documents.iter().find(|document| document["kind"] == kind).unwrap()
}

fn validate(manifests: &str) -> Output {
    let file = attempt(tempfile::NamedTempFile::new());
    attempt(fs::write(file.path(), manifests));
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/python");
    let mut command = Command::new(PYTHON);
    command.env("PYTHONPATH", tools).args([
        "-m",
        "kubernetes_validate",
        "--strict",
        "-k",
        KUBERNETES,
    ]);
    attempt(command.arg(file.path()).output())
}

fn words(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}
