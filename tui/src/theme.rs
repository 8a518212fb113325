//! What a piece of text means, and how each theme shows it. State words carry the meaning; colour only repeats it.

use ratatui::style::{Color, Modifier, Style};

/// A theme. Both work on any background: colours are the terminal's own sixteen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// The terminal's sixteen colours.
    #[default]
    Colour,
    /// No colour: bold, dim and reverse only.
    Mono,
}

impl Theme {
    /// Every theme, by the name that `--theme` takes.
    pub const NAMES: [(&'static str, Theme); 2] = [("default", Self::Colour), ("mono", Self::Mono)];

    /// The theme of this name.
    pub fn from_name(name: &str) -> Option<Theme> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, theme)| theme)
    }

    /// How a role looks.
    pub fn style(self, role: Role) -> Style {
        match self {
            Self::Colour => colour(role),
            Self::Mono => mono(role),
        }
    }
}

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Figures and names.
    Text,
    /// Labels and units.
    Label,
    /// Column heads.
    Head,
    /// What is idle or past.
    Faint,
    /// A panel's border.
    Border,
    /// The focused panel's border.
    Focus,
    /// A panel's title.
    Title,
    /// Fine: up, live, done.
    Good,
    /// Needs a look: degraded, draining, stale.
    Warn,
    /// Alarm: broken, failed, lost.
    Bad,
    /// The filled part of a bar, and sparklines.
    Bar,
    /// The chart's line.
    Chart,
    /// A key to press.
    Key,
    /// The selected row.
    Selected,
    /// A badge such as DEMO.
    Badge,
}

fn colour(role: Role) -> Style {
    let plain = Style::new();
    match role {
        Role::Text => plain,
        // Dim rather than dark grey, which some palettes show as their background.
        Role::Label | Role::Faint | Role::Border => plain.add_modifier(Modifier::DIM),
        Role::Head => plain.fg(Color::Cyan),
        Role::Focus => plain.fg(Color::LightCyan).add_modifier(Modifier::BOLD),
        Role::Title => plain.add_modifier(Modifier::BOLD),
        Role::Good => plain.fg(Color::Green),
        Role::Warn => plain.fg(Color::Yellow),
        Role::Bad => plain.fg(Color::Red).add_modifier(Modifier::BOLD),
        Role::Bar => plain.fg(Color::Blue),
        Role::Chart => plain.fg(Color::Cyan),
        Role::Key => plain.fg(Color::Cyan).add_modifier(Modifier::BOLD),
        Role::Selected => plain.add_modifier(Modifier::REVERSED),
        Role::Badge => plain.fg(Color::Magenta).add_modifier(Modifier::BOLD | Modifier::REVERSED),
    }
}

fn mono(role: Role) -> Style {
    let plain = Style::new();
    match role {
        Role::Text | Role::Good | Role::Bar | Role::Chart | Role::Border => plain,
        Role::Label | Role::Faint => plain.add_modifier(Modifier::DIM),
        Role::Head => plain.add_modifier(Modifier::UNDERLINED),
        Role::Focus | Role::Title | Role::Warn | Role::Key => plain.add_modifier(Modifier::BOLD),
        Role::Bad => plain.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
        Role::Selected => plain.add_modifier(Modifier::REVERSED),
        Role::Badge => plain.add_modifier(Modifier::BOLD | Modifier::REVERSED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 15] = [
        Role::Text,
        Role::Label,
        Role::Head,
        Role::Faint,
        Role::Border,
        Role::Focus,
        Role::Title,
        Role::Good,
        Role::Warn,
        Role::Bad,
        Role::Bar,
        Role::Chart,
        Role::Key,
        Role::Selected,
        Role::Badge,
    ];

    #[test]
    fn mono_has_no_colour_at_all() {
        for role in ROLES {
            let style = Theme::Mono.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
        }
    }

    #[test]
    fn no_theme_sets_a_background_so_that_any_terminal_stays_readable() {
        for (_, theme) in Theme::NAMES {
            for role in ROLES {
                assert_eq!(theme.style(role).bg, None, "{role:?}");
            }
        }
    }

    #[test]
    fn themes_are_found_by_name() {
        assert_eq!(Theme::from_name("mono"), Some(Theme::Mono));
        assert_eq!(Theme::from_name("neon"), None);
    }
}
