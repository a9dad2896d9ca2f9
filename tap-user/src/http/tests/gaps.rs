//! Bytes that are missing: skipped, lost, or sent before the tap looked.

use super::*;

const SKIPPED: GapCause = GapCause::Skipped;
const MISSED: GapCause = GapCause::Missed;

#[test]
fn gaps_in_bodies_of_known_length_are_counted() {
    let mut talk = Talk::new();
    talk.client(GET).server("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    talk.gap(ToClient, 50, SKIPPED).server("defg").gap(ToClient, 40, MISSED).server("xyz");
    let exchange = talk.only();
    assert_eq!(exchange.outcome, Outcome::Complete);
    let body = exchange.response.unwrap().body;
    assert_eq!(body.bytes, b"abc");
    assert_eq!((body.length, body.wire_length, body.complete), (Some(100), 100, true));
    assert_eq!((body.skipped, body.lost, body.lost_cause), (50, 40, Some(MISSED)));
    // The framing was never in doubt.
    assert_eq!(talk.client(GET).server(OK2).only().outcome, Outcome::Complete);
}

#[test]
fn a_gap_inside_a_chunk_hides_no_framing() {
    let mut talk = Talk::new();
    talk.client(GET).server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc");
    talk.gap(ToClient, 97, SKIPPED).server("\r\n0\r\n\r\n");
    let body = talk.only().response.unwrap().body;
    assert_eq!((body.length, body.complete, body.end_inferred), (Some(100), true, false));
    assert_eq!((body.wire_length, body.skipped), (4 + 100 + 2 + 5, 97));
    assert_eq!(body.bytes, b"abc");
}

/// A chunked response whose framing a gap of 500 bytes has hidden; 55 bytes of body so far.
fn blind() -> Talk {
    let mut talk = Talk::new();
    talk.client(GET).server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc");
    talk.gap(ToClient, 500, SKIPPED);
    assert_eq!(talk.taken(), []);
    talk
}

fn assert_inferred(exchange: &Exchange, wire_length: u64) {
    let body = &exchange.response.as_ref().unwrap().body;
    assert_eq!(exchange.outcome, Outcome::Complete);
    assert_eq!((body.complete, body.end_inferred, body.length), (false, true, None));
    assert_eq!((body.wire_length, body.bytes.as_slice()), (wire_length, &b"abc"[..]));
}

#[test]
fn a_blind_body_ends_with_the_last_chunk_at_a_segments_end() {
    let mut talk = blind();
    talk.server("xx\r\n0\r\n\r\nyy").server("zz\r\n0").server("\r\n\r\n");
    assert_inferred(&talk.only(), 7 + 500 + 11 + 5 + 4);
    assert_inferred(&blind().server("0\r\n\r\n").only(), 7 + 500 + 5);
    assert_eq!(blind().server("10\r\n\r\n").taken(), []);
}

#[test]
fn a_blind_body_ends_when_the_client_speaks() {
    let mut talk = blind();
    assert_inferred(&talk.server("xx").client(GET).only(), 7 + 500 + 2);
    let next = talk.server(OK2).only();
    assert_eq!((next.ordinal, next.outcome), (2, Outcome::Complete));
}

#[test]
fn a_blind_body_ends_before_a_head() {
    let mut talk = Talk::new();
    talk.client(format!("{GET}{GET}"));
    talk.server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc");
    talk.gap(ToClient, 500, SKIPPED).server(OK2);
    let exchanges = talk.taken();
    assert_inferred(&exchanges[0], 7 + 500);
    assert_eq!(brief(&exchanges[1]), (Some("/a".into()), Some(200), Outcome::Complete));
}

#[test]
fn a_blind_body_ends_by_silence() {
    let mut talk = blind();
    talk.server("xx");
    assert_eq!(talk.observer.poll_timeout(), Some(5_004 * MILLISECOND));
    assert_inferred(&talk.wait(5_000).only(), 7 + 500 + 2);
}

#[test]
fn a_blind_body_is_cut_short_by_a_close_unless_the_gap_may_hold_its_end() {
    assert_inferred(&blind().close(ClosedBy::Client, true).only(), 7 + 500);
    let exchange = blind().server("xx").close(ClosedBy::Client, false).only();
    let close = Close { by: ClosedBy::Client, reset: false };
    assert_eq!(exchange.outcome, Outcome::Closed(close));
    let body = exchange.response.unwrap().body;
    assert_eq!((body.complete, body.end_inferred, body.wire_length), (false, false, 509));
}

#[test]
fn a_blind_request_ends_when_the_server_answers() {
    let mut talk = Talk::new();
    talk.client("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc");
    let exchange = talk.gap(ToServer, 500, SKIPPED).client("xx").server(OK2).only();
    let body = exchange.request.unwrap().body;
    assert_eq!((body.end_inferred, body.wire_length), (true, 7 + 500 + 2));
    assert_eq!(talk.client(GET).server(OK2).only().outcome, Outcome::Complete);
}

#[test]
fn a_gap_beyond_a_message_ends_it_and_loses_the_next() {
    let mut talk = Talk::new();
    talk.client(GET).server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    let exchange = talk.gap(ToClient, 20, MISSED).only();
    let body = exchange.response.unwrap().body;
    assert_eq!((body.complete, body.length, body.lost), (true, Some(10), 7));
    // Not a call's start, though it looks like a head: it may be inside a body.
    talk.segment(ToClient, Content::Bytes(OK2.as_bytes()), false);
    assert_eq!(talk.client(GET).server(OK2).only().outcome, Outcome::Complete);
}

#[test]
fn a_lost_response_leaves_its_request_alone() {
    for partial in ["", "HTTP/1.1 200"] {
        let mut talk = Talk::new();
        talk.client(GET).server(partial).gap(ToClient, 99, MISSED);
        talk.client("GET /b HTTP/1.1\r\n\r\n").server(OK2);
        assert_eq!(
            briefs(&talk.taken()),
            [(Some("/a"), None, Outcome::Lost(MISSED)), (Some("/b"), Some(200), Outcome::Complete)]
        );
    }
}

#[test]
fn a_hole_that_shows_late_is_not_guessed_at() {
    // The second response may as well answer a third request, lost like the first response.
    let mut talk = Talk::new();
    talk.client(GET).client("GET /b HTTP/1.1\r\n\r\n").gap(ToClient, 99, MISSED).server(OK2);
    talk.client("GET /c HTTP/1.1\r\n\r\n").server(OK2);
    assert_eq!(
        briefs(&talk.taken()),
        [
            (Some("/a"), None, Outcome::Lost(MISSED)),
            (Some("/b"), None, Outcome::Lost(MISSED)),
            (None, Some(200), Outcome::Lost(MISSED)),
            (Some("/c"), Some(200), Outcome::Complete)
        ]
    );
}

#[test]
fn a_lost_request_leaves_its_response_alone() {
    for partial in ["", "GET /x"] {
        let mut talk = Talk::new();
        talk.client(GET).server(OK2).client(partial).gap(ToServer, 30, MISSED).server(OK2);
        talk.client("GET /b HTTP/1.1\r\n\r\n").server(OK2);
        let exchanges = talk.taken();
        assert_eq!(
            briefs(&exchanges),
            [
                (Some("/a"), Some(200), Outcome::Complete),
                (None, Some(200), Outcome::Lost(MISSED)),
                (Some("/b"), Some(200), Outcome::Complete)
            ]
        );
        let counts: Vec<_> = exchanges.iter().map(|e| (e.ordinal, e.request_ordinal)).collect();
        assert_eq!(counts, [(1, Some(1)), (2, None), (3, Some(2))]);
    }
}

#[test]
fn a_lost_request_does_not_shift_the_next() {
    // The hole shows with the next request, behind the response of the lost one.
    let mut talk = Talk::new();
    talk.client(GET).server(OK2).server(OK2);
    talk.gap(ToServer, 28, MISSED).client("GET /c HTTP/1.1\r\n\r\n").server(OK2);
    assert_eq!(
        briefs(&talk.taken()),
        [
            (Some("/a"), Some(200), Outcome::Complete),
            (None, Some(200), Outcome::Complete),
            (Some("/c"), Some(200), Outcome::Complete)
        ]
    );
}

#[test]
fn a_wrongly_framed_message_behind_a_loss_does_not_shift_the_next() {
    // The lost request was HEAD: its response seems to have a body.
    let to_head = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n";
    let mut talk = Talk::joined();
    talk.client("rest of a head\r\n\r\n").server(to_head);
    talk.client("GET /b HTTP/1.1\r\n\r\n").server(OK2);
    talk.client("GET /c HTTP/1.1\r\n\r\n").server(OK2);
    assert_eq!(
        briefs(&talk.taken()),
        [
            (None, Some(200), Outcome::Complete),
            (Some("/b"), None, Outcome::Lost(MISSED)),
            (Some("/c"), Some(200), Outcome::Complete)
        ]
    );
}

#[test]
fn pipelined_messages_behind_a_loss_are_not_guessed_at() {
    let mut talk = Talk::new();
    talk.client(format!("{GET}{GET}{GET}")).server(OK2).gap(ToClient, 40, MISSED).server(OK2);
    talk.client("GET /b HTTP/1.1\r\n\r\n").server(OK2);
    let exchanges = talk.taken();
    assert_eq!(
        briefs(&exchanges),
        [
            (Some("/a"), Some(200), Outcome::Complete),
            (Some("/a"), None, Outcome::Lost(MISSED)),
            (Some("/a"), None, Outcome::Lost(MISSED)),
            (None, Some(200), Outcome::Lost(MISSED)),
            (Some("/b"), Some(200), Outcome::Complete)
        ]
    );
}

#[test]
fn a_client_that_pipelines_is_not_guessed_at_even_when_all_is_answered() {
    let mut talk = Talk::new();
    talk.client(format!("{GET}{GET}")).server(OK2).server(OK2).taken();
    talk.gap(ToServer, 28, MISSED).client("GET /b HTTP/1.1\r\n\r\n").server(OK2);
    let exchanges = talk.client(GET).server(OK2).taken();
    assert_eq!(
        briefs(&exchanges),
        [
            (Some("/b"), None, Outcome::Lost(MISSED)),
            (None, Some(200), Outcome::Lost(MISSED)),
            (Some("/a"), Some(200), Outcome::Complete)
        ]
    );
}

#[test]
fn requests_before_a_loss_keep_their_responses() {
    let mut talk = Talk::new();
    talk.client(GET).gap(ToServer, 30, MISSED).client("GET /c HTTP/1.1\r\n\r\n");
    talk.server("HTTP/1.1 100 Continue\r\n\r\n").client("GET /d HTTP/1.1\r\n\r\n");
    let exchange = talk.server(OK2).only();
    assert_eq!(brief(&exchange), (Some("/a".into()), Some(200), Outcome::Complete));
    assert_eq!(exchange.interim.len(), 1);
}

#[test]
fn an_early_blind_response_goes_on_while_the_request_does() {
    let mut talk = Talk::new();
    talk.client("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab");
    talk.server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc");
    talk.gap(ToClient, 500, SKIPPED).client("cd").server("xx\r\n0\r\n\r\n");
    assert_inferred(&talk.only(), 7 + 500 + 9);
}

#[test]
fn bytes_behind_a_gap_do_not_tell_the_protocol() {
    let mut talk = Talk::new();
    talk.gap(ToServer, 10, MISSED).client("\x16\x03\x01 middle");
    assert_eq!(talk.observer.protocol(), Protocol::Undecided);
}

#[test]
fn a_lost_response_is_no_abort() {
    let mut talk = Talk::new();
    talk.client(GET).gap(ToClient, 99, MISSED);
    assert_eq!(talk.close(ClosedBy::Client, false).only().outcome, Outcome::Lost(MISSED));
}

// ---- Joined mid-stream

#[test]
fn a_joined_connection_waits_for_the_next_message() {
    let mut talk = Talk::joined();
    talk.server("tail of a body HTTP/1.1 200 OK\r\n\r\n").client(GET).server(OK2);
    let exchange = talk.only();
    assert_eq!(exchange.request_ordinal, Some(1));
    assert_eq!(brief(&exchange), (Some("/a".into()), Some(200), Outcome::Complete));

    let mut talk = Talk::joined();
    let exchange = talk.client("tail of a body").server(OK2).only();
    assert_eq!(brief(&exchange), (None, Some(200), Outcome::Complete));
    // The request under way had its head before the tap looked; the next one is seen whole.
    talk.client("G").client("ET /b HTTP/1.1\r\n\r\n");
    assert_eq!(brief(&talk.server(OK2).only()), (Some("/b".into()), Some(200), Outcome::Complete));
}

#[test]
fn a_joined_connection_is_other_only_by_its_turns() {
    let mut talk = Talk::joined();
    talk.client("\x16\x03\x01 not a turn");
    assert_eq!(talk.observer.protocol(), Protocol::Undecided);
    talk.server("x").client("\x17\x03\x03 a turn");
    assert_eq!(talk.observer.protocol(), Protocol::Tls);

    let mut talk = Talk::joined();
    for _ in 0..3 {
        talk.server("\x01\x02").client("\x03\x04");
    }
    assert_eq!(talk.observer.protocol(), Protocol::Undecided);
    assert_eq!(talk.server("x").client(GET).server(OK2).only().outcome, Outcome::Complete);
    let mut talk = Talk::joined();
    for _ in 0..5 {
        talk.server("\x01\x02").client("\x03\x04");
    }
    assert_eq!(talk.observer.protocol(), Protocol::Other);
}
