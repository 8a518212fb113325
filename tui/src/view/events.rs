//! Panel 7: the events, newest first.

use acrypto_netlink::message::Severity;
use ratatui::layout::Rect;

use super::pen::Pen;
use crate::format;
use crate::layout::{self, Panel};
use crate::log::Line;
use crate::model::{Model, Page};
use crate::theme::Role;

/// Draws the panel as a box.
pub fn draw(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let inner = pen.panel(area, Panel::Events, model.focus == Panel::Events, "events", "UTC");
    draw_inside(pen, area, inner, model);
}

/// Draws the lines inside a box that is there already.
pub fn draw_inside(pen: &mut Pen<'_>, area: Rect, inner: Rect, model: &Model) {
    let log = model.shown_log();
    if log.is_empty() {
        pen.text(inner, 1, 0, "nothing has happened yet", Role::Label);
        return;
    }
    let visible = layout::visible_rows(Panel::Events, area);
    let offset = model.event_cursor.offset.min(log.len().saturating_sub(1));
    for (row, line) in log.newest_first().skip(offset).take(visible).enumerate() {
        let y = row as u16;
        draw_line(pen, inner, y, line);
        if model.focus == Panel::Events && model.event_cursor.key() == Some(line.id) {
            pen.overlay(Rect { y: inner.y + y, height: 1, ..inner }, Role::Selected);
            pen.text(inner, 0, y, "▸", Role::Key);
        }
    }
    if layout::has_foot(Panel::Events, area) {
        let older = log.len().saturating_sub(offset + visible);
        let y = inner.height.saturating_sub(1);
        pen.text(inner, 1, y, &format!("{older} older"), Role::Label);
        let hint = if model.page == Page::Events { "Enter jump   Esc back" } else { "Enter jump   e full" };
        pen.right(inner, inner.width.saturating_sub(1), y, hint, Role::Label);
    }
}

/// Draws one line of the log.
pub fn draw_line(pen: &mut Pen<'_>, area: Rect, y: u16, line: &Line) {
    let role = match line.severity {
        Severity::Info => Role::Label,
        Severity::Warn => Role::Warn,
        Severity::Error => Role::Bad,
    };
    let x = pen.text(area, 1, y, &format::time_of_day(line.wall_ns), Role::Label);
    pen.text(area, x + 1, y, line.severity_word(), role);
    let room = area.width.saturating_sub(x + 7);
    pen.text(area, x + 6, y, &format::fit_words(&line.text(), room.into()), Role::Text);
}
