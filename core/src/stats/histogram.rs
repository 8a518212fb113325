//! Latency histograms: log-linear buckets, eight to the octave, so that a percentile is at most 12.5 % too high.

use crate::sync::atomic::{AtomicU64, Ordering};

/// Number of buckets; the last one takes everything from about 1,100 s up.
pub const BUCKETS: usize = 304;
const SUB_BITS: u32 = 3;
const SUB: u64 = 1 << SUB_BITS;

/// Bucket of a value in nanoseconds.
#[inline]
pub fn bucket_of(nanoseconds: u64) -> usize {
    if nanoseconds < SUB {
        return nanoseconds as usize;
    }
    let octave = 63 - nanoseconds.leading_zeros();
    let sub = (nanoseconds >> (octave - SUB_BITS)) & (SUB - 1);
    (((u64::from(octave - SUB_BITS) + 1) * SUB + sub) as usize).min(BUCKETS - 1)
}

/// Largest value of a bucket, in nanoseconds.
pub fn bucket_upper_ns(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUB {
        return bucket;
    }
    let octave = bucket / SUB - 1;
    ((SUB + bucket % SUB + 1) << octave) - 1
}

/// Counters of one writer at a time; anyone may read.
#[derive(Debug)]
pub(crate) struct HistogramCells {
    counts: Box<[AtomicU64]>,
    sum_ns: AtomicU64,
    max_ns: AtomicU64,
}

impl HistogramCells {
    pub(crate) fn new() -> Self {
        Self {
            counts: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            sum_ns: AtomicU64::new(0),
            max_ns: AtomicU64::new(0),
        }
    }

    /// Counts `weight` values. The caller is the only writer at this time.
    #[inline]
    pub(crate) fn record(&self, nanoseconds: u64, weight: u64) {
        let cell = &self.counts[bucket_of(nanoseconds)];
        cell.store(cell.load(Ordering::Relaxed) + weight, Ordering::Relaxed);
        let sum = self.sum_ns.load(Ordering::Relaxed);
        self.sum_ns.store(sum.saturating_add(nanoseconds.saturating_mul(weight)), Ordering::Relaxed);
        if nanoseconds > self.max_ns.load(Ordering::Relaxed) {
            self.max_ns.store(nanoseconds, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> Histogram {
        Histogram {
            counts: self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum_ns: self.sum_ns.load(Ordering::Relaxed),
            max_ns: self.max_ns.load(Ordering::Relaxed),
        }
    }
}

/// A copy of a histogram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    sum_ns: u64,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], sum_ns: 0, max_ns: 0 }
    }
}

impl Histogram {
    /// Counts so many zeros.
    pub(crate) fn add_zeros(&mut self, count: u64) {
        self.counts[0] += count;
    }

    /// Values counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Sum of all values, in nanoseconds.
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// Largest value ever, in nanoseconds.
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// Mean in nanoseconds, 0 when empty.
    pub fn mean_ns(&self) -> u64 {
        self.sum_ns.checked_div(self.count()).unwrap_or(0)
    }

    /// Upper bound in nanoseconds of the bucket that holds the quantile (0.99 for p99); 0 when empty.
    pub fn percentile_ns(&self, quantile: f64) -> u64 {
        let total = self.count();
        if total == 0 {
            return 0;
        }
        let rank = ((total as f64 * quantile).ceil() as u64).clamp(1, total);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return bucket_upper_ns(bucket).min(self.max_ns.max(1));
            }
        }
        self.max_ns
    }

    /// Non-empty buckets: number and count.
    pub fn buckets(&self) -> impl Iterator<Item = (usize, u64)> {
        self.counts.iter().copied().enumerate().filter(|(_, count)| *count > 0)
    }

    /// What was counted since an earlier copy; the largest value is that of the whole.
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let counts = self.counts.iter().zip(&earlier.counts).map(|(now, then)| now.saturating_sub(*then));
        Histogram {
            counts: counts.collect(),
            sum_ns: self.sum_ns.saturating_sub(earlier.sum_ns),
            max_ns: self.max_ns,
        }
    }

    /// Adds another histogram's values.
    pub fn add(&mut self, other: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        for value in (0..4096).chain((0..40).map(|bit| (1 << bit) + 1)) {
            let bucket = bucket_of(value);
            assert!(value <= bucket_upper_ns(bucket), "{value} above bucket {bucket}");
            assert!(bucket == 0 || value > bucket_upper_ns(bucket - 1), "{value} below bucket {bucket}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_percentile_is_at_most_an_eighth_too_high() {
        let cells = HistogramCells::new();
        for value in 1..=10_000 {
            cells.record(value, 1);
        }
        let histogram = cells.read();
        assert_eq!((histogram.count(), histogram.mean_ns(), histogram.max_ns()), (10_000, 5_000, 10_000));
        for (quantile, exact) in [(0.5, 5_000), (0.9, 9_000), (0.99, 9_900)] {
            let value = histogram.percentile_ns(quantile);
            assert!(value >= exact && value <= exact + exact / 8, "p{quantile}: {value}");
        }
    }

    #[test]
    fn a_weight_counts_as_that_many_values() {
        let cells = HistogramCells::new();
        cells.record(100, 32);
        assert_eq!((cells.read().count(), cells.read().sum_ns()), (32, 3_200));
    }
}
