//! Panel 6: the sessions, the busiest first.

use acrypto_netlink::message::SessionInfo;
use ratatui::layout::Rect;

use super::pen::{Pen, columns};
use crate::format;
use crate::layout::{self, Panel};
use crate::model::Model;
use crate::rows;
use crate::theme::Role;

/// Head, width, whether it is a figure.
const COLUMNS: [(&str, u16, bool); 8] = [
    ("ID", 6, false),
    ("ALG", 17, false),
    ("DEVICE", 7, false),
    ("REFS", 4, true),
    ("OP/s", 5, true),
    ("MiB/s", 5, true),
    ("FAIL", 4, true),
    ("NAME", 20, false),
];
const MARGIN: u16 = 3;
const GAP: u16 = 1;

/// Draws the panel as a box.
pub fn draw(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let total = model.shown().snapshot.as_ref().map_or(0, |snapshot| snapshot.sessions_total);
    let title = format!("sessions {total}");
    let inner = pen.panel(area, Panel::Sessions, model.focus == Panel::Sessions, &title, "");
    draw_inside(pen, area, inner, model);
}

/// Draws the table inside a box that is there already.
pub fn draw_inside(pen: &mut Pen<'_>, area: Rect, inner: Rect, model: &Model) {
    let data = model.shown();
    let Some(snapshot) = &data.snapshot else { return };
    if snapshot.sessions.is_empty() {
        pen.text(inner, 1, 0, "no sessions", Role::Label);
        return;
    }
    let mut x = MARGIN;
    for (head, width, figure) in shown_columns(inner.width) {
        if figure {
            pen.right(inner, x + width, 0, head, Role::Head);
        } else {
            pen.text(inner, x, 0, head, Role::Head);
        }
        x += width + GAP;
    }
    let visible = layout::visible_rows(Panel::Sessions, area);
    let rows = rows::sessions(data);
    let offset = model.session_cursor.offset.min(rows.len().saturating_sub(1));
    for (index, session) in rows.iter().enumerate().skip(offset).take(visible) {
        let y = 1 + (index - offset) as u16;
        row(pen, inner, y, session, model);
        if model.session_cursor.key() == Some(session.id) && model.focus == Panel::Sessions {
            pen.text(inner, 1, y, "▸", Role::Key);
            pen.overlay(Rect { y: inner.y + y, height: 1, ..inner }, Role::Selected);
        }
    }
    let end = (offset + visible).min(rows.len());
    let more = snapshot.sessions_total.saturating_sub(end as u64);
    if layout::has_foot(Panel::Sessions, area) {
        let text = if more > 0 { format!("{more} more") } else { "all shown".to_owned() };
        pen.text(inner, 1, inner.height.saturating_sub(1), &text, Role::Label);
    }
}

fn shown_columns(width: u16) -> impl Iterator<Item = (&'static str, u16, bool)> {
    let mut end = MARGIN;
    COLUMNS.into_iter().take_while(move |(_, column, _)| {
        end += column + GAP;
        end <= width + GAP
    })
}

fn row(pen: &mut Pen<'_>, inner: Rect, y: u16, session: &SessionInfo, model: &Model) {
    let track = model.shown().session_track(session.id);
    let rate = track.map_or(0.0, |track| track.completed.per_second());
    let bytes = track.map_or(0.0, |track| track.bytes.per_second());
    let idle = if rate > 0.0 { Role::Text } else { Role::Faint };
    if session.failed_ops > 0 {
        pen.text(inner, 1, y, "⚠", Role::Warn);
    }
    let mut x = MARGIN;
    for (head, width, figure) in shown_columns(inner.width) {
        let (text, role) = match head {
            "ID" => (format!("{:#x}", session.id), Role::Text),
            "ALG" => (session.algorithm.clone(), Role::Text),
            "DEVICE" if session.device.is_empty() => ("(any)".to_owned(), Role::Label),
            "DEVICE" => (session.device.clone(), Role::Text),
            "REFS" => (format::count(session.refs as f64), Role::Text),
            "OP/s" => (format::count(rate), idle),
            "MiB/s" => (format::mebibytes(bytes), idle),
            "FAIL" => {
                let role = if session.failed_ops > 0 { Role::Warn } else { Role::Faint };
                (format::count(session.failed_ops as f64), role)
            }
            _ => (session.name.clone(), Role::Label),
        };
        let text = format::fit(&text, width.into());
        let start = if figure { x + width - columns(&text) } else { x };
        pen.text(inner, start, y, &text, role);
        x += width + GAP;
    }
}
