//! The last two lines: what was done, and what can be done.

use ratatui::layout::Rect;

use super::pen::{Pen, columns};
use crate::format;
use crate::keymap::{self, Command};
use crate::layout::Panel;
use crate::model::{Model, Page, Tone};
use crate::theme::Role;

/// Draws the message, if there is one.
pub fn toast(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let Some(toast) = &model.toast else { return };
    let (sign, role) = match toast.tone {
        Tone::Good => ("✓ ", Role::Good),
        Tone::Plain => ("· ", Role::Label),
        Tone::Bad => ("✗ ", Role::Bad),
    };
    let command = if toast.command.is_empty() { String::new() } else { format!("= {}", toast.command) };
    let x = pen.text(area, 1, 0, sign, role);
    let room = area.width.saturating_sub(x + 1);
    let text = format::fit(&toast.text, room.into());
    let role = if toast.tone == Tone::Bad { Role::Bad } else { Role::Text };
    let x = pen.text(area, x, 0, &text, role) + 3;
    if !command.is_empty() && x + columns(&command) < area.width {
        let start = x.max((area.width / 2).min(area.width.saturating_sub(columns(&command) + 1)));
        pen.text(area, start, 0, &command, Role::Label);
    }
}

/// Draws the keys that matter here.
pub fn keys(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let mut hints: Vec<(&str, &str)> = Vec::new();
    if model.page != Page::Main || model.zoomed {
        hints.push(("Esc", "back"));
    }
    if model.is_demo() {
        let on = model.data.snapshot.as_ref().is_some_and(|snapshot| !snapshot.loads.is_empty());
        hints.push(("o", if on { "load off" } else { "load on" }));
    }
    hints.extend(
        keymap::FOOTER
            .iter()
            .filter(|command| applies(**command, model))
            .filter_map(|command| keymap::binding(*command))
            .map(|binding| (binding.label.split(' ').next().unwrap_or_default(), binding.footer)),
    );
    let room = area.width.saturating_sub(2);
    let mut used = 0;
    let mut shown: Vec<(&str, &str)> = Vec::new();
    for (key, does) in hints {
        let width = columns(key) + 1 + columns(does) + 2;
        if used + width <= room + 2 {
            used += width;
            shown.push((key, does));
        }
    }
    // Help stays last, where it is looked for.
    if let Some(index) = shown.iter().position(|(_, does)| *does == "help") {
        let help = shown.remove(index);
        shown.push(help);
    }
    let mut x = 1;
    for (key, does) in shown {
        x = pen.pieces(area, x, 0, &[(key, Role::Key), (" ", Role::Label), (does, Role::Label)]) + 2;
    }
}

fn applies(command: Command, model: &Model) -> bool {
    match command {
        Command::Enter => model.page == Page::Main,
        Command::Undo => model.undo.is_some(),
        Command::Sort | Command::Zoom | Command::Focus(Panel::MainQueue) | Command::Events => {
            model.page == Page::Main
        }
        _ => true,
    }
}
