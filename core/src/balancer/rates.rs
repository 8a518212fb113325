//! How fast a device was of late, by algorithm and size class: measured where a run is concluded, read without a lock.

use crate::algorithm::Algorithm;
use crate::clock::Nanos;
use crate::submit::{SIZE_CLASSES, Shape, size_class};
use crate::sync::atomic::{AtomicU64, Ordering};

/// A rate without a sample for so long says little about the present, in nanoseconds.
pub(crate) const OLD_NS: u64 = 200_000_000;
/// Weight of one operation in the smoothed values.
const WEIGHT: f64 = 1.0 / 16.0;
/// Most that a run of many weighs, because it was measured once.
const WEIGHT_MAX: f64 = 0.25;
/// Least that a sample weighs after a pause, so that a device that has changed meanwhile is believed soon.
const WEIGHT_AFTER_PAUSE: f64 = 0.5;

/// What was measured of a device, for one algorithm and size class or all together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Time an operation spends on the device, smoothed, in nanoseconds.
    pub service_ns: f64,
    /// Time the device needs for each of many operations, smoothed, in nanoseconds: less than `service_ns` when it works
    /// on several at once.
    pub op_ns: f64,
    /// Length of an operation, smoothed, in bytes.
    pub bytes: f64,
    /// Operations measured.
    pub samples: u64,
    /// When the latest was, nanoseconds of the runtime's clock.
    pub noted_ns: u64,
}

impl Rate {
    /// How many operations the device works on at once.
    pub fn parallel(&self) -> f64 {
        if self.op_ns > 0.0 { (self.service_ns / self.op_ns).max(1.0) } else { 1.0 }
    }
}

/// One smoothed rate; floats as bits. One writer at a time.
#[derive(Debug, Default)]
struct Cell {
    service_ns: AtomicU64,
    op_ns: AtomicU64,
    bytes: AtomicU64,
    samples: AtomicU64,
    noted_ns: AtomicU64,
}

fn read(cell: &AtomicU64) -> f64 {
    f64::from_bits(cell.load(Ordering::Relaxed))
}

fn smooth(cell: &AtomicU64, value: f64, weight: f64) {
    let before = read(cell);
    cell.store((before + (value - before) * weight).to_bits(), Ordering::Relaxed);
}

impl Cell {
    fn note(&self, ops: u64, service_ns: f64, op_ns: f64, bytes: f64, now: Nanos) {
        let samples = self.samples.load(Ordering::Relaxed);
        let pause_ns = now.since(Nanos(self.noted_ns.load(Ordering::Relaxed)));
        let weight = match samples {
            0 => 1.0,
            _ if pause_ns > OLD_NS / 2 => WEIGHT_AFTER_PAUSE,
            _ => (ops as f64 * WEIGHT).min(WEIGHT_MAX).max(1.0 / (samples + 1) as f64),
        };
        smooth(&self.service_ns, service_ns, weight);
        smooth(&self.op_ns, op_ns, weight);
        smooth(&self.bytes, bytes, weight);
        self.noted_ns.store(now.0, Ordering::Relaxed);
        self.samples.store(samples + ops, Ordering::Relaxed);
    }

    fn set(&self, rate: &Rate) {
        self.service_ns.store(rate.service_ns.to_bits(), Ordering::Relaxed);
        self.op_ns.store(rate.op_ns.to_bits(), Ordering::Relaxed);
        self.bytes.store(rate.bytes.to_bits(), Ordering::Relaxed);
        self.noted_ns.store(rate.noted_ns, Ordering::Relaxed);
        self.samples.store(rate.samples, Ordering::Relaxed);
    }

    #[inline]
    fn read(&self) -> Option<Rate> {
        let samples = self.samples.load(Ordering::Relaxed);
        (samples > 0).then(|| Rate {
            service_ns: read(&self.service_ns),
            op_ns: read(&self.op_ns),
            bytes: read(&self.bytes),
            samples,
            noted_ns: self.noted_ns.load(Ordering::Relaxed),
        })
    }
}

/// The rates of one device.
#[derive(Debug)]
pub(crate) struct Rates {
    cells: Box<[Cell]>,
    overall: Cell,
    /// When the device was heard of last: it answered, or got work after having none.
    heard_ns: AtomicU64,
}

impl Default for Rates {
    fn default() -> Self {
        let cells = (0..Algorithm::ALL.len() * SIZE_CLASSES).map(|_| Cell::default()).collect();
        Self { cells, overall: Cell::default(), heard_ns: AtomicU64::new(0) }
    }
}

impl Rates {
    /// Notes operations that a direct device carried out one after the other in `run_ns`.
    pub(crate) fn note_run(&self, shape: Shape, ops: u64, bytes: u64, run_ns: u64, now: Nanos) {
        let (each_ns, bytes) = (run_ns as f64 / ops.max(1) as f64, bytes as f64 / ops.max(1) as f64);
        self.note(shape, ops, each_ns, each_ns, bytes, now);
    }

    /// Notes an operation that spent `service_ns` on a queued device, which had `in_flight` at once.
    pub(crate) fn note_one(&self, shape: Shape, service_ns: u64, in_flight: usize, now: Nanos) {
        let service_ns = service_ns as f64;
        self.note(shape, 1, service_ns, service_ns / in_flight.max(1) as f64, shape.bytes() as f64, now);
    }

    fn note(&self, shape: Shape, ops: u64, service_ns: f64, op_ns: f64, bytes: f64, now: Nanos) {
        self.cell(shape).note(ops, service_ns, op_ns, bytes, now);
        self.overall.note(ops, service_ns, op_ns, bytes, now);
        self.heard_ns.store(now.0, Ordering::Relaxed);
    }

    /// The device gets work after having none: its silence begins now.
    pub(crate) fn begins(&self, now: Nanos) {
        self.heard_ns.store(now.0, Ordering::Relaxed);
    }

    fn cell(&self, shape: Shape) -> &Cell {
        &self.cells[shape.algorithm() as usize * SIZE_CLASSES + size_class(shape.bytes())]
    }

    /// Operations like this that were measured.
    #[inline]
    pub(crate) fn samples(&self, shape: Shape) -> u64 {
        self.cell(shape).samples.load(Ordering::Relaxed)
    }

    /// What an operation like this costs the device, in nanoseconds, if it was ever measured.
    #[inline]
    pub(crate) fn cost_ns(&self, shape: Shape) -> Option<f64> {
        let cell = self.cell(shape);
        if cell.samples.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let scale = match size_class(shape.bytes()) {
            0 => 1.0,
            _ => shape.bytes() as f64 / read(&cell.bytes).max(1.0),
        };
        Some(read(&cell.op_ns) * scale)
    }

    /// The rate for operations like this.
    #[inline]
    pub(crate) fn of(&self, shape: Shape) -> Option<Rate> {
        self.cell(shape).read()
    }

    /// The rate for one algorithm and size class.
    pub(crate) fn at(&self, algorithm: Algorithm, class: usize) -> Option<Rate> {
        self.cells.get(algorithm as usize * SIZE_CLASSES + class)?.read()
    }

    pub(crate) fn set_at(&self, algorithm: Algorithm, class: usize, rate: &Rate) {
        if let Some(cell) = self.cells.get(algorithm as usize * SIZE_CLASSES + class) {
            cell.set(rate);
        }
    }

    /// The rate over everything it did.
    #[inline]
    pub(crate) fn overall(&self) -> Option<Rate> {
        self.overall.read()
    }

    pub(crate) fn set_overall(&self, rate: &Rate) {
        self.overall.set(rate);
    }

    /// Nanoseconds until an operation that is placed now would be done, behind `ahead` others, of which `in_flight` are
    /// on the device. `None` while nothing is known of operations like it.
    #[inline]
    pub(crate) fn expected_ns(
        &self,
        shape: Shape,
        ahead: usize,
        in_flight: usize,
        now: Nanos,
    ) -> Option<u64> {
        let rate = self.of(shape)?;
        let overall = self.overall().unwrap_or(rate);
        // The smallest class is all fixed cost; within the others time goes by length.
        let scale = match size_class(shape.bytes()) {
            0 => 1.0,
            _ => (shape.bytes() as f64 / rate.bytes.max(1.0)).clamp(0.25, 8.0),
        };
        let in_line = ahead as f64 * overall.op_ns + rate.op_ns * scale;
        let mut expected: f64 = in_line.max(rate.service_ns * scale);
        if in_flight > 0 {
            expected += self.silence_ns(&overall, now);
        }
        Some(expected as u64)
    }

    /// Nanoseconds until the operations it has would be done. `None` while nothing is known of the device.
    pub(crate) fn busy_ns(&self, ahead: usize, in_flight: usize, now: Nanos) -> Option<u64> {
        let overall = self.overall()?;
        let silence_ns = if in_flight > 0 { self.silence_ns(&overall, now) } else { 0.0 };
        Some((ahead as f64 * overall.op_ns + silence_ns) as u64)
    }

    /// Silence beyond what is usual, while it has work: it says more than answers of the past.
    fn silence_ns(&self, overall: &Rate, now: Nanos) -> f64 {
        let silent_ns = now.since(Nanos(self.heard_ns.load(Ordering::Relaxed))) as f64;
        if silent_ns > 2.0 * overall.service_ns { silent_ns } else { 0.0 }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::algorithm::OpKind;

    fn shape(bytes: usize) -> Shape {
        Shape::new(Algorithm::Aes128Ctr, OpKind::Encrypt, 3, bytes)
    }

    #[test]
    fn nothing_is_expected_of_a_device_that_was_never_measured() {
        let rates = Rates::default();
        assert_eq!(rates.expected_ns(shape(64), 0, 0, Nanos(0)), None);
        rates.note_run(shape(64), 10, 640, 10_000, Nanos(1));
        assert_eq!(rates.expected_ns(shape(64), 0, 0, Nanos(1)), Some(1_000));
        assert_eq!(rates.expected_ns(shape(5_000), 0, 0, Nanos(1)), None, "another class is another rate");
    }

    #[test]
    fn what_runs_in_parallel_waits_for_less() {
        let rates = Rates::default();
        for _ in 0..100 {
            rates.note_one(shape(64), 8_000, 4, Nanos(1));
        }
        assert_eq!(rates.overall().map(|rate| rate.parallel()), Some(4.0));
        assert_eq!(rates.expected_ns(shape(64), 0, 0, Nanos(1)), Some(8_000), "alone it takes its own time");
        assert_eq!(rates.expected_ns(shape(64), 7, 4, Nanos(1)), Some(16_000));
    }

    #[test]
    fn after_a_pause_a_faster_device_is_believed_within_a_few_samples() {
        let rates = Rates::default();
        for _ in 0..100 {
            rates.note_one(shape(64), 1_000_000, 1, Nanos(0));
        }
        for pause in 1..=4 {
            rates.note_one(shape(64), 1_000, 1, Nanos(pause * OLD_NS));
        }
        assert!(rates.of(shape(64)).unwrap().service_ns < 70_000.0);
    }

    #[test]
    fn silence_counts_as_time_while_something_is_in_flight() {
        let rates = Rates::default();
        rates.note_one(shape(64), 1_000, 1, Nanos(0));
        assert_eq!(rates.expected_ns(shape(64), 0, 0, Nanos(1_000_000)), Some(1_000));
        assert_eq!(rates.expected_ns(shape(64), 1, 1, Nanos(1_000_000)), Some(1_002_000));
        rates.begins(Nanos(999_000));
        assert_eq!(rates.expected_ns(shape(64), 1, 1, Nanos(1_000_000)), Some(2_000));
    }
}
