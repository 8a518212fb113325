//! Panel 4: operations per second over time, with marks where something happened.

use ratatui::layout::Rect;

use super::pen::{Pen, columns};
use super::plot;
use crate::format;
use crate::layout::Panel;
use crate::log::Marker;
use crate::model::Model;
use crate::theme::Role;

/// Fewer rows than this get a sparkline instead of a chart.
const CHART_ROWS_MIN: u16 = 5;
const MARKERS_MAX: usize = 3;

/// Draws the panel.
pub fn draw(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let focused = model.focus == Panel::Throughput;
    let demo = if model.is_demo() { "  DEMO, simulated" } else { "" };
    let inner_rows = area.height.saturating_sub(2);
    if inner_rows < CHART_ROWS_MIN {
        let title = format!("op/s {}", format::window(model.window_ns()));
        let inner = pen.panel(area, Panel::Throughput, focused, &title, "");
        strip(pen, inner, model);
    } else {
        let title = format!("throughput  op/s{demo}");
        let inner = pen.panel(area, Panel::Throughput, focused, &title, "+- window");
        chart(pen, inner, model);
    }
}

fn strip(pen: &mut Pen<'_>, inner: Rect, model: &Model) {
    let data = model.shown();
    let (now_ns, window_ns) = (model.shown_ns(), model.window_ns());
    let width = inner.width.saturating_sub(2);
    let values = data.runtime.throughput.columns(now_ns, window_ns, width.into());
    let range = data.runtime.throughput.range(now_ns, window_ns);
    let (low, high) = range.unwrap_or((0.0, 0.0));
    pen.spark(inner, 1, 0, &values, high, Role::Chart);
    if range.is_some() {
        let now = format::count(data.runtime.completed.per_second());
        let (low, high) = (format::count(low), format::count(high));
        let texts = [format!("now {now}  min {low}  max {high}"), format!("now {now}  max {high}")];
        pen.text(inner, 1, 1, &format::first_that_fits(&texts, width.into()), Role::Text);
    }
}

fn chart(pen: &mut Pen<'_>, inner: Rect, model: &Model) {
    const LABELS: u16 = 7;
    let data = model.shown();
    let (now_ns, window_ns) = (model.shown_ns(), model.window_ns());
    let plot = Rect {
        x: inner.x + LABELS,
        width: inner.width.saturating_sub(LABELS + 1),
        height: inner.height.saturating_sub(2),
        ..inner
    };
    let high = data.runtime.throughput.range(now_ns, window_ns).map_or(0.0, |(_, high)| high);
    let top = plot::nice_top(high);
    axes(pen, inner, plot, top, window_ns);
    marks(pen, plot, model);
    let values = data.runtime.throughput.columns(now_ns, window_ns, usize::from(plot.width) * 2);
    plot::line(pen, plot, &values, top, Role::Chart);
}

fn axes(pen: &mut Pen<'_>, inner: Rect, plot: Rect, top: f64, window_ns: u64) {
    let rows = plot.height;
    let edge = plot.x - inner.x;
    for y in 0..rows {
        pen.text(inner, edge - 1, y, "│", Role::Label);
    }
    // Three parts where the top divides by three, else two.
    let mantissa = top / 10_f64.powf(top.log10().floor());
    let parts = if (mantissa - 1.5).abs() < 0.01 || (mantissa / 3.0).fract() < 0.01 { 3 } else { 2 };
    for part in 1..=parts {
        let share = f64::from(part) / f64::from(parts);
        let y = ((1.0 - share) * f64::from(rows)).round() as u16;
        pen.right(inner, edge - 1, y, &axis_label(top * share), Role::Label);
        pen.text(inner, edge - 1, y, "┤", Role::Label);
    }
    let mut axis: Vec<char> = vec!['─'; plot.width.into()];
    for quarter in 0..5_u16 {
        let x = quarter_column(plot.width, quarter);
        if let Some(cell) = axis.get_mut(usize::from(x)) {
            *cell = '┬';
        }
        let age_ns = window_ns / 4 * u64::from(4 - quarter);
        let label = if quarter == 4 { "now".to_owned() } else { format!("-{}", format::window(age_ns)) };
        let width = columns(&label);
        let start = (edge + x).saturating_sub(width / 2).min(inner.width.saturating_sub(width + 1));
        pen.text(inner, start, rows + 1, &label, Role::Label);
    }
    pen.right(inner, edge - 1, rows, "0", Role::Label);
    pen.text(inner, edge - 1, rows, "└", Role::Label);
    pen.text(inner, edge, rows, &axis.iter().collect::<String>(), Role::Label);
}

fn quarter_column(width: u16, quarter: u16) -> u16 {
    width.saturating_sub(1) * quarter / 4
}

/// A count without zeros that say nothing: `1.5M`, `1M`, `500k`.
fn axis_label(value: f64) -> String {
    let text = format::count(value);
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let suffix = &text[digits.len()..];
    let digits =
        if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    format!("{digits}{suffix}")
}

fn marks(pen: &mut Pen<'_>, plot: Rect, model: &Model) {
    let Some(wall_ns) = model.shown().wall_ns(model.shown_ns()) else { return };
    let window_ns = model.window_ns();
    let recent: Vec<Marker> = model
        .shown_log()
        .markers()
        .take_while(|marker| marker.wall_ns.saturating_add(window_ns) > wall_ns)
        .take(MARKERS_MAX)
        .collect();
    let places: Vec<(u16, u16, &Marker)> = recent
        .iter()
        .enumerate()
        .map(|(index, marker)| {
            let age_ns = wall_ns.saturating_sub(marker.wall_ns);
            let from_right = (age_ns as f64 / window_ns as f64 * f64::from(plot.width)) as u16;
            let x = plot.width.saturating_sub(1).saturating_sub(from_right);
            // The newest is lowest, so that labels do not cover each other.
            (x, plot.height.saturating_sub(1 + index as u16), marker)
        })
        .collect();
    for (x, y, _) in &places {
        for row in *y..plot.height {
            pen.text(plot, *x, row, "┆", Role::Label);
        }
    }
    for (x, y, marker) in places {
        let (sign, role) = if marker.alarm { ("▼", Role::Bad) } else { ("┆", Role::Head) };
        pen.text(plot, x, y, sign, role);
        let width = columns(&marker.text);
        if x + 2 + width <= plot.width {
            pen.text(plot, x + 2, y, &marker.text, role);
        } else if width < x {
            pen.text(plot, x - width - 1, y, &marker.text, role);
        }
    }
}
