//! The help, made from the table of keys.

use ratatui::layout::Rect;

use super::dialog;
use super::pen::Pen;
use crate::keymap::{self, Group};
use crate::model::Model;
use crate::theme::Role;

const COLUMN: u16 = 52;

/// A line of the help.
enum Line {
    Heading(&'static str),
    Key(&'static str, &'static str),
    Blank,
}

fn lines(groups: &[Group]) -> Vec<Line> {
    let mut lines = Vec::new();
    for group in groups {
        if !lines.is_empty() {
            lines.push(Line::Blank);
        }
        lines.push(Line::Heading(group.name));
        let shown = group.bindings.iter().filter(|binding| !binding.label.is_empty());
        lines.extend(shown.map(|binding| Line::Key(binding.label, binding.help)));
    }
    lines
}

fn two_columns(columns: u16) -> bool {
    columns >= 2 * COLUMN + 4
}

/// The columns of the help: the first group beside the others where there is room.
fn parts(columns: u16) -> Vec<Vec<Line>> {
    if two_columns(columns) {
        vec![lines(&keymap::GROUPS[..1]), lines(&keymap::GROUPS[1..])]
    } else {
        vec![lines(keymap::GROUPS)]
    }
}

/// How many places there are to scroll to.
pub fn scroll_places(model: &Model) -> usize {
    let longest = parts(model.size.0).iter().map(Vec::len).max().unwrap_or(0);
    let visible = usize::from(model.size.1.saturating_sub(3)).min(longest + 4).saturating_sub(4);
    longest.saturating_sub(visible) + 1
}

/// Draws the help from line `offset` on.
pub fn draw(pen: &mut Pen<'_>, screen: Rect, offset: usize) {
    let parts = parts(screen.width);
    let longest = parts.iter().map(Vec::len).max().unwrap_or(0) as u16;
    let width = COLUMN * parts.len() as u16 + 2;
    let inner = dialog::open(pen, screen, width, longest + 4, "keys");
    let visible = inner.height.saturating_sub(2);
    for (index, part) in parts.iter().enumerate() {
        let x = index as u16 * COLUMN;
        let area = Rect { x: inner.x + x, width: inner.width.saturating_sub(x).min(COLUMN), ..inner };
        for (y, line) in part.iter().skip(offset).take(visible.into()).enumerate() {
            let y = y as u16;
            match line {
                Line::Heading(name) => {
                    pen.text(area, 1, y, name, Role::Head);
                }
                Line::Key(label, help) => {
                    pen.text(area, 1, y, label, Role::Key);
                    pen.text(area, 9, y, help, Role::Text);
                }
                Line::Blank => {}
            }
        }
    }
    let more = if longest > visible { ("j k", "scroll") } else { ("?", "closes") };
    dialog::hints(pen, inner, inner.height.saturating_sub(1), &[more, ("Esc", "back")]);
}
