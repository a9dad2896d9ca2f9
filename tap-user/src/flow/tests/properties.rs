//! Any order, duplication, overlap, split and loss of the packets of a known conversation.

use super::*;
use proptest::prelude::*;

/// How far from its place a packet may come; fewer than prove a hole.
const DISPLACEMENT: usize = 6;

/// A conversation of alternating turns, the client first.
#[derive(Debug, Clone)]
struct Talk {
    first: [u32; 2],
    turns: Vec<usize>,
}

/// Part of a turn in a packet, and what becomes of it.
#[derive(Debug, Clone)]
struct Part {
    from: usize,
    length: usize,
    lost: bool,
    delay: usize,
}

/// A packet as it was captured.
#[derive(Debug, Clone)]
struct Captured {
    place: usize,
    side: usize,
    offset: usize,
    length: usize,
    seen: usize,
}

/// Byte of a stream, different for neighbours and directions.
fn byte(side: usize, offset: usize) -> u8 {
    u8::try_from((offset * 7 + offset / 251 * 3 + side * 101) % 256).unwrap()
}

fn talk() -> impl Strategy<Value = (Talk, Vec<Vec<Part>>)> {
    let turn = (1_usize..400).prop_flat_map(|length| {
        let part = (0..length, 1..=length, prop::bool::weighted(0.15), 0..DISPLACEMENT);
        let part = part.prop_map(|(from, length, lost, delay)| Part { from, length, lost, delay });
        (Just(length), prop::collection::vec(part, 0..6), 1_usize..150)
    });
    (any::<[u32; 2]>(), prop::collection::vec(turn, 1..8)).prop_map(|(first, turns)| {
        let lengths = turns.iter().map(|(length, ..)| *length).collect();
        let parts = turns.into_iter().map(|(length, parts, step)| split(length, parts, step));
        let parts = parts.collect();
        (Talk { first, turns: lengths }, parts)
    })
}

/// A turn in packets of `step` bytes, with the loss and the delay of `extra` by turns, and then
/// `extra` itself: repeated and overlapping parts of it.
fn split(length: usize, extra: Vec<Part>, step: usize) -> Vec<Part> {
    let starts = (0..length).step_by(step).enumerate();
    let regular = starts.map(|(index, from)| {
        let fate = extra.get(index % extra.len().max(1));
        let (lost, delay) = fate.map_or((false, 0), |part| (part.lost, part.delay));
        Part { from, length: step.min(length - from), lost, delay }
    });
    let regular: Vec<_> = regular.collect();
    let extra = extra.into_iter();
    let extra = extra.map(|part| Part { length: part.length.min(length - part.from), ..part });
    regular.into_iter().chain(extra).collect()
}

/// The packets that were captured, in the order in which they were.
fn captured(talk: &Talk, parts: &[Vec<Part>]) -> Vec<Captured> {
    let mut packets = Vec::new();
    let mut sent = [0, 0];
    let mut place = 0;
    for (turn, (length, parts)) in talk.turns.iter().zip(parts).enumerate() {
        let side = turn % 2;
        for part in parts {
            place += 1;
            let (offset, seen) = (sent[side] + part.from, sent[1 - side]);
            let place = place + part.delay;
            if !part.lost {
                packets.push(Captured { place, side, offset, length: part.length, seen });
            }
        }
        sent[side] += length;
    }
    packets.sort_by_key(|packet| packet.place);
    packets
}

/// One piece of what was told: side, offset, and bytes or the length of a hole.
type Piece = (usize, usize, Result<Vec<u8>, usize>);

fn reassemble(talk: &Talk, packets: &[Captured]) -> (Vec<Piece>, FlowCounters) {
    let peers: [SocketAddr; 2] = [CLIENT.parse().unwrap(), SERVER.parse().unwrap()];
    let mut reassembler = Reassembler::new(FlowLimits::default());
    let mut pieces = Vec::new();
    let mut handle = |_: u64, happening: Happening<'_>| {
        if let Happening::Segment(segment) = happening {
            let side = usize::from(segment.direction == Direction::ToClient);
            let content = match segment.content {
                Content::Bytes(bytes) => Ok(bytes.to_vec()),
                Content::Gap { length, .. } => Err(usize::try_from(length).unwrap()),
            };
            pieces.push((side, usize::try_from(segment.offset).unwrap(), content));
        }
        Interest::Keep
    };
    let mut now = 0;
    let mut send = |side: usize, sequence, acknowledgement, flags, payload: &[u8]| {
        now += 1;
        let packet = Packet {
            time: time(now),
            source: peers[side],
            destination: peers[1 - side],
            sequence,
            acknowledgement,
            flags,
            window: 0,
            payload,
            cut: 0,
            interface: 0,
        };
        reassembler.handle_packet(&packet, &mut handle);
    };
    let [client, server] = talk.first;
    send(0, client, 0, SYN, &[]);
    send(1, server, client.wrapping_add(1), SYN_ACK, &[]);
    let number = |side: usize, offset: usize| {
        talk.first[side].wrapping_add(1).wrapping_add(u32::try_from(offset).unwrap())
    };
    for Captured { side, offset, length, seen, .. } in packets {
        let bytes: Vec<_> = (*offset..offset + length).map(|at| byte(*side, at)).collect();
        send(*side, number(*side, *offset), number(1 - side, *seen), ACK, &bytes);
    }
    reassembler.finish(time(now), &mut handle);
    (pieces, *reassembler.counters())
}

/// Which bytes of a side were in any captured packet, and how many are known to exist.
fn truth(packets: &[Captured], side: usize) -> (Vec<bool>, usize) {
    let ends = packets.iter().map(|packet| match packet.side == side {
        true => packet.offset + packet.length,
        false => packet.seen,
    });
    let end = ends.max().unwrap_or(0);
    let mut there = vec![false; end];
    for packet in packets.iter().filter(|packet| packet.side == side) {
        there[packet.offset..packet.offset + packet.length].fill(true);
    }
    (there, end)
}

/// Packets of few connections, as the fuzzer reads them, that look more like real ones: most of
/// their numbers lie near each other.
fn likely_packets() -> impl Strategy<Value = Vec<u8>> {
    let flags = prop::sample::select(vec![0, 16, 16, 16, 16, 24, 2, 18, 17, 17, 1, 4, 20]);
    let high = prop_oneof![8 => Just(0), 1 => any::<u8>()];
    let length = prop_oneof![Just(0), Just(1), 0_u8..20];
    let cut = prop_oneof![8 => Just(0), 1 => any::<u8>()];
    let wait = prop_oneof![8 => 0_u8..60, 1 => 0_u8..255];
    let packet = (0_u8..6, flags, 120_u8..150, 120_u8..150, high, length, cut, wait);
    let packet = packet.prop_map(|(a, b, c, d, e, f, g, h)| [a, b, c, d, e, f, g, h]);
    prop::collection::vec(packet, 0..200).prop_map(|packets| packets.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_was_captured_is_told_exactly((talk, parts) in talk()) {
        let packets = captured(&talk, &parts);
        let (pieces, counters) = reassemble(&talk, &packets);
        for side in [0, 1] {
            let (there, end) = truth(&packets, side);
            let mut offset = 0;
            for (_, at, content) in pieces.iter().filter(|piece| piece.0 == side) {
                prop_assert_eq!(*at, offset);
                match content {
                    Ok(bytes) => for given in bytes {
                        prop_assert!(there[offset]);
                        prop_assert_eq!(*given, byte(side, offset));
                        offset += 1;
                    },
                    Err(length) => {
                        prop_assert!(there[offset..offset + length].iter().all(|there| !there));
                        offset += length;
                    }
                }
            }
            prop_assert_eq!(offset, end);
        }
        prop_assert_eq!(counters.conflicts, 0);
        let sent: usize = packets.iter().map(|packet| packet.length).sum();
        let told = counters.delivered_bytes + counters.retransmitted_bytes;
        prop_assert_eq!(told, sent as u64);
    }

    #[test]
    fn turns_stay_in_order((talk, parts) in talk()) {
        let packets = captured(&talk, &parts);
        let (pieces, _) = reassemble(&talk, &packets);
        let mut told = [0, 0];
        for (side, offset, content) in pieces {
            let length = match content {
                Ok(bytes) => {
                    // Turns of the other side that precede the one of this piece.
                    let mut sent = [0, 0];
                    for (turn, length) in talk.turns.iter().enumerate() {
                        if turn % 2 == side && offset < sent[side] + length {
                            break;
                        }
                        sent[turn % 2] += length;
                    }
                    prop_assert!(told[1 - side] >= sent[1 - side]);
                    bytes.len()
                }
                Err(length) => length,
            };
            told[side] += length;
        }
    }

    #[test]
    fn likely_packets_are_survived(bytes in likely_packets()) {
        fuzz::fuzz_reassembly(&bytes);
    }

    #[test]
    fn any_packets_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        fuzz::fuzz_reassembly(&bytes);
    }
}
