//! Bytes: order, repetition, overlap and loss.

use super::*;

#[test]
fn a_plain_exchange() {
    let mut wire = Wire::new();
    wire.handshake().tells(&["0 192.0.2.1:40000 > 192.0.2.2:80 opened Some(1)"]);
    wire.client(C + 1, S + 1, ACK, "ask").tells(&["0 > 0 ask"]);
    wire.server(S + 1, C + 4, ACK, "answer").tells(&["0 < 0 answer"]);
    wire.client(C + 4, S + 7, FIN, "").tells(&["0 > ended"]);
    wire.server(S + 7, C + 5, FIN, "").tells(&["0 < ended", "0 closed by client"]);
    wire.client(C + 5, S + 8, ACK, "").finish().tells(&[]);
    let counters = wire.counters();
    assert_eq!((counters.bytes, counters.delivered_bytes, counters.opened), (9, 9, 1));
    assert_eq!((counters.out_of_order, counters.retransmitted_bytes, counters.holes), (0, 0, 0));
}

#[test]
fn out_of_order_packets_wait_for_those_before_them() {
    let mut wire = Wire::open();
    wire.client(C + 4, S + 1, ACK, "def").client(C + 7, S + 1, ACK, "ghi").tells(&[]);
    wire.client(C + 1, S + 1, ACK, "abc").tells(&["0 > 0 abc", "0 > 3 def", "0 > 6 ghi"]);
    assert_eq!(wire.counters().out_of_order, 2);
}

#[test]
fn retransmissions_are_told_once() {
    let mut wire = Wire::open();
    wire.client(C + 1, S + 1, ACK, "abc").client(C + 1, S + 1, ACK, "abc").tells(&["0 > 0 abc"]);
    wire.client(C + 1, S + 1, ACK, "abcde").client(C + 3, S + 1, ACK, "cdef");
    wire.tells(&["0 > 3 ~de", "0 > 5 ~f"]);
    assert_eq!(wire.counters().retransmitted_bytes, 3 + 3 + 3);
}

#[test]
fn the_first_copy_of_a_byte_wins() {
    let mut wire = Wire::open();
    wire.client(C + 4, S + 1, ACK, "def")
        .client(C + 3, S + 1, ACK, "cDEFg")
        .tells(&["0 > conflict"]);
    wire.client(C + 1, S + 1, ACK, "ab");
    wire.tells(&["0 > 0 ab", "0 > 2 c", "0 > 3 def", "0 > 6 ~g"]);
    assert_eq!((wire.counters().conflicts, wire.counters().retransmitted_bytes), (1, 3));
}

#[test]
fn other_bytes_after_the_first_copy_was_told_are_a_conflict_too() {
    let mut wire = Wire::open();
    wire.client(C + 1, S + 1, ACK, "abc").client(C + 4, S + 1, ACK, "def").told.clear();
    wire.client(C + 1, S + 1, ACK, "abcdef").tells(&[]);
    assert_eq!(wire.counters().conflicts, 0);
    wire.client(C + 1, S + 1, ACK, "abcdXfgh").tells(&["0 > 6 ~gh", "0 > conflict"]);
    assert_eq!(wire.counters().conflicts, 1);
}

#[test]
fn sequence_numbers_wrap() {
    let mut wire = Wire::new();
    wire.client(u32::MAX - 2, 0, SYN, "").server(u32::MAX, u32::MAX - 1, SYN_ACK, "");
    wire.told.clear();
    wire.client(3, 0, ACK, "fg").client(u32::MAX - 1, 0, ACK, "abcde");
    wire.tells(&["0 > 0 abcde", "0 > 5 fg"]);
    wire.server(0, 5, ACK, "yes").tells(&["0 < 0 yes"]);
}

#[test]
fn a_missing_packet_becomes_a_hole_after_a_while() {
    let mut wire = Wire::open();
    wire.client(C + 1, S + 1, ACK, "abc").client(C + 8, S + 1, ACK, "hij").tells(&["0 > 0 abc"]);
    wire.wait(999).tells(&[]);
    wire.wait(1).tells(&["0 > 3 4 packet_missing", "0 > 7 hij"]);
    wire.client(C + 4, S + 1, ACK, "defg").tells(&[]);
    let counters = wire.counters();
    assert_eq!((counters.holes, counters.hole_bytes, counters.retransmitted_bytes), (1, 4, 4));
}

#[test]
fn time_passes_with_the_packets_of_others() {
    let mut wire = Wire::open();
    wire.client(C + 8, S + 1, ACK, "hij").tells(&[]);
    wire.now += 1000;
    wire.client = "192.0.2.9:40000".parse().unwrap();
    wire.client(C, 0, SYN, "").tells(&["0 > 0 7 packet_missing", "0 > 7 hij"]);
}

#[test]
fn what_the_receiver_misses_too_is_waited_for() {
    let mut wire = Wire::open();
    wire.client(C + 4, S + 1, ACK, "def").server(S + 1, C + 1, ACK, "");
    wire.wait(20_000).tells(&[]);
    wire.client(C + 1, S + 1, ACK, "abc").tells(&["0 > 0 abc", "0 > 3 def"]);
    wire.client(C + 9, S + 1, ACK, "ij").server(S + 1, C + 7, ACK, "");
    wire.wait(30_000).tells(&["0 > 6 2 packet_missing", "0 > 8 ij"]);
}

#[test]
fn what_the_receiver_has_is_given_up_early() {
    let mut wire = Wire::open();
    wire.client(C + 4, S + 1, ACK, "d").server(S + 1, C + 5, ACK, "");
    for number in 0..16 {
        wire.tells(&[]);
        wire.client(C + 5 + number, S + 1, ACK, "x");
    }
    assert_eq!(wire.told.first().unwrap(), "0 > 0 3 packet_missing");
    assert_eq!(wire.told.len(), 1 + 1 + 16);
}

#[test]
fn a_response_waits_for_its_request() {
    let mut wire = Wire::open();
    wire.server(S + 1, C + 4, ACK, "answer").tells(&[]);
    wire.client(C + 1, S + 1, ACK, "ask").tells(&["0 > 0 ask", "0 < 0 answer"]);
}

#[test]
fn a_response_waits_for_its_request_on_a_connection_joined_in_the_middle_too() {
    let opened = "0 192.0.2.1:40000 > 192.0.2.2:80 opened None";
    let mut wire = Wire::new();
    wire.server(S + 8, C + 3, ACK, " 200 OK").server(S, C + 3, ACK, "HTTP/1.1").tells(&[]);
    wire.client(C, S, ACK, "ask");
    wire.tells(&[opened, "0 > 0 ask", "0 < 0 HTTP/1.1", "0 < 8  200 OK"]);
    assert_eq!((wire.counters().holes, wire.counters().stray_bytes), (0, 0));
}

#[test]
fn a_request_before_the_capture_is_waited_for_a_while() {
    let opened = "0 192.0.2.1:40000 > 192.0.2.2:80 opened None";
    let mut wire = Wire::new();
    wire.server(S, C + 3, ACK, "HTTP/1.1").wait(999).tells(&[]);
    wire.wait(1).tells(&[opened, "0 < 0 HTTP/1.1"]);
    wire.client(C, S, ACK, "ask").tells(&[]);
    wire.client(C + 3, S + 8, ACK, "again").tells(&["0 > 0 again"]);
    assert_eq!((wire.counters().holes, wire.counters().stray_bytes), (0, 3));
}

#[test]
fn many_packets_without_the_request_show_that_it_came_before_the_capture() {
    let opened = "0 192.0.2.1:40000 > 192.0.2.2:80 opened None";
    let mut wire = Wire::new();
    wire.server(S, C + 3, ACK, "HTTP/1.1");
    for number in 0..16 {
        wire.tells(&[]);
        wire.server(S + 8 + number, C + 3, ACK, "x");
    }
    assert_eq!(wire.told.iter().take(2).collect::<Vec<_>>(), [opened, "0 < 0 HTTP/1.1"]);
    assert_eq!(wire.told.len(), 1 + 1 + 16);
}

#[test]
fn a_request_waits_for_nothing_before_the_capture() {
    let mut wire = Wire::new();
    wire.client(C, S + 8, ACK, "GET / HTTP/1.1\r\n");
    let opened = "0 192.0.2.1:40000 > 192.0.2.2:80 opened None";
    wire.tells(&[opened, "0 > 0 GET / HTTP/1.1\\r\\n"]);
    wire.server(S, C, ACK, "earlier!").tells(&[]);
    wire.server(S + 8, C + 16, ACK, "answer").tells(&["0 < 0 answer"]);
}

#[test]
fn a_lost_request_is_a_hole_before_its_response() {
    let mut wire = Wire::open();
    wire.server(S + 1, C + 4, ACK, "answer").client(C + 4, S + 7, ACK, "again").tells(&[]);
    wire.wait(1000);
    wire.tells(&["0 > 0 3 packet_missing", "0 < 0 answer", "0 > 3 again"]);
}

#[test]
fn the_second_request_waits_for_the_first_response() {
    let mut wire = Wire::open();
    wire.client(C + 1, S + 1, ACK, "ask").tells(&["0 > 0 ask"]);
    wire.server(S + 4, C + 4, ACK, "wer").client(C + 4, S + 7, ACK, "again").tells(&[]);
    wire.server(S + 1, C + 4, ACK, "ans").tells(&["0 < 0 ans", "0 < 3 wer", "0 > 3 again"]);
}

#[test]
fn a_response_lost_at_the_end_of_its_turn_is_told_before_the_next_request() {
    let mut wire = Wire::open();
    wire.client(C + 1, S + 1, ACK, "ask").client(C + 4, S + 7, ACK, "again").wait(1000);
    wire.tells(&["0 > 0 ask", "0 < 0 6 packet_missing", "0 > 3 again"]);
}

#[test]
fn directions_that_wait_for_each_other_go_on() {
    let mut wire = Wire::open();
    // Both first copies are missing; what was sent again acknowledges the other's.
    wire.server(S + 1, C + 4, ACK, "answer").tells(&[]);
    wire.client(C + 1, S + 7, ACK, "ask").tells(&["0 < 0 answer", "0 > 0 ask"]);
}

#[test]
fn cut_packets_leave_a_gap() {
    let mut wire = Wire::open();
    let (client, server) = (wire.client, wire.server);
    wire.packet(client, server, C + 1, S + 1, ACK, "abc", 5).client(C + 9, S + 1, ACK, "ijk");
    wire.tells(&["0 > 0 abc", "0 > 3 5 snap_length", "0 > 8 ijk"]);
    assert_eq!((wire.counters().cut_bytes, wire.counters().holes), (5, 0));
}

#[test]
fn keep_alives_and_window_probes_bring_nothing() {
    let mut wire = Wire::open();
    wire.client(C + 1, S + 1, ACK, "abc").tells(&["0 > 0 abc"]);
    wire.client(C + 3, S + 1, ACK, "").client(C + 3, S + 1, ACK, "\0").tells(&[]);
    assert_eq!((wire.counters().keep_alives, wire.counters().conflicts), (2, 0));
    // A probe of a closed window with the next byte, which then comes again with others.
    wire.client(C + 4, S + 1, ACK, "d").client(C + 4, S + 1, ACK, "def");
    wire.tells(&["0 > 3 d", "0 > 4 ~ef"]);
}

#[test]
fn a_direction_holds_back_no_more_than_its_limit() {
    let limits = FlowLimits { bytes_per_direction: 10_000, ..FlowLimits::default() };
    let mut wire = Wire::with(limits);
    wire.handshake().told.clear();
    let text = "x".repeat(1000);
    for number in 0..20 {
        wire.client(C + 2 + number * 1000, S + 1, ACK, &text);
        assert!(wire.reassembler.held_bytes() <= 10_000);
    }
    assert_eq!(wire.told.first().unwrap(), "0 > 0 1 packet_missing");
    assert_eq!(wire.told.len(), 1 + 20);
}

#[test]
fn all_connections_hold_back_no_more_than_their_limit() {
    let mut wire = Wire::with(FlowLimits { bytes_in_all: 10_000, ..FlowLimits::default() });
    let text = "x".repeat(1000);
    for port in 0..20 {
        wire.client.set_port(30_000 + port);
        wire.handshake().client(C + 2, S + 1, ACK, &text);
        assert!(wire.reassembler.held_bytes() <= 10_000);
    }
    assert!(wire.told.contains(&"0 > 0 1 packet_missing".to_owned()));
    assert!(!wire.told.contains(&"19 > 0 1 packet_missing".to_owned()));
    assert!(wire.counters().pressed > 0);
}

#[test]
fn bytes_far_outside_of_any_window_are_dropped() {
    let mut wire = Wire::open();
    wire.client(C + 1 + (1 << 30) + 1, S + 1, ACK, "x").finish();
    wire.tells(&["0 abandoned: capture_ended"]);
    assert_eq!(wire.counters().implausible, 1);
}
