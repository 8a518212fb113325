//! Panel 5: how long operations took, from submission to completion, within the last few seconds.

use acrypto_netlink::message::Histogram;
use ratatui::layout::Rect;

use super::pen::{Pen, columns};
use crate::format;
use crate::layout::Panel;
use crate::model::Model;
use crate::theme::Role;

/// Octaves of a microsecond: below 1 µs, 1 to 2 µs, 2 to 4 µs and so on; the last is open.
const OCTAVES: usize = 32;

/// Draws the panel.
pub fn draw(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let small = area.height < 7;
    let title = if small { "latency" } else { "latency  submit→complete, last 5 s" };
    let inner = pen.panel(area, Panel::Latency, model.focus == Panel::Latency, title, "");
    let recent = model.shown().runtime.total.recent();
    if recent.count() == 0 {
        pen.text(inner, 1, 0, "nothing completed lately", Role::Label);
        return;
    }
    let p = |share| format::latency(recent.percentile_ns(share));
    let first = format!("p50 {}  p90 {}  p99 {}", p(0.5), p(0.9), p(0.99));
    let second = format!("p99.9 {}  max {}", p(0.999), format::latency(recent.max_ns()));
    let room = usize::from(inner.width.saturating_sub(2));
    let first = format::first_that_fits(&[first, format!("p50 {}  p99 {}", p(0.5), p(0.99))], room);
    let x = pen.text(inner, 1, 0, &first, Role::Text);
    if small {
        let x = pen.text(inner, 1, 1, &second, Role::Text);
        sparks(pen, inner, x + 2, recent);
        return;
    }
    let one_line = x + 2 + columns(&second) < inner.width;
    let (x, y) = if one_line { (x + 2, 0) } else { (1, 1) };
    pen.text(inner, x, y, &second, Role::Text);
    let top = y + if inner.height > 6 { 2 } else { 1 };
    let room = Rect { y: inner.y + top, height: inner.height.saturating_sub(top), ..inner };
    bars(pen, room, recent);
}

fn octaves(histogram: &Histogram) -> [u64; OCTAVES] {
    let mut counts = [0; OCTAVES];
    for (upper_ns, count) in histogram.buckets() {
        // A bucket belongs where its upper edge lies; an edge that is a bound belongs below it.
        let micros = upper_ns.saturating_sub(1) / 1_000;
        let octave = if micros == 0 { 0 } else { micros.ilog2() as usize + 1 };
        counts[octave.min(OCTAVES - 1)] += count;
    }
    counts
}

/// Lower bound of an octave, in nanoseconds.
fn lower_ns(octave: usize) -> u64 {
    if octave == 0 { 0 } else { 1_000 << (octave - 1) }
}

/// Octaves grouped into bars.
struct Bars {
    /// First octave of the first bar.
    start: usize,
    /// Octaves in a bar.
    step: usize,
    /// Counts; the first and the last bar hold what lies beyond as well.
    counts: Vec<u64>,
    /// Whether something lies below the first bar.
    below: bool,
    /// Whether something lies above the last.
    above: bool,
}

/// Groups octaves into at most `rows` bars. A thousandth at each end does not get bars of its own.
fn group(octaves: &[u64; OCTAVES], rows: usize) -> Bars {
    let sum: u64 = octaves.iter().sum();
    let rare = sum / 1_000;
    let mut seen = 0;
    let first = octaves.iter().position(|count| {
        seen += count;
        seen > rare
    });
    let first = first.unwrap_or(0);
    seen = 0;
    let last = octaves.iter().rposition(|count| {
        seen += count;
        seen > rare
    });
    let last = last.unwrap_or(first);
    let octave_count = last.saturating_sub(first) + 1;
    let step = octave_count.div_ceil(rows.max(1));
    let mut counts = vec![0; octave_count.div_ceil(step)];
    let bars = counts.len();
    for (octave, count) in octaves.iter().enumerate() {
        counts[(octave.saturating_sub(first) / step).min(bars - 1)] += count;
    }
    let end = first + step * bars;
    Bars {
        start: first,
        step,
        counts,
        below: octaves[..first].iter().any(|count| *count > 0),
        above: octaves[end.min(OCTAVES)..].iter().any(|count| *count > 0),
    }
}

fn bars(pen: &mut Pen<'_>, area: Rect, histogram: &Histogram) {
    const LABEL: u16 = 8;
    if area.height == 0 {
        return;
    }
    let bars = group(&octaves(histogram), area.height.into());
    let sum = histogram.count().max(1);
    let most = bars.counts.iter().copied().max().unwrap_or(1).max(1);
    let room = area.width.saturating_sub(LABEL + 9);
    for (row, count) in bars.counts.iter().enumerate() {
        let y = row as u16;
        let octave = bars.start + row * bars.step;
        let label = if row == 0 && (bars.below || octave == 0) {
            format!("<{}", bound(octave + bars.step))
        } else if row + 1 == bars.counts.len() && bars.above {
            format!("≥{}", bound(octave))
        } else {
            bound(octave)
        };
        pen.right(area, LABEL, y, &label, Role::Label);
        let cells = (*count as f64 / most as f64 * f64::from(room)).ceil() as usize;
        let x = pen.text(area, LABEL + 1, y, "▕", Role::Label);
        let x = pen.text(area, x, y, &"█".repeat(cells), Role::Bar);
        pen.text(area, x, y, "▏", Role::Label);
        let share = format::percent(*count as f64 / sum as f64);
        pen.right(area, area.width.saturating_sub(1), y, &share, Role::Text);
    }
}

/// Lower bound of an octave: `4µs`, `1ms`.
fn bound(octave: usize) -> String {
    format::latency(lower_ns(octave)).replace(".0", "")
}

fn sparks(pen: &mut Pen<'_>, inner: Rect, x: u16, histogram: &Histogram) {
    let counts = octaves(histogram);
    let room = inner.width.saturating_sub(x + 1);
    let bars = group(&counts, usize::from(room).min(12));
    let most = bars.counts.iter().copied().max().unwrap_or(1) as f64;
    let values: Vec<Option<f64>> = bars.counts.iter().map(|count| Some(*count as f64)).collect();
    if room >= 3 {
        pen.spark(inner, x, 1, &values, most, Role::Bar);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octaves_are_bounded_by_powers_of_two_microseconds() {
        let histogram =
            Histogram::new([(900, 1), (1_000, 1), (1_500, 2), (2_000, 4), (2_100, 8), (u64::MAX, 16)], 0, 0);
        let counts = octaves(&histogram);
        assert_eq!((counts[0], counts[1], counts[2], counts[OCTAVES - 1]), (2, 6, 8, 16));
    }

    #[test]
    fn bars_cover_every_octave_that_counts() {
        let mut counts = [0; OCTAVES];
        counts[3] = 1;
        counts[5] = 4_000;
        counts[6] = 5_000;
        counts[12] = 200;
        let all = group(&counts, 10);
        assert_eq!((all.start, all.step, all.counts.len()), (5, 1, 8));
        assert_eq!((all.counts[0], all.below, all.above), (4_001, true, false));
        let few = group(&counts, 4);
        assert_eq!((few.step, few.counts), (2, vec![9_001, 0, 0, 200]));
        let none = group(&[0; OCTAVES], 5);
        assert_eq!(none.counts.iter().sum::<u64>(), 0);
    }
}
