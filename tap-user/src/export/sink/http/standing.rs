//! Whether a refusal (401, 403, 404…) is about the settings or about one record.
//!
//! With a wrong token every record is refused, until somebody repairs it: rejecting them would
//! empty the whole queue or spool into the dead-letter file. So refused records are tried again.
//! But something in front of a receiver may refuse a single record for what is inside it, and that
//! one would hold up all others for ever. So a record that was refused often, while another was
//! taken with the same settings, is rejected after all. Each record that was taken counts as
//! evidence for one such rejection only: once a token expires, no more than one record goes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Refusals after which a record is suspected: with the waits between them, half a minute or more.
const PATIENCE: u32 = 10;
/// Refused records that are remembered; more are never under way.
const REMEMBERED: usize = 1_024;

/// What the receiver thinks of the settings, as far as its answers tell.
#[derive(Debug, Default)]
pub(super) struct Standing(Mutex<Evidence>);

#[derive(Debug, Default)]
struct Evidence {
    /// A record was taken, and none was rejected on the strength of it.
    good: bool,
    refusals: HashMap<Arc<str>, u32>,
}

impl Standing {
    /// The record was taken.
    pub(super) fn taken(&self, id: &str) {
        self.update(|evidence| {
            evidence.good = true;
            evidence.refusals.remove(id);
        });
    }

    /// The record was refused; `true` if it is to blame itself.
    pub(super) fn refused(&self, id: &Arc<str>) -> bool {
        self.update(|evidence| {
            if evidence.refusals.len() >= REMEMBERED && !evidence.refusals.contains_key(id) {
                evidence.refusals.clear();
            }
            let refusals = evidence.refusals.entry(Arc::clone(id)).or_default();
            *refusals = refusals.saturating_add(1);
            let to_blame = *refusals >= PATIENCE && evidence.good;
            if to_blame {
                evidence.good = false;
                evidence.refusals.remove(id);
            }
            to_blame
        })
    }

    fn update<T>(&self, change: impl FnOnce(&mut Evidence) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(standing: &Standing, id: &str, times: u32) -> bool {
        (0..times).any(|_| standing.refused(&id.into()))
    }

    #[test]
    fn with_a_wrong_token_no_record_is_ever_rejected() {
        let standing = Standing::default();
        for id in 0..5_000 {
            assert!(!refuse(&standing, &id.to_string(), PATIENCE + 1));
        }
        assert!(standing.0.lock().unwrap().refusals.len() <= REMEMBERED);
    }

    #[test]
    fn a_record_that_alone_is_refused_goes_after_some_tries() {
        let standing = Standing::default();
        standing.taken("fine");
        assert!(!refuse(&standing, "poison", PATIENCE - 1));
        assert!(standing.refused(&"poison".into()));
    }

    #[test]
    fn a_token_that_expires_costs_one_record_at_most() {
        let standing = Standing::default();
        (0..100).for_each(|id| standing.taken(&id.to_string()));
        assert!(refuse(&standing, "first", PATIENCE));
        assert!(!refuse(&standing, "second", 1_000));
        standing.taken("second");
        assert!(!refuse(&standing, "second", 1));
    }
}
