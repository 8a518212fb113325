//! Panel 3: the devices. Columns are chosen by the width there is.

use acrypto_netlink::message::{DeviceInfo, DeviceState, Severity};
use ratatui::layout::Rect;

use super::main_queue::fill_role;
use super::pen::{Pen, columns};
use crate::data::{Data, DeviceTrack};
use crate::format;
use crate::layout::{self, Panel, Shape};
use crate::lint;
use crate::model::{Health, Model};
use crate::rows;
use crate::theme::Role;

const GAP: u16 = 2;
const MARGIN: u16 = 3;
const SPARK_MIN: u16 = 8;
const SPARK_MAX: u16 = 120;
const NAME_MAX: u16 = 20;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Name,
    Kind,
    State,
    Queue,
    QueueShort,
    Flight,
    Rate,
    Mebibytes,
    P50,
    P99,
    Errors,
    Share,
    Spark,
    Findings,
}

/// In the order shown.
const ORDER: [Column; 14] = [
    Column::Name,
    Column::Kind,
    Column::State,
    Column::Queue,
    Column::QueueShort,
    Column::Flight,
    Column::Rate,
    Column::Mebibytes,
    Column::P50,
    Column::P99,
    Column::Errors,
    Column::Share,
    Column::Spark,
    Column::Findings,
];

/// In the order in which they are left out when the table is too narrow.
const LEFT_OUT: [Column; 9] = [
    Column::P50,
    Column::Mebibytes,
    Column::Kind,
    Column::Share,
    Column::Queue,
    Column::Spark,
    Column::Flight,
    Column::Findings,
    Column::Errors,
];

/// The columns that fit, and their widths.
struct Table {
    columns: Vec<(Column, u16)>,
    /// Digits of the longest queue.
    digits: usize,
}

impl Table {
    fn fit(devices: &[DeviceInfo], width: u16) -> Table {
        let digits = devices.iter().map(|device| device.queue_max_ops.max(1).ilog10() as usize + 1).max();
        let digits = digits.unwrap_or(1).max(3);
        let longest = devices.iter().map(|device| columns(&device.name)).max().unwrap_or(0);
        let name = longest.clamp(7, NAME_MAX);
        let mut left_out = vec![Column::QueueShort];
        loop {
            let mut columns: Vec<(Column, u16)> = ORDER
                .into_iter()
                .filter(|column| !left_out.contains(column))
                .map(|column| (column, natural_width(column, name, digits)))
                .collect();
            let all: u16 = columns.iter().map(|(column, width)| width + gap(*column)).sum();
            let after_last = columns.last().map_or(0, |(column, _)| gap(*column));
            let used = MARGIN + all - after_last + 1;
            if used <= width || left_out.len() > LEFT_OUT.len() {
                let spare = width.saturating_sub(used);
                if let Some((_, spark)) = columns.iter_mut().find(|(column, _)| *column == Column::Spark) {
                    *spark = (*spark + spare).min(SPARK_MAX);
                }
                return Table { columns, digits };
            }
            let next = LEFT_OUT[left_out.len() - 1];
            left_out.push(next);
            if next == Column::Queue {
                left_out[0] = Column::Queue;
            }
        }
    }
}

/// Columns between this one and the next.
fn gap(column: Column) -> u16 {
    match column {
        Column::Spark | Column::Findings => 1,
        _ => GAP,
    }
}

fn natural_width(column: Column, name: u16, digits: usize) -> u16 {
    match column {
        Column::Name => name,
        Column::Kind => 5,
        Column::State => 9,
        Column::Queue => 14 + 2 * digits as u16,
        Column::QueueShort => 13,
        Column::Flight => 6,
        Column::Findings => 1,
        Column::Spark => SPARK_MIN,
        _ => 5,
    }
}

fn head(column: Column, window_ns: u64) -> String {
    match column {
        Column::Name => "NAME",
        Column::Kind => "KIND",
        Column::State => "STATE",
        Column::Queue | Column::QueueShort => "QUEUE",
        Column::Flight => "FLIGHT",
        Column::Rate => "OP/s",
        Column::Mebibytes => "MiB/s",
        Column::P50 => "p50",
        Column::P99 => "p99",
        Column::Errors => "ERR/s",
        Column::Share => "SHARE",
        Column::Findings => "!",
        Column::Spark => return format::window(window_ns),
    }
    .to_owned()
}

fn is_figure(column: Column) -> bool {
    matches!(
        column,
        Column::Flight
            | Column::Rate
            | Column::Mebibytes
            | Column::P50
            | Column::P99
            | Column::Errors
            | Column::Share
            | Column::Findings
    )
}

/// Draws the panel.
pub fn draw(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let data = model.shown();
    let focused = model.focus == Panel::Devices;
    let full = model.areas().shape == Shape::Full;
    let count = data.devices().len();
    let title = if full { "devices".to_owned() } else { format!("devices {count}") };
    let hint = if full { "a actions  Enter detail" } else { "a actions" };
    let inner = pen.panel(area, Panel::Devices, focused, &title, hint);
    if inner.height == 0 {
        return;
    }
    if data.snapshot.is_none() {
        pen.text(inner, 1, 0, &absence(model), Role::Label);
        return;
    }
    if count == 0 {
        pen.text(inner, 1, 0, "no devices: acrypto device add NAME --kind soft", Role::Label);
        return;
    }
    let table = Table::fit(data.devices(), inner.width);
    heads(pen, inner, &table, model);
    let visible = layout::visible_rows(Panel::Devices, area);
    let rows = rows::devices(data, model.sort);
    let offset = model.device_cursor.offset.min(rows.len().saturating_sub(1));
    for (index, device) in rows.iter().enumerate().skip(offset).take(visible) {
        let y = 1 + (index - offset) as u16;
        let selected = model.device_cursor.key() == Some(device.id);
        row(pen, inner, y, &table, device, model);
        if selected {
            pen.text(inner, 1, y, "▸", Role::Key);
            let line = Rect { y: inner.y + y, height: 1, ..inner };
            if matches!(model.focus, Panel::Devices) {
                pen.overlay(line, Role::Selected);
            }
        }
    }
    if inner.height >= 3 {
        foot(pen, inner, rows.len(), offset, visible, model);
    }
}

/// Why there is nothing to show yet.
fn absence(model: &Model) -> String {
    match (&model.link, model.health()) {
        (crate::model::Link::Waiting { reason, .. }, _) if !reason.is_empty() => reason.clone(),
        (_, Health::Live(_) | Health::Stale(_)) => "connected; waiting for the first figures".to_owned(),
        _ => format!("connecting to {}", model.address),
    }
}

fn heads(pen: &mut Pen<'_>, inner: Rect, table: &Table, model: &Model) {
    let mut x = MARGIN;
    for (column, width) in &table.columns {
        let text = head(*column, model.window_ns());
        if is_figure(*column) {
            pen.right(inner, x + width, 0, &text, Role::Head);
        } else {
            pen.text(inner, x, 0, &text, Role::Head);
        }
        x += width + gap(*column);
    }
}

fn row(pen: &mut Pen<'_>, inner: Rect, y: u16, table: &Table, device: &DeviceInfo, model: &Model) {
    let data = model.shown();
    let Some(track) = data.device_track(device.id) else { return };
    let mut x = MARGIN;
    for (column, width) in &table.columns {
        match column {
            Column::Queue | Column::QueueShort => queue(pen, inner, x, y, *column, table.digits, device),
            Column::Spark => {
                let values = track.throughput.columns(model.shown_ns(), model.window_ns(), (*width).into());
                let high = values.iter().flatten().copied().fold(0.0, f64::max);
                pen.spark(inner, x, y, &values, high, Role::Bar);
            }
            column => {
                let (text, role) = cell(*column, device, track, data);
                let text = format::fit(&text, (*width).into());
                if is_figure(*column) {
                    pen.right(inner, x + width, y, &text, role);
                } else {
                    pen.text(inner, x, y, &text, role);
                }
            }
        }
        x += width + gap(*column);
    }
}

fn queue(pen: &mut Pen<'_>, inner: Rect, x: u16, y: u16, column: Column, digits: usize, device: &DeviceInfo) {
    let share = lint::queue_share(device);
    let held_ops = device.counters.queued_ops + device.counters.in_flight_ops;
    let (bar, text) = match column {
        Column::Queue => (12, format!(" {held_ops:>digits$}/{:<digits$}", device.queue_max_ops)),
        _ => (8, format!(" {:>4}", format::whole_percent(share))),
    };
    let x = pen.bar(inner, x, y, bar, share, fill_role(share));
    pen.text(inner, x, y, &text, Role::Text);
}

fn cell(column: Column, device: &DeviceInfo, track: &DeviceTrack, data: &Data) -> (String, Role) {
    let rate = track.finished.per_second();
    let idle = if rate > 0.0 { Role::Text } else { Role::Faint };
    let latency = |share| track.total.percentile_ns(share).map_or_else(|| "-".to_owned(), format::latency);
    match column {
        Column::Name => (device.name.clone(), Role::Text),
        Column::Kind => (device.kind.clone(), Role::Label),
        Column::State => (state_word(device.state), state_role(device.state)),
        Column::Flight => (device.counters.in_flight_ops.to_string(), Role::Text),
        Column::Rate => (format::count(rate), idle),
        Column::Mebibytes => (format::mebibytes(track.bytes.per_second()), idle),
        Column::P50 => (latency(0.5), idle),
        Column::P99 => (latency(0.99), idle),
        Column::Errors => {
            let errors = track.errors.per_second();
            (format::count(errors), if errors > 0.0 { Role::Bad } else { Role::Faint })
        }
        Column::Share => {
            let sum = data.devices_per_second();
            (format::whole_percent(if sum > 0.0 { rate / sum } else { 0.0 }), idle)
        }
        Column::Findings => {
            let findings = lint::device(device, track.errors.per_second());
            let worst = findings.iter().map(|finding| finding.severity).max();
            let role = if worst == Some(Severity::Error) { Role::Bad } else { Role::Warn };
            (if findings.is_empty() { String::new() } else { findings.len().to_string() }, role)
        }
        Column::Queue | Column::QueueShort | Column::Spark => (String::new(), Role::Text),
    }
}

/// The state as the table shows it: alarms in capitals.
pub fn state_word(state: DeviceState) -> String {
    match state {
        DeviceState::Failed | DeviceState::Degraded | DeviceState::Broken => state.name().to_uppercase(),
        _ => state.name().to_owned(),
    }
}

/// The colour of a state.
pub fn state_role(state: DeviceState) -> Role {
    match state {
        DeviceState::Up => Role::Good,
        DeviceState::Failed | DeviceState::Broken => Role::Bad,
        DeviceState::Degraded | DeviceState::Draining | DeviceState::Probation | DeviceState::Selftest => {
            Role::Warn
        }
        DeviceState::Drained | DeviceState::Gone => Role::Faint,
    }
}

fn foot(pen: &mut Pen<'_>, inner: Rect, rows: usize, offset: usize, visible: usize, model: &Model) {
    let y = inner.height - 1;
    let sort = format!("sort {} {}", model.sort.by.head(), model.sort.arrow());
    let range = format!("{}-{} of {rows}", offset + 1, (offset + visible).min(rows));
    let summary = summary(model.shown());
    let mut x = 1;
    if x + columns(&summary) + 4 + columns(&sort) < inner.width {
        x = pen.text(inner, x, y, &summary, Role::Text) + 4;
    }
    pen.text(inner, x, y, &sort, Role::Label);
    if rows > visible {
        pen.right(inner, inner.width.saturating_sub(1), y, &range, Role::Label);
    }
}

fn summary(data: &Data) -> String {
    let devices = data.devices();
    let states: Vec<String> = [
        DeviceState::Up,
        DeviceState::Degraded,
        DeviceState::Probation,
        DeviceState::Selftest,
        DeviceState::Draining,
        DeviceState::Drained,
        DeviceState::Broken,
        DeviceState::Failed,
        DeviceState::Gone,
    ]
    .into_iter()
    .filter_map(|state| {
        let count = devices.iter().filter(|device| device.state == state).count();
        (count > 0).then(|| format!("{count} {}", state.name()))
    })
    .collect();
    format!("{}: {}", format::counted(devices.len() as u64, "device", "devices"), states.join(", "))
}
