//! What was handed on last, as digests: enough to see that a packet sent again carries other
//! bytes than its first copy did, without keeping these.

use foldhash::fast::RandomState;
use std::hash::BuildHasher;

/// Runs that are remembered of each direction.
const RUNS: usize = 8;

/// A run of bytes; sequence numbers suffice, as nothing is remembered for long.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    sequence: u32,
    length: u32,
    digest: u32,
}

/// The last runs of a stream.
#[derive(Debug, Default)]
pub(super) struct History {
    runs: [Run; RUNS],
    /// Where the next one goes.
    next: usize,
    /// With its own seed, so that nobody can choose bytes of the same digest.
    hasher: RandomState,
}

impl History {
    /// These bytes were handed on.
    pub(super) fn remember(&mut self, position: u64, bytes: &[u8]) {
        let Ok(length) = u32::try_from(bytes.len()) else { return };
        let run = Run { sequence: sequence(position), length, digest: self.digest(bytes) };
        if let Some(place) = self.runs.get_mut(self.next) {
            *place = run;
        }
        self.next = self.next.saturating_add(1) % RUNS;
    }

    /// Whether the bytes differ from those that were handed on. Only whole runs that begin where
    /// the bytes do, or where the run before them ends, can be compared.
    pub(super) fn contradicts(&self, position: u64, mut bytes: &[u8]) -> bool {
        let mut at = sequence(position);
        while let Some((run, copy, rest)) = self.find(at, bytes) {
            if self.digest(copy) != run.digest {
                return true;
            }
            at = at.wrapping_add(run.length);
            bytes = rest;
        }
        false
    }

    fn find<'a>(&self, at: u32, bytes: &'a [u8]) -> Option<(Run, &'a [u8], &'a [u8])> {
        let run = self.runs.iter().find(|run| run.sequence == at && run.length > 0)?;
        let (copy, rest) = bytes.split_at_checked(usize::try_from(run.length).ok()?)?;
        Some((*run, copy, rest))
    }

    fn digest(&self, bytes: &[u8]) -> u32 {
        sequence(self.hasher.hash_one(bytes))
    }
}

/// The low half.
fn sequence(position: u64) -> u32 {
    let [.., a, b, c, d] = position.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bytes_contradict() {
        let mut history = History::default();
        history.remember(0x1_ffff_fffe, b"abc");
        history.remember(0x2_0000_0001, b"de");
        assert!(!history.contradicts(0x1_ffff_fffe, b"abc"));
        assert!(!history.contradicts(0x1_ffff_fffe, b"abcdefg"));
        assert!(history.contradicts(0x1_ffff_fffe, b"aBc"));
        assert!(history.contradicts(0x1_ffff_fffe, b"abcdE"));
        assert!(history.contradicts(0x2_0000_0001, b"xx"));
        assert!(!history.contradicts(0x1_ffff_fffe, b"xx"), "part of a run");
        for number in 0..8 {
            history.remember(100 + number, b"x");
        }
        assert!(!history.contradicts(0x1_ffff_fffe, b"xyz"), "forgotten");
    }
}
