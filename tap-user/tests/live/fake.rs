//! Records made up from what a client knows, to try the comparison without a tap.

use super::content::Content;
use super::record::{Body, Connection, Endpoint, Interim, Message, Process, Record};
use super::request::{Payload, TEST_ID};
use super::traffic::Account;
use std::net::SocketAddr;
use xtask::rig::LogEntry;

/// The record of a client leg as it must be. What only the gateway can know (its worker, the bytes
/// of a response that the client did not read) is taken from its log.
pub(crate) fn client_leg(account: &Account, line: &LogEntry) -> Record {
    let is_complete = account.given_up.is_none();
    let number = |variable| line.number(variable).unwrap();
    let pid = u32::try_from(number("pid")).unwrap();
    Record {
        id: format!("record of {}", account.request.id),
        leg: "client".into(),
        complete: is_complete,
        outcome: if is_complete { "complete" } else { "closed" }.into(),
        connection: Connection {
            serial: 1,
            request_ordinal: Some(account.ordinal - account.before_tap),
            client: endpoint(account.client),
            server: endpoint(account.server),
            process: Some(Process { pid, pid_in_namespace: pid }),
            listener: account.server.port().into(),
            joined_mid_stream: account.joined,
        },
        request: Some(request(account)),
        interim: interim(account),
        response: response(account, line),
    }
}

/// The record of an upstream leg as it must be. Lengths are those of the origin's log, bodies
/// those of the client; without a line nobody answered.
pub(crate) fn upstream_leg(account: &Account, line: Option<&LogEntry>) -> Record {
    let is_complete = account.given_up.is_none();
    let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
    let number = |variable| line.and_then(|line| line.number(variable)).unwrap_or(0);
    let mut request = request(account);
    if let Some(words) = line.map(|line| line.text("request").split(' ').collect::<Vec<_>>()) {
        request.target = words[1].into();
        request.version = words[2].into();
        request.length = number("request_length");
    }
    Record {
        id: format!("upstream of {}", account.request.id),
        leg: "upstream".into(),
        complete: is_complete,
        outcome: if is_complete { "complete" } else { "closed" }.into(),
        connection: Connection {
            serial: 2,
            request_ordinal: Some(number("connection_requests")),
            client: endpoint(unknown),
            server: endpoint(unknown),
            process: None,
            listener: "unknown".into(),
            joined_mid_stream: false,
        },
        request: Some(request),
        interim: Vec::new(),
        response: line.map(|line| origin_response(account, line)),
    }
}

fn origin_response(account: &Account, line: &LogEntry) -> Message {
    let number = |variable| line.number(variable).unwrap();
    let content =
        account.reply.as_ref().map_or_else(Content::default, |reply| reply.content.clone());
    let wire_length = number("body_bytes_sent");
    let status = u16::try_from(number("status")).unwrap();
    let body = Body { wire_length, ..body(&content) };
    message(status, number("bytes_sent") - wire_length, body)
}

fn request(account: &Account) -> Message {
    let request = &account.request;
    let head_length = request.head().len() as u64;
    Message {
        method: request.method.into(),
        target: request.target.clone(),
        version: request.version.into(),
        headers: vec![(TEST_ID.into(), request.id.clone().into())],
        head_length,
        length: account.sent,
        body: Body {
            framing: match request.payload {
                Payload::None => "none",
                Payload::Sized(_) => "content_length",
                Payload::Chunked { .. } => "chunked",
            }
            .into(),
            wire_length: account.sent - head_length,
            ..body(&account.content)
        },
        ..Message::default()
    }
}

fn interim(account: &Account) -> Vec<Interim> {
    let Some(reply) = &account.reply else {
        return Vec::new();
    };
    let head_length = reply.interim_length.checked_div(reply.interim as u64).unwrap_or(0);
    vec![Interim { status: 100, head_length }; reply.interim]
}

fn response(account: &Account, line: &LogEntry) -> Option<Message> {
    let number = |variable| line.number(variable).unwrap();
    if let Some(reply) = &account.reply {
        let body = Body { wire_length: reply.wire_length, ..body(&reply.content) };
        return Some(message(reply.status, reply.head_length, body));
    }
    let (sent, wire_length) = (number("bytes_sent"), number("body_bytes_sent"));
    let status = u16::try_from(number("status")).unwrap();
    (sent > 0).then(|| message(status, sent - wire_length, Body { wire_length, ..Body::default() }))
}

fn message(status: u16, head_length: u64, body: Body) -> Message {
    Message {
        status,
        head_length,
        length: head_length + body.wire_length,
        body,
        ..Message::default()
    }
}

fn body(content: &Content) -> Body {
    let length = Some(content.length);
    Body {
        length,
        captured: content.length,
        content: content.shown(u64::MAX).clone(),
        ..Body::default()
    }
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint { address: address.ip(), port: address.port() }
}
