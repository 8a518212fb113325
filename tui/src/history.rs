//! The past, bounded: series of samples for the charts, meters that turn counters into rates, and the
//! latencies of the last few seconds.

use std::collections::VecDeque;

use acrypto_netlink::message::Histogram;

/// Samples of one figure, oldest first.
#[derive(Clone, Debug)]
pub struct Series {
    points: VecDeque<Point>,
    points_max: usize,
    spacing_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    at_ns: u64,
    /// `None` marks a hole: nothing may be drawn across it.
    value: Option<f32>,
}

/// Samples further apart than this are not joined: nothing was heard in between.
const GAP_NS: u64 = 1_500_000_000;

impl Series {
    /// A series that keeps `points_max` samples, at least `spacing_ns` apart.
    pub fn new(points_max: usize, spacing_ns: u64) -> Self {
        Self { points: VecDeque::new(), points_max, spacing_ns }
    }

    /// Adds a sample. One that comes sooner than the spacing is left out.
    pub fn push(&mut self, at_ns: u64, value: f64) {
        let too_soon = self
            .points
            .back()
            .is_some_and(|last| last.value.is_some() && at_ns < last.at_ns.saturating_add(self.spacing_ns));
        if !too_soon {
            self.add(Point { at_ns, value: Some(value as f32) });
        }
    }

    /// Marks that the figure was unknown from here on.
    pub fn hole(&mut self, at_ns: u64) {
        self.add(Point { at_ns, value: None });
    }

    fn add(&mut self, point: Point) {
        if self.points.len() == self.points_max {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }

    /// The window that ends at `now_ns`, as `columns` means, oldest first. `None` where nothing was heard.
    pub fn columns(&self, now_ns: u64, window_ns: u64, columns: usize) -> Vec<Option<f64>> {
        let mut sums = vec![(0.0_f64, 0_u32); columns];
        let mut means = vec![None; columns];
        if columns == 0 || window_ns == 0 {
            return means;
        }
        let start_ns = i128::from(now_ns) - i128::from(window_ns);
        let column_of = |at_ns: u64| {
            let offset = i128::from(at_ns) - start_ns;
            (offset * columns as i128).div_euclid(i128::from(window_ns))
        };
        for point in &self.points {
            let Ok(column) = usize::try_from(column_of(point.at_ns)) else { continue };
            if let (Some(value), Some(sum)) = (point.value, sums.get_mut(column)) {
                sum.0 += f64::from(value);
                sum.1 += 1;
            }
        }
        for (mean, (sum, samples)) in means.iter_mut().zip(&sums) {
            *mean = (*samples > 0).then(|| sum / f64::from(*samples));
        }
        // Columns finer than the samples: a sample holds until the next one, but never across a hole.
        for (point, next) in self.points.iter().zip(self.points.iter().skip(1)) {
            let (Some(value), Some(_)) = (point.value, next.value) else { continue };
            if next.at_ns.saturating_sub(point.at_ns) > GAP_NS.max(self.spacing_ns.saturating_mul(2)) {
                continue;
            }
            let from = column_of(point.at_ns).max(0);
            let to = column_of(next.at_ns).min(columns as i128);
            for column in from..to {
                if let Some(mean) = usize::try_from(column).ok().and_then(|column| means.get_mut(column)) {
                    mean.get_or_insert(f64::from(value));
                }
            }
        }
        means
    }

    /// Smallest and largest sample of the window that ends at `now_ns`.
    pub fn range(&self, now_ns: u64, window_ns: u64) -> Option<(f64, f64)> {
        self.points
            .iter()
            .filter(|point| point.at_ns.saturating_add(window_ns) >= now_ns && point.at_ns <= now_ns)
            .filter_map(|point| point.value)
            .fold(None, |range, value| {
                let value = f64::from(value);
                let (low, high) = range.unwrap_or((value, value));
                Some((value.min(low), value.max(high)))
            })
    }
}

/// Turns readings of a counter into a rate over the last `span_ns` of the server's time.
#[derive(Clone, Debug)]
pub struct Meter {
    readings: VecDeque<(u64, u64)>,
    span_ns: u64,
}

impl Meter {
    /// A meter over `span_ns`.
    pub fn new(span_ns: u64) -> Self {
        Self { readings: VecDeque::new(), span_ns }
    }

    /// Takes a reading. A counter that went down, or time that did, starts the meter anew.
    pub fn read(&mut self, taken_ns: u64, counter: u64) {
        match self.readings.back() {
            Some(&(last_ns, last)) if taken_ns < last_ns || counter < last => self.readings.clear(),
            Some(&(last_ns, _)) if taken_ns == last_ns => return,
            _ => {}
        }
        self.readings.push_back((taken_ns, counter));
        // The oldest reading kept is the youngest that is at least the span old.
        while self.readings.get(1).is_some_and(|(at_ns, _)| at_ns.saturating_add(self.span_ns) <= taken_ns) {
            self.readings.pop_front();
        }
    }

    /// Whether there are two readings to compare.
    pub fn is_ready(&self) -> bool {
        self.readings.len() > 1
    }

    /// How much the counter grew within the span.
    pub fn delta(&self) -> u64 {
        match (self.readings.front(), self.readings.back()) {
            (Some((_, first)), Some((_, last))) => last - first,
            _ => 0,
        }
    }

    /// Growth per second; 0 until there are two readings.
    pub fn per_second(&self) -> f64 {
        match (self.readings.front(), self.readings.back()) {
            (Some((first_ns, first)), Some((last_ns, last))) if last_ns > first_ns => {
                (last - first) as f64 * 1e9 / (last_ns - first_ns) as f64
            }
            _ => 0.0,
        }
    }
}

/// The latencies of the last few seconds: the difference between a histogram that only grows and its former self.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    marks: VecDeque<(u64, Histogram)>,
    recent: Histogram,
}

const LATENCY_SPAN_NS: u64 = 5_000_000_000;
const LATENCY_MARK_NS: u64 = 1_000_000_000;

impl Latencies {
    /// Takes a reading.
    pub fn read(&mut self, taken_ns: u64, histogram: &Histogram) {
        if self
            .marks
            .back()
            .is_some_and(|(last_ns, last)| taken_ns < *last_ns || histogram.count() < last.count())
        {
            self.marks.clear();
        }
        self.recent = match self.marks.front() {
            Some((_, earlier)) => histogram.sub(earlier),
            None => Histogram::default(),
        };
        if self.marks.back().is_none_or(|(last_ns, _)| last_ns.saturating_add(LATENCY_MARK_NS) <= taken_ns) {
            self.marks.push_back((taken_ns, histogram.clone()));
        }
        while self.marks.get(1).is_some_and(|(at_ns, _)| at_ns.saturating_add(LATENCY_SPAN_NS) <= taken_ns) {
            self.marks.pop_front();
        }
    }

    /// What completed within the last few seconds.
    pub fn recent(&self) -> &Histogram {
        &self.recent
    }

    /// The latency that `share` of the recent operations did not exceed; `None` when there was none.
    pub fn percentile_ns(&self, share: f64) -> Option<u64> {
        (self.recent.count() > 0).then(|| self.recent.percentile_ns(share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_meter_needs_two_readings_and_forgets_what_is_older_than_its_span() {
        let mut meter = Meter::new(SECOND);
        meter.read(0, 100);
        assert_eq!(meter.per_second(), 0.0);
        meter.read(SECOND / 2, 150);
        assert_eq!(meter.per_second(), 100.0);
        meter.read(10 * SECOND, 150);
        meter.read(11 * SECOND, 160);
        assert_eq!(meter.per_second(), 10.0);
        assert_eq!(meter.delta(), 10);
    }

    #[test]
    fn a_counter_that_goes_down_starts_the_meter_anew() {
        let mut meter = Meter::new(SECOND);
        meter.read(0, 100);
        meter.read(SECOND / 2, 40);
        assert_eq!((meter.per_second(), meter.delta()), (0.0, 0));
    }

    #[test]
    fn a_series_keeps_its_limit() {
        let mut series = Series::new(3, 0);
        for second in 0..10 {
            series.push(second * SECOND, second as f64);
        }
        assert_eq!(series.range(10 * SECOND, 60 * SECOND), Some((7.0, 9.0)));
    }

    #[test]
    fn columns_hold_a_sample_until_the_next_one() {
        let mut series = Series::new(10, 0);
        series.push(0, 4.0);
        series.push(SECOND, 8.0);
        let columns = series.columns(2 * SECOND, 2 * SECOND, 4);
        assert_eq!(columns, [Some(4.0), Some(4.0), Some(8.0), None]);
    }

    #[test]
    fn nothing_is_drawn_across_a_hole_or_across_silence() {
        let mut series = Series::new(10, 0);
        series.push(0, 4.0);
        series.hole(SECOND / 2);
        series.push(SECOND, 8.0);
        assert_eq!(series.columns(2 * SECOND, 2 * SECOND, 4)[1], None);
        let mut silent = Series::new(10, 0);
        silent.push(0, 4.0);
        silent.push(5 * SECOND, 4.0);
        assert_eq!(silent.columns(6 * SECOND, 6 * SECOND, 6), [Some(4.0), None, None, None, None, Some(4.0)]);
    }

    #[test]
    fn a_series_leaves_out_samples_closer_than_its_spacing() {
        let mut series = Series::new(10, SECOND);
        series.push(0, 1.0);
        series.push(SECOND / 4, 100.0);
        series.push(SECOND, 3.0);
        assert_eq!(series.range(SECOND, 60 * SECOND), Some((1.0, 3.0)));
    }
}
