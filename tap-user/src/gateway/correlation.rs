//! Correlation ids as Kong's correlation-id plugin makes them, byte for byte
//! (kong/plugins/correlation-id/handler.lua), for a tap that can inject nothing: an id that the
//! exchange carries is honoured, otherwise one is derived.

use super::{Correlation, CorrelationSource, Observation};
use crate::http::content::Contents;
use crate::http::{Exchange, Headers, Outcome};
use crate::segment::{Connection, Leg, Time, push_address};
use foldhash::fast::RandomState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;
use uuid::Uuid;

/// Header that carries the id; Kong's default since 0.8.
pub const DEFAULT_HEADER: &str = "Kong-Request-ID";

/// Longest id that is honoured, in bytes; a longer header value is no id.
const HONOURED_LENGTH_LIMIT: usize = 1_024;

/// Worker processes that are remembered under `uuid#counter`; beyond that all get new UUIDs, which
/// are as unique as the old ones.
const WORKER_LIMIT: usize = 4_096;

/// Bytes that nearly all ids of trackers fit in.
const TRACKER_ROOM: usize = 80;

/// How ids are made, by Kong's own names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Generator {
    /// `server_addr-server_port-pid-connection-connection_requests-timestamp`
    #[default]
    Tracker,
    /// A random UUID.
    Uuid,
    /// One UUID per worker process and a counter that starts at 1.
    #[serde(rename = "uuid#counter")]
    UuidCounter,
}

impl FromStr for Generator {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "tracker" => Ok(Self::Tracker),
            "uuid" => Ok(Self::Uuid),
            "uuid#counter" => Ok(Self::UuidCounter),
            _ => Err(format!("`{name}` is not one of tracker, uuid, uuid#counter")),
        }
    }
}

/// Gives exchanges their ids.
pub struct Correlator {
    generator: Generator,
    header: String,
    /// Marks the records of this run of the tap: what their ids begin with.
    run: String,
    /// The id of a record while it is made.
    record_id: String,
    uuids: Uuids,
    workers: HashMap<u32, Worker>,
    /// Ids of exchanges that were exported unfinished and come again, by serial and ordinal.
    unfinished: HashMap<(u64, u64), Correlation, RandomState>,
}

/// Where UUIDs come from.
#[derive(Debug, Clone, Copy)]
enum Uuids {
    /// Chance.
    Random,
    /// The run and what they are for (RFC 9562 5.5): the same each time a file is read.
    Derived(Uuid),
}

impl Uuids {
    fn next(self, purpose: std::fmt::Arguments<'_>) -> Uuid {
        match self {
            Self::Random => Uuid::new_v4(),
            Self::Derived(run) => Uuid::new_v5(&run, purpose.to_string().as_bytes()),
        }
    }
}

/// A worker process of the gateway under `uuid#counter`.
struct Worker {
    uuid: Uuid,
    requests: u64,
}

impl Correlator {
    /// For live traffic: `run` marks all record ids of this run, and UUIDs are random.
    #[must_use]
    pub fn new(generator: Generator, header: String, run: u64) -> Self {
        Self {
            generator,
            header,
            run: run_text(run),
            record_id: String::new(),
            uuids: Uuids::Random,
            workers: HashMap::new(),
            unfinished: HashMap::default(),
        }
    }

    /// Ids of exchanges that are not known yet are made in another way from here on.
    pub fn change(&mut self, generator: Generator, header: String) {
        self.generator = generator;
        self.header = header;
    }

    /// From here on record ids and UUIDs derive from `run`: a capture file that is read again
    /// gives the same ones.
    pub fn derive_from(&mut self, run: Uuid) {
        self.run = run_text(run.as_u64_pair().0);
        self.uuids = Uuids::Derived(run);
    }

    /// Completes an exchange with its ids.
    pub fn identify(
        &mut self,
        connection: &Arc<Connection>,
        exchange: Box<Exchange>,
    ) -> Observation {
        let key = (connection.serial, exchange.ordinal);
        let known = if self.unfinished.is_empty() { None } else { self.unfinished.remove(&key) };
        let correlation = known.or_else(|| self.correlate(connection, &exchange));
        if let (Outcome::Ongoing, Some(correlation)) = (exchange.outcome, &correlation) {
            self.unfinished.insert(key, correlation.clone());
        }
        Observation {
            id: self.record_id(connection.serial, exchange.ordinal),
            connection: Arc::clone(connection),
            correlation,
            exchange,
            contents: Contents::default(),
            redacted: None,
        }
    }

    fn record_id(&mut self, serial: u64, ordinal: u64) -> Arc<str> {
        let id = &mut self.record_id;
        id.clear();
        id.push_str(&self.run);
        push_number(id, '-', serial);
        push_number(id, '-', ordinal);
        Arc::from(id.as_str())
    }

    fn correlate(&mut self, connection: &Connection, exchange: &Exchange) -> Option<Correlation> {
        if let Some(id) = self.honoured(exchange) {
            return Some(Correlation { id, source: CorrelationSource::Header });
        }
        if connection.leg == Leg::Upstream {
            return None;
        }
        let id = self.derive(connection, exchange)?;
        Some(Correlation { id, source: CorrelationSource::Derived })
    }

    /// The id that the request or else the response carries. An empty one counts as missing, as
    /// in Kong since 2.2.
    fn honoured(&self, exchange: &Exchange) -> Option<String> {
        let request = exchange.request.as_ref().map(|request| &request.headers);
        let response = exchange.response.as_ref().map(|response| &response.headers);
        [request, response].into_iter().flatten().find_map(|headers| self.value(headers))
    }

    fn value(&self, headers: &Headers) -> Option<String> {
        let value = headers.get(&self.header)?;
        let is_id = !value.is_empty() && value.len() <= HONOURED_LENGTH_LIMIT;
        is_id.then(|| std::str::from_utf8(value).ok().map(str::to_owned)).flatten()
    }

    fn derive(&mut self, connection: &Connection, exchange: &Exchange) -> Option<String> {
        match self.generator {
            Generator::Tracker => tracker(connection, exchange),
            Generator::Uuid => {
                let (serial, ordinal) = (connection.serial, exchange.ordinal);
                Some(self.uuids.next(format_args!("{serial}-{ordinal}")).to_string())
            }
            Generator::UuidCounter => {
                let pid = connection.process.map_or(0, |process| process.pid);
                if self.workers.len() >= WORKER_LIMIT {
                    self.workers.clear();
                }
                let uuids = self.uuids;
                let worker = self.workers.entry(pid).or_insert_with(|| Worker {
                    uuid: uuids.next(format_args!("worker {pid}")),
                    requests: 0,
                });
                worker.requests += 1;
                Some(format!("{}#{}", worker.uuid, worker.requests))
            }
        }
    }
}

/// Kong's format string is `%s-%s-%d-%s-%s-%0.3f`; an IPv6 address has no brackets there.
fn tracker(connection: &Connection, exchange: &Exchange) -> Option<String> {
    let time = start(exchange)?;
    let mut id = String::with_capacity(TRACKER_ROOM);
    push_address(&mut id, connection.server.ip());
    let pid = connection.process.map_or(0, |process| process.pid_in_namespace);
    push_number(&mut id, '-', connection.server.port().into());
    push_number(&mut id, '-', pid.into());
    push_number(&mut id, '-', connection.serial);
    push_number(&mut id, '-', exchange.request_ordinal.unwrap_or(exchange.ordinal));
    push_number(&mut id, '-', time.unix_ns / 1_000_000_000);
    id.push('.');
    for unit_ns in [100_000_000, 10_000_000, 1_000_000] {
        let digit = time.unix_ns / unit_ns % 10;
        id.push(char::from(b'0' | digit as u8));
    }
    Some(id)
}

fn run_text(run: u64) -> String {
    format!("{run:016x}")
}

/// Without the formatting machinery: this is done for every exchange.
fn push_number(id: &mut String, separator: char, number: u64) {
    id.push(separator);
    id.push_str(itoa::Buffer::new().format(number));
}

/// First byte of the request, or of the response where there is no request.
fn start(exchange: &Exchange) -> Option<Time> {
    let request = exchange.request.as_ref().map(|request| request.first_byte);
    request.or_else(|| exchange.response.as_ref().map(|response| response.first_byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Anomalies, Body, Request, Version};
    use crate::segment::{Listener, Process};

    fn connection(server: &str, leg: Leg) -> Arc<Connection> {
        Arc::new(Connection {
            serial: 56,
            leg,
            client: "10.1.1.1:40000".parse().unwrap(),
            server: server.parse().unwrap(),
            process: Some(Process { pid: 99_999, pid_in_namespace: 1_234 }),
            listener: Listener::Port(8_000),
            network_namespace: None,
            control_group: None,
            opened: None,
        })
    }

    fn exchange(outcome: Outcome, id_header: Option<&[u8]>) -> Box<Exchange> {
        let mut raw = b"Kong-Request-ID".to_vec();
        raw.extend_from_slice(id_header.unwrap_or_default());
        let end = u32::try_from(raw.len()).unwrap();
        let fields = if id_header.is_some() { vec![(0..15, 15..end)] } else { Vec::new() };
        let time = Time { monotonic_ns: 5, unix_ns: 1_700_000_000_123_456_789 };
        Box::new(Exchange {
            ordinal: 9,
            request_ordinal: Some(7),
            request: Some(Request {
                method: "GET".into(),
                target: b"/".to_vec(),
                version: Version::Http11,
                headers: Headers::new(raw.into(), fields),
                head_length: 0,
                offset: 0,
                first_byte: time,
                last_byte: time,
                body: Body::default(),
                anomalies: Anomalies::NONE,
            }),
            interim: Vec::new(),
            response: None,
            outcome,
            switch: None,
            proxied: None,
        })
    }

    fn identify(generator: Generator, server: &str, header: Option<&[u8]>) -> Observation {
        let mut correlator = Correlator::new(generator, DEFAULT_HEADER.to_owned(), 0xABC);
        correlator.identify(&connection(server, Leg::Client), exchange(Outcome::Complete, header))
    }

    /// The example of the wire formats, section 1.
    #[test]
    fn tracker_is_formatted_as_kong_does() {
        let observation = identify(Generator::Tracker, "10.0.0.1:8000", None);
        let correlation = observation.correlation.unwrap();
        assert_eq!(correlation.id, "10.0.0.1-8000-1234-56-7-1700000000.123");
        assert_eq!(correlation.source, CorrelationSource::Derived);
        assert_eq!(&*observation.id, "0000000000000abc-56-9");
        let observation = identify(Generator::Tracker, "[::1]:8000", None);
        assert_eq!(observation.correlation.unwrap().id, "::1-8000-1234-56-7-1700000000.123");
    }

    #[test]
    fn the_first_counted_id_of_a_worker_ends_in_1() {
        let id = identify(Generator::UuidCounter, "10.0.0.1:8000", None).correlation.unwrap().id;
        let (uuid, counter) = id.split_once('#').unwrap();
        assert_eq!(counter, "1");
        assert_eq!(Uuid::parse_str(uuid).unwrap().get_version_num(), 4);
    }

    #[test]
    fn the_ids_of_a_file_are_the_same_each_time_and_differ_from_each_other() {
        let read = |run: u128| {
            let mut correlator = Correlator::new(Generator::Uuid, DEFAULT_HEADER.to_owned(), 0);
            correlator.derive_from(Uuid::from_u128(run));
            let client = connection("10.0.0.1:8000", Leg::Client);
            let other = Arc::new(Connection { serial: 57, ..(*client).clone() });
            [client, other].map(|on| {
                let observation = correlator.identify(&on, exchange(Outcome::Complete, None));
                (observation.id, observation.correlation.unwrap().id)
            })
        };
        let [first, second] = read(7 << 64);
        assert_eq!(&*first.0, "0000000000000007-56-9");
        assert_ne!(first.1, second.1);
        assert_eq!(read(7 << 64), [first.clone(), second]);
        assert_ne!(read(8 << 64).first(), Some(&first));
    }

    #[test]
    fn an_id_in_the_exchange_is_honoured_unless_it_is_empty() {
        let given = identify(Generator::Uuid, "10.0.0.1:8000", Some(b"mine")).correlation.unwrap();
        assert_eq!((given.id.as_str(), given.source), ("mine", CorrelationSource::Header));
        let empty = identify(Generator::Tracker, "10.0.0.1:8000", Some(b"")).correlation.unwrap();
        assert_eq!(empty.source, CorrelationSource::Derived);
    }

    #[test]
    fn upstream_legs_have_honoured_ids_only() {
        let mut correlator = Correlator::new(Generator::Tracker, DEFAULT_HEADER.to_owned(), 1);
        let upstream = connection("10.0.0.9:80", Leg::Upstream);
        let without = correlator.identify(&upstream, exchange(Outcome::Complete, None));
        assert_eq!(without.correlation, None);
        let with = correlator.identify(&upstream, exchange(Outcome::Complete, Some(b"mine")));
        assert_eq!(with.correlation.unwrap().id, "mine");
    }

    #[test]
    fn an_exchange_that_comes_again_keeps_its_id() {
        let mut correlator = Correlator::new(Generator::Uuid, DEFAULT_HEADER.to_owned(), 1);
        let client = connection("10.0.0.1:8000", Leg::Client);
        let partial = correlator.identify(&client, exchange(Outcome::Ongoing, None));
        let whole = correlator.identify(&client, exchange(Outcome::Complete, None));
        assert_eq!((partial.id, partial.correlation), (whole.id, whole.correlation));
        let next = correlator.identify(&client, exchange(Outcome::Complete, None));
        assert_ne!(next.correlation, whole_correlation(&mut correlator, &client));
    }

    fn whole_correlation(
        correlator: &mut Correlator,
        client: &Arc<Connection>,
    ) -> Option<Correlation> {
        correlator.identify(client, exchange(Outcome::Complete, None)).correlation
    }
}
