//! A bounded ring of non-zero words: many producers, one consumer at a time.
//!
//! A cell holds 0 while it is empty. Producers reserve places with one compare-and-exchange for a whole batch, then
//! fill them; the consumer stops at the first place that is reserved but not yet filled. An entry may take several places:
//! the second one holds the number of those behind the first then, and the others nothing.

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

    /// Places emptied so far.
    pub(crate) fn taken(&self) -> u64 {
        self.head.load(Ordering::Acquire)
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
        let mut tail = self.tail.load(Ordering::Relaxed);
        loop {
            // A stale tail may be behind the head; the exchange below fails then.
            let used = tail.saturating_sub(self.head.load(Ordering::Acquire));
            let count = (self.limit.saturating_sub(used)).min(entries.len() as u64);
            if count == 0 {
                return 0;
            }
            match self.tail.compare_exchange_weak(tail, tail + count, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => {
                    for (offset, entry) in (0..count).zip(entries) {
                        debug_assert!(gap(*entry).is_none());
                        self.cell(tail + offset).store(*entry, Ordering::Release);
                    }
                    return count as usize;
                }
                Err(current) => tail = current,
            }
        }
    }

    /// Appends one entry that takes so many places, at least 1, if there is room for all of them.
    #[inline]
    pub(crate) fn push_wide(&self, entry: u64, places: usize) -> bool {
        debug_assert!(gap(entry).is_none());
        let places = places as u64;
        let mut tail = self.tail.load(Ordering::Relaxed);
        loop {
            let used = tail.saturating_sub(self.head.load(Ordering::Acquire));
            if used + places > self.limit {
                return false;
            }
            match self.tail.compare_exchange_weak(tail, tail + places, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(current) => tail = current,
            }
        }
        // The gap first: whoever sees the entry sees what is behind it.
        if places > 1 {
            self.cell(tail + 1).store((places - 1) << 32, Ordering::Relaxed);
        }
        self.cell(tail).store(entry, Ordering::Release);
        true
    }

    /// The entry that `pop` would return. One consumer at a time.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u64> {
        match self.cell(self.head.load(Ordering::Relaxed)).load(Ordering::Acquire) {
            0 => None,
            entry => Some(entry),
        }
    }

    /// Takes the oldest entry, with all places that it has. One consumer at a time.
    #[inline]
    pub(crate) fn pop(&self) -> Option<u64> {
        let head = self.head.load(Ordering::Relaxed);
        let cell = self.cell(head);
        let entry = match cell.load(Ordering::Acquire) {
            0 => return None,
            entry => entry,
        };
        cell.store(0, Ordering::Relaxed);
        let mut next = head + 1;
        if self.cells.len() > 1 {
            let behind = self.cell(next);
            if let Some(places) = gap(behind.load(Ordering::Relaxed)) {
                behind.store(0, Ordering::Relaxed);
                next += places;
            }
        }
        self.head.store(next, Ordering::Release);
        Some(entry)
    }
}

/// How many places more the entry before this one takes, if it is not an entry: tickets have something in their low half.
#[inline]
fn gap(cell: u64) -> Option<u64> {
    (cell as u32 == 0 && cell != 0).then_some(cell >> 32)
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
    fn i7_an_entry_with_many_places_gets_all_or_none() {
        let ring = Ring::new(5);
        assert_eq!(ring.push(&[1, 2]), 2);
        assert!(!ring.push_wide(3, 4), "one more than there is room for");
        assert!(ring.push_wide(3, 3) && ring.len() == 5);
        assert_eq!((ring.pop(), ring.pop(), ring.len()), (Some(1), Some(2), 3));
        assert!(ring.push_wide(4, 2) && !ring.push_wide(5, 1));
        assert_eq!((ring.peek(), ring.pop(), ring.len()), (Some(3), Some(3), 2));
        assert!(ring.push_wide(5, 1) && ring.push_wide(6, 2));
        assert_eq!([ring.pop(), ring.pop(), ring.pop(), ring.pop()], [Some(4), Some(5), Some(6), None]);
        assert!(ring.is_empty());
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
    fn loom_an_entry_comes_with_all_its_places() {
        loom::model(|| {
            let ring = Arc::new(Ring::new(4));
            let producers = [(7, 3), (8, 1)].map(|(entry, places)| {
                let ring = Arc::clone(&ring);
                thread::spawn(move || ring.push_wide(entry, places))
            });
            let first = ring.pop();
            for producer in producers {
                assert!(producer.join().unwrap());
            }
            let mut taken: Vec<u64> = first.into_iter().chain(std::iter::from_fn(|| ring.pop())).collect();
            taken.sort_unstable();
            assert_eq!((taken, ring.len()), (vec![7, 8], 0));
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
