//! What is found out about a connection before anybody asks: the search begins with its request
//! to open, because some connections are gone before their first byte was read.
//!
//! Addresses can be used again. A finding belongs to one connection only, so wherever a second one
//! of the same addresses opens before somebody asked for the first, nothing is known of either.

use super::Finding;
use crate::capture::interface::Opening;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a finding is kept for whoever asks. Later the connection, if it is still there, is as
/// well looked for then.
const KEPT: Duration = Duration::from_secs(5);
/// Connections that are kept at once; more are looked for when somebody asks.
const KEPT_LIMIT: usize = 16_384;

/// Client and server.
pub(super) type Addresses = (SocketAddr, SocketAddr);

/// Findings by the addresses of their connections.
#[derive(Default)]
pub(super) struct Early {
    entries: HashMap<Addresses, Entry>,
    /// The same, oldest first, with what is gone.
    ages: VecDeque<(Instant, Addresses)>,
}

struct Entry {
    sequence: u32,
    opened: Instant,
    state: State,
}

enum State {
    Searching,
    /// Under that serial number.
    Asked(u64),
    Found(Finding),
    /// Two connections had the addresses, and nobody asked for the first in between.
    Ambiguous,
}

/// What a request to open means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// Its owner is to be looked for.
    New,
    /// The same; and the connection of that serial number, which had the addresses, is gone.
    Instead(u64),
    /// Nothing is to be done.
    Passed,
}

/// What is known when somebody asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing, search now.
    Nothing,
    /// The search is under way.
    Soon,
    /// This, or that nothing can be known.
    Already(Finding),
}

impl Early {
    /// Takes note of a request to open; `may_search`: there is time to look for its owner.
    pub(super) fn open(&mut self, opening: &Opening, may_search: bool, now: Instant) -> Opened {
        let addresses = (opening.client, opening.server);
        let entry = Entry { sequence: opening.sequence, opened: now, state: State::Searching };
        let has_room = may_search && self.entries.len() < KEPT_LIMIT;
        let opened = match self.entries.get(&addresses) {
            None if !has_room => return Opened::Passed,
            Some(before) if before.sequence == opening.sequence => return Opened::Passed,
            None => Opened::New,
            Some(Entry { state: State::Asked(serial), .. }) => Opened::Instead(*serial),
            Some(_) => Opened::Passed,
        };
        let is_ambiguous = opened == Opened::Passed;
        let state = if is_ambiguous { State::Ambiguous } else { State::Searching };
        self.entries.insert(addresses, Entry { state, ..entry });
        self.ages.push_back((now, addresses));
        opened
    }

    /// Somebody wants to know of a connection; `is_old`: no request to open can be its own.
    pub(super) fn ask(&mut self, addresses: Addresses, serial: u64, is_old: bool) -> Known {
        let Some(entry) = self.entries.get_mut(&addresses) else { return Known::Nothing };
        match &mut entry.state {
            _ if is_old => Known::Already(Finding::default()),
            State::Searching => {
                entry.state = State::Asked(serial);
                Known::Soon
            }
            State::Asked(_) => Known::Nothing,
            State::Ambiguous => Known::Already(Finding::default()),
            State::Found(finding) => {
                let finding = std::mem::take(finding);
                self.entries.remove(&addresses);
                if finding.owner.is_some() { Known::Already(finding) } else { Known::Nothing }
            }
        }
    }

    /// A search is over; yields the finding and who asked for it meanwhile, if somebody did.
    pub(super) fn conclude(
        &mut self,
        addresses: Addresses,
        sequence: u32,
        finding: Finding,
    ) -> Option<(u64, Finding)> {
        let entry = self.entries.get_mut(&addresses).filter(|entry| entry.sequence == sequence)?;
        match entry.state {
            State::Searching => {
                entry.state = State::Found(finding);
                None
            }
            State::Asked(serial) => {
                self.entries.remove(&addresses);
                Some((serial, finding))
            }
            State::Found(_) | State::Ambiguous => None,
        }
    }

    /// Whether the addresses were used again since then.
    pub(super) fn opened_since(&self, addresses: Addresses, then: Instant) -> bool {
        self.entries.get(&addresses).is_some_and(|entry| entry.opened > then)
    }

    /// Requests to open were missed: what was found may be of a connection that is gone.
    pub(super) fn distrust(&mut self) {
        self.entries.retain(|_, entry| matches!(entry.state, State::Asked(_)));
    }

    /// Forgets what nobody asked for.
    pub(super) fn forget_old(&mut self, now: Instant) {
        while let Some((opened, addresses)) = self.ages.front().copied()
            && now.duration_since(opened) > KEPT
        {
            self.ages.pop_front();
            if self.entries.get(&addresses).is_some_and(|entry| entry.opened == opened) {
                self.entries.remove(&addresses);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::owners::Owner;
    use crate::segment::{Leg, Listener, Process};

    fn opening(sequence: u32) -> Opening {
        let (client, server) = addresses();
        Opening { client, server, sequence }
    }

    fn addresses() -> Addresses {
        ("10.0.0.1:40000".parse().unwrap(), "10.0.0.2:80".parse().unwrap())
    }

    fn finding(pid: u32) -> Finding {
        let process = Process { pid, pid_in_namespace: pid };
        let owner = Owner { process, listener: Listener::Port(80), control_group: None };
        Finding { leg: Some(Leg::Client), owner: Some(owner) }
    }

    #[test]
    fn a_finding_waits_for_whoever_asks_and_is_given_once() {
        let (mut early, now) = (Early::default(), Instant::now());
        assert_eq!(early.open(&opening(1), true, now), Opened::New);
        assert_eq!(early.open(&opening(1), true, now), Opened::Passed, "a repetition");
        assert_eq!(early.conclude(addresses(), 1, finding(7)), None);
        assert_eq!(early.ask(addresses(), 0, false), Known::Already(finding(7)));
        assert_eq!(early.ask(addresses(), 1, false), Known::Nothing);
    }

    #[test]
    fn whoever_asks_during_the_search_gets_its_finding() {
        let (mut early, now) = (Early::default(), Instant::now());
        early.open(&opening(1), true, now);
        assert_eq!(early.ask(addresses(), 5, false), Known::Soon);
        assert_eq!(early.conclude(addresses(), 1, finding(7)), Some((5, finding(7))));
    }

    #[test]
    fn nothing_is_known_of_connections_that_may_be_confused() {
        let (mut early, now) = (Early::default(), Instant::now());
        early.open(&opening(1), true, now);
        early.conclude(addresses(), 1, finding(7));
        assert_eq!(early.open(&opening(2), true, now), Opened::Passed);
        assert_eq!(early.conclude(addresses(), 2, finding(8)), None);
        for serial in [0, 1] {
            assert_eq!(early.ask(addresses(), serial, false), Known::Already(Finding::default()));
        }
    }

    #[test]
    fn a_search_ends_when_another_connection_takes_the_addresses() {
        let (mut early, now) = (Early::default(), Instant::now());
        early.open(&opening(1), true, now);
        assert_eq!(early.ask(addresses(), 5, false), Known::Soon);
        assert_eq!(early.open(&opening(2), true, now), Opened::Instead(5));
        assert_eq!(early.conclude(addresses(), 1, finding(8)), None, "it may have seen the second");
        assert_eq!(early.conclude(addresses(), 2, finding(9)), None);
        assert_eq!(early.ask(addresses(), 6, false), Known::Already(finding(9)));
    }

    #[test]
    fn findings_go_when_openings_were_missed_or_there_is_no_time() {
        let (mut early, now) = (Early::default(), Instant::now());
        early.open(&opening(1), true, now);
        early.conclude(addresses(), 1, finding(7));
        early.distrust();
        assert_eq!(early.ask(addresses(), 0, false), Known::Nothing);
        early.open(&opening(2), true, now);
        early.conclude(addresses(), 2, finding(7));
        assert_eq!(early.open(&opening(3), false, now), Opened::Passed);
        assert_eq!(early.ask(addresses(), 1, false), Known::Already(Finding::default()));
    }

    #[test]
    fn an_old_connection_has_nothing_to_do_with_a_new_one() {
        let (mut early, now) = (Early::default(), Instant::now());
        assert_eq!(early.ask(addresses(), 0, true), Known::Nothing);
        early.open(&opening(1), true, now);
        early.conclude(addresses(), 1, finding(7));
        assert_eq!(early.ask(addresses(), 0, true), Known::Already(Finding::default()));
        assert_eq!(early.ask(addresses(), 1, false), Known::Already(finding(7)));
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten() {
        let (mut early, now) = (Early::default(), Instant::now());
        early.open(&opening(1), true, now);
        early.conclude(addresses(), 1, finding(7));
        early.forget_old(now + KEPT);
        assert_eq!(early.entries.len(), 1);
        early.forget_old(now + KEPT + Duration::from_secs(1));
        assert_eq!((early.entries.len(), early.ages.len()), (0, 0));
        assert!(!early.opened_since(addresses(), now));
    }
}
