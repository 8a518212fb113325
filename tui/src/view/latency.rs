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

/// The run of `rows` octaves that holds the most, as a range of indices, no longer than it needs to be.
fn window(counts: &[u64; OCTAVES], rows: usize) -> std::ops::Range<usize> {
    let first = counts.iter().position(|count| *count > 0).unwrap_or(0);
    let last = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
    let rows = rows.clamp(1, last - first + 1);
    let start = (first..=last + 1 - rows)
        .max_by_key(|start| (counts[*start..start + rows].iter().sum::<u64>(), OCTAVES - start))
        .unwrap_or(first);
    start..start + rows
}

fn bars(pen: &mut Pen<'_>, area: Rect, histogram: &Histogram) {
    const LABEL: u16 = 8;
    let counts = octaves(histogram);
    let range = window(&counts, area.height.into());
    let sum = histogram.count().max(1);
    let below: u64 = counts[..range.start].iter().sum();
    let above: u64 = counts[range.end..].iter().sum();
    let rows: Vec<(String, u64)> = range
        .clone()
        .map(|octave| {
            let bound = format::latency(lower_ns(octave));
            if octave == range.start && below > 0 || octave == 0 {
                (format!("<{}", format::latency(lower_ns(octave + 1))), counts[octave] + below)
            } else if octave + 1 == range.end && above > 0 {
                (format!("≥{bound}"), counts[octave] + above)
            } else {
                (bound, counts[octave])
            }
        })
        .collect();
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    let room = area.width.saturating_sub(LABEL + 9);
    for (y, (label, count)) in rows.iter().enumerate() {
        let y = y as u16;
        pen.right(area, LABEL, y, label, Role::Label);
        let cells = (*count as f64 / most as f64 * f64::from(room)).ceil() as usize;
        let x = pen.text(area, LABEL + 1, y, "▕", Role::Label);
        let x = pen.text(area, x, y, &"█".repeat(cells), Role::Bar);
        pen.text(area, x, y, "▏", Role::Label);
        let share = format::percent(*count as f64 / sum as f64);
        pen.right(area, area.width.saturating_sub(1), y, &share, Role::Text);
    }
}

fn sparks(pen: &mut Pen<'_>, inner: Rect, x: u16, histogram: &Histogram) {
    let counts = octaves(histogram);
    let room = inner.width.saturating_sub(x + 1);
    let range = window(&counts, room.into());
    let most = counts.iter().copied().max().unwrap_or(1) as f64;
    let values: Vec<Option<f64>> = counts[range].iter().map(|count| Some(*count as f64)).collect();
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
    fn the_window_shows_where_most_operations_are() {
        let mut counts = [0; OCTAVES];
        counts[3] = 1;
        counts[5] = 40;
        counts[6] = 50;
        counts[12] = 2;
        assert_eq!(window(&counts, 2), 5..7);
        assert_eq!(window(&counts, 32), 3..13);
        assert_eq!(window(&[0; OCTAVES], 5), 0..1);
    }
}
