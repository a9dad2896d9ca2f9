//! Frames in, TCP segments out: link layers, IP, fragments and tunnels are taken off.
//!
//! ```text
//! Frame ── link ── internet ─┬──────────────────────── tcp ── Packet
//!            ↑               ├─ fragments ─┘ (a datagram is whole)
//!            └─── tunnel ────┘
//! ```
//!
//! Each header is taken off by one small function that says what stands behind it ([`Next`]).
//! Lengths come from the headers: what a frame has behind its IP packet is padding, and what the
//! capture cut off is told as `cut` bytes. Checksums are not looked at: captures of outgoing
//! packets have them wrong, because the network card computes them.

mod fragments;
mod internet;
mod link;
mod tcp;
#[cfg(test)]
mod tests;
mod tunnel;
mod view;

pub use fragments::{FragmentCounters, FragmentLimits};

use super::packet::Packet;
use crate::frame::Frame;
use crate::segment::Time;
use fragments::{Datagram, Fragment, Fragments};
use internet::Addresses;
use std::collections::BTreeMap;
use tcp::TcpSegment;
use view::View;

/// Headers of one frame that are taken off, tunnels included. A frame with more is malformed.
const LAYERS_LIMIT: usize = 32;
/// Reassembled datagrams inside reassembled datagrams.
const DATAGRAMS_LIMIT: usize = 4;
/// Link types that are counted by number; frames of any further type count as number 65535.
const UNSUPPORTED_LIMIT: usize = 16;

/// What became of frames.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecodeCounters {
    /// Frames seen.
    pub frames: u64,
    /// TCP segments found.
    pub segments: u64,
    /// Of these: segments with bytes that the capture cut off.
    pub cut: u64,
    /// Frames without IP.
    pub not_ip: u64,
    /// IP packets without TCP.
    pub not_tcp: u64,
    /// Frames with a header that is not what it should be, or is not there.
    pub malformed: u64,
    /// Fragments and their datagrams.
    pub fragments: FragmentCounters,
    /// Datagrams whose fragments wait for others.
    pub datagrams_waiting: u64,
    /// Frames of a link type that is not supported, by its number.
    pub unsupported_links: BTreeMap<u16, u64>,
}

/// What is to be decoded next.
#[derive(Debug, Clone, Copy)]
enum Layer {
    /// A frame of this link type.
    Link(u16),
    /// What this EtherType announces.
    EtherType(u16),
    /// PPP from its protocol field on.
    Ppp,
    /// An IP packet of either version.
    Ip,
    /// What this protocol number of IP announces.
    Inside(Addresses, u8),
}

/// What a header leads to.
enum Next<'a> {
    Layer(Layer, View<'a>),
    Fragment(Fragment<'a>),
    Segment(TcpSegment<'a>),
}

/// Why a frame yields no segment.
enum Stop {
    NotIp,
    NotTcp,
    Malformed,
    UnsupportedLink(u16),
}

/// What a frame holds.
enum Found<'a> {
    Fragment(Fragment<'a>),
    Segment(TcpSegment<'a>),
}

/// Decodes frames one after the other; remembers fragments only.
#[derive(Debug)]
pub struct Decoder {
    fragments: Fragments,
    /// The datagram that was reassembled last: a packet may borrow from it.
    datagram: Option<Datagram>,
    counters: DecodeCounters,
}

impl Decoder {
    /// A decoder that keeps fragments within `limits`.
    #[must_use]
    pub fn new(limits: FragmentLimits) -> Self {
        Self {
            fragments: Fragments::new(limits),
            datagram: None,
            counters: DecodeCounters::default(),
        }
    }

    /// What became of the frames so far.
    #[must_use]
    pub fn counters(&self) -> DecodeCounters {
        DecodeCounters {
            fragments: self.fragments.counters(),
            datagrams_waiting: self.fragments.waiting() as u64,
            ..self.counters.clone()
        }
    }

    /// The TCP segment in a frame, if there is one, or the one that its fragment makes whole.
    pub fn decode<'a>(&'a mut self, frame: &Frame<'a>) -> Option<Packet<'a>> {
        self.counters.frames += 1;
        let view = View::new(frame.bytes, frame.original_length);
        match take_off(Layer::Link(frame.link_type), view) {
            Ok(Found::Segment(segment)) => Some(self.counters.count_segment(frame, &segment)),
            Ok(Found::Fragment(fragment)) => {
                self.reassemble(&fragment, frame.time)?;
                self.decode_datagram(frame)
            }
            Err(stop) => {
                self.counters.count_stop(&stop);
                None
            }
        }
    }

    /// Puts a fragment to the others; `Some` if a datagram without further fragments is there.
    fn reassemble(&mut self, fragment: &Fragment<'_>, now: Time) -> Option<()> {
        self.datagram = Some(self.fragments.insert(fragment, now)?);
        for _ in 0..DATAGRAMS_LIMIT {
            let Some(Ok(Found::Fragment(inner))) = self.datagram.as_ref().map(open) else {
                return Some(());
            };
            let whole = self.fragments.insert(&inner, now);
            self.datagram = Some(whole?);
        }
        self.counters.malformed += 1;
        None
    }

    fn decode_datagram<'a>(&'a mut self, frame: &Frame<'a>) -> Option<Packet<'a>> {
        match open(self.datagram.as_ref()?) {
            Ok(Found::Segment(segment)) => Some(self.counters.count_segment(frame, &segment)),
            Ok(Found::Fragment(_)) => None,
            Err(stop) => {
                self.counters.count_stop(&stop);
                None
            }
        }
    }
}

impl DecodeCounters {
    fn count_segment<'a>(&mut self, frame: &Frame<'_>, segment: &TcpSegment<'a>) -> Packet<'a> {
        let cut = u32::try_from(segment.payload.cut()).unwrap_or(u32::MAX);
        self.segments += 1;
        self.cut += u64::from(cut > 0);
        Packet {
            time: frame.time,
            source: segment.source,
            destination: segment.destination,
            sequence: segment.sequence,
            acknowledgement: segment.acknowledgement,
            flags: segment.flags,
            window: segment.window,
            payload: segment.payload.bytes(),
            cut,
            interface: frame.interface,
        }
    }

    fn count_stop(&mut self, stop: &Stop) {
        match stop {
            Stop::NotIp => self.not_ip += 1,
            Stop::NotTcp => self.not_tcp += 1,
            Stop::Malformed => self.malformed += 1,
            Stop::UnsupportedLink(number) => self.count_unsupported(*number),
        }
    }

    fn count_unsupported(&mut self, number: u16) {
        let is_full = self.unsupported_links.len() >= UNSUPPORTED_LIMIT;
        let known = self.unsupported_links.contains_key(&number);
        let key = if is_full && !known { u16::MAX } else { number };
        *self.unsupported_links.entry(key).or_default() += 1;
    }
}

/// Takes header after header off until TCP or a fragment is there.
fn take_off<'a>(mut layer: Layer, mut view: View<'a>) -> Result<Found<'a>, Stop> {
    for _ in 0..LAYERS_LIMIT {
        let next = match layer {
            Layer::Link(number) => link::link(number, view),
            Layer::EtherType(number) => link::ether_type(number, view),
            Layer::Ppp => link::ppp(view),
            Layer::Ip => internet::ip(view),
            Layer::Inside(addresses, number) => internet::inside(addresses, number, view),
        };
        match next? {
            Next::Layer(inner, rest) => (layer, view) = (inner, rest),
            Next::Fragment(fragment) => return Ok(Found::Fragment(fragment)),
            Next::Segment(segment) => return Ok(Found::Segment(segment)),
        }
    }
    Err(Stop::Malformed)
}

/// What a reassembled datagram holds.
fn open(datagram: &Datagram) -> Result<Found<'_>, Stop> {
    let view = View::new(&datagram.bytes, datagram.length);
    take_off(Layer::Inside(datagram.addresses, datagram.protocol), view)
}
