//! The observer as a whole: written conversations in, exchanges out.

use super::*;
use crate::segment::{Abandonment, Close, ClosedBy, Content, Direction, GapCause, Segment, Time};
use Direction::{ToClient, ToServer};

mod gaps;
mod not_http;
mod properties;

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
        self.exchanges
            .extend(std::iter::from_fn(|| self.observer.poll().map(|exchange| *exchange)));
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

/// The one exchange of a connection on which these bytes flow, client first.
pub(super) fn only_exchange(request: &[u8], response: &[u8]) -> Exchange {
    Talk::new().client(request).server(response).close(ClosedBy::Server, false).only()
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
fn one_request_and_its_response() {
    let mut talk = Talk::new();
    let exchange = talk.client(GET).server(OK2).only();
    assert_eq!((exchange.ordinal, exchange.request_ordinal), (1, Some(1)));
    let request = exchange.request.unwrap();
    assert_eq!((&*request.method, request.target.as_slice()), ("GET", &b"/a"[..]));
    assert_eq!((request.head_length, request.offset), (28, 0));
    assert_eq!((request.first_byte, request.last_byte), (time(1), time(1)));
    assert_eq!(request.body, Body::default());
    let response = exchange.response.unwrap();
    assert_eq!((response.status, &*response.reason), (200, &b"OK"[..]));
    assert_eq!(response.head_length, 38);
    assert_eq!(response.first_byte, time(2));
    assert_eq!(response.body.bytes, b"hi");
    assert_eq!((response.body.length, response.body.wire_length), (Some(2), 2));
    assert!(response.body.complete);
    assert_eq!(talk.observer.protocol(), Protocol::Http1);
    assert_eq!(talk.budget.used(), 0);
}

#[test]
fn keep_alive_and_pipelining_pair_in_order() {
    let mut talk = Talk::new();
    talk.client(GET).server(OK2);
    talk.client("\r\nGET /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\nPOST /d HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
    talk.server("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n");
    talk.server("Content-Length: 1\r\n\r\nx");
    let exchanges = talk.taken();
    let expected = [("/a", 200), ("/b", 204), ("/c", 404), ("/d", 200)];
    let expected = expected.map(|(target, status)| (Some(target), Some(status), Outcome::Complete));
    assert_eq!(briefs(&exchanges), expected);
    let ordinals: Vec<_> = exchanges.iter().map(|e| (e.ordinal, e.request_ordinal)).collect();
    assert_eq!(ordinals, [(1, Some(1)), (2, Some(2)), (3, Some(3)), (4, Some(4))]);
    let last = exchanges[3].request.as_ref().unwrap();
    assert_eq!(last.body.bytes, b"abc");
    // 28 bytes of the first request, 2 of the empty line that counts for nobody.
    assert_eq!(exchanges[1].request.as_ref().unwrap().offset, 30);
}

#[test]
fn bodies_that_the_rules_rule_out() {
    // RFC 9112, section 6.3, rules 1 and 2: lengths in these heads announce nothing.
    for (method, status) in [("HEAD", "200 OK"), ("GET", "304 Not Modified"), ("GET", "204 x")] {
        let mut talk = Talk::new();
        talk.client(format!("{method} / HTTP/1.1\r\n\r\n{GET}"));
        talk.server(format!("HTTP/1.1 {status}\r\nContent-Length: 100\r\n\r\n{OK2}"));
        let exchanges = talk.taken();
        assert_eq!(exchanges.len(), 2, "{method} {status}");
        let body = &exchanges[0].response.as_ref().unwrap().body;
        assert_eq!((body.framing, body.wire_length, body.complete), (Framing::None, 0, true));
    }
}

#[test]
fn interim_responses_precede_the_final_one() {
    let mut talk = Talk::new();
    talk.client("PUT / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    talk.server("HTTP/1.1 100 Continue\r\n\r\n").client("ab");
    talk.server("HTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\n").server(OK2);
    let exchange = talk.only();
    let interim: Vec<_> = exchange.interim.iter().map(|i| (i.status, i.head_length)).collect();
    assert_eq!(interim, [(100, 25), (103, 26 + 12 + 2)]);
    assert_eq!(exchange.request.unwrap().body.bytes, b"ab");
    assert_eq!(exchange.response.unwrap().status, 200);
}

#[test]
fn chunked_bodies_lose_their_framing_and_keep_trailers() {
    let wire = "4;a=b\r\nWiki\r\n5\r\npedia\r\n0\r\nDigest: x\r\n\r\n";
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 3\r\n\r\n";
    let mut talk = Talk::new();
    let exchange = talk.client(GET).server(format!("{head}{wire}")).only();
    let body = exchange.response.unwrap().body;
    assert_eq!((body.framing, body.bytes.as_slice()), (Framing::Chunked, &b"Wikipedia"[..]));
    assert_eq!((body.length, body.wire_length), (Some(9), wire.len() as u64));
    assert_eq!(body.trailers.get("digest"), Some(&b"x"[..]));
    assert!(body.complete && !body.end_inferred);
}

#[test]
fn a_response_may_last_until_its_end() {
    let head = "HTTP/1.0 200 OK\r\n\r\n";
    let mut talk = Talk::new();
    talk.client(GET).server(head).server("abc");
    assert_eq!(talk.taken(), []);
    talk.observer.handle_end(ToClient, time(9));
    talk.drain();
    let exchange = talk.only();
    let body = exchange.response.unwrap().body;
    assert_eq!((body.framing, body.length, body.complete), (Framing::UntilClose, Some(3), true));
    assert_eq!(exchange.outcome, Outcome::Complete);

    for (reset, complete) in [(false, true), (true, false)] {
        let mut talk = Talk::new();
        let exchange =
            talk.client(GET).server(head).server("abc").close(ClosedBy::Server, reset).only();
        assert_eq!(exchange.response.unwrap().body.complete, complete);
        assert_eq!(exchange.outcome == Outcome::Complete, complete);
    }
}

#[test]
fn what_a_close_cuts_short_says_so() {
    let close = Close { by: ClosedBy::Client, reset: false };
    let mut talk = Talk::new();
    talk.client(GET).server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    let exchange = talk.client(GET).close(ClosedBy::Client, false).taken();
    assert_eq!(
        briefs(&exchange),
        [
            (Some("/a"), Some(200), Outcome::Closed(close)),
            (Some("/a"), None, Outcome::Closed(close))
        ]
    );
    let body = &exchange[0].response.as_ref().unwrap().body;
    assert_eq!((body.complete, body.length, body.bytes.as_slice()), (false, Some(3), &b"abc"[..]));
}

#[test]
fn a_half_close_still_gets_its_response() {
    let mut talk = Talk::new();
    talk.client(GET);
    talk.observer.handle_end(ToServer, time(2));
    assert_eq!(talk.server(OK2).only().outcome, Outcome::Complete);
}

#[test]
fn an_early_answer_waits_for_the_request() {
    let post = "POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc";
    let refused = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";
    let mut talk = Talk::new();
    talk.client(post).server(refused);
    assert_eq!(talk.taken(), []);
    assert_eq!(talk.client("def").only().outcome, Outcome::Complete);

    let mut talk = Talk::new();
    let exchange = talk.client(post).server(refused).close(ClosedBy::Server, true).only();
    assert_eq!(exchange.outcome, Outcome::Closed(Close { by: ClosedBy::Server, reset: true }));
    assert!(!exchange.request.unwrap().body.complete);
    assert_eq!(exchange.response.unwrap().status, 413);
}

#[test]
fn upgrades_and_tunnels_end_http() {
    let mut talk = Talk::new();
    talk.client("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    let exchange = talk.server("HTTP/1.1 101 Switching Protocols\r\n\r\n\x01\x02").only();
    assert_eq!((exchange.switch, exchange.outcome), (Some(Switch::Upgrade), Outcome::Complete));
    assert_eq!(talk.observer.protocol(), Protocol::Switched);
    assert_eq!(talk.client(GET).server(OK2).close(ClosedBy::Client, false).taken(), []);

    // What looks like a second request went to the new protocol.
    let mut talk = Talk::new();
    talk.client(format!("GET /ws HTTP/1.1\r\nUpgrade: x\r\n\r\n{GET}"));
    assert_eq!(talk.server("HTTP/1.1 101 S\r\n\r\n").only().switch, Some(Switch::Upgrade));

    let connect = "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n";
    let mut talk = Talk::new();
    let exchange =
        talk.client(connect).server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\x16\x03").only();
    assert_eq!(exchange.switch, Some(Switch::Tunnel));
    assert_eq!(exchange.response.unwrap().body.framing, Framing::None);

    let mut talk = Talk::new();
    let exchange = talk.client(connect).server(OK2.replace("200", "502")).only();
    assert_eq!(exchange.switch, None);
    assert_eq!(exchange.response.unwrap().body.bytes, b"hi");
}

#[test]
fn bodies_are_cut_at_the_cap_and_at_the_budget() {
    for cap in [0, 1, 2, 3] {
        let mut talk = Talk::with(Limits { body_cap: cap, ..Limits::default() }, false);
        let body = talk.client(GET).server(OK2).only().response.unwrap().body;
        assert_eq!(body.bytes, &b"hi"[..usize::try_from(cap).unwrap().min(2)]);
        assert_eq!((body.length, body.complete, body.memory_limited), (Some(2), true, false));
    }
    let budget = MemoryBudget::new(70);
    let mut observer = Observer::new(Limits::default(), budget.clone(), false);
    for (direction, bytes) in [(ToServer, GET), (ToClient, OK2), (ToClient, OK2)] {
        let content = Content::Bytes(bytes.as_bytes());
        let (offset, at_boundary) = (0, true);
        observer.handle_segment(&Segment {
            direction,
            offset,
            time: time(1),
            at_boundary,
            content,
        });
    }
    // Heads of 28 and 38 bytes and a body of 2 fit; the second response's body no longer does.
    let body = observer.poll().unwrap().response.unwrap().body;
    assert_eq!((body.memory_limited, body.bytes.as_slice()), (false, &b"hi"[..]));
    assert_eq!(budget.used(), 38);
    let body = observer.poll().unwrap().response.unwrap().body;
    assert_eq!((body.memory_limited, body.length), (true, Some(2)));
    assert_eq!(budget.used(), 0);
}

#[test]
fn old_exchanges_are_shown_once_before_their_end() {
    let mut talk = Talk::new();
    talk.client(GET).server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    assert_eq!(talk.observer.poll_timeout(), Some(30_001 * MILLISECOND));
    assert_eq!(talk.wait(29_998).taken(), []);
    let shown = talk.wait(1).only();
    assert_eq!((shown.ordinal, shown.outcome), (1, Outcome::Ongoing));
    let body = shown.response.unwrap().body;
    assert_eq!((body.complete, body.bytes.as_slice()), (false, &b"abc"[..]));
    assert_eq!(talk.observer.poll_timeout(), None);
    assert_eq!(talk.wait(60_000).taken(), []);
    let end = talk.server("1\r\nd\r\n0\r\n\r\n").only();
    assert_eq!((end.ordinal, end.request_ordinal, end.outcome), (1, Some(1), Outcome::Complete));
    assert_eq!(end.response.unwrap().body.bytes, b"abcd");
}

#[test]
fn abandoned_exchanges_say_so() {
    let mut talk = Talk::new();
    talk.client(GET);
    talk.observer.handle_abandon(Abandonment::Idle, time(5));
    talk.drain();
    assert_eq!(talk.only().outcome, Outcome::Abandoned(Abandonment::Idle));

    let mut talk = Talk::with(Limits { pending_requests: 2, ..Limits::default() }, false);
    talk.client(GET).client(GET).client(GET);
    let outcomes: Vec<_> = talk.taken().iter().map(|exchange| exchange.outcome).collect();
    assert_eq!(outcomes, [Outcome::Abandoned(Abandonment::TooManyPending); 3]);
    assert_eq!(talk.server(OK2).taken(), []);
    assert_eq!(talk.budget.used(), 0);
}
