//! The latest arrivals, for previews: one entry for each batch that was accepted.

use std::sync::OnceLock;

use crate::clock::Nanos;
use crate::submit::Shape;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Batches kept.
pub(crate) const ARRIVALS_MAX: usize = 65_536;
const MASK: u64 = (1 << 56) - 1;

/// Operations that were accepted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) time: Nanos,
    /// Shape of the first of them.
    pub(crate) shape: Shape,
    pub(crate) ops: u64,
}

#[derive(Debug, Default)]
struct Entry {
    time: AtomicU64,
    /// Shape without its flags, and how many in the bits of the flags.
    word: AtomicU64,
}

/// The ring. Writers do not wait for each other; an entry that is overwritten while it is read gives an arrival of the
/// wrong time or shape, which a sample can bear.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    next: AtomicU64,
    /// Made with the first arrival.
    entries: OnceLock<Box<[Entry]>>,
}

impl Arrivals {
    /// Notes a batch of at most 255 operations.
    #[inline]
    pub(crate) fn note(&self, now: Nanos, shape: Shape, ops: usize) {
        let entries = self.entries.get_or_init(|| (0..ARRIVALS_MAX).map(|_| Entry::default()).collect());
        let place = self.next.fetch_add(1, Ordering::Relaxed) as usize % ARRIVALS_MAX;
        let entry = &entries[place];
        entry.time.store(now.0, Ordering::Relaxed);
        entry.word.store(shape.0 & MASK | (ops as u64).min(255) << 56, Ordering::Release);
    }

    /// The latest batches of at most `ops_max` operations in all, in the order of their times.
    pub(crate) fn latest(&self, ops_max: u64) -> Vec<Arrival> {
        let Some(entries) = self.entries.get() else { return Vec::new() };
        let next = self.next.load(Ordering::Acquire);
        let mut arrivals = Vec::new();
        let mut ops = 0;
        for back in 1..=next.min(ARRIVALS_MAX as u64) {
            let entry = &entries[(next - back) as usize % ARRIVALS_MAX];
            let word = entry.word.load(Ordering::Acquire);
            let time = Nanos(entry.time.load(Ordering::Relaxed));
            let arrival = Arrival { time, shape: Shape(word & MASK), ops: word >> 56 };
            ops += arrival.ops;
            if ops > ops_max {
                break;
            }
            arrivals.push(arrival);
        }
        arrivals.sort_by_key(|arrival| arrival.time);
        arrivals
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::algorithm::{Algorithm, OpKind};

    #[test]
    fn i7_the_ring_keeps_the_latest_of_its_limit() {
        let arrivals = Arrivals::default();
        assert!(arrivals.latest(u64::MAX).is_empty());
        let shape = Shape::new(Algorithm::Sha256, OpKind::Digest, 5, 77);
        for time in 0..=ARRIVALS_MAX as u64 {
            arrivals.note(Nanos(time), shape.started(), 64);
        }
        let latest = arrivals.latest(u64::MAX);
        assert_eq!(latest.len(), ARRIVALS_MAX);
        assert_eq!(latest[0], Arrival { time: Nanos(1), shape, ops: 64 });
        assert_eq!(arrivals.latest(128).len(), 2);
    }
}
