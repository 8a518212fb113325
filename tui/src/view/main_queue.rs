//! Panel 1: the main queue.

use acrypto_netlink::message::OpKind;
use ratatui::layout::Rect;

use super::pen::{Pen, columns};
use crate::format;
use crate::layout::Panel;
use crate::model::Model;
use crate::theme::Role;

/// Draws the panel as a box.
pub fn draw(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let inner = pen.panel(area, Panel::MainQueue, model.focus == Panel::MainQueue, "main queue", "");
    let data = model.shown();
    let Some(snapshot) = &data.snapshot else { return };
    let stats = &snapshot.stats;
    let runtime = &data.runtime;
    let share = share(stats.main_queue_ops, stats.main_queue_max_ops);

    let depth =
        format!(" {}/{} {}", stats.main_queue_ops, stats.main_queue_max_ops, format::whole_percent(share));
    let flow = format!(
        "in {}/s out {}/s",
        format::count(runtime.accepted.per_second()),
        format::count(runtime.completed.per_second())
    );
    let x = pen.text(inner, 1, 0, "depth ", Role::Label);
    let bar = inner.width.saturating_sub(x + columns(&depth) + columns(&flow) + 4).min(60);
    let x = pen.bar(inner, x, 0, bar, share, fill_role(share));
    pen.text(inner, x, 0, &depth, Role::Text);
    pen.right(inner, inner.width.saturating_sub(1), 0, &flow, Role::Text);

    let p = |share| runtime.queue_wait.percentile_ns(share).map_or_else(|| "-".to_owned(), format::latency);
    let wait = format!("p50 {}  p99 {}  oldest {}", p(0.5), p(0.99), format::latency(stats.oldest_ns));
    labelled(pen, inner, 1, ("wait", &wait), ("refused", runtime.refused.per_second(), "/s"));
    history(pen, inner, 2, model);
    labelled(pen, inner, 3, ("mix", &mix(model)), ("cancelled", stats.cancelled_ops as f64, ""));
    if inner.height > 5 {
        priorities(pen, inner, 5, model);
    }
}

/// A line with a label, and a count at its right end where there is room.
fn labelled(pen: &mut Pen<'_>, inner: Rect, y: u16, left: (&str, &str), right: (&str, f64, &str)) {
    let x = pen.text(inner, 1, y, &format!("{:<6}", left.0), Role::Label);
    let x = pen.text(inner, x, y, left.1, Role::Text);
    let (label, value, unit) = right;
    let count = format!("{}{unit}", format::count(value));
    let start = inner.width.saturating_sub(columns(label) + columns(&count) + 2);
    if x + 2 <= start {
        let role = if label == "refused" && value > 0.0 { Role::Warn } else { Role::Text };
        pen.pieces(inner, start, y, &[(label, Role::Label), (" ", Role::Label), (&count, role)]);
    }
}

fn history(pen: &mut Pen<'_>, inner: Rect, y: u16, model: &Model) {
    let data = model.shown();
    let now_ns = model.shown_ns();
    let window_ns = model.window_ns();
    let peak = data.runtime.depth.range(now_ns, window_ns).map_or(0.0, |(_, high)| high);
    let peak_text = format!("peak {}", peak.round() as u64);
    let x = pen.text(inner, 1, y, &format!("{:<6}", format::window(window_ns)), Role::Label);
    let width = inner.width.saturating_sub(x + columns(&peak_text) + 3);
    let values = data.runtime.depth.columns(now_ns, window_ns, width.into());
    pen.spark(inner, x, y, &values, peak, Role::Bar);
    pen.right(inner, inner.width.saturating_sub(1), y, &peak_text, Role::Text);
}

fn mix(model: &Model) -> String {
    let data = model.shown();
    let deltas: Vec<u64> = data.runtime.kinds.iter().map(|meter| meter.delta()).collect();
    let sum: u64 = deltas.iter().sum();
    if sum == 0 {
        return "nothing completed lately".to_owned();
    }
    let parts: Vec<String> = OpKind::ALL
        .iter()
        .zip(&deltas)
        .filter(|(_, delta)| **delta > 0)
        .map(|(kind, delta)| format!("{} {}", kind.name(), format::whole_percent(*delta as f64 / sum as f64)))
        .collect();
    parts.join("  ")
}

/// Zoomed, there is room for the waiting operations by priority, and for what was counted since the start.
fn priorities(pen: &mut Pen<'_>, inner: Rect, y: u16, model: &Model) {
    const BAR: u16 = 32;
    const TOTALS: u16 = 52;
    const TOTALS_WIDTH: u16 = 24;
    let Some(snapshot) = &model.shown().snapshot else { return };
    let stats = &snapshot.stats;
    let waiting = &snapshot.queue.waiting_ops_by_priority;
    let most = waiting.iter().copied().max().unwrap_or(0).max(1);
    pen.text(inner, 1, y, "waiting by priority", Role::Head);
    for (row, priority) in (0..waiting.len()).rev().enumerate() {
        let y = y + 1 + row as u16;
        let share = waiting[priority] as f64 / most as f64;
        let x = pen.text(inner, 1, y, &format!("{priority}     "), Role::Label);
        let x = pen.bar(inner, x, y, BAR, share, Role::Bar);
        pen.text(inner, x + 1, y, &waiting[priority].to_string(), Role::Text);
    }
    let beside = inner.width >= TOTALS + TOTALS_WIDTH;
    let (x, y) = if beside { (TOTALS, y) } else { (1, y + 2 + waiting.len() as u16) };
    pen.text(inner, x, y, "since the start", Role::Head);
    let totals = [
        ("accepted", stats.accepted_ops),
        ("completed", stats.completed_ops),
        ("failed", stats.failed_ops),
        ("cancelled", stats.cancelled_ops),
        ("refused", stats.refused_ops),
    ];
    for (row, (label, value)) in totals.into_iter().enumerate() {
        let y = y + 1 + row as u16;
        pen.text(inner, x, y, label, Role::Label);
        pen.right(inner, x + TOTALS_WIDTH, y, &value.to_string(), Role::Text);
    }
}

/// Draws the panel as one line.
pub fn draw_line(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let number_role = if model.focus == Panel::MainQueue { Role::Focus } else { Role::Key };
    let x = pen.text(area, 1, 0, "¹", number_role);
    let x = pen.text(area, x, 0, " main ", Role::Title);
    let data = model.shown();
    let Some(snapshot) = &data.snapshot else {
        pen.text(area, x, 0, "nothing heard yet", Role::Label);
        return;
    };
    let stats = &snapshot.stats;
    let share = share(stats.main_queue_ops, stats.main_queue_max_ops);
    let depth =
        format!(" {}/{} {}", stats.main_queue_ops, stats.main_queue_max_ops, format::whole_percent(share));
    let flow = format!(
        "in {} out {}",
        format::count(data.runtime.accepted.per_second()),
        format::count(data.runtime.completed.per_second())
    );
    let p99 = data.runtime.total.percentile_ns(0.99).map_or_else(|| "-".to_owned(), format::latency);
    let p99 = format!("  p99 {p99}");
    let rest = columns(&depth) + 2 + columns(&flow);
    let bar = area.width.saturating_sub(x + rest + columns(&p99) + 1).clamp(6, 40);
    let x = pen.bar(area, x, 0, bar, share, fill_role(share));
    let x = pen.text(area, x, 0, &depth, Role::Text);
    let x = pen.text(area, x + 2, 0, &flow, Role::Text);
    if x + columns(&p99) < area.width {
        pen.text(area, x, 0, &p99, Role::Text);
    }
}

fn share(ops: u64, max_ops: u64) -> f64 {
    if max_ops == 0 { 0.0 } else { ops as f64 / max_ops as f64 }
}

/// The colour of a bar that is this full.
pub fn fill_role(share: f64) -> Role {
    if share >= 0.9 {
        Role::Bad
    } else if share >= 0.7 {
        Role::Warn
    } else {
        Role::Bar
    }
}
