//! What a receiver's status means for the record: taken, to be tried again, or never taken.

use super::super::attempt::Trouble;
use super::super::failure::{Failure, Rejection};
use super::client::Reply;
use super::retry_after;
use jiff::Timestamp;
use std::time::Duration;

/// Words for the messages about a kind of receiver.
#[derive(Debug, Clone, Copy)]
pub(in crate::export::sink) struct Receiver {
    /// What to look at when it does not know the sender (401, 403, 407).
    pub(in crate::export::sink) credentials: &'static str,
    /// What to look at when there is nothing at that address (404, 405, redirects).
    pub(in crate::export::sink) address: &'static str,
}

/// What a status means.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Taken.
    Taken,
    /// Not now.
    Later(Trouble),
    /// This answer comes from wrong settings, on either side, and then for every record; or it is
    /// about this one record after all. [`super::standing`] decides.
    Refused(Failure, Rejection),
    /// Never.
    Never(Rejection),
}

/// Judges a reply by its status (RFC 9110, section 15).
pub(super) fn of(reply: &Reply, receiver: Receiver) -> Verdict {
    let status = reply.status;
    let refused =
        |check| Verdict::Refused(Failure::Refused { status, check }, Rejection::Status(status));
    match status {
        200..=299 => Verdict::Taken,
        401 | 403 | 407 => refused(receiver.credentials),
        300..=399 | 404 | 405 => refused(receiver.address),
        408 | 425 | 429 => Verdict::Later(later(reply)),
        400..=499 => Verdict::Never(Rejection::Status(status)),
        _ => Verdict::Later(later(reply)),
    }
}

fn later(reply: &Reply) -> Trouble {
    Trouble::Later { error: Failure::Status(reply.status), wait: asked_wait(reply) }
}

fn asked_wait(reply: &Reply) -> Option<Duration> {
    retry_after::wait(reply.retry_after.as_ref()?.as_bytes(), Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::super::client::ReplyBody;
    use super::*;

    const RECEIVER: Receiver = Receiver { credentials: "the token", address: "the address" };

    fn verdict(status: u16) -> Verdict {
        let retry_after = Some("7".parse().unwrap());
        of(&Reply { status, retry_after, body: ReplyBody::Whole(Vec::new()) }, RECEIVER)
    }

    #[test]
    fn every_status_is_judged() {
        for status in 100..=999 {
            let expected = match verdict(status) {
                Verdict::Taken => (200..300).contains(&status),
                Verdict::Refused(..) => {
                    (300..400).contains(&status) || [401, 403, 404, 405, 407].contains(&status)
                }
                Verdict::Later(_) => {
                    [408, 425, 429].contains(&status) || !(200..500).contains(&status)
                }
                Verdict::Never(_) => (400..500).contains(&status),
            };
            assert!(expected, "{status}");
        }
        assert!(matches!(verdict(413), Verdict::Never(Rejection::Status(413))));
    }

    #[test]
    fn busy_receivers_say_how_long_to_wait() {
        for status in [429, 503] {
            let Verdict::Later(Trouble::Later { wait, .. }) = verdict(status) else { panic!() };
            assert_eq!(wait, Some(Duration::from_secs(7)));
        }
    }

    #[test]
    fn a_refusal_says_what_to_look_at() {
        let Verdict::Refused(failure, _) = verdict(403) else { panic!() };
        assert_eq!(failure.to_string(), "the receiver refuses (status 403): check the token");
        let Verdict::Refused(failure, _) = verdict(301) else { panic!() };
        assert_eq!(failure.to_string(), "the receiver refuses (status 301): check the address");
    }
}
