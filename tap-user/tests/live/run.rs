//! A run of traffic around the start of a tap.

use super::mix::Mix;
use super::traffic::{self, Account, Client, Plan, Step};

/// Clients that work at once.
pub(crate) const CLIENTS: usize = 8;
/// Connections that are open before the tap comes.
const OPEN_BEFORE: usize = 20;

/// Clients whose connections are open, every second one after some exchanges already.
pub(crate) struct WaitingClients {
    clients: Vec<Client>,
    unseen: usize,
}

/// What came of a run.
pub(crate) struct Run {
    /// Exchanges that a tap must have seen.
    pub(crate) accounts: Vec<Account>,
    /// Exchanges that were over before the tap came.
    pub(crate) unseen: usize,
    /// Connections that ended with half of a request's head.
    pub(crate) broken_heads: usize,
}

impl Run {
    /// Requests in the gateway's log beside those in `accounts`.
    pub(crate) fn others(&self) -> usize {
        self.unseen + self.broken_heads
    }
}

impl WaitingClients {
    pub(crate) fn open(mix: &mut Mix) -> Self {
        let mut clients: Vec<_> = (0..OPEN_BEFORE).map(|_| Client::open(mix.plan_of(6))).collect();
        let mut before_tap = |(index, client): (usize, &mut Client)| {
            let steps = if index.is_multiple_of(2) { 2 } else { 0 };
            client.before_tap(steps).len()
        };
        let unseen = clients.iter_mut().enumerate().map(&mut before_tap).sum();
        Self { clients, unseen }
    }

    /// Their remaining exchanges, then all others.
    pub(crate) fn run(self, plans: Vec<Plan>) -> Run {
        let steps = plans.iter().flat_map(|plan| &plan.steps);
        let broken_heads = steps.filter(|step| matches!(step, Step::HalfAHead(_))).count();
        let mut accounts: Vec<_> = self.clients.into_iter().flat_map(Client::finish).collect();
        accounts.extend(traffic::run(plans, CLIENTS));
        Run { accounts, unseen: self.unseen, broken_heads }
    }
}
