//! All connections: finding the one of a packet, the passing of time, and the bounds.
//!
//! Time is capture time and passes with the packets, so what comes out depends on them alone.

use super::conversation::{Context, Conversation, Side, add, count};
use super::counters::FlowCounters;
use super::limits::FlowLimits;
use super::packet::{Flags, Packet};
use super::recency::{Queue, Recency};
use super::succession::Belongs;
use crate::segment::{Abandonment, Happening, Interest, Time};
use foldhash::fast::RandomState;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;

/// Outdated deadlines that are kept beside those of the connections.
const DEADLINES_SPARE: usize = 1024;
/// A deadline that never comes.
const NEVER: u64 = u64::MAX;

/// The addresses of two peers, the lower one first.
type Addresses = (SocketAddr, SocketAddr);
/// What is told of connections, with their serial numbers, and the receiver's interest in them.
type Handle<'a> = dyn FnMut(u64, Happening<'_>) -> Interest + 'a;

#[derive(Debug)]
struct Slot {
    conversation: Conversation,
    /// Earliest deadline that is noted for it.
    scheduled: u64,
    last_packet: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Deadline {
    at: u64,
    serial: u64,
    slot: usize,
}

/// Puts packets back into the streams of their connections.
#[derive(Debug)]
pub struct Reassembler {
    limits: FlowLimits,
    counters: FlowCounters,
    by_addresses: HashMap<Addresses, usize, RandomState>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    recency: Recency,
    deadlines: BinaryHeap<Reverse<Deadline>>,
    /// Memory that connections hold back.
    cost: u64,
    serials: u64,
    now: Time,
}

impl Reassembler {
    /// Without any connection.
    #[must_use]
    pub fn new(limits: FlowLimits) -> Self {
        Self {
            limits,
            counters: FlowCounters::default(),
            by_addresses: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            recency: Recency::default(),
            deadlines: BinaryHeap::new(),
            cost: 0,
            serials: 0,
            now: Time::default(),
        }
    }

    /// What was met so far.
    #[must_use]
    pub fn counters(&self) -> &FlowCounters {
        &self.counters
    }

    /// Bytes of memory that packets in waiting take, about.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.cost
    }

    /// Takes a packet; packets come in the order of the capture.
    pub fn handle_packet(&mut self, packet: &Packet<'_>, handle: &mut Handle<'_>) {
        let sent = (packet.payload.len() as u64).saturating_add(packet.cut.into());
        count(&mut self.counters.packets);
        add(&mut self.counters.bytes, sent);
        self.handle_timeout(packet.time, handle);
        let (addresses, side) = canonical(packet.source, packet.destination);
        let slot = match self.by_addresses.get(&addresses) {
            Some(slot) => self.find(*slot, side, packet, handle),
            None => self.begin(addresses, packet, handle),
        };
        let Some(slot) = slot else { return add(&mut self.counters.stray_bytes, sent) };
        if let Some(Some(slot)) = self.slots.get_mut(slot) {
            slot.last_packet = self.now;
        }
        self.visit(slot, handle, |conversation, context| {
            conversation.handle_packet(side, packet, context);
        });
        self.relieve(handle);
    }

    /// When [`Self::handle_timeout`] is due, in nanoseconds of capture time, if no packet comes.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        self.deadlines.peek().map(|Reverse(deadline)| deadline.at)
    }

    /// It is that late: gives up what has been waited for long enough.
    pub fn handle_timeout(&mut self, now: Time, handle: &mut Handle<'_>) {
        if now.monotonic_ns > self.now.monotonic_ns {
            self.now = now;
        }
        while let Some(Reverse(deadline)) = self.deadlines.peek().copied()
            && deadline.at <= self.now.monotonic_ns
        {
            self.deadlines.pop();
            self.visit_due(deadline, handle, |conversation, context| {
                conversation.handle_timeout(context);
            });
        }
        self.forget_silent(handle);
    }

    /// The capture ends: hands on what is here, and closes all connections in the order of
    /// their serial numbers.
    pub fn finish(&mut self, now: Time, handle: &mut Handle<'_>) {
        self.handle_timeout(now, handle);
        let numbered = self.slots.iter().enumerate();
        let mut slots: Vec<_> = numbered
            .filter_map(|(index, slot)| Some((slot.as_ref()?.conversation.serial, index)))
            .collect();
        slots.sort_unstable();
        for (_, slot) in slots {
            self.remove(slot, Abandonment::CaptureEnded, handle);
        }
        self.deadlines.clear();
    }

    /// The slot that a packet of known addresses belongs to.
    fn find(
        &mut self,
        slot: usize,
        side: Side,
        packet: &Packet<'_>,
        handle: &mut Handle<'_>,
    ) -> Option<usize> {
        let conversation = &mut self.slots.get_mut(slot)?.as_mut()?.conversation;
        match conversation.belongs(side, packet) {
            Belongs::Here => Some(slot),
            Belongs::Nowhere => None,
            Belongs::Successor => {
                let addresses = (conversation.low, conversation.high);
                // A closed connection took its handshake with it.
                let handshake = conversation.handshake.filter(|_| !conversation.seems_over());
                if !conversation.seems_over() {
                    count(&mut self.counters.replaced);
                }
                self.remove(slot, Abandonment::Replaced, handle);
                let serial = self.next_serial();
                Some(self.insert(Conversation::new(serial, addresses, handshake)))
            }
        }
    }

    /// A slot for a connection that is not known; `None` if the packet begins none.
    fn begin(
        &mut self,
        addresses: Addresses,
        packet: &Packet<'_>,
        handle: &mut Handle<'_>,
    ) -> Option<usize> {
        let silent = packet.payload.is_empty() && packet.cut == 0;
        let opens = packet.flags.contains(Flags::SYN);
        if packet.flags.contains(Flags::RST) || silent && !opens {
            return None;
        }
        while self.by_addresses.len() >= self.limits.connections.max(1) && self.evict(handle) {}
        let serial = self.next_serial();
        Some(self.insert(Conversation::new(serial, addresses, None)))
    }

    fn next_serial(&mut self) -> u64 {
        let serial = self.serials;
        self.serials = serial.saturating_add(1);
        serial
    }

    fn insert(&mut self, conversation: Conversation) -> usize {
        let addresses = (conversation.low, conversation.high);
        let slot = Some(Slot { conversation, scheduled: NEVER, last_packet: self.now });
        let index = self.free.pop().unwrap_or(self.slots.len());
        match self.slots.get_mut(index) {
            Some(free) => *free = slot,
            None => self.slots.push(slot),
        }
        self.by_addresses.insert(addresses, index);
        index
    }

    /// Gives a connection up, if it is open, and forgets it.
    fn remove(&mut self, slot: usize, cause: Abandonment, handle: &mut Handle<'_>) {
        self.visit(slot, handle, |conversation, context| conversation.give_up(cause, context));
        self.recency.remove(slot);
        if let Some(Slot { conversation, .. }) = self.slots.get_mut(slot).and_then(Option::take) {
            self.by_addresses.remove(&(conversation.low, conversation.high));
            self.free.push(slot);
        }
    }

    /// Makes room for one connection.
    fn evict(&mut self, handle: &mut Handle<'_>) -> bool {
        if let Some(slot) = self.recency.oldest(Queue::Closed) {
            self.remove(slot, Abandonment::Evicted, handle);
            return true;
        }
        let Some(slot) = self.recency.oldest(Queue::Open) else { return false };
        count(&mut self.counters.evictions);
        self.remove(slot, Abandonment::Evicted, handle);
        true
    }

    fn forget_silent(&mut self, handle: &mut Handle<'_>) {
        while let Some(slot) = self.silent(Queue::Open, self.limits.idle_ns) {
            count(&mut self.counters.idle);
            self.remove(slot, Abandonment::Idle, handle);
        }
        while let Some(slot) = self.silent(Queue::Closed, self.limits.linger_ns) {
            self.remove(slot, Abandonment::Idle, handle);
        }
    }

    /// The oldest of a queue, if nothing was heard of it for that long.
    fn silent(&self, queue: Queue, nanoseconds: u64) -> Option<usize> {
        let slot = self.recency.oldest(queue)?;
        let last_packet = self.slots.get(slot)?.as_ref()?.last_packet;
        (self.now.since(last_packet) >= nanoseconds).then_some(slot)
    }

    /// Stays within the memory: what waits the longest is given up first.
    fn relieve(&mut self, handle: &mut Handle<'_>) {
        while self.cost > self.limits.bytes_in_all
            && let Some(Reverse(deadline)) = self.deadlines.pop()
        {
            count(&mut self.counters.pressed);
            self.visit_due(deadline, handle, Conversation::flush);
        }
    }

    /// Does something with the connection of a deadline, if it is still there.
    fn visit_due(
        &mut self,
        deadline: Deadline,
        handle: &mut Handle<'_>,
        action: impl FnOnce(&mut Conversation, &mut Context<'_>),
    ) {
        let Some(Some(slot)) = self.slots.get_mut(deadline.slot) else { return };
        if slot.conversation.serial == deadline.serial {
            slot.scheduled = NEVER;
            self.visit(deadline.slot, handle, action);
        }
    }

    /// Does something with a connection, and keeps the books.
    fn visit(
        &mut self,
        index: usize,
        handle: &mut Handle<'_>,
        action: impl FnOnce(&mut Conversation, &mut Context<'_>),
    ) {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        let Slot { conversation, scheduled, .. } = slot;
        let (limits, counters) = (&self.limits, &mut self.counters);
        let mut context = Context { limits, counters, now: self.now, handle };
        let cost = conversation.cost() as u64;
        action(conversation, &mut context);
        self.cost = self.cost.saturating_sub(cost).saturating_add(conversation.cost() as u64);
        let queue = if conversation.seems_over() { Queue::Closed } else { Queue::Open };
        self.recency.touch(index, queue);
        if let Some(at) = conversation.deadline(&context)
            && at < *scheduled
        {
            *scheduled = at;
            let serial = conversation.serial;
            self.deadlines.push(Reverse(Deadline { at, serial, slot: index }));
            self.forget_deadlines();
        }
    }

    /// Deadlines of connections that are gone, or that have an earlier one, are forgotten before
    /// they take more memory than the connections.
    fn forget_deadlines(&mut self) {
        if self.deadlines.len() <= self.by_addresses.len().saturating_add(DEADLINES_SPARE) {
            return;
        }
        let slots = &self.slots;
        self.deadlines.retain(|Reverse(deadline)| {
            slots.get(deadline.slot).and_then(Option::as_ref).is_some_and(|slot| {
                slot.conversation.serial == deadline.serial && slot.scheduled == deadline.at
            })
        });
    }
}

/// The addresses of a packet, without regard to who sent it, and who did.
fn canonical(source: SocketAddr, destination: SocketAddr) -> (Addresses, Side) {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (source, destination) = (plain(source), plain(destination));
    match source <= destination {
        true => ((source, destination), Side::Low),
        false => ((destination, source), Side::High),
    }
}
