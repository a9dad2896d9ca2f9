//! What one connection's observer may hold, and what all of them may hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest start line with its fields, in bytes, unless set otherwise.
pub const DEFAULT_HEAD_BYTES: usize = 64 * 1024;
/// Most field lines of one head, unless set otherwise.
pub const DEFAULT_FIELDS: usize = 256;
/// Bytes of a body that are kept, unless set otherwise.
pub const DEFAULT_BODY_CAP: u64 = 128 * 1024;
/// Most requests of one connection that wait for their response, unless set otherwise.
pub const DEFAULT_PENDING_REQUESTS: usize = 1024;
/// Age, in nanoseconds, at which an unfinished exchange is shown, unless set otherwise.
pub const DEFAULT_AGE_LIMIT_NS: u64 = 30_000_000_000;
/// Silence, in nanoseconds, that ends a body whose framing was lost, unless set otherwise.
pub const DEFAULT_IDLE_LIMIT_NS: u64 = 5_000_000_000;
/// Bytes that all observers together may hold, unless set otherwise.
pub const DEFAULT_MEMORY_BYTES: u64 = 256 * 1024 * 1024;

/// Bounds of one connection's observer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a start line with its fields (and of a chunked body's trailers). A longer head is
    /// malformed.
    pub head_bytes: usize,
    /// Field lines of one head. A head with more of them is malformed.
    pub fields: usize,
    /// Bytes of each body that are kept; 0 keeps heads only. The rest is counted.
    pub body_cap: u64,
    /// Requests that wait for their response. With one more, all of them are yielded as abandoned
    /// and the connection is no longer followed.
    pub pending_requests: usize,
    /// Nanoseconds after which an unfinished exchange is yielded as ongoing, once.
    pub age_limit_ns: u64,
    /// Nanoseconds of silence that end a body whose framing was hidden in a gap.
    pub idle_limit_ns: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: DEFAULT_HEAD_BYTES,
            fields: DEFAULT_FIELDS,
            body_cap: DEFAULT_BODY_CAP,
            pending_requests: DEFAULT_PENDING_REQUESTS,
            age_limit_ns: DEFAULT_AGE_LIMIT_NS,
            idle_limit_ns: DEFAULT_IDLE_LIMIT_NS,
        }
    }
}

/// How many bytes of heads and bodies all observers together hold, and may hold.
///
/// Clones share one counter. Beyond the maximum, bodies are counted but not stored and say so;
/// heads are always stored, because [`Limits`] bounds them already.
#[derive(Debug, Clone)]
pub struct MemoryBudget(Arc<Counter>);

#[derive(Debug)]
struct Counter {
    used: AtomicU64,
    maximum: u64,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(maximum: u64) -> Self {
        Self(Arc::new(Counter { used: AtomicU64::new(0), maximum }))
    }

    /// Bytes held now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Bytes that bodies may fill.
    #[must_use]
    pub fn maximum(&self) -> u64 {
        self.0.maximum
    }

    /// An account on this budget that holds nothing yet.
    pub(super) fn account(&self) -> Account {
        Account { budget: self.clone(), bytes: 0 }
    }
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self::new(DEFAULT_MEMORY_BYTES)
    }
}

/// The share of a [`MemoryBudget`] that one holder takes; given back on drop.
#[derive(Debug)]
pub(super) struct Account {
    budget: MemoryBudget,
    bytes: u64,
}

impl Account {
    /// Takes so many bytes more, even beyond the maximum.
    pub(super) fn charge(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        self.budget.0.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Takes so many bytes more if they are free.
    pub(super) fn try_charge(&mut self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        let counter = &self.budget.0;
        let before = counter.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > counter.maximum {
            counter.used.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        true
    }

    /// Bytes taken.
    pub(super) fn held(&self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }

    /// Takes or gives back what is needed to hold exactly so many bytes.
    pub(super) fn set(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        if bytes > self.bytes {
            self.budget.0.used.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else if bytes < self.bytes {
            self.budget.0.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_share_the_budget_and_give_back() {
        let budget = MemoryBudget::new(10);
        let mut one = budget.account();
        let mut two = budget.clone().account();
        assert!(one.try_charge(6));
        assert!(!two.try_charge(5));
        assert!(two.try_charge(4));
        two.charge(100);
        assert_eq!(budget.used(), 110);
        two.set(1);
        assert_eq!(budget.used(), 7);
        drop(one);
        drop(two);
        assert_eq!(budget.used(), 0);
    }
}
