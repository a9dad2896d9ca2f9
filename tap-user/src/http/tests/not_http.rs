//! What is no HTTP/1 message, or stands before one.

use super::*;

#[test]
fn a_malformed_request_leaves_its_response_alone() {
    let refused = OK2.replace("200 OK", "400 Bad Request");
    for request in ["GET /\r\nx: y\r\n\r\n", "GET / HTTP/1.1 x\r\n\r\n", "GET /unfinis"] {
        let exchange = Talk::new().client(request).server(&refused).only();
        assert_eq!(brief(&exchange), (None, Some(400), Outcome::Malformed), "{request}");
        assert_eq!((exchange.ordinal, exchange.request_ordinal), (1, None));
    }
    assert_eq!(Talk::new().client("GET /unfinis").close(ClosedBy::Client, false).taken(), []);
    assert_eq!(Talk::new().client("\r\n").close(ClosedBy::Client, false).taken(), []);
}

#[test]
fn a_request_with_an_invalid_length_keeps_its_head() {
    let fields = [
        "Content-Length: 5, 6",
        "Content-Length: -1",
        "Content-Length: 1\r\nContent-Length: 2",
        "Transfer-Encoding: chunked, x",
        "Content-Length:",
    ];
    for field in fields {
        let request = format!("POST /p HTTP/1.1\r\n{field}\r\n\r\nabcde");
        let refused = OK2.replace("200 OK", "400 Bad Request");
        let exchange = Talk::new().client(request).server(refused).only();
        assert_eq!(brief(&exchange), (Some("/p".into()), Some(400), Outcome::Malformed), "{field}");
        assert!(exchange.request.unwrap().body.malformed);
    }
}

#[test]
fn equal_lengths_are_one_length() {
    let request = "POST /p HTTP/1.1\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\nab";
    let exchange = Talk::new().client(request).server(OK2).only();
    assert_eq!(exchange.outcome, Outcome::Complete);
    assert_eq!(exchange.request.unwrap().body.framing, Framing::ContentLength(2));
}

#[test]
fn broken_chunks_end_the_body() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let exchange = Talk::new().client(GET).server(format!("{head}3\r\nabc\r\nzz\r\n")).only();
    assert_eq!(exchange.outcome, Outcome::Malformed);
    let body = exchange.response.unwrap().body;
    assert!(body.malformed && !body.complete);
    assert_eq!(body.bytes, b"abc");
}

#[test]
fn heads_beyond_the_limits_are_malformed() {
    let limits = Limits { head_bytes: 64, fields: 2, ..Limits::default() };
    for fields in [format!("A: {}\r\n", "x".repeat(60)), "A: b\r\n".repeat(3)] {
        let request = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        for size in [1, 7, 1000] {
            let mut talk = Talk::with(limits.clone(), false);
            for piece in request.as_bytes().chunks(size) {
                talk.client(piece);
                assert!(talk.budget.used() <= 64);
            }
            assert_eq!(talk.server(OK2).only().outcome, Outcome::Malformed);
        }
    }
}

#[test]
fn other_protocols_are_recognised() {
    for (direction, bytes, protocol) in [
        (ToServer, &b"\x16\x03\x01\x02\x00\x01\x00"[..], Protocol::Tls),
        (ToServer, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Protocol::Http2),
        (ToServer, b"*1\r\n$4\r\nPING\r\n", Protocol::Redis),
        (ToServer, b"\0\0\0\x08\x04\xd2\x16\x2f", Protocol::Postgres),
        (ToClient, b"J\0\0\0\n8.0.36\0", Protocol::Mysql),
        (ToClient, b"220 mail ESMTP\r\n", Protocol::Other),
        (ToServer, b"SSH-2.0-x\r\n", Protocol::Other),
        (ToServer, b"HELP me\r\n\r\n", Protocol::Other),
    ] {
        for size in [1, 3, 100] {
            let mut talk = Talk::new();
            for piece in bytes.chunks(size) {
                talk.segment(direction, Content::Bytes(piece), true);
            }
            assert_eq!(talk.observer.protocol(), protocol, "{}", bytes.escape_ascii());
            assert_eq!(talk.client(GET).server(OK2).taken(), []);
        }
    }
    assert_eq!(Talk::new().observer.protocol(), Protocol::Undecided);
    let mut talk = Talk::new();
    assert_eq!(talk.client("BREW").observer.protocol(), Protocol::Undecided);
    assert_eq!(talk.client(" /pot HTTP/1.1\r\n\r\n").observer.protocol(), Protocol::Http1);
}

#[test]
fn proxy_headers_are_read_and_count_for_nobody() {
    let text = b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 80\r\n".to_vec();
    let mut binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x10".to_vec();
    binary.extend_from_slice(&[192, 0, 2, 1, 192, 0, 2, 2, 0x0f, 0xa0, 0, 80]);
    binary.extend_from_slice(b"tlvs");
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00".to_vec();
    let told = Some(("192.0.2.1:4000".parse().unwrap(), "192.0.2.2:80".parse().unwrap()));
    for (header, proxied) in [(text, told), (binary, told), (local, None)] {
        let wire = [&header[..], GET.as_bytes()].concat();
        for size in 1..=wire.len() {
            let mut talk = Talk::new();
            wire.chunks(size).for_each(|piece| {
                talk.client(piece);
            });
            let exchange = talk.server(OK2).only();
            assert_eq!(exchange.proxied, proxied);
            let request = exchange.request.unwrap();
            assert_eq!((request.offset, request.head_length), (header.len() as u64, 28));
        }
    }
}

/// What client and server say in a negotiation with each version of SOCKS.
const SOCKS: [(&[u8], &[u8]); 3] = [
    (
        b"\x05\x01\x02\x01\x04user\x06secret\x05\x01\0\x03\x0bexample.org\0\x50",
        b"\x05\x02\x01\0\x05\0\0\x01\xc0\0\x02\x01\0\x50",
    ),
    (b"\x05\x01\0\x05\x01\0\x01\xc0\0\x02\x01\0\x50", b"\x05\0\x05\0\0\x01\0\0\0\0\0\0"),
    (b"\x04\x01\0\x50\0\0\0\x01\0example.org\0", b"\0\x5a\0\0\0\0\0\0"),
];

/// A connection on which each of the turns comes in pieces of some size, the client's first.
fn in_pieces(turns: &[&[u8]], size: usize) -> Talk {
    let mut talk = Talk::new();
    for (turn, direction) in turns.iter().zip([ToServer, ToClient].into_iter().cycle()) {
        for piece in turn.chunks(size) {
            talk.segment(direction, Content::Bytes(piece), true);
        }
    }
    talk
}

#[test]
fn negotiations_with_a_socks_proxy_are_passed_over() {
    for (client, server) in SOCKS {
        let eager = [&[client, GET.as_bytes()].concat(), &[server, OK2.as_bytes()].concat()];
        let eager = eager.map(Vec::as_slice);
        let polite = [client, server, GET.as_bytes(), OK2.as_bytes()];
        for size in 1..=client.len() + GET.len() {
            for turns in [&eager[..], &polite] {
                let mut talk = in_pieces(turns, size);
                let exchange = talk.only();
                assert_eq!(brief(&exchange), (Some("/a".into()), Some(200), Outcome::Complete));
                let request = exchange.request.unwrap();
                assert_eq!((request.offset, request.head_length), (client.len() as u64, 28));
                assert!(request.anomalies == Anomalies::NONE, "{:?}", request.anomalies);
                assert_eq!(exchange.response.unwrap().body.bytes, b"hi");
                assert_eq!(talk.observer.protocol(), Protocol::Http1);
                assert_eq!(talk.budget.used(), 0);
            }
        }
    }
}

#[test]
fn socks_without_http_behind_it_is_something_else() {
    let (client, server) = SOCKS[1];
    let endless = [&b"\x04\x01\0\x50\xc0\0\x02\x01"[..], &[b'x'; 2000]].concat();
    let tls = b"\x16\x03\x01\0\x50\x01\0\0";
    for size in [1, 3, 1000] {
        for turns in [
            &[client, b"\x05\xff"][..],
            &[client, b"\x05\0\x05\x01\0\x01\0\0\0\0\0\0"],
            &[client, OK2.as_bytes()],
            &[client, server, tls],
            &[client, server, b"\0\x01"],
            &[client, server, b"", b"SSH-2.0-x\r\n"],
            &[b"\x05\x01\x01\x01\0\0\0"],
            &[&endless],
        ] {
            let mut talk = in_pieces(turns, size);
            assert_eq!(talk.observer.protocol(), Protocol::Other, "{turns:?}");
            assert_eq!((talk.taken(), talk.budget.used()), (vec![], 0));
        }
    }
    let mut talk = Talk::new();
    talk.client(client).gap(ToClient, 12, GapCause::PacketMissing);
    assert_eq!(talk.observer.protocol(), Protocol::Other);
    assert_eq!(Talk::new().client(client).observer.protocol(), Protocol::Undecided);
    assert_eq!(Talk::new().server(server).observer.protocol(), Protocol::Other);
}

#[test]
fn what_begins_like_a_proxy_header_keeps_its_time_and_place() {
    let mut talk = Talk::new();
    talk.client("P").client("RO").client("PFIND / HTTP/1.1\r\n\r\n");
    let request = talk.server(OK2).only().request.unwrap();
    assert_eq!((request.method.as_ref(), request.offset), ("PROPFIND", 0));
    assert_eq!((request.first_byte, request.last_byte), (time(1), time(3)));
}

#[test]
fn a_response_with_an_invalid_length_keeps_its_head() {
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde";
    let exchange = Talk::new().client(GET).server(response).only();
    assert_eq!(brief(&exchange), (Some("/a".into()), Some(200), Outcome::Malformed));
    let body = exchange.response.unwrap().body;
    assert_eq!((body.malformed, body.complete, body.length), (true, false, None));
}
