//! A line over time in braille: two by four dots a cell.

use ratatui::layout::Rect;

use super::pen::Pen;
use crate::theme::Role;

/// Draws `values`, two per column and oldest first, between 0 and `max`. Nothing is drawn where there is no value, nor
/// across it.
pub fn line(pen: &mut Pen<'_>, area: Rect, values: &[Option<f64>], max: f64, role: Role) {
    let width = usize::from(area.width);
    let dot_rows = usize::from(area.height) * 4;
    if width == 0 || dot_rows == 0 || max <= 0.0 {
        return;
    }
    let mut cells = vec![0_u32; width * usize::from(area.height)];
    let height_of = |value: f64| {
        let from_bottom = (value / max).clamp(0.0, 1.0) * (dot_rows - 1) as f64;
        dot_rows - 1 - from_bottom.round() as usize
    };
    let mut previous: Option<usize> = None;
    for (x, value) in values.iter().enumerate().take(width * 2) {
        let Some(value) = value else {
            previous = None;
            continue;
        };
        let y = height_of(*value);
        // A steep step is a vertical stroke at its end, so that the line stays one.
        let from = match previous {
            Some(before) if before + 1 < y => before + 1,
            Some(before) if before > y + 1 => before - 1,
            _ => y,
        };
        for y in from.min(y)..=from.max(y) {
            cells[y / 4 * width + x / 2] |= dot(x % 2, y % 4);
        }
        previous = Some(y);
    }
    for (index, dots) in cells.into_iter().enumerate().filter(|(_, dots)| *dots != 0) {
        let symbol = char::from_u32(0x2800 + dots).unwrap_or(' ').to_string();
        let (x, y) = (index % width, index / width);
        pen.text(area, x as u16, y as u16, &symbol, role);
    }
}

/// The bit of one dot in a braille character.
const fn dot(column: usize, row: usize) -> u32 {
    const BITS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
    BITS[column][row]
}

/// The smallest of 1, 1.5, 2, 3, 4, 6, 8 times a power of ten that is not below `value`: a top for an axis.
pub fn nice_top(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|top| *top >= value * 0.999_999)
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::Theme;
    use ratatui::buffer::Buffer;

    fn drawn(values: &[Option<f64>], width: u16, height: u16) -> Vec<String> {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        line(&mut Pen { buffer: &mut buffer, theme: Theme::Mono }, area, values, 1.0, Role::Chart);
        (0..height).map(|y| (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect()).collect()
    }

    #[test]
    fn a_flat_line_is_flat_and_a_hole_is_empty() {
        assert_eq!(drawn(&[Some(0.0), Some(0.0), None, None, Some(0.0), Some(0.0)], 3, 1), ["⣀ ⣀"]);
        assert_eq!(drawn(&[Some(1.0); 4], 2, 2), ["⠉⠉", "  "]);
    }

    #[test]
    fn a_step_stays_connected() {
        assert_eq!(drawn(&[Some(0.0), Some(1.0)], 1, 1), ["⡸"]);
    }

    #[test]
    fn the_top_of_an_axis_is_round() {
        for (value, top) in [(1_310_000.0, 1_500_000.0), (1.0, 1.0), (410.0, 600.0), (0.0, 1.0), (9.5, 10.0)]
        {
            assert_eq!(nice_top(value), top);
        }
    }
}
