//! A client in a network namespace of its own, as in a container: its packets come through a pair
//! of interfaces to a bridge.

use super::namespace::{ip, move_to};
use super::{attempt, fixture};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use xtask::rig::OwnedChild;

const BRIDGE: &str = "gatetap-bridge";
/// End of the pair at the bridge, and inside of the neighbour's namespace.
const PORT: &str = "gatetap-port";
const INSIDE: &str = "gatetap-inside";
const BRIDGE_ADDRESS: &str = "10.213.7.1";
const NEIGHBOUR_ADDRESS: &str = "10.213.7.2";

/// Keeps the neighbour's namespace; what connects it goes with it.
pub(crate) struct Neighbour {
    namespace: File,
    _keeper: OwnedChild,
}

impl Neighbour {
    /// Connects a new namespace with the one of the calling thread.
    pub(crate) fn start() -> Self {
        let keeper = keep_namespace();
        let pid = keeper.pid().to_string();
        let own = attempt(fs::read_link("/proc/thread-self/ns/net"));
        let path = format!("/proc/{pid}/ns/net");
        let is_there = || fs::read_link(&path).is_ok_and(|namespace| namespace != own);
        assert!(fixture::wait_until(Duration::from_secs(5), is_there), "no new namespace");
        let namespace = attempt(File::open(&path));

        ip(&["link", "add", BRIDGE, "type", "bridge"]);
        ip(&["link", "add", PORT, "type", "veth", "peer", "name", INSIDE, "netns", &pid]);
        ip(&["link", "set", PORT, "master", BRIDGE, "up"]);
        ip(&["address", "add", &format!("{BRIDGE_ADDRESS}/24"), "dev", BRIDGE]);
        ip(&["link", "set", BRIDGE, "up"]);
        within(&namespace, || {
            ip(&["address", "add", &format!("{NEIGHBOUR_ADDRESS}/24"), "dev", INSIDE]);
            ip(&["link", "set", INSIDE, "up"]);
        });
        Self { namespace, _keeper: keeper }
    }

    /// Sends a request to the namespace of the bridge on a connection of its own; yields the
    /// whole response.
    pub(crate) fn ask(&self, port: u16, target: &str) -> String {
        within(&self.namespace, || {
            let mut stream = attempt(TcpStream::connect((BRIDGE_ADDRESS, port)));
            let request =
                format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
            attempt(stream.write_all(request.as_bytes()));
            let mut response = String::new();
            attempt(stream.read_to_string(&mut response));
            response
        })
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // The pair goes with the neighbour's namespace, the bridge does not.
        let _ = Command::new("ip").args(["link", "delete", BRIDGE]).status();
    }
}

/// A process that does nothing but keep a new namespace.
fn keep_namespace() -> OwnedChild {
    let mut command = Command::new("unshare");
    command.args(["--net", "sleep", "600"]).stdin(Stdio::null());
    attempt(OwnedChild::spawn(command))
}

fn within<T: Send>(namespace: &File, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            move_to(namespace);
            work()
        });
        inside.join().expect("the work inside failed")
    })
}
