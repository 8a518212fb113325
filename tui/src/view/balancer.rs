//! Panel 2: the balancer in force, and the others.

use ratatui::layout::Rect;

use super::pen::{Pen, columns};
use crate::format;
use crate::layout::Panel;
use crate::model::Model;
use crate::theme::Role;

/// Draws the panel as a box.
pub fn draw(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let inner = pen.panel(area, Panel::Balancer, model.focus == Panel::Balancer, "balancer", "b switch");
    let data = model.shown();
    let Some(snapshot) = &data.snapshot else { return };
    let since = since(model);
    if let Some(current) = data.balancer() {
        let x = pen.text(inner, 1, 0, "● ", Role::Good);
        let room = inner.width.saturating_sub(x + columns(&since) + 2);
        pen.text(inner, x, 0, &format::fit(current, room.into()), Role::Text);
        pen.right(inner, inner.width.saturating_sub(1), 0, &since, Role::Label);
    }
    let (mut x, mut y) = (1, 1);
    let last = inner.height.saturating_sub(1).max(1);
    for balancer in snapshot.balancers.iter().filter(|balancer| !balancer.current) {
        let width = columns(&balancer.name) + 2;
        if x > 1 && x + width > inner.width.saturating_sub(1) {
            (x, y) = (1, y + 1);
        }
        if y >= last {
            break;
        }
        x = pen.text(inner, x, y, "○ ", Role::Label);
        x = pen.text(inner, x, y, &balancer.name, Role::Label) + 2;
    }
    let summary = summary(model);
    pen.text(inner, 1, last, &summary, Role::Text);
}

/// Draws the panel as one line.
pub fn draw_line(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let number_role = if model.focus == Panel::Balancer { Role::Focus } else { Role::Key };
    let x = pen.text(area, 1, 0, "²", number_role);
    let x = pen.text(area, x, 0, " lb   ", Role::Title);
    let Some(current) = model.shown().balancer() else { return };
    let x = pen.text(area, x, 0, "● ", Role::Good);
    let mut x = pen.text(area, x, 0, current, Role::Text) + 2;
    let hint = "b switch";
    for (text, role) in
        [(since(model), Role::Label), (summary(model), Role::Text), (hint.to_owned(), Role::Label)]
    {
        if text == hint {
            x = x.max(area.width.saturating_sub(columns(hint) + 1));
        }
        if x + columns(&text) < area.width {
            x = pen.text(area, x, 0, &text, role) + 2;
        }
    }
}

fn since(model: &Model) -> String {
    let data = model.shown();
    let in_force_ns = data.snapshot.as_ref().and_then(|snapshot| {
        let current = snapshot.balancers.iter().find(|balancer| balancer.current)?;
        Some(data.server_ns()?.saturating_sub(current.since_ns))
    });
    format!("for {}", format::hours(in_force_ns.unwrap_or(0)))
}

fn summary(model: &Model) -> String {
    let data = model.shown();
    let imbalance = data.imbalance().map_or_else(|| "-".to_owned(), |imbalance| format!("{imbalance:.2}"));
    format!("imbalance {imbalance}  moved {}/min", format::count(data.runtime.moved.delta() as f64))
}
