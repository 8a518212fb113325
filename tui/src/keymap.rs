//! Which key does what. Help and footer are made from this table, so that they cannot say anything else.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::layout::Panel;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Focus this panel.
    Focus(Panel),
    /// Focus the next panel.
    NextPanel,
    /// Focus the previous panel.
    PreviousPanel,
    /// One row down.
    Down,
    /// One row up.
    Up,
    /// First row.
    First,
    /// Last row.
    Last,
    /// One page down.
    PageDown,
    /// One page up.
    PageUp,
    /// Detail of the selected row.
    Enter,
    /// One step back.
    Back,
    /// Focused panel alone on the screen.
    Zoom,
    /// Sort devices by the next column.
    Sort,
    /// Sort the other way round.
    Reverse,
    /// What can be done to the selected device.
    Actions,
    /// Switch the balancer.
    Balancer,
    /// Undo the last switch.
    Undo,
    /// The DEMO's load on or off.
    Load,
    /// Lock or unlock changes.
    Lock,
    /// Hold the view.
    Freeze,
    /// Shorter time window.
    ZoomIn,
    /// Longer time window.
    ZoomOut,
    /// The usual time window.
    ZoomAuto,
    /// Events on the whole screen.
    Events,
    /// This help.
    Help,
    /// Draw everything anew.
    Redraw,
    /// Stop, as a job.
    Suspend,
    /// End.
    Quit,
}

/// A key, with control held or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chord {
    code: KeyCode,
    control: bool,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The keys; any of them does it.
    pub chords: &'static [Chord],
    /// What it does.
    pub command: Command,
    /// The keys as help and footer show them; empty where another line shows them.
    pub label: &'static str,
    /// What help says.
    pub help: &'static str,
    /// What the footer says; empty leaves it out.
    pub footer: &'static str,
}

/// Lines of the table that belong together.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Its heading in the help.
    pub name: &'static str,
    /// Its lines.
    pub bindings: &'static [Binding],
}

const fn key(code: KeyCode) -> Chord {
    Chord { code, control: false }
}

const fn char(character: char) -> Chord {
    key(KeyCode::Char(character))
}

const fn ctrl(character: char) -> Chord {
    Chord { code: KeyCode::Char(character), control: true }
}

const fn bind(
    chords: &'static [Chord],
    command: Command,
    label: &'static str,
    help: &'static str,
    footer: &'static str,
) -> Binding {
    Binding { chords, command, label, help, footer }
}

/// The whole table. The footer shows its entries in the order of [`FOOTER`].
pub const GROUPS: &[Group] = &[
    Group {
        name: "move",
        bindings: &[
            bind(
                &[char('1')],
                Command::Focus(Panel::MainQueue),
                "1-7",
                "focus a panel by its number",
                "panel",
            ),
            bind(&[char('2')], Command::Focus(Panel::Balancer), "", "", ""),
            bind(&[char('3')], Command::Focus(Panel::Devices), "", "", ""),
            bind(&[char('4')], Command::Focus(Panel::Throughput), "", "", ""),
            bind(&[char('5')], Command::Focus(Panel::Latency), "", "", ""),
            bind(&[char('6')], Command::Focus(Panel::Sessions), "", "", ""),
            bind(&[char('7')], Command::Focus(Panel::Events), "", "", ""),
            bind(&[key(KeyCode::Tab)], Command::NextPanel, "Tab", "focus the next panel", ""),
            bind(&[key(KeyCode::BackTab)], Command::PreviousPanel, "S-Tab", "focus the previous panel", ""),
            bind(&[char('j'), key(KeyCode::Down)], Command::Down, "j ↓", "next row", ""),
            bind(&[char('k'), key(KeyCode::Up)], Command::Up, "k ↑", "previous row", ""),
            bind(&[char('g'), key(KeyCode::Home)], Command::First, "g Home", "first row", ""),
            bind(&[char('G'), key(KeyCode::End)], Command::Last, "G End", "last row", ""),
            bind(&[key(KeyCode::PageDown)], Command::PageDown, "PgDn", "one page down", ""),
            bind(&[key(KeyCode::PageUp)], Command::PageUp, "PgUp", "one page up", ""),
            bind(&[key(KeyCode::Enter)], Command::Enter, "Enter", "detail of the selected row", "detail"),
            bind(&[key(KeyCode::Esc)], Command::Back, "Esc", "one step back", ""),
        ],
    },
    Group {
        name: "act",
        bindings: &[
            bind(&[char('a')], Command::Actions, "a", "actions of the selected device", "actions"),
            bind(&[char('b')], Command::Balancer, "b", "switch the balancer", "balancer"),
            bind(&[char('u')], Command::Undo, "u", "undo the last switch of the balancer", "undo"),
            bind(&[char('o')], Command::Load, "o", "DEMO: load on or off", ""),
            bind(&[char('L')], Command::Lock, "L", "lock or unlock changes (RO, RW)", "lock"),
        ],
    },
    Group {
        name: "view",
        bindings: &[
            bind(&[char('z')], Command::Zoom, "z", "focused panel on the whole screen", "zoom"),
            bind(&[char('s')], Command::Sort, "s", "sort devices by the next column", "sort"),
            bind(&[char('S')], Command::Reverse, "S", "sort the other way round", ""),
            bind(&[char(' ')], Command::Freeze, "Space", "freeze this view, and thaw it", "freeze"),
            bind(&[char('+')], Command::ZoomIn, "+", "shorter time window", ""),
            bind(&[char('-')], Command::ZoomOut, "-", "longer time window", ""),
            bind(&[char('=')], Command::ZoomAuto, "=", "time window of 60 s", ""),
            bind(&[char('e')], Command::Events, "e", "events on the whole screen", "events"),
            bind(&[ctrl('l')], Command::Redraw, "^L", "draw the screen anew", ""),
        ],
    },
    Group {
        name: "leave",
        bindings: &[
            bind(&[char('?')], Command::Help, "?", "this help", "help"),
            bind(&[char('q'), ctrl('c')], Command::Quit, "q ^C", "quit; the server goes on", "quit"),
            bind(&[ctrl('z')], Command::Suspend, "^Z", "suspend", ""),
        ],
    },
];

/// The order in which the footer shows its hints; what does not fit is left out from the end, help excepted.
pub const FOOTER: &[Command] = &[
    Command::Help,
    Command::Enter,
    Command::Actions,
    Command::Balancer,
    Command::Freeze,
    Command::Quit,
    Command::Sort,
    Command::Zoom,
    Command::Focus(Panel::MainQueue),
    Command::Events,
    Command::Lock,
    Command::Undo,
];

/// Every line of the table.
pub fn bindings() -> impl Iterator<Item = &'static Binding> {
    GROUPS.iter().flat_map(|group| group.bindings)
}

/// The line for this command.
pub fn binding(command: Command) -> Option<&'static Binding> {
    bindings().find(|binding| binding.command == command)
}

/// What this key asks for.
pub fn lookup(event: &KeyEvent) -> Option<Command> {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    if event.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    let code = match event.code {
        KeyCode::Char(character) if control => KeyCode::Char(character.to_ascii_lowercase()),
        KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
        code => code,
    };
    bindings()
        .find(|binding| binding.chords.contains(&Chord { code, control }))
        .map(|binding| binding.command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_has_two_meanings() {
        let chords: Vec<Chord> = bindings().flat_map(|binding| binding.chords).copied().collect();
        for (index, chord) in chords.iter().enumerate() {
            assert!(!chords[..index].contains(chord), "{chord:?} is bound twice");
        }
    }

    #[test]
    fn every_line_that_is_shown_says_what_it_does() {
        for binding in bindings() {
            assert_eq!(binding.label.is_empty(), binding.help.is_empty(), "{:?}", binding.command);
        }
        for command in FOOTER {
            assert!(binding(*command).is_some_and(|binding| !binding.footer.is_empty()), "{command:?}");
        }
    }

    #[test]
    fn keys_find_their_command() {
        let plain = |code| lookup(&KeyEvent::new(code, KeyModifiers::NONE));
        assert_eq!(plain(KeyCode::Char('5')), Some(Command::Focus(Panel::Latency)));
        assert_eq!(plain(KeyCode::Char(':')), None);
        assert_eq!(lookup(&KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Some(Command::Quit));
        assert_eq!(lookup(&KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT)), Some(Command::Last));
        assert_eq!(
            lookup(&KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT)),
            Some(Command::PreviousPanel)
        );
        assert_eq!(lookup(&KeyEvent::new(KeyCode::Char('q'), KeyModifiers::ALT)), None);
    }
}
