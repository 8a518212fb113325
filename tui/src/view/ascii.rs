//! A frame in ASCII: every cell outside it is replaced by the nearest character of the same width.

use ratatui::buffer::Buffer;

/// Replaces what is not ASCII.
pub fn transliterate(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        let symbol = cell.symbol();
        if symbol.is_ascii() {
            continue;
        }
        let replacement = symbol.chars().next().map_or(' ', nearest);
        cell.set_char(replacement);
    }
}

fn nearest(character: char) -> char {
    match character {
        '─' | '╌' => '-',
        '│' | '┆' => '|',
        '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '┴' | '┼' => '+',
        '▕' => '[',
        '▏' => ']',
        '█' | '▮' => '#',
        '░' => '.',
        '▁' => '_',
        '▂' => '.',
        '▃' => ':',
        '▄' => '-',
        '▅' => '=',
        '▆' => '+',
        '▇' => '*',
        '●' => '*',
        '○' => 'o',
        '◐' => '%',
        '▸' | '→' | '▶' => '>',
        '←' => '<',
        '▲' | '↑' => '^',
        '▼' | '↓' => 'v',
        '✓' => '+',
        '✗' => 'x',
        '⚠' => '!',
        '…' => '~',
        '·' => '.',
        '≥' => '>',
        'µ' => 'u',
        '¹' => '1',
        '²' => '2',
        '³' => '3',
        '⁴' => '4',
        '⁵' => '5',
        '⁶' => '6',
        '⁷' => '7',
        '\u{2800}'..='\u{28ff}' => braille(character),
        _ => '?',
    }
}

/// The upper two rows of dots are a quote, the lower two a point, both a colon.
fn braille(character: char) -> char {
    const UPPER: u32 = 0x01 | 0x02 | 0x08 | 0x10;
    const LOWER: u32 = 0x04 | 0x20 | 0x40 | 0x80;
    let dots = u32::from(character) - 0x2800;
    match (dots & UPPER != 0, dots & LOWER != 0) {
        (true, true) => ':',
        (true, false) => '\'',
        (false, true) => '.',
        (false, false) => ' ',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;

    #[test]
    fn every_cell_is_ascii_afterwards() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 16, 1));
        buffer.set_string(0, 0, "▕█░▏ 38µs ⣀⠉⣿日", ratatui::style::Style::new());
        transliterate(&mut buffer);
        let text: String = buffer.content().iter().map(|cell| cell.symbol()).collect();
        assert_eq!(text, "[#.] 38us .':?  ");
    }
}
