//! What a connection speaks, and what stands in front of its messages.

use super::Observer;
use crate::http::detect;
use crate::http::exchange::{Outcome, Protocol};
use crate::http::input::Input;
use crate::http::preamble::PreambleStep;
use crate::http::socks::SocksStep;
use crate::segment::{Content, Direction};

/// Turns of the client that do not look like HTTP, after which a connection that was joined
/// mid-stream is something else. One such turn may be a body behind `100 Continue`.
const IMPLAUSIBLE_TURNS: u8 = 4;

impl Observer {
    /// Passes over a PROXY protocol header. Bytes that only began like one are observed late, but
    /// with their own time and place.
    pub(super) fn read_preamble(&mut self, input: &mut Input<'_>) {
        let Some(mut preamble) = self.preamble.take() else { return };
        match preamble.read(input) {
            PreambleStep::More => self.preamble = Some(preamble),
            PreambleStep::Header(addresses) => {
                self.pairing.set_proxied(addresses);
                self.preamble = preamble.unless_passed();
            }
            PreambleStep::Rest => self.preamble = preamble.unless_passed(),
            PreambleStep::Absent => {
                if let Some(mut begun) = preamble.as_input() {
                    self.observe(Direction::ToServer, &mut begun);
                }
            }
        }
    }

    /// Passes over the negotiation with a SOCKS proxy.
    pub(super) fn pass_socks(&mut self, direction: Direction, input: &mut Input<'_>) {
        let Some(socks) = &mut self.socks else { return };
        match socks.read(direction, input) {
            SocksStep::Absent => self.socks = None,
            SocksStep::Taken => {}
            SocksStep::Failed => self.decide(Protocol::Other),
        }
    }

    /// Asks the first bytes of a side (or of a turn, where the first ones were not seen) what
    /// the connection speaks.
    pub(super) fn detect(&mut self, direction: Direction, input: &Input<'_>) {
        let Content::Bytes(bytes) = input.content else {
            self.aligned = false;
            return;
        };
        let verdict = match (self.aligned, direction) {
            (true, Direction::ToServer) => detect::from_client(self.first_to_server.add(bytes)),
            (true, Direction::ToClient) => detect::from_server(self.first_to_client.add(bytes)),
            (false, Direction::ToServer) if input.turn_start => detect::from_client(bytes),
            (false, _) => return,
        };
        match verdict {
            Protocol::Undecided => {}
            // In the middle of a stream only a whole head is proof.
            Protocol::Http1 if !self.aligned => {}
            Protocol::Http1 => self.protocol = Protocol::Http1,
            Protocol::Other if !self.aligned => self.note_implausible_turn(),
            // Of what a SOCKS proxy passes on, only HTTP is of interest.
            _ if self.socks.is_some() => self.decide(Protocol::Other),
            verdict => self.decide(verdict),
        }
    }

    fn note_implausible_turn(&mut self) {
        self.implausible_turns = self.implausible_turns.saturating_add(1);
        if self.implausible_turns >= IMPLAUSIBLE_TURNS {
            self.decide(Protocol::Other);
        }
    }

    /// The connection speaks something that is not followed.
    pub(super) fn decide(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        self.pairing.end(Outcome::Malformed);
        self.finish();
    }
}
