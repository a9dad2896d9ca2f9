//! Happenings in, records out: one observer per connection, then ids, then the sinks.

use super::Failure;
use super::settings::RecordSettings;
use super::timers::{Noted, Timers};
use super::totals::{Exchanges, Sink};
use crate::export::Exporter;
use crate::gateway::Correlator;
use crate::http::content::Contents;
use crate::http::{Limits, MemoryBudget, Observer, Protocol};
use crate::policy::{Policy, PolicyTotals};
use crate::segment::{Abandonment, Connection, Happening, Interest, Legs, Time};
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use uuid::Uuid;

/// How long a sink that is not wanted any more may go on to deliver what it has.
const DRAIN_DEADLINE: Duration = Duration::from_secs(60);

/// A connection under observation.
struct Observed {
    connection: Arc<Connection>,
    observer: Observer,
    /// Whether its exchanges wait until more is known of the connection.
    is_held: bool,
    has_ended: bool,
    noted: Noted,
}

/// Everything between a source and the sinks.
pub(super) struct Pipeline {
    limits: Limits,
    budget: MemoryBudget,
    /// By serial number.
    observed: HashMap<u64, Box<Observed>, RandomState>,
    timers: Timers,
    output: Output,
    protocols: BTreeMap<&'static str, u64>,
}

/// What becomes of finished exchanges.
struct Output {
    /// Bytes of each decoded body that records carry: as many as are captured of a body.
    content_cap: u64,
    correlator: Correlator,
    policy: Policy,
    exporter: Exporter,
    exchanges: Exchanges,
    patience: Patience,
    /// Sides of the gateway that are looked at.
    legs: Legs,
}

/// What happens when a sink is slower than the source.
pub(super) enum Patience {
    /// Its records are dropped, because the source cannot wait.
    None,
    /// The source waits until this is set.
    Until(Arc<AtomicBool>),
}

impl Pipeline {
    pub(super) fn new(
        limits: Limits,
        budget: MemoryBudget,
        correlator: Correlator,
        policy: Policy,
        exporter: Exporter,
        patience: Patience,
        legs: Legs,
    ) -> Self {
        let content_cap = limits.body_cap;
        let exchanges = Exchanges::default();
        let output =
            Output { content_cap, correlator, policy, exporter, exchanges, patience, legs };
        let (observed, timers, protocols) =
            (HashMap::default(), Timers::default(), BTreeMap::new());
        Self { limits, budget, observed, timers, output, protocols }
    }

    /// Takes in what happened on a connection; says whether more of it is wanted.
    pub(super) fn handle(&mut self, serial: u64, happening: Happening<'_>) -> Interest {
        match happening {
            Happening::Opened(connection) => self.open(serial, connection),
            Happening::Segment(segment) => {
                self.observe(serial, |observer| observer.handle_segment(&segment))
            }
            Happening::Conflict(direction) => {
                self.observe(serial, |observer| observer.handle_conflict(direction))
            }
            Happening::Ended(direction, time) => {
                self.observe(serial, |observer| observer.handle_end(direction, time))
            }
            Happening::Closed(close, time) => {
                self.end(serial, |observer| observer.handle_close(close, time))
            }
            Happening::Abandoned(cause, time) => {
                self.end(serial, |observer| observer.handle_abandon(cause, time))
            }
        }
    }

    /// Keeps the exchanges of a connection back: whose it is will be known in a moment.
    pub(super) fn hold(&mut self, serial: u64) {
        if let Some(observed) = self.observed.get_mut(&serial) {
            observed.is_held = true;
        }
    }

    /// Lets the exchanges of a connection go on.
    pub(super) fn release(&mut self, serial: u64) {
        let Some(observed) = self.observed.get_mut(&serial) else { return };
        observed.is_held = false;
        self.output.take(observed);
        if observed.has_ended {
            self.forget(serial);
        }
    }

    /// All ids derive from `run` instead of chance.
    pub(super) fn derive_ids_from(&mut self, run: Uuid) {
        self.output.correlator.derive_from(run);
    }

    /// Changes what can change while connections are under observation. Exchanges that end from
    /// here on go by the new settings; counters go on.
    pub(super) fn reconfigure(&mut self, settings: &RecordSettings) -> Result<(), Failure> {
        let output = &mut self.output;
        output.exporter.reconfigure(settings.sinks.clone(), DRAIN_DEADLINE)?;
        output.legs = settings.wanted_legs();
        output.policy.replace(settings.policy.clone());
        output.correlator.change(settings.generator, settings.correlation_header.clone());
        Ok(())
    }

    /// Lets time pass: exchanges that are too old are shown as they are.
    pub(super) fn handle_timeout(&mut self, now: Time) {
        for serial in self.timers.take_due(now.monotonic_ns) {
            let Some(observed) = self.observed.get_mut(&serial) else { continue };
            observed.noted.clear();
            observed.observer.handle_timeout(now);
            self.output.take(observed);
            self.timers.note(serial, &mut observed.noted, observed.observer.poll_timeout());
        }
    }

    /// Ends everything because the tap stops.
    pub(super) fn abandon(&mut self, now: Time) {
        let mut serials: Vec<u64> = self.observed.keys().copied().collect();
        // What they yield has the order of the connections.
        serials.sort_unstable();
        for serial in serials {
            self.release(serial);
            self.end(serial, |observer| {
                observer.handle_abandon(Abandonment::CaptureEnded, now);
            });
        }
    }

    pub(super) fn exchanges(&self) -> &Exchanges {
        &self.output.exchanges
    }

    /// Connections that ended, by what they spoke.
    pub(super) fn protocols(&self) -> &BTreeMap<&'static str, u64> {
        &self.protocols
    }

    /// What became of the records so far.
    pub(super) fn sinks(&self) -> Vec<Sink> {
        self.output.exporter.totals().into_iter().map(Into::into).collect()
    }

    /// What did not leave, and what was replaced.
    pub(super) fn policy(&self) -> PolicyTotals {
        self.output.policy.counters().totals()
    }

    /// What is left when all is handled: the sinks.
    pub(super) fn into_exporter(self) -> Exporter {
        self.output.exporter
    }

    fn open(&mut self, serial: u64, connection: Arc<Connection>) -> Interest {
        let observed = self.observed.entry(serial).or_insert_with(|| {
            let (limits, budget) = (self.limits.clone(), self.budget.clone());
            Box::new(Observed {
                observer: Observer::new(limits, budget, connection.joined_mid_stream()),
                connection: Arc::clone(&connection),
                is_held: false,
                has_ended: false,
                noted: Noted::default(),
            })
        });
        observed.connection = connection;
        Interest::Keep
    }

    fn observe(&mut self, serial: u64, step: impl FnOnce(&mut Observer)) -> Interest {
        let Some(observed) = self.observed.get_mut(&serial) else {
            return Interest::Ignore;
        };
        step(&mut observed.observer);
        self.output.take(observed);
        self.timers.note(serial, &mut observed.noted, observed.observer.poll_timeout());
        match observed.observer.protocol() {
            Protocol::Undecided | Protocol::Http1 => Interest::Keep,
            _ => Interest::Ignore,
        }
    }

    fn end(&mut self, serial: u64, last_step: impl FnOnce(&mut Observer)) -> Interest {
        let Some(observed) = self.observed.get_mut(&serial) else { return Interest::Ignore };
        last_step(&mut observed.observer);
        observed.has_ended = true;
        self.output.take(observed);
        if !observed.is_held {
            self.forget(serial);
        }
        Interest::Keep
    }

    fn forget(&mut self, serial: u64) {
        if let Some(mut observed) = self.observed.remove(&serial) {
            self.timers.forget(serial, &mut observed.noted);
            let protocol = observed.observer.protocol();
            *self.protocols.entry(protocol.name()).or_default() += 1;
        }
    }
}

impl Output {
    /// Exports what an observer has ready, unless it is held.
    fn take(&mut self, observed: &mut Observed) {
        if observed.is_held {
            return;
        }
        while let Some(exchange) = observed.observer.poll() {
            if !self.legs.contains(observed.connection.leg) {
                continue;
            }
            self.exchanges.count(&observed.connection, &exchange);
            let mut observation = self.correlator.identify(&observed.connection, exchange);
            observation.contents = Contents::new(self.content_cap);
            let Some(observation) = self.policy.release(observation) else { continue };
            match &self.patience {
                Patience::None => self.exporter.export(&observation),
                Patience::Until(hurry) => self.exporter.export_waiting(&observation, hurry),
            }
        }
    }
}
