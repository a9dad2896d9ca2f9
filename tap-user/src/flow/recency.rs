//! Which connection was silent the longest: two queues, of open and of closed ones, through the
//! numbers of their slots. Every step takes constant time.

/// The two kinds of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    Open,
    Closed,
}

#[derive(Debug, Clone, Copy, Default)]
struct Ends {
    oldest: Option<usize>,
    newest: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Link {
    queue: Option<Queue>,
    older: Option<usize>,
    newer: Option<usize>,
}

/// Slots in the order of their last use.
#[derive(Debug, Default)]
pub(super) struct Recency {
    links: Vec<Link>,
    open: Ends,
    closed: Ends,
}

impl Recency {
    /// The slot was used just now.
    pub(super) fn touch(&mut self, slot: usize, queue: Queue) {
        let newest = self.ends(queue).newest;
        if newest == Some(slot) {
            return;
        }
        self.remove(slot);
        if self.links.len() <= slot {
            self.links.resize(slot.saturating_add(1), Link::default());
        }
        let older = self.ends(queue).newest;
        if let Some(link) = self.links.get_mut(slot) {
            *link = Link { queue: Some(queue), older, newer: None };
        }
        match older.and_then(|older| self.links.get_mut(older)) {
            Some(link) => link.newer = Some(slot),
            None => self.ends(queue).oldest = Some(slot),
        }
        self.ends(queue).newest = Some(slot);
    }

    /// The slot is free.
    pub(super) fn remove(&mut self, slot: usize) {
        let Some(link) = self.links.get_mut(slot) else { return };
        let Link { queue: Some(queue), older, newer } = std::mem::take(link) else { return };
        match older.and_then(|older| self.links.get_mut(older)) {
            Some(link) => link.newer = newer,
            None => self.ends(queue).oldest = newer,
        }
        match newer.and_then(|newer| self.links.get_mut(newer)) {
            Some(link) => link.older = older,
            None => self.ends(queue).newest = older,
        }
    }

    /// The slot that was not used for the longest time.
    pub(super) fn oldest(&self, queue: Queue) -> Option<usize> {
        match queue {
            Queue::Open => self.open.oldest,
            Queue::Closed => self.closed.oldest,
        }
    }

    fn ends(&mut self, queue: Queue) -> &mut Ends {
        match queue {
            Queue::Open => &mut self.open,
            Queue::Closed => &mut self.closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(recency: &mut Recency, queue: Queue) -> Vec<usize> {
        std::iter::from_fn(|| {
            let slot = recency.oldest(queue)?;
            recency.remove(slot);
            Some(slot)
        })
        .collect()
    }

    #[test]
    fn the_oldest_comes_first() {
        let mut recency = Recency::default();
        for slot in [0, 1, 2, 3, 4, 1, 4, 4, 0] {
            recency.touch(slot, Queue::Open);
        }
        recency.touch(3, Queue::Closed);
        recency.remove(4);
        assert_eq!(take_all(&mut recency, Queue::Closed), [3]);
        assert_eq!(take_all(&mut recency, Queue::Open), [2, 1, 0]);
        recency.touch(2, Queue::Open);
        assert_eq!(take_all(&mut recency, Queue::Open), [2]);
    }
}
