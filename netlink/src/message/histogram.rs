//! Histograms of durations, sparse.

use crate::attr::{Fault, Reader, Writer};
use crate::family::attribute::histogram as a;

/// Durations in nanoseconds, counted in buckets. Only buckets that hold something are kept; a bucket is named by its
/// inclusive upper edge, so that reader and writer need not share a layout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// (upper edge in nanoseconds, count), ascending, no count 0.
    buckets: Vec<(u64, u64)>,
    max_ns: u64,
    sum_ns: u64,
}

impl Histogram {
    /// Takes buckets as (inclusive upper edge in nanoseconds, count) in any order, the largest value seen and the sum
    /// of all values, both in nanoseconds.
    pub fn new(buckets: impl IntoIterator<Item = (u64, u64)>, max_ns: u64, sum_ns: u64) -> Self {
        let mut buckets: Vec<(u64, u64)> = buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        buckets.sort_unstable_by_key(|(upper_ns, _)| *upper_ns);
        buckets.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 = earlier.1.saturating_add(later.1);
            }
            same
        });
        Self { buckets, max_ns, sum_ns }
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Smallest bucket edge that at least `share` (0 to 1) of the values do not exceed, never above the largest value;
    /// 0 when empty.
    pub fn percentile_ns(&self, share: f64) -> u64 {
        let count = self.count();
        // Counts above 2^53 lose their last digits, which no percentile shows.
        let rank = ((share.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
        let mut seen = 0u64;
        for (upper_ns, count) in &self.buckets {
            seen = seen.saturating_add(*count);
            if seen >= rank {
                return (*upper_ns).min(self.max_ns);
            }
        }
        self.buckets.last().map_or(0, |(upper_ns, _)| (*upper_ns).min(self.max_ns))
    }

    /// Largest value; of a difference, the edge of its highest bucket at most.
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// Mean; 0 when empty.
    pub fn mean_ns(&self) -> u64 {
        self.sum_ns.checked_div(self.count()).unwrap_or(0)
    }

    /// Sum of all values.
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// (inclusive upper edge in nanoseconds, count) of every bucket that holds something, ascending.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.buckets.iter().copied()
    }

    /// What was added since `earlier`, a reading of the same histogram.
    pub fn sub(&self, earlier: &Self) -> Self {
        let mut before = earlier.buckets.iter().copied().peekable();
        let buckets: Vec<(u64, u64)> = self
            .buckets
            .iter()
            .map(|(upper_ns, count)| {
                while before.next_if(|(edge, _)| edge < upper_ns).is_some() {}
                let old = before.next_if(|(edge, _)| edge == upper_ns).map_or(0, |(_, count)| count);
                (*upper_ns, count.saturating_sub(old))
            })
            .filter(|(_, count)| *count > 0)
            .collect();
        let max_ns = buckets.last().map_or(0, |(upper_ns, _)| (*upper_ns).min(self.max_ns));
        Self { buckets, max_ns, sum_ns: self.sum_ns.saturating_sub(earlier.sum_ns) }
    }
}

impl Histogram {
    /// Adds the attributes of the set `histogram`.
    pub fn write(&self, out: &mut Writer) {
        let flat: Vec<u64> = self.buckets().flat_map(|(upper_ns, count)| [upper_ns, count]).collect();
        out.u64s(a::BUCKETS, &flat).u64(a::MAX_NS, self.max_ns).u64(a::SUM_NS, self.sum_ns);
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        let flat = from.u64s(a::BUCKETS);
        let (pairs, rest) = flat.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(from.fault(a::BUCKETS, "'buckets' is no array of pairs"));
        }
        let buckets = pairs.iter().map(|[upper_ns, count]| (*upper_ns, *count));
        Ok(Self::new(buckets, from.u64(a::MAX_NS)?, from.u64(a::SUM_NS)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_bucket_edges_and_never_exceed_the_maximum() {
        let histogram = Histogram::new([(100, 50), (10, 50), (1000, 0)], 90, 5_000);
        assert_eq!(histogram.count(), 100);
        assert_eq!(histogram.percentile_ns(0.5), 10);
        assert_eq!(histogram.percentile_ns(0.51), 90);
        assert_eq!(histogram.percentile_ns(1.0), 90);
        assert_eq!(histogram.mean_ns(), 50);
        assert_eq!(Histogram::default().percentile_ns(0.99), 0);
    }

    #[test]
    fn a_difference_holds_what_came_between() {
        let before = Histogram::new([(10, 2), (100, 3)], 100, 300);
        let after = Histogram::new([(10, 5), (50, 1), (100, 3)], 100, 380);
        let between = after.sub(&before);
        assert_eq!(between.buckets().collect::<Vec<_>>(), [(10, 3), (50, 1)]);
        assert_eq!((between.max_ns(), between.sum_ns()), (50, 80));
        assert_eq!(after.sub(&after), Histogram::default());
    }
}
