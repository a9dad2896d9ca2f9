//! The times of one connection: when to look for acknowledgements, when it stalls, when it has
//! been idle for too long.

use std::time::Duration;
use tokio::time::Instant;

/// Shortest and longest time between two looks for acknowledgements.
const LOOKS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));
/// A look comes after this share of the time that nothing was acknowledged: so an
/// acknowledgement that a peer delays by 40 ms is seen 5 ms later at most, and a peer that hangs
/// costs little.
const LOOK_SHARE: u32 = 8;

#[derive(Debug)]
pub(super) struct Watch {
    timeout: Duration,
    keepalive: Duration,
    /// When a byte was last taken or acknowledged, or when there was something to do again.
    progress: Instant,
    /// Bytes acknowledged by then.
    acknowledged: u64,
    /// End of the pause between two portions.
    resume: Option<Instant>,
}

/// What the time has come for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing was taken for too long.
    Stalled,
    /// There was nothing to do for too long.
    Idle,
    /// The pause is over.
    Resume,
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    /// Bytes are not acknowledged.
    pub(super) is_outstanding: bool,
    /// Records are not acknowledged, or not even written.
    pub(super) is_unsettled: bool,
}

impl Watch {
    pub(super) fn new(timeout: Duration, keepalive: Duration, now: Instant) -> Self {
        Self { timeout, keepalive, progress: now, acknowledged: 0, resume: None }
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Notes how many bytes are acknowledged.
    pub(super) fn look(&mut self, acknowledged: u64, now: Instant) {
        if acknowledged > self.acknowledged {
            self.acknowledged = acknowledged;
            self.progress = now;
        }
    }

    /// The kernel took bytes, or there is something to do again.
    pub(super) fn progress(&mut self, now: Instant) {
        self.progress = now;
    }

    /// How long nothing has happened.
    pub(super) fn quiet(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.progress)
    }

    pub(super) fn is_pausing(&self) -> bool {
        self.resume.is_some()
    }

    pub(super) fn pause(&mut self, pause: Duration, now: Instant) {
        self.resume = Some(now + pause);
    }

    /// What the time has come for, once.
    pub(super) fn due(&mut self, work: Work, now: Instant) -> Option<Due> {
        if let Some(resume) = self.resume {
            return (now >= resume).then(|| {
                self.resume = None;
                self.progress = now;
                Due::Resume
            });
        }
        let quiet = self.quiet(now);
        match work.is_unsettled || work.is_outstanding {
            true => (quiet >= self.timeout).then_some(Due::Stalled),
            false => (quiet >= self.keepalive).then_some(Due::Idle),
        }
    }

    /// When to wake up at the latest.
    pub(super) fn wake(&self, work: Work, now: Instant) -> Instant {
        if let Some(resume) = self.resume {
            return resume;
        }
        let limit =
            if work.is_unsettled || work.is_outstanding { self.timeout } else { self.keepalive };
        let end = self.progress + limit;
        if !work.is_outstanding {
            return end;
        }
        let look = self.quiet(now).checked_div(LOOK_SHARE).unwrap_or(LOOKS.0);
        end.min(now + look.clamp(LOOKS.0, LOOKS.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Work = Work { is_outstanding: false, is_unsettled: false };
    const WRITING: Work = Work { is_outstanding: false, is_unsettled: true };
    const WAITING: Work = Work { is_outstanding: true, is_unsettled: true };

    fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    fn watch(begin: Instant) -> Watch {
        Watch::new(milliseconds(1_000), milliseconds(5_000), begin)
    }

    #[test]
    fn an_idle_connection_wakes_up_once() {
        let begin = Instant::now();
        let mut watch = watch(begin);
        assert_eq!(watch.wake(IDLE, begin), begin + milliseconds(5_000));
        assert_eq!(watch.due(IDLE, begin + milliseconds(4_999)), None);
        assert_eq!(watch.due(IDLE, begin + milliseconds(5_000)), Some(Due::Idle));
    }

    #[test]
    fn a_connection_stalls_when_nothing_moves() {
        let begin = Instant::now();
        let mut watch = watch(begin);
        assert_eq!(watch.wake(WRITING, begin), begin + milliseconds(1_000));
        assert_eq!(watch.due(WRITING, begin + milliseconds(1_000)), Some(Due::Stalled));
        watch.look(1, begin + milliseconds(999));
        assert_eq!(watch.due(WAITING, begin + milliseconds(1_000)), None);
        watch.look(1, begin + milliseconds(1_500));
        assert_eq!(watch.due(WAITING, begin + milliseconds(1_999)), Some(Due::Stalled));
    }

    #[test]
    fn looks_become_rarer_the_longer_nothing_comes() {
        let begin = Instant::now();
        let watch = watch(begin);
        for (quiet, look) in [(0, 1), (8, 1), (40, 5), (400, 50), (900, 50), (999, 1)] {
            let now = begin + milliseconds(quiet);
            assert_eq!(watch.wake(WAITING, now), now + milliseconds(look), "{quiet}");
        }
    }

    #[test]
    fn a_pause_is_no_stall() {
        let begin = Instant::now();
        let mut watch = watch(begin);
        watch.pause(milliseconds(1_500), begin);
        assert_eq!(watch.wake(WRITING, begin), begin + milliseconds(1_500));
        assert_eq!(watch.due(WRITING, begin + milliseconds(1_499)), None);
        assert_eq!(watch.due(WRITING, begin + milliseconds(1_500)), Some(Due::Resume));
        assert_eq!(watch.due(WRITING, begin + milliseconds(1_501)), None);
        assert!(!watch.is_pausing());
    }
}
