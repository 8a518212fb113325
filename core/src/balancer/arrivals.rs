//! The latest arrivals, for previews: one entry for each batch that was accepted.

use std::sync::OnceLock;

use crate::clock::Nanos;
use crate::stats::counter::Sharded;
use crate::submit::Shape;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Batches kept of the threads that share a ring.
const RING_MAX: usize = 16_384;
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

/// One thread's ring, or that of several. Writers do not wait for each other: of two at once one may be lost, and an entry
/// that is overwritten while it is read gives an arrival of the wrong time or shape. A sample can bear both.
#[derive(Debug, Default)]
struct Ring {
    next: AtomicU64,
    /// Made with the first arrival.
    entries: OnceLock<Box<[Entry]>>,
}

impl Ring {
    #[inline]
    fn note(&self, now: Nanos, shape: Shape, ops: usize) {
        let entries = self.entries.get_or_init(|| (0..RING_MAX).map(|_| Entry::default()).collect());
        let next = self.next.load(Ordering::Relaxed);
        self.next.store(next + 1, Ordering::Release);
        let entry = &entries[next as usize % RING_MAX];
        entry.time.store(now.0, Ordering::Relaxed);
        entry.word.store(shape.0 & MASK | (ops as u64).min(255) << 56, Ordering::Release);
    }

    /// What it holds, and the time before which it has forgotten.
    fn read(&self, into: &mut Vec<Arrival>) -> Nanos {
        let Some(entries) = self.entries.get() else { return Nanos(0) };
        let next = self.next.load(Ordering::Acquire);
        let count = next.min(RING_MAX as u64);
        let begin = into.len();
        into.extend((1..=count).map(|back| {
            let entry = &entries[(next - back) as usize % RING_MAX];
            let word = entry.word.load(Ordering::Acquire);
            let time = Nanos(entry.time.load(Ordering::Relaxed));
            Arrival { time, shape: Shape(word & MASK), ops: word >> 56 }
        }));
        let oldest = into[begin..].iter().map(|arrival| arrival.time).min();
        oldest.filter(|_| next > count).unwrap_or(Nanos(0))
    }
}

/// The rings.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(Sharded<Ring>);

impl Arrivals {
    /// Notes a batch of at most 255 operations.
    #[inline]
    pub(crate) fn note(&self, now: Nanos, shape: Shape, ops: usize) {
        self.0.mine().note(now, shape, ops);
    }

    /// The latest batches of at most `ops_max` operations in all, in the order of their times.
    pub(crate) fn latest(&self, ops_max: u64) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        // All rings together go back as far as the one that has forgotten most.
        let since = self.0.iter().map(|ring| ring.read(&mut arrivals)).max().unwrap_or(Nanos(0));
        arrivals.retain(|arrival| arrival.time >= since);
        arrivals.sort_by_key(|arrival| arrival.time);
        let mut ops = 0;
        let taken = arrivals.iter().rev().take_while(|arrival| {
            ops += arrival.ops;
            ops <= ops_max
        });
        let taken = taken.count();
        arrivals.split_off(arrivals.len() - taken)
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
        for time in 0..=RING_MAX as u64 {
            arrivals.note(Nanos(time), shape.started(), 64);
        }
        let latest = arrivals.latest(u64::MAX);
        assert_eq!(latest.len(), RING_MAX);
        assert_eq!(latest[0], Arrival { time: Nanos(1), shape, ops: 64 });
        assert_eq!(arrivals.latest(128).len(), 2);
    }
}
