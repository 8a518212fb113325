//! A bounded ring of non-zero words: many producers, one consumer at a time.
//!
//! A cell holds 0 while it is empty. Producers reserve places with one compare-and-exchange for a whole batch, then
//! fill them; the consumer stops at the first place that is reserved but not yet filled.

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicU64, Ordering};

/// The ring. Entries are tickets, which are never 0.
#[derive(Debug)]
pub(crate) struct Ring {
    cells: Box<[AtomicU64]>,
    limit: u64,
    /// Places reserved so far.
    tail: CachePadded<AtomicU64>,
    /// Places emptied so far; `head <= tail <= head + limit`.
    head: CachePadded<AtomicU64>,
}

impl Ring {
    /// A ring of at most `limit` entries (at least 1).
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.max(1);
        Self {
            cells: (0..limit.next_power_of_two()).map(|_| AtomicU64::new(0)).collect(),
            limit: limit as u64,
            tail: CachePadded::new(AtomicU64::new(0)),
            head: CachePadded::new(AtomicU64::new(0)),
        }
    }

    #[inline]
    fn cell(&self, place: u64) -> &AtomicU64 {
        &self.cells[place as usize & (self.cells.len() - 1)]
    }

    /// Entries reserved and not yet taken.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        // Head first: a tail read later is never behind it.
        let head = self.head.load(Ordering::Acquire);
        (self.tail.load(Ordering::Acquire) - head) as usize
    }

    /// The place of the next entry: a mark for [`Ring::len_before`].
    pub(crate) fn mark(&self) -> u64 {
        self.tail.load(Ordering::Acquire)
    }

    /// Entries that were there when the mark was taken, and still are.
    pub(crate) fn len_before(&self, mark: u64) -> usize {
        mark.saturating_sub(self.head.load(Ordering::Acquire)) as usize
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends as many of `entries` as there is room for, in order, and returns how many.
    #[inline]
    pub(crate) fn push(&self, entries: &[u64]) -> usize {
        self.push_at_least(entries, 1)
    }

    /// As [`Ring::push`], but none at all if there is no room for `least`. Whoever sees the first entry sees those behind it
    /// as well.
    #[inline]
    pub(crate) fn push_at_least(&self, entries: &[u64], least: usize) -> usize {
        let mut tail = self.tail.load(Ordering::Relaxed);
        loop {
            // A stale tail may be behind the head; the exchange below fails then.
            let used = tail.saturating_sub(self.head.load(Ordering::Acquire));
            let count = (self.limit.saturating_sub(used)).min(entries.len() as u64);
            if count == 0 || count < least as u64 {
                return 0;
            }
            match self.tail.compare_exchange_weak(tail, tail + count, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => {
                    for (offset, entry) in entries[..count as usize].iter().enumerate().rev() {
                        debug_assert_ne!(*entry, 0);
                        self.cell(tail + offset as u64).store(*entry, Ordering::Release);
                    }
                    return count as usize;
                }
                Err(current) => tail = current,
            }
        }
    }

    /// Takes entries that are known to be there. One consumer at a time.
    #[inline]
    pub(crate) fn skip(&self, count: usize) {
        let head = self.head.load(Ordering::Relaxed);
        for place in head..head + count as u64 {
            debug_assert_ne!(self.cell(place).load(Ordering::Relaxed), 0);
            self.cell(place).store(0, Ordering::Relaxed);
        }
        self.head.store(head + count as u64, Ordering::Release);
    }

    /// The entry that `pop` would return. One consumer at a time.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u64> {
        match self.cell(self.head.load(Ordering::Relaxed)).load(Ordering::Acquire) {
            0 => None,
            entry => Some(entry),
        }
    }

    /// Takes the oldest entry. One consumer at a time.
    #[inline]
    pub(crate) fn pop(&self) -> Option<u64> {
        let head = self.head.load(Ordering::Relaxed);
        let cell = self.cell(head);
        match cell.load(Ordering::Acquire) {
            0 => None,
            entry => {
                cell.store(0, Ordering::Relaxed);
                self.head.store(head + 1, Ordering::Release);
                Some(entry)
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn i7_a_ring_holds_its_limit_and_not_one_more() {
        let ring = Ring::new(5);
        assert_eq!(ring.push(&[1, 2, 3, 4, 5]), 5);
        assert_eq!(ring.push(&[6]), 0);
        assert_eq!(ring.pop(), Some(1));
        assert_eq!(ring.push(&[6, 7]), 1);
        assert_eq!((2..=6).map(|_| ring.pop().unwrap()).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
        assert_eq!(ring.pop(), None);
        assert!(ring.is_empty());
    }

    #[test]
    fn i7_entries_that_belong_together_come_all_or_not_at_all() {
        let ring = Ring::new(5);
        assert_eq!(ring.push(&[1, 2]), 2);
        assert_eq!(ring.push_at_least(&[3, 4, 5, 6], 4), 0);
        assert_eq!(ring.push_at_least(&[3, 4, 5], 3), 3);
        ring.skip(2);
        assert_eq!((ring.len(), ring.pop()), (3, Some(3)));
        assert_eq!(ring.push_at_least(&[6, 7, 8], 3), 3);
        ring.skip(5);
        assert!(ring.is_empty() && ring.pop().is_none());
    }

    #[test]
    fn a_mark_tells_the_entries_before_it_from_those_after() {
        let ring = Ring::new(8);
        ring.push(&[1, 2, 3]);
        let mark = ring.mark();
        ring.push(&[4]);
        ring.pop();
        assert_eq!((ring.len_before(mark), ring.len()), (2, 3));
    }

    #[test]
    fn peek_leaves_the_entry() {
        let ring = Ring::new(2);
        ring.push(&[9]);
        assert_eq!((ring.peek(), ring.peek(), ring.len()), (Some(9), Some(9), 1));
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn loom_whoever_sees_the_first_sees_those_behind_it() {
        loom::model(|| {
            let ring = Arc::new(Ring::new(3));
            let producer = {
                let ring = Arc::clone(&ring);
                thread::spawn(move || ring.push_at_least(&[7, 8, 9], 3))
            };
            if ring.peek().is_some() {
                ring.skip(2);
                assert_eq!(ring.pop(), Some(9));
            }
            assert_eq!(producer.join().unwrap(), 3);
        });
    }

    #[test]
    fn loom_two_producers_lose_and_double_nothing() {
        loom::model(|| {
            let ring = Arc::new(Ring::new(2));
            let producers: Vec<_> = [[1, 2], [3, 4]]
                .into_iter()
                .map(|entries| {
                    let ring = Arc::clone(&ring);
                    thread::spawn(move || ring.push(&entries))
                })
                .collect();
            let mut taken = Vec::new();
            for _ in 0..2 {
                taken.extend(ring.pop());
            }
            let pushed: usize = producers.into_iter().map(|producer| producer.join().unwrap()).sum();
            while let Some(entry) = ring.pop() {
                taken.push(entry);
            }
            assert_eq!(taken.len(), pushed);
            let (low, high): (Vec<u64>, Vec<u64>) = taken.iter().partition(|entry| **entry < 3);
            assert!(low.is_sorted() && high.is_sorted());
            taken.sort_unstable();
            taken.dedup();
            assert_eq!(taken.len(), pushed);
        });
    }
}
