//! How connections begin and end, and who is the client.

use super::*;

#[test]
fn a_connection_joined_in_the_middle_begins_with_its_first_bytes() {
    let mut wire = Wire::new();
    wire.client(C, S, ACK, "").tells(&[]);
    wire.client(C, S, ACK, "GET / HTTP/1.1\r\n");
    let opened = "0 192.0.2.1:40000 > 192.0.2.2:80 opened None";
    wire.tells(&[opened, "0 > 0 GET / HTTP/1.1\\r\\n"]);
    wire.server(S, C + 16, ACK, "HTTP/1.1").tells(&["0 < 0 HTTP/1.1"]);
    assert_eq!(wire.counters().opened_mid_stream, 1);
}

#[test]
fn a_response_tells_the_roles_too() {
    let mut wire = Wire::new();
    wire.client.set_port(79);
    wire.server(S, C, ACK, "HTTP/1.1 200 OK\r\n").wait(1000);
    let opened = "0 192.0.2.1:79 > 192.0.2.2:80 opened None";
    wire.tells(&[opened, "0 < 0 HTTP/1.1 200 OK\\r\\n"]);
}

#[test]
fn bytes_that_tell_no_role_wait_for_those_that_do() {
    let mut wire = Wire::new();
    wire.client.set_port(80);
    wire.server.set_port(40_000);
    wire.server(S, C, ACK, "body").client(C, S + 4, ACK, "GET / HTTP/1.1\r\n");
    let opened = "0 192.0.2.1:80 > 192.0.2.2:40000 opened None";
    wire.tells(&[opened, "0 < 0 body", "0 > 0 GET / HTTP/1.1\\r\\n"]);
    assert_eq!(wire.counters().roles_guessed, 0);
}

#[test]
fn roles_are_guessed_by_port_after_a_while() {
    let mut wire = Wire::new();
    wire.server(S, C, ACK, "body").wait(999).tells(&[]);
    wire.wait(1).tells(&["0 192.0.2.1:40000 > 192.0.2.2:80 opened None", "0 < 0 body"]);
    assert_eq!(wire.counters().roles_guessed, 1);
}

#[test]
fn roles_are_guessed_when_too_much_waits() {
    let mut wire = Wire::with(FlowLimits { role_bytes: 2000, ..FlowLimits::default() });
    let text = "x".repeat(1000);
    wire.client(C, S, ACK, &text).tells(&[]);
    wire.client(C + 1000, S, ACK, &text);
    assert_eq!(wire.told.first().unwrap(), "0 192.0.2.1:40000 > 192.0.2.2:80 opened None");
}

#[test]
fn before_anything_is_told_the_beginning_may_move_to_the_front() {
    let mut wire = Wire::new();
    wire.client(C + 3, S, ACK, "def").client(C, S, ACK, "abc").finish();
    let opened = "0 192.0.2.1:40000 > 192.0.2.2:80 opened None";
    wire.tells(&[opened, "0 > 0 abc", "0 > 3 def", "0 abandoned: capture_ended"]);
}

#[test]
fn the_reply_to_a_missed_handshake_tells_the_roles() {
    let mut wire = Wire::new();
    wire.server(S, C + 1, SYN_ACK, "").client(C + 1, S + 1, ACK, "ask");
    wire.tells(&["0 192.0.2.1:40000 > 192.0.2.2:80 opened Some(1)", "0 > 0 ask"]);
}

#[test]
fn a_missed_handshake_reply_is_made_up_for() {
    let mut wire = Wire::new();
    wire.client(C, 0, SYN, "").client(C + 1, S + 1, ACK, "ask").server(S + 3, C + 4, ACK, "ly");
    wire.finish().tells(&[
        "0 192.0.2.1:40000 > 192.0.2.2:80 opened Some(1)",
        "0 > 0 ask",
        "0 < 0 2 packet_missing",
        "0 < 2 ly",
        "0 abandoned: capture_ended",
    ]);
}

#[test]
fn one_direction_alone_is_told_as_well() {
    let mut wire = Wire::new();
    wire.client(C, 0, SYN, "").client(C + 1, 0, NONE, "ask").client(C + 4, 0, Flags::FIN, "");
    wire.finish().tells(&[
        "0 192.0.2.1:40000 > 192.0.2.2:80 opened Some(1)",
        "0 > 0 ask",
        "0 > ended",
        "0 abandoned: capture_ended",
    ]);
}

#[test]
fn a_syn_may_carry_data() {
    let mut wire = Wire::new();
    wire.client(C, 0, SYN, "ask").server(S, C + 4, SYN_ACK, "").server(S + 1, C + 4, ACK, "yes");
    wire.tells(&["0 192.0.2.1:40000 > 192.0.2.2:80 opened Some(1)", "0 > 0 ask", "0 < 0 yes"]);
}

#[test]
fn a_client_may_try_again_with_another_number() {
    let mut wire = Wire::new();
    wire.client(C, 0, SYN, "").client(C + 777, 0, SYN, "").server(S, C + 778, SYN_ACK, "");
    wire.client(C + 778, S + 1, ACK, "ask");
    wire.tells(&["0 192.0.2.1:40000 > 192.0.2.2:80 opened Some(2)", "0 > 0 ask"]);
}

#[test]
fn both_may_open_at_once() {
    let mut wire = Wire::new();
    wire.client(C, 0, SYN, "").server(S, 0, SYN, "");
    wire.client(C, S + 1, SYN_ACK, "").server(S, C + 1, SYN_ACK, "");
    wire.tells(&["0 192.0.2.1:40000 > 192.0.2.2:80 opened Some(1)"]);
    wire.client(C + 1, S + 1, ACK, "ask").server(S + 1, C + 4, ACK, "yes");
    wire.tells(&["0 > 0 ask", "0 < 0 yes"]);
}

#[test]
fn a_refused_connection_is_none() {
    let mut wire = Wire::new();
    wire.client(C, 0, SYN, "").server(0, C + 1, RST.union(ACK), "").finish().tells(&[]);
    assert_eq!((wire.counters().resets, wire.counters().opened), (1, 0));
}

#[test]
fn both_may_close_at_once() {
    let mut wire = Wire::open();
    wire.server(S + 1, C + 1, FIN, "").client(C + 1, S + 1, FIN, "");
    wire.tells(&["0 < ended", "0 > ended", "0 closed by server"]);
    wire.server(S + 2, C + 2, ACK, "").client(C + 2, S + 2, ACK, "").finish().tells(&[]);
}

#[test]
fn half_open_connections_go_on_in_one_direction() {
    let mut wire = Wire::open();
    wire.client(C + 1, S + 1, FIN, "ask").tells(&["0 > 0 ask", "0 > ended"]);
    wire.server(S + 1, C + 5, ACK, "one").server(S + 4, C + 5, ACK, "two");
    wire.tells(&["0 < 0 one", "0 < 3 two"]);
    wire.server(S + 7, C + 5, FIN, "").tells(&["0 < ended", "0 closed by client"]);
}

#[test]
fn a_fin_out_of_order_waits() {
    let mut wire = Wire::open();
    wire.client(C + 4, S + 1, FIN, "").tells(&[]);
    wire.client(C + 1, S + 1, ACK, "abc").tells(&["0 > 0 abc", "0 > ended"]);
    wire.client(C + 4, S + 1, FIN, "").client(C + 5, S + 1, ACK, "late").tells(&[]);
    assert_eq!(wire.counters().stray_bytes, 4);
}

#[test]
fn a_reset_ends_the_connection() {
    let mut wire = Wire::open();
    wire.client(C + 1, S + 1, ACK, "ask").client(C + 5, S + 1, ACK, "more").server(
        S + 1,
        0,
        RST,
        "",
    );
    wire.tells(&["0 > 0 ask"]).wait(999).tells(&[]);
    wire.wait(1).tells(&["0 > 3 1 packet_missing", "0 > 4 more", "0 closed by server with reset"]);
    wire.client(C + 9, S + 1, ACK, "late").finish().tells(&[]);
    assert_eq!(wire.counters().stray_bytes, 4);
}

#[test]
fn a_reset_that_its_receiver_ignored_ends_nothing() {
    let mut wire = Wire::open();
    wire.client(C + 1, 0, RST, "").client(C + 1, S + 1, ACK, "ask").tells(&[]);
    wire.server(S + 1, C + 4, ACK, "").tells(&["0 > 0 ask"]);
    wire.server(S + 1, C + 4, ACK, "answer").tells(&["0 < 0 answer"]);
    wire.client(C + 4, S + 7, FIN, "").server(S + 7, C + 5, FIN, "");
    wire.tells(&["0 > ended", "0 < ended", "0 closed by client"]);
    assert_eq!((wire.counters().ignored_resets, wire.counters().resets), (1, 0));
}

#[test]
fn what_was_under_way_when_a_reset_came_proves_nothing() {
    let mut wire = Wire::open();
    wire.client(C + 1, S + 1, ACK, "ask").client(C + 4, 0, RST, "").told.clear();
    wire.server(S + 1, C + 4, ACK, "answer").client(C + 1, S + 1, ACK, "ask");
    wire.server(S + 7, C + 4, ACK, "").server(S + 7, C + 500, ACK, "").tells(&[]);
    wire.wait(1000).tells(&["0 closed by client with reset"]);
    assert_eq!((wire.counters().resets, wire.counters().stray_bytes), (1, 6 + 3));
}

#[test]
fn many_packets_behind_a_reset_prove_it() {
    let mut wire = Wire::open();
    wire.client(C + 1, S + 1, ACK, "ask").client(C + 4, 0, RST, "").told.clear();
    for number in 0..17 {
        wire.tells(&[]);
        wire.server(S + 1 + number, C + 4, ACK, "x");
    }
    wire.tells(&["0 closed by client with reset"]);
    assert_eq!((wire.reassembler.held_bytes(), wire.counters().stray_bytes), (0, 17));
}

#[test]
fn ports_are_used_again_right_after_a_reset() {
    let mut wire = Wire::open();
    wire.client(C + 1, S + 1, RST, "").client(C + 9000, 0, SYN, "");
    wire.tells(&["0 closed by client with reset"]);
    wire.server(S + 9000, C + 9001, SYN_ACK, "").client(C + 9001, S + 9001, ACK, "ask");
    wire.tells(&["1 192.0.2.1:40000 > 192.0.2.2:80 opened Some(5)", "1 > 0 ask"]);
    assert_eq!((wire.counters().resets, wire.counters().replaced), (1, 0));
}

#[test]
fn a_reset_at_the_end_of_the_file_is_believed() {
    let mut wire = Wire::open();
    wire.server(S + 1, C + 1, RST, "").client(C + 1, S + 1, ACK, "late").tells(&[]);
    wire.finish().tells(&["0 closed by server with reset"]);
    assert_eq!(wire.counters().stray_bytes, 4);
}

#[test]
fn a_blind_reset_ends_nothing() {
    let mut wire = Wire::open();
    wire.client(C + 1, S + 1, ACK, "ask").server(S + 1, C + 4, ACK, "yes").told.clear();
    wire.server(S + 500, 0, RST, "")
        .client(C - 100, 0, RST, "")
        .client(C + 2, 0, RST, "")
        .tells(&[]);
    wire.client(C + 4, S + 4, ACK, "again").tells(&["0 > 3 again"]);
    assert_eq!(wire.counters().ignored_resets, 3);
}

#[test]
fn a_reset_after_a_fin_keeps_who_ended_it() {
    let mut wire = Wire::open();
    wire.server(S + 1, C + 1, FIN, "").client(C + 1, 0, RST, "").wait(1000);
    wire.tells(&["0 < ended", "0 closed by server with reset"]);
}

#[test]
fn ports_are_used_again() {
    let mut wire = Wire::open();
    wire.client(C + 1, S + 1, FIN, "").server(S + 1, C + 2, FIN, "").told.clear();
    wire.client(C, 0, SYN, "").tells(&[]);
    wire.client(C + 9000, 0, SYN, "").server(S + 9000, C + 9001, SYN_ACK, "");
    wire.client(C + 9001, S + 9001, ACK, "ask");
    wire.tells(&["1 192.0.2.1:40000 > 192.0.2.2:80 opened Some(7)", "1 > 0 ask"]);
}

#[test]
fn ports_are_used_again_though_the_end_was_missed() {
    let mut wire = Wire::open();
    wire.client(C + 1, S + 1, ACK, "ask").told.clear();
    wire.client(C + 9000, 0, SYN, "").tells(&[]);
    wire.server(S + 9000, C + 9001, SYN_ACK, "").client(C + 9001, S + 9001, ACK, "new");
    wire.tells(&[
        "0 abandoned: replaced",
        "1 192.0.2.1:40000 > 192.0.2.2:80 opened Some(5)",
        "1 > 0 new",
    ]);
    assert_eq!(wire.counters().replaced, 1);
}

#[test]
fn a_blind_syn_ends_nothing() {
    let mut wire = Wire::open();
    wire.client(C + 9000, 0, SYN, "").server(S + 1, C + 1, ACK, "").client(
        C + 1,
        S + 1,
        ACK,
        "ask",
    );
    wire.tells(&["0 > 0 ask"]);
}

#[test]
fn ignored_connections_are_counted_until_their_end() {
    let mut wire = Wire::open();
    wire.ignore = true;
    wire.client(C + 1, S + 1, ACK, "ask").tells(&["0 > 0 ask"]);
    wire.client(C + 9, S + 1, ACK, "far").server(S + 1, C + 4, ACK, "answer").tells(&[]);
    assert_eq!((wire.counters().ignored_bytes, wire.reassembler.held_bytes()), (9, 0));
    wire.client(C + 12, S + 7, FIN, "").server(S + 7, C + 13, FIN, "");
    wire.tells(&["0 closed by client"]);
}

#[test]
fn too_many_connections_push_out_the_closed_and_then_the_oldest() {
    let mut wire = Wire::with(FlowLimits { connections: 2, ..FlowLimits::default() });
    wire.handshake().client.set_port(40_001);
    wire.handshake().client(C + 1, 0, RST, "").wait(1000).client.set_port(40_002);
    wire.told.clear();
    wire.handshake().tells(&["2 192.0.2.1:40002 > 192.0.2.2:80 opened Some(1008)"]);
    assert_eq!(wire.counters().evictions, 0);
    wire.client.set_port(40_003);
    wire.client(C, 0, SYN, "").tells(&["0 abandoned: evicted"]);
    assert_eq!(wire.counters().evictions, 1);
}

#[test]
fn silent_connections_are_given_up() {
    let mut wire = Wire::with(FlowLimits { idle_ns: 10 * MILLISECOND, ..FlowLimits::default() });
    wire.handshake().told.clear();
    wire.wait(9).tells(&[]);
    wire.wait(1).tells(&["0 abandoned: idle"]);
    assert_eq!(wire.counters().idle, 1);
}

#[test]
fn the_end_of_the_file_abandons_all_in_their_order() {
    let mut wire = Wire::open();
    wire.client(C + 2, S + 1, ACK, "b").client.set_port(30_000);
    wire.handshake().told.clear();
    wire.finish();
    wire.tells(&[
        "0 > 0 1 packet_missing",
        "0 > 1 b",
        "0 abandoned: capture_ended",
        "1 abandoned: capture_ended",
    ]);
}

#[test]
fn mapped_addresses_are_plain() {
    let mut wire = Wire::new();
    wire.client(C, 0, SYN, "");
    wire.client = "[::ffff:192.0.2.1]:40000".parse().unwrap();
    wire.server = "[::ffff:192.0.2.2]:80".parse().unwrap();
    wire.server(S, C + 1, SYN_ACK, "");
    wire.tells(&["0 192.0.2.1:40000 > 192.0.2.2:80 opened Some(1)"]);
}

#[test]
fn nothing_comes_before_an_end_that_was_told() {
    let mut wire = Wire::new();
    wire.server(S, 0, NONE, "HTTP/1.1 ").client(C, 0, Flags::FIN, "");
    let opened = "0 192.0.2.1:40000 > 192.0.2.2:80 opened None";
    wire.tells(&[opened, "0 < 0 HTTP/1.1 ", "0 > ended"]);
    wire.client(C - 3, 0, NONE, "abc").tells(&[]);
    assert_eq!(wire.counters().stray_bytes, 3);
}

#[test]
fn a_syn_alone_takes_nothing_from_a_connection_joined_in_the_middle() {
    let mut wire = Wire::new();
    wire.server(S + 3, 0, NONE, "body").server(S + 9000, 0, SYN, "").finish();
    let opened = "0 192.0.2.1:40000 > 192.0.2.2:80 opened None";
    wire.tells(&[opened, "0 < 0 body", "0 abandoned: capture_ended"]);
}

#[test]
fn packets_without_their_payload_are_bounded_too() {
    let mut wire = Wire::with(FlowLimits { bytes_in_all: 10_000, ..FlowLimits::default() });
    let (client, server) = (wire.client, wire.server);
    for number in 0..1000 {
        wire.packet(client, server, C + number * 20, 0, NONE, "", 10);
        assert!(wire.reassembler.held_bytes() <= 10_000);
    }
}
