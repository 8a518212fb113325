//! What clients count.

use acrypto_core::stats::histogram::{BUCKETS, bucket_of, bucket_upper_ns};
use acrypto_netlink::message::Histogram;

/// Operations, failures and times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Operations completed.
    pub ops: u64,
    /// Of them, those that failed or gave a result of the wrong length or, where it is verified, of wrong bytes; and
    /// every time there was no room.
    pub errors: u64,
    /// Operations by bucket of their time.
    counts: Box<[u64]>,
    max_ns: u64,
    sum_ns: u64,
}

impl Default for Tally {
    fn default() -> Self {
        let counts = vec![0; BUCKETS].into();
        Self { ops: 0, errors: 0, counts, max_ns: 0, sum_ns: 0 }
    }
}

impl Tally {
    /// Counts operations that took as long.
    #[inline]
    pub fn note(&mut self, time_ns: u64, ops: u64) {
        self.counts[bucket_of(time_ns)] += ops;
        self.max_ns = self.max_ns.max(time_ns);
        self.sum_ns += time_ns * ops;
    }

    /// Counts what another one has counted.
    pub fn add(&mut self, other: &Self) {
        self.ops += other.ops;
        self.errors += other.errors;
        self.counts.iter_mut().zip(&other.counts).for_each(|(own, other)| *own += other);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.sum_ns += other.sum_ns;
    }

    /// The times.
    pub fn times(&self) -> Histogram {
        let buckets = self.counts.iter().enumerate();
        let buckets = buckets.map(|(bucket, count)| (bucket_upper_ns(bucket), *count));
        Histogram::new(buckets, self.max_ns, self.sum_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_two_clients_add_up() {
        let (mut one, mut other) = (Tally::default(), Tally::default());
        (one.ops, other.ops, other.errors) = (3, 1, 1);
        one.note(100, 3);
        other.note(5_000, 1);
        other.note(u64::MAX / 4, 0);
        one.add(&other);
        let times = one.times();
        assert_eq!((one.ops, one.errors, times.count()), (4, 1, 4));
        assert!((100..=128).contains(&times.percentile_ns(0.5)), "{}", times.percentile_ns(0.5));
        assert!(times.percentile_ns(1.0) >= 5_000);
    }
}
