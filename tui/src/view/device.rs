//! The detail of one device.

use acrypto_netlink::message::{DeviceInfo, FaultSpec, Histogram, Severity};
use ratatui::layout::Rect;

use super::devices::{state_role, state_word};
use super::events;
use super::pen::{Pen, columns};
use crate::format;
use crate::lint;
use crate::log::Line;
use crate::model::Model;
use crate::theme::Role;

const FIGURES_MIN: u16 = 44;
const FIGURES_MAX: u16 = 60;
const EVENTS_MIN: usize = 4;

/// Draws the detail of the device with this number.
pub fn draw(pen: &mut Pen<'_>, area: Rect, id: u32, model: &Model) {
    let inner = pen.frame(area, true);
    let data = model.shown();
    let Some(device) = data.device(id) else {
        pen.text(area, 2, 0, " device ", Role::Title);
        pen.text(inner, 1, 0, "this device is gone; Esc goes back", Role::Label);
        return;
    };
    let x = pen.text(area, 2, 0, &format!(" device {} ", device.name), Role::Title);
    let hint = " a actions  j k other device  Esc back ";
    if x + columns(hint) + 3 < area.width {
        pen.right(area, area.width - 2, 0, hint, Role::Label);
    }
    let right_columns = (inner.width / 2).clamp(FIGURES_MIN, FIGURES_MAX).min(inner.width);
    let left = Rect { width: inner.width - right_columns, ..inner };
    let right = Rect { x: inner.x + left.width, width: right_columns, ..inner };
    // Whatever it can do, some of what happened to it is shown too.
    let events = events_of(device, model).take(EVENTS_MIN).count().max(1) as u16;
    let upper = Rect { height: left.height.saturating_sub(2 + events).max(left.height / 2), ..left };
    let used = facts(pen, upper, device, model).min(upper.height);
    let used = figures(pen, right, device, model).max(used);
    let rest =
        Rect { y: inner.y + used.min(inner.height), height: inner.height.saturating_sub(used), ..inner };
    history(pen, rest, device, model);
}

/// Columns of the labels.
const FACT_LABEL: u16 = 10;

fn fact(pen: &mut Pen<'_>, area: Rect, y: u16, label: &str, text: &str, role: Role) -> u16 {
    pen.text(area, 1, y, label, Role::Label);
    let room = area.width.saturating_sub(FACT_LABEL + 2);
    let lines = format::wrap(text, room.into());
    for (row, line) in lines.iter().enumerate() {
        pen.text(area, 1 + FACT_LABEL, y + row as u16, line, role);
    }
    y + lines.len() as u16
}

fn facts(pen: &mut Pen<'_>, area: Rect, device: &DeviceInfo, model: &Model) -> u16 {
    let data = model.shown();
    let state = state_word(device.state);
    let mut y = fact(pen, area, 0, "state", &state, state_role(device.state));
    if device.probation_percent < 100 && device.state.is_usable() {
        y = fact(pen, area, y, "probation", &format!("{}% of load", device.probation_percent), Role::Warn);
    }
    if !device.state_reason.is_empty() {
        y = fact(pen, area, y, "reason", &device.state_reason, Role::Text);
    }
    let since_ns = data.server_ns().unwrap_or(0).saturating_sub(device.state_since_ns);
    y = fact(pen, area, y, "for", &format::span(since_ns), Role::Text);
    y = fact(pen, area, y, "kind", &device.kind, Role::Text);
    y = fact(pen, area, y, "added by", &format!("uid {}", device.uid), Role::Text);
    let fault = device.fault.as_ref().map_or_else(|| "none".to_owned(), fault_text);
    let fault_role = if device.fault.is_some() { Role::Warn } else { Role::Text };
    y = fact(pen, area, y, "fault", &fault, fault_role);
    let errors = data.device_track(device.id).map_or(0.0, |track| track.errors.per_second());
    for finding in lint::load(device, errors) {
        let role = if finding.severity == Severity::Error { Role::Bad } else { Role::Warn };
        y = fact(pen, area, y, "⚠", &finding.text, role);
    }
    for (index, (name, value)) in device.parameters.iter().enumerate() {
        let label = if index == 0 { "made with" } else { "" };
        y = fact(pen, area, y, label, &format!("{name}={value}"), Role::Text);
    }
    capabilities(pen, area, y, device)
}

/// Operations that can do the same algorithms are told together.
fn capabilities(pen: &mut Pen<'_>, area: Rect, mut y: u16, device: &DeviceInfo) -> u16 {
    let mut ops: Vec<(&str, Vec<&str>)> = Vec::new();
    for capability in &device.capabilities {
        let op = capability.op.name();
        match ops.iter_mut().find(|(known, _)| *known == op) {
            Some((_, algorithms)) => algorithms.push(&capability.algorithm),
            None => ops.push((op, vec![&capability.algorithm])),
        }
    }
    let mut label = "can";
    while !ops.is_empty() {
        let algorithms = ops[0].1.clone();
        let names: Vec<&str> =
            ops.iter().filter(|(_, same)| *same == algorithms).map(|(op, _)| *op).collect();
        y = fact(pen, area, y, label, &format!("{}: {}", names.join(" "), algorithms.join(" ")), Role::Text);
        label = "";
        ops.retain(|(_, same)| *same != algorithms);
    }
    y
}

fn fault_text(fault: &FaultSpec) -> String {
    let mut text = fault.mode.name().to_owned();
    let mut add = |part: String| {
        text.push(' ');
        text.push_str(&part);
    };
    if let Some(op) = fault.op {
        add(op.name().to_owned());
    }
    if let Some(size) = &fault.size_bytes {
        add(format!("{}-{} bytes", size.start(), size.end()));
    }
    if let Some(session) = fault.session {
        add(format!("session {session:#x}"));
    }
    if let Some(count) = fault.count {
        add(format!("{count} times"));
    }
    if let Some(every) = fault.every {
        add(format!("every {every}"));
    }
    if let Some(rate) = fault.rate {
        add(format::percent(rate));
    }
    if let Some(for_ns) = fault.for_ns {
        add(format!("for {}", format::span(for_ns)));
    }
    if let Some(delay_ns) = fault.delay_ns {
        add(format!("by {}", format::span(delay_ns)));
    }
    text
}

fn figures(pen: &mut Pen<'_>, area: Rect, device: &DeviceInfo, model: &Model) -> u16 {
    let counters = &device.counters;
    let held_ops = counters.queued_ops + counters.in_flight_ops;
    let x = pen.text(area, 1, 0, "queue ", Role::Label);
    let share = lint::queue_share(device);
    let x = pen.bar(area, x, 0, area.width.saturating_sub(x + 16).min(40), share, Role::Bar);
    pen.text(area, x + 1, 0, &format!("{held_ops}/{}", device.queue_max_ops), Role::Text);
    let pairs = [
        [("taken", counters.taken_ops), ("finished", counters.finished_ops)],
        [("moved out", counters.moved_out_ops), ("abandoned", counters.abandoned_ops)],
        [("queued", counters.queued_ops), ("in flight", counters.in_flight_ops)],
        [("errors", device.errors_ops), ("MiB", device.bytes >> 20)],
    ];
    let half = area.width / 2;
    for (row, pair) in pairs.iter().enumerate() {
        for (column, (label, value)) in pair.iter().enumerate() {
            let x = half * column as u16;
            pen.text(area, x + 1, 1 + row as u16, label, Role::Label);
            let role = if *label == "errors" && *value > 0 { Role::Warn } else { Role::Text };
            pen.right(area, (x + half).saturating_sub(2), 1 + row as u16, &value.to_string(), role);
        }
    }
    let mut y = 6;
    let heads = ["p50", "p90", "p99", "p99.9", "max"];
    for (index, head) in heads.iter().enumerate() {
        pen.right(area, latency_column(area.width, index), y, head, Role::Head);
    }
    let recent = model.shown().device_track(device.id).map(|track| track.total.recent());
    let rows = [
        ("in queue", Some(&device.queue_wait)),
        ("in device", Some(&device.service)),
        ("total", Some(&device.total)),
        ("last 5 s", recent),
    ];
    for (label, histogram) in rows {
        y += 1;
        pen.text(area, 1, y, label, Role::Label);
        let Some(histogram) = histogram.filter(|histogram| histogram.count() > 0) else { continue };
        for (index, figure) in percentiles(histogram).iter().enumerate() {
            pen.right(area, latency_column(area.width, index), y, figure, Role::Text);
        }
    }
    y + 2
}

/// Where the percentile's column ends.
fn latency_column(width: u16, index: usize) -> u16 {
    const LABELS: u16 = 18;
    let step = (width.saturating_sub(LABELS) / 4).clamp(6, 9);
    LABELS + step * index as u16
}

fn percentiles(histogram: &Histogram) -> [String; 5] {
    [
        histogram.percentile_ns(0.5),
        histogram.percentile_ns(0.9),
        histogram.percentile_ns(0.99),
        histogram.percentile_ns(0.999),
        histogram.max_ns(),
    ]
    .map(format::latency)
}

fn events_of<'a>(device: &'a DeviceInfo, model: &'a Model) -> impl Iterator<Item = &'a Line> {
    model.shown_log().newest_first().filter(|line| line.device() == Some(&device.name))
}

/// What happened to it: its rate over time, and its events.
fn history(pen: &mut Pen<'_>, area: Rect, device: &DeviceInfo, model: &Model) {
    if area.height < 2 {
        return;
    }
    let data = model.shown();
    if let Some(track) = data.device_track(device.id) {
        let label = format!("op/s {:<4} ", format::window(model.window_ns()));
        let now = format!(" now {}", format::count(track.finished.per_second()));
        let x = pen.text(area, 1, 0, &label, Role::Label);
        let width = area.width.saturating_sub(x + columns(&now) + 1);
        let values = track.throughput.columns(model.shown_ns(), model.window_ns(), width.into());
        let high = values.iter().flatten().copied().fold(0.0, f64::max);
        let x = pen.spark(area, x, 0, &values, high, Role::Bar);
        pen.text(area, x, 0, &now, Role::Text);
    }
    pen.text(area, 1, 1, "events", Role::Head);
    let mut y = 2;
    for line in events_of(device, model).take(usize::from(area.height.saturating_sub(2))) {
        events::draw_line(pen, area, y, line);
        y += 1;
    }
    if y == 2 {
        pen.text(area, 1, 2, "none yet", Role::Label);
    }
}
