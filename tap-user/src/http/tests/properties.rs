//! What must hold for any conversation, however it is cut, and for any bytes at all.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// How a written body is framed.
#[derive(Debug, Clone, Copy)]
enum Written {
    Nothing,
    Length,
    /// In chunks of so many bytes.
    Chunks(usize),
}

/// A message as its peer means it.
#[derive(Debug, Clone)]
struct Message {
    head: String,
    framing: Written,
    content: Vec<u8>,
}

impl Message {
    /// Head and body as they go over the connection.
    fn wire(&self) -> (Vec<u8>, Vec<u8>) {
        let (fields, body) = match self.framing {
            Written::Nothing => (String::new(), Vec::new()),
            Written::Length => {
                (format!("Content-Length: {}\r\n", self.content.len()), self.content.clone())
            }
            Written::Chunks(size) => {
                let mut body = Vec::new();
                for chunk in self.content.chunks(size) {
                    body.extend_from_slice(format!("{:X};x=y\r\n", chunk.len()).as_bytes());
                    body.extend_from_slice(chunk);
                    body.extend_from_slice(b"\r\n");
                }
                body.extend_from_slice(b"0\r\n\r\n");
                ("Transfer-Encoding: chunked\r\n".to_owned(), body)
            }
        };
        (format!("{}\r\n{fields}\r\n", self.head).into_bytes(), body)
    }

    fn bytes(&self) -> Vec<u8> {
        let (head, body) = self.wire();
        [head, body].concat()
    }
}

#[derive(Debug, Clone)]
struct Dialogue {
    request: Message,
    interim: bool,
    response: Message,
}

const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl Dialogue {
    fn response_bytes(&self) -> Vec<u8> {
        let interim = if self.interim { INTERIM } else { b"" };
        [interim, &self.response.bytes()].concat()
    }
}

fn framing() -> impl Strategy<Value = Written> {
    prop_oneof![Just(Written::Length), (1usize..200).prop_map(Written::Chunks)]
}

/// Content of letters only, so that it never looks like framing.
fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(b'a'..=b'z', 0..20), vec(b'a'..=b'z', 0..2000)]
}

fn exchange() -> impl Strategy<Value = Dialogue> {
    let request =
        ("GET|HEAD|PUT|X-ODD", "/[a-z]{0,9}", prop_oneof![framing(), Just(Written::Nothing)]);
    let response = (prop_oneof![Just(200u16), Just(404), Just(304)], framing());
    (request, content(), any::<bool>(), response, content()).prop_map(
        |((method, target, sent), request, interim, (status, answered), response)| {
            let bodiless = method == "HEAD" || status == 304;
            Dialogue {
                request: Message {
                    head: format!("{method} {target} HTTP/1.1"),
                    framing: sent,
                    content: if matches!(sent, Written::Nothing) { Vec::new() } else { request },
                },
                interim,
                response: Message {
                    head: format!("HTTP/1.1 {status} Reason"),
                    framing: if bodiless { Written::Nothing } else { answered },
                    content: if bodiless { Vec::new() } else { response },
                },
            }
        },
    )
}

/// Compares an exchange with what its peers wrote.
fn assert_as_written(seen: &Exchange, written: &Dialogue) {
    assert_eq!(seen.outcome, Outcome::Complete);
    let request = seen.request.as_ref().unwrap();
    let line = format!("{} {}", request.method, String::from_utf8_lossy(&request.target));
    assert_eq!(format!("{line} HTTP/1.1"), written.request.head);
    let response = seen.response.as_ref().unwrap();
    assert_eq!(format!("HTTP/1.1 {} Reason", response.status), written.response.head);
    assert_eq!(seen.interim.len(), usize::from(written.interim));
    let sides = [
        (request.head_length, &request.body, &written.request),
        (response.head_length, &response.body, &written.response),
    ];
    for (head_length, body, message) in sides {
        let (head, wire) = message.wire();
        assert_eq!(head_length, head.len() as u64);
        assert_eq!(body.wire_length, wire.len() as u64);
        assert_eq!(body.length, Some(message.content.len() as u64));
        assert_eq!(body.bytes, message.content);
        assert!(body.complete && !body.end_inferred);
    }
}

/// Cuts `bytes` at the given places.
fn cut<'a>(bytes: &'a [u8], places: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut start = 0;
    let mut pieces = Vec::new();
    for place in places.into_iter().chain([bytes.len()]) {
        pieces.push(&bytes[start..place]);
        start = place;
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn observe(
    observer: &mut Observer,
    direction: Direction,
    offset: &mut u64,
    content: Content<'_>,
    at_boundary: bool,
) {
    let segment = Segment { direction, offset: *offset, time: time(1), at_boundary, content };
    *offset += content.length();
    observer.handle_segment(&segment);
}

fn all(observer: &mut Observer) -> Vec<Exchange> {
    std::iter::from_fn(|| observer.poll().map(|exchange| *exchange)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// However the streams are cut into segments, and wherever these are told to begin, the
    /// exchanges are those that were written.
    #[test]
    fn any_split_gives_the_same_exchanges(
        batches in vec(vec(exchange(), 1..4), 1..4),
        places in vec(any::<Index>(), 0..12),
        boundary in any::<bool>(),
        single_bytes in any::<bool>(),
    ) {
        let mut observer = Observer::new(Limits::default(), MemoryBudget::default(), false);
        let mut offsets = [0u64; 2];
        for batch in &batches {
            let requests: Vec<u8> = batch.iter().flat_map(|e| e.request.bytes()).collect();
            let responses: Vec<u8> = batch.iter().flat_map(Dialogue::response_bytes).collect();
            for (direction, bytes) in [(ToServer, &requests), (ToClient, &responses)] {
                let pieces = if single_bytes { bytes.chunks(1).collect() } else { cut(bytes, &places) };
                let offset = &mut offsets[usize::from(direction == ToClient)];
                for piece in pieces {
                    observe(&mut observer, direction, offset, Content::Bytes(piece), boundary);
                }
            }
        }
        let seen = all(&mut observer);
        let written: Vec<_> = batches.iter().flatten().collect();
        prop_assert_eq!(seen.len(), written.len());
        for (place, (seen, written)) in seen.iter().zip(written).enumerate() {
            assert_as_written(seen, written);
            prop_assert_eq!((seen.ordinal, seen.request_ordinal), (place as u64 + 1, Some(place as u64 + 1)));
        }
    }

    /// A request of a pipeline may still be on its way while earlier ones are answered.
    #[test]
    fn any_interleaving_gives_the_same_exchanges(
        batch in vec(exchange(), 1..5),
        places in vec(any::<Index>(), 4),
        order in vec(any::<bool>(), 0..60),
    ) {
        let mut observer = Observer::new(Limits::default(), MemoryBudget::default(), false);
        let requests: Vec<_> = batch.iter().map(|e| e.request.bytes()).collect();
        let responses: Vec<_> = batch.iter().map(Dialogue::response_bytes).collect();
        let pieces = |messages: &[Vec<u8>]| -> Vec<(usize, Vec<u8>)> {
            let cut = messages.iter().enumerate();
            cut.flat_map(|(i, m)| cut_owned(m, &places).into_iter().map(move |p| (i, p))).collect()
        };
        let (requests, responses) = (pieces(&requests), pieces(&responses));
        let (mut sent, mut answered, mut offsets) = (0, 0, [0u64; 2]);
        let mut order = order.into_iter();
        while answered < responses.len() {
            // A response begins when its request is complete.
            let may_answer = requests[sent..].iter().all(|(of, _)| *of > responses[answered].0);
            let answer = sent == requests.len() || (may_answer && order.next().unwrap_or(false));
            let (direction, place, next) = if answer {
                (ToClient, &mut answered, &responses)
            } else {
                (ToServer, &mut sent, &requests)
            };
            let offset = &mut offsets[usize::from(answer)];
            observe(&mut observer, direction, offset, Content::Bytes(&next[*place].1), true);
            *place += 1;
        }
        let seen = all(&mut observer);
        prop_assert_eq!(seen.len(), batch.len());
        seen.iter().zip(&batch).for_each(|(seen, written)| assert_as_written(seen, written));
    }

    /// Calls as the kernel delivers them beyond its budget (first and last 64 bytes): what the
    /// server sent is what the exchange says, whether or not framing was hidden.
    #[test]
    fn lengths_add_up_over_skipped_calls(
        exchanges in vec(exchange(), 1..5),
        places in vec(any::<Index>(), 0..6),
    ) {
        const KEPT: usize = 64;
        let mut observer = Observer::new(Limits::default(), MemoryBudget::default(), false);
        let (mut offsets, mut sent) = ([0u64; 2], Vec::new());
        for exchange in &exchanges {
            let request = exchange.request.bytes();
            observe(&mut observer, ToServer, &mut offsets[0], Content::Bytes(&request), true);
            let (head, body) = exchange.response.wire();
            let head = if exchange.interim { [INTERIM, &head].concat() } else { head };
            observe(&mut observer, ToClient, &mut offsets[1], Content::Bytes(&head), true);
            for call in cut(&body, &places) {
                if call.len() <= 2 * KEPT {
                    observe(&mut observer, ToClient, &mut offsets[1], Content::Bytes(call), true);
                    continue;
                }
                let (first, last) = (&call[..KEPT], &call[call.len() - KEPT..]);
                let gap = Content::Gap { length: (call.len() - 2 * KEPT) as u64, cause: GapCause::Skipped };
                observe(&mut observer, ToClient, &mut offsets[1], Content::Bytes(first), true);
                observe(&mut observer, ToClient, &mut offsets[1], gap, false);
                observe(&mut observer, ToClient, &mut offsets[1], Content::Bytes(last), false);
            }
            sent.push((head.len() + body.len()) as u64);
        }
        let seen = all(&mut observer);
        prop_assert_eq!(seen.len(), exchanges.len());
        for ((seen, written), sent) in seen.iter().zip(&exchanges).zip(sent) {
            let response = seen.response.as_ref().unwrap();
            let interim: u64 = seen.interim.iter().map(|interim| interim.head_length).sum();
            prop_assert_eq!(interim + response.head_length + response.body.wire_length, sent);
            prop_assert!(written.response.content.starts_with(&response.body.bytes));
            prop_assert_eq!(response.body.complete, !response.body.end_inferred);
            if let Some(length) = response.body.length {
                prop_assert_eq!(length, written.response.content.len() as u64);
            }
        }
    }

    /// Whatever calls are missed, no response is put under a request that it does not answer.
    /// As in the kernel, a hole shows with the next call that is seen in its direction.
    #[test]
    fn nothing_is_paired_wrongly(
        missed in vec(proptest::bool::weighted(0.2), 0..90),
        (bodies, chunked, joined) in (any::<bool>(), any::<bool>(), any::<bool>()),
    ) {
        let mut observer = Observer::new(Limits::default(), MemoryBudget::default(), joined);
        let (mut offsets, mut holes) = ([0u64; 2], [0u64; 2]);
        let mut missed = missed.into_iter();
        for number in 0..15 {
            for (direction, call) in numbered_calls(number, bodies, chunked) {
                let (hole, offset) = match direction {
                    ToServer => (&mut holes[0], &mut offsets[0]),
                    ToClient => (&mut holes[1], &mut offsets[1]),
                };
                if missed.next() == Some(true) {
                    *hole += call.len() as u64;
                    continue;
                }
                if *hole > 0 {
                    let gap = Content::Gap { length: *hole, cause: GapCause::Missed };
                    observe(&mut observer, direction, offset, gap, false);
                    *hole = 0;
                }
                observe(&mut observer, direction, offset, Content::Bytes(call.as_bytes()), true);
            }
        }
        observer.handle_abandon(Abandonment::CaptureEnded, time(1));
        for exchange in all(&mut observer) {
            let (Some(request), Some(response)) = (&exchange.request, &exchange.response) else { continue };
            prop_assert_eq!(request.headers.get("number"), response.headers.get("number"), "{:?}", exchange);
        }
    }

    /// Any bytes, any gaps, any order: no panic, bounded memory, and never more in the records
    /// than there was on the connection.
    #[test]
    fn anything_is_survived(steps in vec(step(), 0..60), joined in any::<bool>()) {
        let budget = MemoryBudget::new(4096);
        let limits = Limits { head_bytes: 256, fields: 4, body_cap: 100, pending_requests: 3, ..Limits::default() };
        let mut observer = Observer::new(limits, budget.clone(), joined);
        let (mut offsets, mut now, mut seen) = ([0u64; 2], 0, Vec::new());
        for step in &steps {
            match step {
                Step::Segment(direction, content, at_boundary) => {
                    let content = match content {
                        Ok(bytes) => Content::Bytes(bytes),
                        Err(gap) => Content::Gap { length: *gap, cause: GapCause::Missed },
                    };
                    let offset = &mut offsets[usize::from(*direction == ToClient)];
                    let (direction, at_boundary) = (*direction, *at_boundary);
                    observer.handle_segment(&Segment { direction, offset: *offset, time: time(now), at_boundary, content });
                    *offset += content.length();
                }
                Step::Wait(milliseconds) => {
                    now += milliseconds;
                    observer.handle_timeout(time(now));
                }
                Step::End(direction) => observer.handle_end(*direction, time(now)),
            }
            seen.extend(all(&mut observer));
            // Two partial heads, four exchanges with two heads each, interim heads, bodies.
            prop_assert!(budget.used() <= (2 + 4 * (2 + 64)) * 256 + 4096);
        }
        observer.handle_close(Close { by: ClosedBy::Server, reset: false }, time(now));
        seen.extend(all(&mut observer));
        prop_assert_eq!(budget.used(), 0);
        prop_assert_eq!(observer.poll_timeout(), None);

        let ended: Vec<_> = seen.iter().filter(|e| e.outcome != Outcome::Ongoing).collect();
        prop_assert!(ended.is_sorted_by(|a, b| a.ordinal < b.ordinal));
        let [sent, answered] = ended.iter().fold([0, 0], |[sent, answered], exchange| {
            let interim: u64 = exchange.interim.iter().map(|interim| interim.head_length).sum();
            let request = exchange.request.as_ref().map_or(0, |r| r.head_length + r.body.wire_length);
            let response = exchange.response.as_ref().map_or(0, |r| r.head_length + r.body.wire_length);
            [sent + request, answered + interim + response]
        });
        prop_assert!(sent <= offsets[0] && answered <= offsets[1]);
    }
}

fn cut_owned(bytes: &[u8], places: &[Index]) -> Vec<Vec<u8>> {
    cut(bytes, places).into_iter().map(<[u8]>::to_vec).collect()
}

/// The calls of one exchange; its number stands in both heads.
fn numbered_calls(number: u32, bodies: bool, chunked: bool) -> Vec<(Direction, String)> {
    let framing = if chunked { "Transfer-Encoding: chunked" } else { "Content-Length: 12" };
    let body = if chunked { ["2\r\nab\r\n", "0\r\n\r\n"] } else { ["abcdefghijk", "l"] };
    let head = |line: &str| format!("{line}\r\nNumber: {number}\r\n{framing}\r\n\r\n");
    let post = if bodies {
        head("POST / HTTP/1.1")
    } else {
        head("GET / HTTP/1.1").replace(framing, "A: b")
    };
    let mut calls = vec![(ToServer, post)];
    if bodies {
        calls.extend(body.map(|body| (ToServer, body.to_owned())));
    }
    calls.push((ToClient, head("HTTP/1.1 200 OK")));
    calls.extend(body.map(|body| (ToClient, body.to_owned())));
    calls
}

#[derive(Debug, Clone)]
enum Step {
    Segment(Direction, Result<Vec<u8>, u64>, bool),
    Wait(u64),
    End(Direction),
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(ToServer), Just(ToClient)]
}

fn step() -> impl Strategy<Value = Step> {
    let words = prop_oneof![
        Just("GET / HTTP/1.1\r\n"),
        Just("HEAD /h HTTP/1.0\r\n"),
        Just("CONNECT a:1 HTTP/1.1\r\n"),
        Just("HTTP/1.1 200 OK\r\n"),
        Just("HTTP/1.1 100 Continue\r\n\r\n"),
        Just("HTTP/1.1 101 S\r\n\r\n"),
        Just("Content-Length: 7\r\n"),
        Just("Content-Length: 300\r\n"),
        Just("Transfer-Encoding: chunked\r\n"),
        Just("\r\n"),
        Just("\n"),
        Just("5\r\nabcde\r\n"),
        Just("0\r\n\r\n"),
        Just("0\r\nA: b\r\n\r\n"),
        Just(" fold\r\n"),
        Just("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n"),
        Just("\x05\x01\0\x05\x01\0\x01abcd\0\x50"),
        Just("\x05\0\x05\0\0\x01abcd\0\x50"),
        Just("abcdefg"),
        Just("\x16\x03\x01"),
    ];
    let text = vec(words, 1..5).prop_map(|words| words.concat().into_bytes());
    let bytes = prop_oneof![8 => text, 1 => vec(any::<u8>(), 1..40)];
    let content = prop_oneof![6 => bytes.prop_map(Ok), 1 => (1u64..400).prop_map(Err)];
    prop_oneof![
        12 => (direction(), content, any::<bool>()).prop_map(|(d, c, b)| Step::Segment(d, c, b)),
        1 => prop_oneof![Just(10), Just(6_000), Just(40_000)].prop_map(Step::Wait),
        1 => direction().prop_map(Step::End),
    ]
}
