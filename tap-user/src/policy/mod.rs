//! What may leave the tap: between the gateway's exchanges and everything that stores or sends records.
//!
//! ```text
//! Observation ── filter ── sampling ── rate limit ── redaction ── Observation
//! ```
//!
//! Pure: decisions follow from what an exchange is and when it was captured. What is kept back and what is
//! replaced is counted in [`Counters`].

mod counters;
#[cfg(test)]
mod examples;
mod filter;
mod rate_limit;
mod redaction;
mod sampling;
mod status;
#[cfg(test)]
mod tests;

pub use counters::{Counters, DropReason, PolicyTotals};
pub use filter::{
    ConditionSettings, Filter, FilterSettings, Glob, InvalidFilter, LegName, LetThrough, SizeRange,
};
pub use rate_limit::{RateLimit, RateLimitSettings};
pub use redaction::*;
pub use sampling::{InvalidRate, InvalidSampling, Rate, Sampling, SamplingSettings};
pub use status::{InvalidStatuses, Statuses};

mod bodies;

pub use bodies::without_bodies;

use crate::gateway::Observation;
use crate::http::{Exchange, Outcome};
use crate::segment::Time;
use std::sync::Arc;

/// What settings say about what may leave, resolved.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Which exchanges are of interest.
    pub filter: Filter,
    /// A share of them; `None`: all.
    pub sampling: Option<Sampling>,
    /// So many of them a second; `None`: all.
    pub rate_limit: Option<RateLimit>,
    /// What is replaced in them.
    pub redaction: Redaction,
}

/// Lets exchanges leave, without their secrets.
#[derive(Debug)]
pub struct Policy {
    rules: Rules,
    let_through: LetThrough,
    counters: Arc<Counters>,
}

impl Policy {
    /// Works by these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let counters = Arc::new(Counters::default());
        counters.know(rules.redaction.rules());
        Self { rules, let_through: LetThrough::default(), counters }
    }

    /// Works by other rules from now on. What was let through before its end is let through at its end too.
    pub fn replace(&mut self, rules: Rules) {
        self.counters.know(rules.redaction.rules());
        self.rules = rules;
    }

    /// The exchange as it may leave; `None` if it does not.
    pub fn release(&mut self, mut observation: Observation) -> Option<Observation> {
        self.let_leave(&mut observation).then_some(observation)
    }

    /// Whether the exchange may leave; if so, its secrets are out of it now. In place, because an
    /// observation is large.
    #[must_use]
    pub fn let_leave(&mut self, observation: &mut Observation) -> bool {
        let Self { rules, let_through, counters } = self;
        let passes =
            let_through.passes(observation, |observation| match rules.judge(observation) {
                Ok(()) => true,
                Err(_) if observation.exchange.outcome == Outcome::Ongoing => {
                    counters.dropped_early();
                    false
                }
                Err(reason) => {
                    counters.dropped(reason);
                    false
                }
            });
        if passes {
            rules.redaction.redact(observation);
            observation.redacted.iter().for_each(|redacted| counters.redacted(redacted));
        }
        passes
    }

    /// What was kept back and replaced; goes on counting.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }
}

impl Rules {
    fn judge(&mut self, observation: &Observation) -> Result<(), DropReason> {
        if !self.filter.passes(observation) {
            return Err(DropReason::Filter);
        }
        if self.sampling.as_ref().is_some_and(|sampling| !sampling.chooses(observation)) {
            return Err(DropReason::Sampling);
        }
        let now = latest(&observation.exchange);
        if self.rate_limit.as_mut().is_some_and(|limit| !limit.take(now)) {
            return Err(DropReason::RateLimit);
        }
        Ok(())
    }
}

/// When the last byte of an exchange (so far) was captured.
fn latest(exchange: &Exchange) -> Time {
    let request = exchange.request.as_ref().map(|request| request.last_byte);
    let response = exchange.response.as_ref().map(|response| response.last_byte);
    request.max(response).unwrap_or_default()
}
