//! The balancers to choose from.

use ratatui::layout::Rect;

use super::dialog;
use super::pen::Pen;
use crate::format;
use crate::model::Model;
use crate::theme::Role;

const COLUMNS: u16 = 58;

/// Draws the picker with this balancer chosen.
pub fn draw(pen: &mut Pen<'_>, screen: Rect, chosen: &str, model: &Model) {
    let data = &model.data;
    let Some(snapshot) = &data.snapshot else { return };
    let count = u16::try_from(snapshot.balancers.len()).unwrap_or(u16::MAX);
    let inner = dialog::open(pen, screen, COLUMNS, count.saturating_add(7), "balancer: switch");
    let rows = inner.height.saturating_sub(5).max(1);
    let index = snapshot.balancers.iter().position(|balancer| balancer.name == chosen).unwrap_or(0);
    let offset = (index + 1).saturating_sub(rows.into());
    for (y, balancer) in snapshot.balancers.iter().skip(offset).take(rows.into()).enumerate() {
        let y = y as u16;
        let is_chosen = balancer.name == chosen;
        pen.text(inner, 1, y, if is_chosen { "▸" } else { " " }, Role::Key);
        let (sign, role) = if balancer.current { ("●", Role::Good) } else { ("○", Role::Label) };
        pen.text(inner, 3, y, sign, role);
        pen.text(inner, 5, y, &format::fit(&balancer.name, 24), Role::Text);
        let note = if balancer.current {
            let p99 = data.runtime.total.percentile_ns(0.99).map_or_else(|| "-".to_owned(), format::latency);
            let imbalance = data.imbalance().map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
            format!("now   p99 {p99}  imb {imbalance}")
        } else if balancer.builtin {
            "built in".to_owned()
        } else {
            String::new()
        };
        pen.text(inner, 30, y, &note, Role::Label);
        if is_chosen {
            pen.overlay(Rect { y: inner.y + y, height: 1, ..inner }, Role::Selected);
        }
    }
    let y = inner.height.saturating_sub(4);
    pen.text(inner, 1, y, "new ops follow it at once; queued ops stay put", Role::Label);
    pen.text(inner, 1, y + 1, "u reverts it afterwards", Role::Label);
    dialog::equal(pen, inner, y + 2, model);
    dialog::hints(pen, inner, y + 3, &[("Enter", "apply"), ("j k", "choose"), ("Esc", "cancel")]);
}
