//! What all dialogs share: a box over the screen, the equal command, the keys.

use ratatui::layout::Rect;

use super::pen::Pen;
use crate::format;
use crate::layout;
use crate::model::Model;
use crate::theme::Role;

/// Opens a box of this size, borders included, in the middle of the screen; gives back its inside.
pub fn open(pen: &mut Pen<'_>, screen: Rect, columns: u16, rows: u16, title: &str) -> Rect {
    let area = layout::centred(screen, columns, rows);
    pen.clear(area);
    let inner = pen.frame(area, true);
    let room = usize::from(area.width.saturating_sub(6));
    pen.text(area, 1, 0, &format!(" {} ", format::fit(title, room)), Role::Title);
    inner
}

/// Shows the command that does the same.
pub fn equal(pen: &mut Pen<'_>, inner: Rect, y: u16, model: &Model) {
    if !model.dialog_command.is_empty() {
        let room = usize::from(inner.width.saturating_sub(4));
        let command = format::fit(&model.dialog_command, room);
        pen.text(inner, 1, y, &format!("= {command}"), Role::Label);
    }
}

/// Shows keys and what they do.
pub fn hints(pen: &mut Pen<'_>, area: Rect, y: u16, hints: &[(&str, &str)]) {
    let mut x = 1;
    for (key, does) in hints {
        let width = super::pen::columns(key) + super::pen::columns(does) + 1;
        if x + width > area.width {
            return;
        }
        x = pen.pieces(area, x, y, &[(key, Role::Key), (" ", Role::Label), (does, Role::Label)]) + 3;
    }
}
