//! What the events of both streams mean for the exchanges.

use super::Observer;
use crate::http::body::{self, InvalidLength};
use crate::http::exchange::{Framing, Outcome, Protocol, Response, Switch};
use crate::http::head::RawHead;
use crate::http::stream::Event;
use crate::segment::{Abandonment, Direction, GapCause, Time};

impl Observer {
    pub(super) fn apply(&mut self, direction: Direction, event: Event<'_>, time: Time) {
        match (event, direction) {
            (Event::Head(head), Direction::ToServer) => self.begin_request(head),
            (Event::Head(head), Direction::ToClient) => self.begin_response(head),
            (Event::NoHead, _) => self.malformed_head(direction, time),
            (Event::HeadLost(cause), _) => self.pairing.lose(direction, cause),
            (Event::Body(piece, end), _) => self.add_body(direction, &piece, end, time),
        }
    }

    fn begin_request(&mut self, head: RawHead<'_>) {
        let (turn_start, behind_another) = (head.turn_start, !head.at_boundary);
        let time = head.last_byte;
        let Some((request, lengths)) = head.request(self.limits.fields) else {
            return self.malformed_head(Direction::ToServer, time);
        };
        self.protocol = Protocol::Http1;
        let framing = body::request_framing(lengths);
        self.pairing.begin_request(request, framing, turn_start, behind_another);
        match framing {
            Ok(framing) => self.to_server.expect_body(framing, time),
            Err(_) => self.to_server.malformed(),
        }
        self.bound_pending();
    }

    /// Beyond the limit nobody could say any more which response answers what.
    fn bound_pending(&mut self) {
        if self.pairing.len() > self.limits.pending_requests {
            self.pairing.end(Outcome::Abandoned(Abandonment::TooManyPending));
            self.finish();
        }
    }

    fn begin_response(&mut self, head: RawHead<'_>) {
        let time = head.last_byte;
        let first_byte = head.first_byte;
        let Some((response, lengths)) = head.response(self.limits.fields) else {
            return self.malformed_head(Direction::ToClient, time);
        };
        self.protocol = Protocol::Http1;
        let fault = self.request_fault();
        let method = self.pairing.method_to_answer(fault, first_byte);
        let (to_head, to_connect) = (method == Some("HEAD"), method == Some("CONNECT"));
        match response.status {
            101 => self.switch(response, Switch::Upgrade),
            100..=199 => self.interim(response, time),
            200..=299 if to_connect => self.switch(response, Switch::Tunnel),
            status => {
                let framing = body::response_framing(status, lengths, to_head);
                self.final_response(response, framing, time);
            }
        }
        if !self.over {
            self.bound_pending();
        }
    }

    /// Why a response may come without a request: what the client sent was not understood.
    fn request_fault(&self) -> Option<Outcome> {
        (self.to_server.is_malformed() || self.to_server.in_head()).then_some(Outcome::Malformed)
    }

    fn interim(&mut self, response: Response, time: Time) {
        self.to_client.expect_body(Framing::None, time);
        if !self.pairing.add_interim(response) {
            self.malformed_head(Direction::ToClient, time);
        }
    }

    fn final_response(
        &mut self,
        response: Response,
        framing: Result<Framing, InvalidLength>,
        time: Time,
    ) {
        self.pairing.begin_response(response, framing);
        match framing {
            Ok(framing) => self.to_client.expect_body(framing, time),
            Err(_) => self.to_client.malformed(),
        }
    }

    fn switch(&mut self, response: Response, switch: Switch) {
        self.pairing.switch(response, switch);
        self.protocol = Protocol::Switched;
        self.finish();
    }

    fn malformed_head(&mut self, direction: Direction, time: Time) {
        self.stream(direction).malformed();
        if !self.stream(direction).is_malformed() {
            // Behind a gap it was only taken for a head; whatever it was, it is lost.
            return self.pairing.lose(direction, GapCause::Missed);
        }
        if self.protocol == Protocol::Undecided {
            return self.decide(Protocol::Other);
        }
        if direction == Direction::ToClient {
            self.pairing.malformed_response(time);
        }
    }
}
