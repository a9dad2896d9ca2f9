//! The observer as a whole: written conversations in, exchanges out.

use super::*;
use crate::segment::{Close, ClosedBy, Content, Direction, GapCause, Segment, Time};
use Direction::{ToClient, ToServer};
use proptest::prelude::*;

const MILLISECOND: u64 = 1_000_000;

fn time(milliseconds: u64) -> Time {
    Time { monotonic_ns: milliseconds * MILLISECOND, unix_ns: milliseconds * MILLISECOND }
}

/// Feeds an observer and keeps count of offsets and time (one millisecond a segment).
struct Talk {
    observer: Observer,
    budget: MemoryBudget,
    offsets: [u64; 2],
    now: u64,
    exchanges: Vec<Exchange>,
}

impl Talk {
    fn new() -> Self {
        Self::with(Limits::default(), false)
    }

    fn joined() -> Self {
        Self::with(Limits::default(), true)
    }

    fn with(limits: Limits, joined: bool) -> Self {
        let budget = MemoryBudget::default();
        let observer = Observer::new(limits, budget.clone(), joined);
        Self { observer, budget, offsets: [0; 2], now: 0, exchanges: Vec::new() }
    }

    fn segment(&mut self, direction: Direction, content: Content<'_>, at_boundary: bool) {
        self.now += 1;
        let offset = &mut self.offsets[usize::from(direction == ToClient)];
        let segment =
            Segment { direction, offset: *offset, time: time(self.now), at_boundary, content };
        *offset += content.length();
        self.observer.handle_segment(&segment);
        self.drain();
    }

    fn drain(&mut self) {
        self.exchanges.extend(std::iter::from_fn(|| self.observer.poll()));
    }

    fn client(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.segment(ToServer, Content::Bytes(bytes.as_ref()), true);
        self
    }

    fn server(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.segment(ToClient, Content::Bytes(bytes.as_ref()), true);
        self
    }

    fn gap(&mut self, direction: Direction, length: u64, cause: GapCause) -> &mut Self {
        self.segment(direction, Content::Gap { length, cause }, false);
        self
    }

    fn wait(&mut self, milliseconds: u64) -> &mut Self {
        self.now += milliseconds;
        self.observer.handle_timeout(time(self.now));
        self.drain();
        self
    }

    fn close(&mut self, by: ClosedBy, reset: bool) -> &mut Self {
        self.observer.handle_close(Close { by, reset }, time(self.now));
        self.drain();
        self
    }

    fn taken(&mut self) -> Vec<Exchange> {
        std::mem::take(&mut self.exchanges)
    }

    fn only(&mut self) -> Exchange {
        let mut taken = self.taken();
        assert_eq!(taken.len(), 1, "{taken:#?}");
        taken.remove(0)
    }
}

fn brief(exchange: &Exchange) -> (Option<String>, Option<u16>, Outcome) {
    let target = exchange.request.as_ref().map(|r| String::from_utf8_lossy(&r.target).into_owned());
    (target, exchange.response.as_ref().map(|r| r.status), exchange.outcome)
}

fn briefs(exchanges: &[Exchange]) -> Vec<(Option<&str>, Option<u16>, Outcome)> {
    exchanges
        .iter()
        .map(|exchange| {
            let target = exchange.request.as_ref().map(|r| std::str::from_utf8(&r.target).unwrap());
            (target, exchange.response.as_ref().map(|r| r.status), exchange.outcome)
        })
        .collect()
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const OK2: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn smoke() {
    let exchange = Talk::new().client(GET).server(OK2).only();
    assert_eq!(brief(&exchange), (Some("/a".into()), Some(200), Outcome::Complete));
}
