//! The pane that sessions and events share where both do not fit.

use ratatui::layout::Rect;

use super::pen::Pen;
use super::{events, sessions};
use crate::layout::Panel;
use crate::model::Model;
use crate::theme::Role;

/// Draws the pane with both titles, the one that is shown first and bold.
pub fn draw(pen: &mut Pen<'_>, area: Rect, shown: Panel, model: &Model) {
    let focused = model.focus == shown;
    let inner = pen.frame(area, focused);
    let total = model.shown().snapshot.as_ref().map_or(0, |snapshot| snapshot.sessions_total);
    let titles = [(Panel::Events, "events".to_owned()), (Panel::Sessions, format!("sessions {total}"))];
    let mut x = 1;
    for (index, (panel, title)) in titles.iter().enumerate() {
        if index > 0 {
            x = pen.text(area, x, 0, "│", Role::Border);
        }
        let (number_role, title_role) = match (*panel == shown, focused) {
            (true, true) => (Role::Focus, Role::Title),
            (true, false) => (Role::Key, Role::Title),
            (false, _) => (Role::Key, Role::Label),
        };
        let pieces = [(" ", Role::Border), (panel.number(), number_role), (" ", Role::Border)];
        x = pen.pieces(area, x, 0, &pieces);
        x = pen.pieces(area, x, 0, &[(title, title_role), (" ", Role::Border)]);
    }
    match shown {
        Panel::Sessions => sessions::draw_inside(pen, area, inner, model),
        _ => events::draw_inside(pen, area, inner, model),
    }
}
