//! The action menu of a device, and the dialog that asks before something is at stake.

use ratatui::layout::Rect;

use super::dialog;
use super::pen::{Pen, columns};
use crate::format;
use crate::model::{Confirm, MENU, Model};
use crate::theme::Role;

/// Draws the menu.
pub fn menu(pen: &mut Pen<'_>, screen: Rect, device: &str, index: usize) {
    let rows = MENU.len() as u16;
    let inner = dialog::open(pen, screen, 52, rows + 4, &format!("actions: {device}"));
    for (y, (_, letter, words)) in MENU.iter().enumerate() {
        let y = y as u16;
        let chosen = usize::from(y) == index;
        pen.text(inner, 1, y, if chosen { "▸" } else { " " }, Role::Key);
        pen.text(inner, 3, y, &letter.to_string(), Role::Key);
        pen.text(inner, 5, y, words, Role::Text);
        if chosen {
            pen.overlay(Rect { y: inner.y + y, height: 1, ..inner }, Role::Selected);
        }
    }
    dialog::hints(pen, inner, rows + 1, &[("Enter", "take"), ("j k", "choose"), ("Esc", "cancel")]);
}

/// Draws the dialog.
pub fn confirm(pen: &mut Pen<'_>, screen: Rect, confirm: &Confirm, model: &Model) {
    let typing = if confirm.must_type.is_some() { 2 } else { 0 };
    let rows = confirm.lines.len() as u16 + typing + 5;
    let longest = confirm.lines.iter().map(|line| columns(line)).max().unwrap_or(0);
    let width = longest.max(columns(&model.dialog_command) + 2).max(54) + 4;
    let inner = dialog::open(pen, screen, width, rows, &confirm.title);
    let room = usize::from(inner.width.saturating_sub(2));
    for (y, line) in confirm.lines.iter().enumerate() {
        pen.text(inner, 1, y as u16, &format::fit(line, room), Role::Text);
    }
    // What must be answered stays visible on a low screen.
    let mut y = (confirm.lines.len() as u16).min(inner.height.saturating_sub(3 + typing));
    if let Some(name) = &confirm.must_type {
        let x = pen.text(inner, 1, y, &format!("type {name} to go on: "), Role::Warn);
        let x = pen.text(inner, x, y, &confirm.typed, Role::Text);
        pen.text(inner, x, y, "_", Role::Key);
        y += 2;
    }
    dialog::equal(pen, inner, y + 1, model);
    let button = |focused| if focused { Role::Selected } else { Role::Text };
    let x = pen.text(inner, 1, y + 2, "[ Cancel ]", button(!confirm.on_apply));
    let x = pen.text(inner, x + 3, y + 2, &format!("[ {} ]", confirm.verb), button(confirm.on_apply));
    let rest = Rect { x: inner.x + x + 3, width: inner.width.saturating_sub(x + 3), ..inner };
    dialog::hints(pen, rest, y + 2, &[("Tab", "moves"), ("Enter", "presses")]);
}
