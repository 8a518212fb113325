//! Writing into a frame: text with a role, bars, sparklines, boxes. Nothing leaves its area.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::format;
use crate::layout::Panel;
use crate::theme::{Role, Theme};

/// A frame to write into.
pub struct Pen<'a> {
    /// The cells.
    pub buffer: &'a mut Buffer,
    /// How roles look.
    pub theme: Theme,
}

/// Columns of a text.
pub fn columns(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}

impl Pen<'_> {
    /// Writes `text` at (`x`, `y`) of `area`, cut at its right edge. Returns the column after it.
    pub fn text(&mut self, area: Rect, x: u16, y: u16, text: &str, role: Role) -> u16 {
        let area = area.intersection(self.buffer.area);
        if y >= area.height || x >= area.width {
            return x.saturating_add(columns(text));
        }
        let room = usize::from(area.width - x);
        let style = self.theme.style(role);
        self.buffer.set_stringn(area.x + x, area.y + y, text, room, style);
        x.saturating_add(columns(text))
    }

    /// Writes pieces one after the other.
    pub fn pieces(&mut self, area: Rect, x: u16, y: u16, pieces: &[(&str, Role)]) -> u16 {
        pieces.iter().fold(x, |x, (text, role)| self.text(area, x, y, text, *role))
    }

    /// Writes `text` so that it ends before column `end`.
    pub fn right(&mut self, area: Rect, end: u16, y: u16, text: &str, role: Role) {
        self.text(area, end.saturating_sub(columns(text)), y, text, role);
    }

    /// Draws a box with a title and a hint in its upper border; gives back its inside.
    pub fn panel(&mut self, area: Rect, panel: Panel, focused: bool, title: &str, hint: &str) -> Rect {
        let number = format!(" {} ", panel.number());
        let inner = self.frame(area, focused);
        let number_role = if focused { Role::Focus } else { Role::Key };
        let x = self.text(area, 1, 0, &number, number_role);
        let room = area.width.saturating_sub(x + 2);
        let x = self.text(area, x, 0, &format!("{} ", format::fit(title, room.into())), Role::Title);
        let hint_columns = columns(hint) + 2;
        if !hint.is_empty() && x + hint_columns + 2 <= area.width {
            self.right(area, area.width - 1, 0, &format!(" {hint} "), Role::Label);
        }
        inner
    }

    /// Draws a box; gives back its inside.
    pub fn frame(&mut self, area: Rect, focused: bool) -> Rect {
        let role = if focused { Role::Focus } else { Role::Border };
        if area.width < 2 || area.height < 2 {
            return Rect { width: 0, height: 0, ..area };
        }
        let line = "─".repeat(usize::from(area.width - 2));
        self.text(area, 0, 0, &format!("┌{line}┐"), role);
        self.text(area, 0, area.height - 1, &format!("└{line}┘"), role);
        for y in 1..area.height - 1 {
            self.text(area, 0, y, "│", role);
            self.text(area, area.width - 1, y, "│", role);
        }
        Rect::new(area.x + 1, area.y + 1, area.width - 2, area.height - 2)
    }

    /// Empties an area, to draw over what is there.
    pub fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                self.buffer[(x, y)].reset();
            }
        }
    }

    /// Lays the style of a role over what is there.
    pub fn overlay(&mut self, area: Rect, role: Role) {
        let style = self.theme.style(role);
        self.buffer.set_style(area.intersection(self.buffer.area), style);
    }

    /// Draws a bar `▕███░░▏` that is `width` columns wide, edges included. Returns the column after it.
    pub fn bar(&mut self, area: Rect, x: u16, y: u16, width: u16, share: f64, role: Role) -> u16 {
        let cells = usize::from(width.saturating_sub(2));
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        let mut full = (share * cells as f64).round() as usize;
        // What is not empty shows, and what is not full does not look full.
        if share > 0.0 && full == 0 {
            full = 1.min(cells);
        }
        if share < 1.0 && full == cells {
            full = cells.saturating_sub(1);
        }
        let x = self.text(area, x, y, "▕", Role::Label);
        let x = self.text(area, x, y, &"█".repeat(full), role);
        let x = self.text(area, x, y, &"░".repeat(cells - full), Role::Faint);
        self.text(area, x, y, "▏", Role::Label)
    }

    /// Draws one column per value, 0 to `max`; a blank where there is none. Returns the column after it.
    pub fn spark(&mut self, area: Rect, x: u16, y: u16, values: &[Option<f64>], max: f64, role: Role) -> u16 {
        let text: String = values.iter().map(|value| value.map_or(' ', |value| level(value, max))).collect();
        self.text(area, x, y, &text, role)
    }
}

fn level(value: f64, max: f64) -> char {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if max <= 0.0 || !value.is_finite() {
        return LEVELS[0];
    }
    let index = (value / max * 8.0).ceil() as usize;
    LEVELS[index.clamp(1, 8) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(draw: impl FnOnce(&mut Pen<'_>, Rect) -> u16) -> String {
        let area = Rect::new(0, 0, 12, 1);
        let mut buffer = Buffer::empty(area);
        draw(&mut Pen { buffer: &mut buffer, theme: Theme::Mono }, area);
        buffer.content().iter().map(|cell| cell.symbol()).collect()
    }

    #[test]
    fn a_bar_looks_empty_or_full_only_when_it_is() {
        let bar = |share| drawn(|pen, area| pen.bar(area, 0, 0, 12, share, Role::Bar));
        assert_eq!(bar(0.0), "▕░░░░░░░░░░▏");
        assert_eq!(bar(0.001), "▕█░░░░░░░░░▏");
        assert_eq!(bar(0.999), "▕█████████░▏");
        assert_eq!(bar(1.0), "▕██████████▏");
        assert_eq!(bar(f64::NAN), "▕░░░░░░░░░░▏");
    }

    #[test]
    fn text_never_leaves_its_area() {
        let narrow = Rect::new(2, 0, 4, 1);
        let text = drawn(|pen, _| pen.text(narrow, 1, 0, "accelerator", Role::Text));
        assert_eq!(text, "   acc      ");
    }

    #[test]
    fn a_sparkline_leaves_a_blank_where_nothing_is_known() {
        let values = [Some(0.0), Some(4.0), None, Some(8.0)];
        let text = drawn(|pen, area| pen.spark(area, 0, 0, &values, 8.0, Role::Bar));
        assert_eq!(text, "▁▄ █        ");
    }
}
