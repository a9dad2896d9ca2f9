//! Between reassembly and pipeline: whose a connection is, and which leg of the gateway.
//!
//! The answer takes a few milliseconds. Until it is there the pipeline holds the connection's
//! exchanges back, so that no record lacks what is known a moment later.

use super::pipeline::Pipeline;
use crate::capture::owners::{Answer, Finding, Owners, PATIENCE};
use crate::capture::traffic::Traffic;
use crate::segment::{Connection, Happening, Interest, Leg, Listener};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an answer is waited for; longer than whoever answers takes.
const ANSWER_LIMIT: Duration = PATIENCE.saturating_mul(2);
/// Pause between two looks for the last answers.
const ANSWER_PAUSE: Duration = Duration::from_millis(2);

/// Completes connections with what only this machine knows of them.
pub(super) struct Ownership {
    owners: Option<Owners>,
    /// Ports of the gateway, as far as they are named.
    ports: Vec<u16>,
    network_namespace: Option<u32>,
    connections: HashMap<u64, Told>,
    /// Connections that wait for an answer, and since when.
    asked: HashMap<u64, Instant>,
    traffic: Traffic,
    unknown: u64,
}

/// A connection that the pipeline was told of.
struct Told {
    connection: Arc<Connection>,
    is_ignored: bool,
    has_ended: bool,
}

impl Ownership {
    pub(super) fn new(
        owners: Option<Owners>,
        ports: Vec<u16>,
        network_namespace: Option<u32>,
    ) -> Self {
        Self {
            owners,
            ports,
            network_namespace,
            connections: HashMap::new(),
            asked: HashMap::new(),
            traffic: Traffic::default(),
            unknown: 0,
        }
    }

    /// Passes a happening on.
    pub(super) fn tell(
        &mut self,
        serial: u64,
        happening: Happening<'_>,
        pipeline: &mut Pipeline,
    ) -> Interest {
        match &happening {
            Happening::Opened(connection) => {
                self.open(serial, connection, pipeline);
                return Interest::Keep;
            }
            Happening::Segment(segment) => {
                let Some(told) = self.connections.get_mut(&serial) else { return Interest::Ignore };
                if told.is_ignored {
                    self.traffic.ignored += segment.content.length();
                    return Interest::Ignore;
                }
                self.traffic.count(&segment.content);
            }
            Happening::Ended(..) | Happening::Conflict(_) => {}
            Happening::Closed(..) | Happening::Abandoned(..) => self.close(serial),
        }
        let interest = pipeline.handle(serial, happening);
        if interest == Interest::Ignore
            && let Some(told) = self.connections.get_mut(&serial)
        {
            told.is_ignored = true;
        }
        interest
    }

    /// Takes in what was found out meanwhile.
    pub(super) fn take_answers(&mut self, pipeline: &mut Pipeline) {
        let answers: Vec<Answer> = self.owners.iter().flat_map(Owners::answers).collect();
        for answer in answers {
            self.complete(answer.serial, &answer.finding, pipeline);
        }
    }

    /// Lets connections go on whose answer does not come.
    pub(super) fn give_up_waiting(&mut self, pipeline: &mut Pipeline) {
        let is_late =
            |(serial, since): (&u64, &Instant)| (since.elapsed() > ANSWER_LIMIT).then_some(*serial);
        let late: Vec<u64> = self.asked.iter().filter_map(is_late).collect();
        for serial in late {
            self.complete(serial, &Finding::default(), pipeline);
        }
    }

    /// Waits for the last answers.
    pub(super) fn finish(&mut self, pipeline: &mut Pipeline) {
        while self.is_asking() {
            std::thread::sleep(ANSWER_PAUSE);
            self.take_answers(pipeline);
            self.give_up_waiting(pipeline);
        }
    }

    /// Whether an answer is to come.
    pub(super) fn is_asking(&self) -> bool {
        !self.asked.is_empty()
    }

    pub(super) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Connections whose process was not found.
    pub(super) fn unknown(&self) -> u64 {
        self.unknown
    }

    fn open(&mut self, serial: u64, seen: &Connection, pipeline: &mut Pipeline) {
        let leg = self.leg_by_port(seen.server.port());
        let connection = Arc::new(Connection {
            leg,
            listener: listener_without_owner(leg, seen),
            network_namespace: self.network_namespace,
            ..seen.clone()
        });
        pipeline.handle(serial, Happening::Opened(Arc::clone(&connection)));
        if self.owners.as_ref().is_some_and(|owners| owners.ask(&connection)) {
            self.asked.insert(serial, Instant::now());
            pipeline.hold(serial);
        } else {
            self.unknown += 1;
        }
        let told = Told { connection, is_ignored: false, has_ended: false };
        self.connections.insert(serial, told);
    }

    fn close(&mut self, serial: u64) {
        if let Some(told) = self.connections.get_mut(&serial) {
            told.has_ended = true;
            if !self.asked.contains_key(&serial) {
                self.connections.remove(&serial);
            }
        }
    }

    fn complete(&mut self, serial: u64, finding: &Finding, pipeline: &mut Pipeline) {
        if self.asked.remove(&serial).is_none() {
            return;
        }
        let Some(told) = self.connections.get_mut(&serial) else { return };
        self.unknown += u64::from(finding.owner.is_none());
        told.connection = Arc::new(completed(&told.connection, finding));
        pipeline.handle(serial, Happening::Opened(Arc::clone(&told.connection)));
        pipeline.release(serial);
        if told.has_ended {
            self.connections.remove(&serial);
        }
    }

    /// Which side of the gateway a connection is on, by what was named.
    fn leg_by_port(&self, server_port: u16) -> Leg {
        if self.ports.is_empty() || self.ports.contains(&server_port) {
            Leg::Client
        } else {
            Leg::Upstream
        }
    }
}

fn completed(connection: &Connection, finding: &Finding) -> Connection {
    let mut connection = connection.clone();
    connection.leg = finding.leg.unwrap_or(connection.leg);
    connection.listener = listener_without_owner(connection.leg, &connection);
    if let Some(owner) = &finding.owner {
        connection.process = Some(owner.process);
        connection.listener = owner.listener;
        connection.control_group = owner.control_group;
    }
    connection
}

/// The listener of an upstream connection is one of the gateway's, whichever that is.
fn listener_without_owner(leg: Leg, connection: &Connection) -> Listener {
    match leg {
        Leg::Client => Listener::Port(connection.server.port()),
        Leg::Upstream => Listener::Unknown,
    }
}
