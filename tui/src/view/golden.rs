//! The screens as they were reviewed: text by snapshot, styles by assertion.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use crate::fixture;
use crate::layout::Panel;
use crate::message::Message;
use crate::model::{Dialog, Model, Page};
use crate::theme::Theme;
use crate::update::update;
use crate::view::view;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

fn drawn(model: &Model) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(model.size.0, model.size.1)).unwrap();
    terminal.draw(|frame| view(model, frame)).unwrap();
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    buffer
        .content()
        .chunks(width)
        .map(|line| {
            let line: String = line.iter().map(|cell| cell.symbol()).collect();
            line.trim_end().to_owned() + "\n"
        })
        .collect()
}

fn press(model: &mut Model, code: KeyCode) {
    update(model, Message::Key(KeyEvent::new(code, KeyModifiers::NONE)));
}

fn keys(model: &mut Model, keys: &str) {
    for key in keys.chars() {
        press(model, KeyCode::Char(key));
    }
}

/// The cell at the first character of `needle`.
fn cell<'a>(buffer: &'a Buffer, needle: &str) -> &'a ratatui::buffer::Cell {
    let width = usize::from(buffer.area.width);
    for line in buffer.content().chunks(width) {
        let symbols: Vec<&str> = line.iter().map(|cell| cell.symbol()).collect();
        let wanted: Vec<String> = needle.chars().map(|character| character.to_string()).collect();
        if let Some(x) = symbols.windows(wanted.len()).position(|window| window == wanted.as_slice()) {
            return &line[x];
        }
    }
    panic!("'{needle}' is not on the screen:\n{}", text(buffer));
}

#[test]
fn main_screen_120x36() {
    insta::assert_snapshot!(text(&drawn(&fixture::model(120, 36, Theme::Colour, false))));
}

#[test]
fn main_screen_80x24() {
    insta::assert_snapshot!(text(&drawn(&fixture::model(80, 24, Theme::Colour, false))));
}

#[test]
fn main_screen_60x20() {
    insta::assert_snapshot!(text(&drawn(&fixture::model(60, 20, Theme::Colour, false))));
}

#[test]
fn main_screen_between_the_sketched_sizes() {
    insta::assert_snapshot!("100x30", text(&drawn(&fixture::model(100, 30, Theme::Colour, false))));
    insta::assert_snapshot!("160x50", text(&drawn(&fixture::model(160, 50, Theme::Colour, false))));
    insta::assert_snapshot!("130x26", text(&drawn(&fixture::model(130, 26, Theme::Colour, false))));
}

#[test]
fn ascii_screens_have_no_other_character() {
    for (columns, rows) in [(120, 36), (80, 24), (60, 20)] {
        let buffer = drawn(&fixture::model(columns, rows, Theme::Mono, true));
        for cell in buffer.content() {
            assert!(cell.symbol().is_ascii(), "'{}'", cell.symbol());
        }
        insta::assert_snapshot!(format!("ascii_{columns}x{rows}"), text(&buffer));
    }
}

#[test]
fn mono_screens_have_the_same_text_and_no_colour() {
    for (columns, rows) in [(120, 36), (80, 24), (60, 20)] {
        let mono = drawn(&fixture::model(columns, rows, Theme::Mono, false));
        let colour = drawn(&fixture::model(columns, rows, Theme::Colour, false));
        assert_eq!(text(&mono), text(&colour));
        for cell in mono.content() {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
        }
    }
}

#[test]
fn styles_repeat_what_the_words_say() {
    for (columns, rows) in [(120, 36), (80, 24), (60, 20)] {
        let model = fixture::model(columns, rows, Theme::Colour, false);
        let buffer = drawn(&model);
        assert_eq!(cell(&buffer, "● LIVE").fg, Color::Green);
        assert_eq!(cell(&buffer, "DEGRADED").fg, Color::Yellow);
        assert_eq!(cell(&buffer, "WARN").fg, Color::Yellow);
        assert_eq!(cell(&buffer, "up        ").fg, Color::Green);
        assert!(cell(&buffer, "▸").modifier.contains(Modifier::REVERSED));
        assert!(cell(&buffer, "NAME").fg == Color::Cyan);
        assert!(cell(&buffer, "³").modifier.contains(Modifier::BOLD));
        assert!(cell(&buffer, "RW").modifier.contains(Modifier::DIM));
    }
    let buffer = drawn(&fixture::model(120, 36, Theme::Colour, false));
    assert_eq!(cell(&buffer, "BROKEN").fg, Color::Red);
    assert!(cell(&buffer, "BROKEN").modifier.contains(Modifier::BOLD));
    let buffer = drawn(&fixture::model(120, 36, Theme::Mono, false));
    assert!(cell(&buffer, "BROKEN").modifier.contains(Modifier::BOLD | Modifier::UNDERLINED));
    assert!(cell(&buffer, "▸").modifier.contains(Modifier::REVERSED));
}

#[test]
fn a_stale_screen_is_dim_all_over_and_says_so() {
    let mut model = fixture::model(120, 36, Theme::Colour, false);
    update(&mut model, Message::Tick { now_ns: fixture::STEPS * fixture::STEP_NS + 3_100_000_000 });
    let buffer = drawn(&model);
    assert_eq!(cell(&buffer, "◐ STALE 3.1s").fg, Color::Yellow);
    for row in 1..34 {
        for column in 0..120 {
            let cell = &buffer[(column, row)];
            assert_eq!(cell.fg, Color::Reset);
            assert!(cell.modifier.contains(Modifier::DIM));
        }
    }
}

#[test]
fn a_lost_connection_shows_when_it_is_tried_again() {
    let mut model = fixture::model(80, 24, Theme::Colour, false);
    update(&mut model, Message::Disconnected { reason: "server went away".to_owned() });
    let buffer = drawn(&model);
    assert_eq!(cell(&buffer, "○ RETRY in 0.2s #1").fg, Color::Red);
}

#[test]
fn the_demo_is_marked() {
    let mut model = fixture::model(120, 36, Theme::Colour, false);
    let mut snapshot = fixture::snapshot(fixture::STEPS + 1);
    snapshot.server.scenario = "DEMO".to_owned();
    update(&mut model, Message::Snapshot(Box::new(snapshot)));
    insta::assert_snapshot!(text(&drawn(&model)));
}

#[test]
fn picker_menu_dialog_and_help() {
    let mut model = fixture::model(120, 36, Theme::Colour, false);
    keys(&mut model, "bj");
    update(&mut model, Message::EqualCommand { command: "acrypto lb set round_robin_lb".to_owned() });
    insta::assert_snapshot!("picker", text(&drawn(&model)));
    press(&mut model, KeyCode::Esc);
    keys(&mut model, "a");
    insta::assert_snapshot!("menu", text(&drawn(&model)));
    keys(&mut model, "b");
    update(&mut model, Message::EqualCommand { command: "acrypto device break accel0".to_owned() });
    let buffer = drawn(&model);
    assert!(cell(&buffer, "[ Cancel ]").modifier.contains(Modifier::REVERSED));
    insta::assert_snapshot!("confirm", text(&buffer));
    press(&mut model, KeyCode::Esc);
    keys(&mut model, "?");
    insta::assert_snapshot!("help_wide", text(&drawn(&model)));
    let mut small = fixture::model(80, 24, Theme::Colour, false);
    keys(&mut small, "?jjj");
    insta::assert_snapshot!("help_narrow", text(&drawn(&small)));
}

#[test]
fn the_last_usable_device_must_be_named() {
    let mut model = fixture::model(80, 24, Theme::Colour, false);
    let mut snapshot = fixture::snapshot(fixture::STEPS + 1);
    snapshot.devices.retain(|device| device.name == "soft0" || device.name == "accel3");
    update(&mut model, Message::Snapshot(Box::new(snapshot)));
    press(&mut model, KeyCode::Down);
    keys(&mut model, "adsof");
    update(&mut model, Message::EqualCommand { command: "acrypto device remove soft0".to_owned() });
    insta::assert_snapshot!(text(&drawn(&model)));
}

#[test]
fn device_detail() {
    for (columns, rows) in [(120, 36), (80, 24)] {
        let mut model = fixture::model(columns, rows, Theme::Colour, false);
        press(&mut model, KeyCode::Down);
        press(&mut model, KeyCode::Enter);
        insta::assert_snapshot!(format!("device_{columns}x{rows}"), text(&drawn(&model)));
    }
}

#[test]
fn zoomed_panels() {
    for (key, name) in [("1", "main_queue"), ("4", "throughput"), ("5", "latency"), ("6", "sessions")] {
        let mut model = fixture::model(80, 24, Theme::Colour, false);
        keys(&mut model, key);
        keys(&mut model, "z");
        insta::assert_snapshot!(format!("zoomed_{name}"), text(&drawn(&model)));
    }
}

#[test]
fn events_on_the_whole_screen() {
    let mut model = fixture::model(80, 24, Theme::Colour, false);
    keys(&mut model, "ej");
    insta::assert_snapshot!(text(&drawn(&model)));
}

#[test]
fn a_chart_has_a_hole_where_the_server_was_another_one() {
    let mut model = fixture::model(120, 36, Theme::Colour, false);
    let now_ns = model.now_ns + 8_000_000_000;
    update(&mut model, Message::Disconnected { reason: "server went away".to_owned() });
    update(&mut model, Message::Tick { now_ns });
    let server = acrypto_netlink::message::ServerInfo { epoch: 0x81bc, ..fixture::server() };
    update(&mut model, Message::Connected(Box::new(server.clone())));
    for step in 0..30 {
        update(&mut model, Message::Tick { now_ns: now_ns + step * fixture::STEP_NS });
        let mut snapshot = fixture::snapshot(step);
        snapshot.server = server.clone();
        snapshot.wall_ns += 70_000_000_000;
        update(&mut model, Message::Snapshot(Box::new(snapshot)));
    }
    insta::assert_snapshot!(text(&drawn(&model)));
}

#[test]
fn a_screen_that_is_too_small_says_what_it_needs() {
    let buffer = drawn(&fixture::model(59, 20, Theme::Colour, false));
    assert_eq!(text(&buffer).lines().next(), Some("too small: have 59x20, need 60x16"));
}

#[test]
fn nothing_heard_yet_is_no_reason_to_fail() {
    for (columns, rows) in [(120, 36), (80, 24)] {
        let options = crate::Options::default();
        let model = Model::new(&options, "unix:/run/acrypto/control.sock".to_owned(), (columns, rows));
        insta::assert_snapshot!(format!("empty_{columns}x{rows}"), text(&drawn(&model)));
    }
}

#[test]
fn what_a_server_says_cannot_steer_the_terminal() {
    let mut model = fixture::model(120, 36, Theme::Colour, false);
    let mut snapshot = fixture::snapshot(fixture::STEPS + 1);
    snapshot.devices[0].name = "\x1b[2J\u{202e}a\u{9b}c\n".to_owned();
    snapshot.sessions[0].algorithm = "\x07\x1b]52;c;eA==\x07".to_owned();
    update(&mut model, Message::Snapshot(Box::new(snapshot)));
    for cell in drawn(&model).content() {
        assert!(!cell.symbol().chars().any(char::is_control), "{:?}", cell.symbol());
        assert!(!cell.symbol().contains('\u{202e}'));
    }
}

#[test]
fn any_size_any_page_any_dialog_is_drawn() {
    let mut dialogs: Vec<Option<Dialog>> = vec![None, Some(Dialog::Help { offset: 5 })];
    let mut model = fixture::model(80, 24, Theme::Colour, false);
    for opener in ["b", "a", "ab"] {
        keys(&mut model, opener);
        dialogs.push(model.dialog.take());
    }
    for columns in [1, 2, 30, 59, 60, 61, 80, 109, 110, 119, 120, 200, 300] {
        for rows in [1, 2, 3, 9, 15, 16, 17, 20, 24, 29, 35, 36, 100] {
            update(&mut model, Message::Resize { columns, rows });
            for (page, zoomed) in
                [(Page::Main, false), (Page::Main, true), (Page::Device(3), false), (Page::Events, false)]
            {
                for panel in Panel::ALL {
                    (model.page, model.zoomed, model.focus) = (page, zoomed, panel);
                    drawn(&model);
                    if page != Page::Main {
                        break;
                    }
                }
            }
            (model.page, model.zoomed) = (Page::Main, false);
            for dialog in &dialogs {
                model.dialog.clone_from(dialog);
                drawn(&model);
            }
            model.dialog = None;
        }
    }
}

#[test]
fn no_sequence_of_keys_sizes_and_news_fails() {
    const KEYS: &[u8] = b"1234567jkgGabuoLzsS +-=e?qr0d";
    const CODES: [KeyCode; 9] = [
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Tab,
        KeyCode::BackTab,
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::PageDown,
        KeyCode::PageUp,
        KeyCode::Backspace,
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut model = fixture::model(80, 24, Theme::Colour, false);
    for step in 1..=4_000 {
        match draw(20) {
            0 => drop(update(
                &mut model,
                Message::Resize { columns: 1 + draw(200) as u16, rows: 1 + draw(60) as u16 },
            )),
            1 => {
                let mut snapshot = fixture::snapshot(fixture::STEPS + step);
                snapshot.devices.truncate(draw(7));
                snapshot.sessions.truncate(draw(200));
                snapshot.balancers.truncate(1 + draw(3));
                snapshot.server.epoch += u32::from(draw(8) == 0);
                update(&mut model, Message::Snapshot(Box::new(snapshot)));
            }
            2 => drop(update(&mut model, Message::Disconnected { reason: "gone".to_owned() })),
            3 => drop(update(&mut model, Message::EventsLost { events: 3 })),
            4..=9 => press(&mut model, CODES[draw(CODES.len())]),
            _ => press(&mut model, KeyCode::Char(char::from(KEYS[draw(KEYS.len())]))),
        }
        if step % 10 == 0 {
            drawn(&model);
        }
    }
}

#[test]
fn every_size_from_1x1_is_drawn() {
    let mut model = fixture::model(80, 24, Theme::Colour, false);
    for columns in (1..=58).step_by(9).chain(59..=130).chain((140..=300).step_by(20)) {
        for rows in (1..=15).step_by(5).chain(16..=46).chain([70, 100]) {
            update(&mut model, Message::Resize { columns, rows });
            drawn(&model);
        }
    }
}

#[test]
fn a_terminal_that_is_ahead_of_its_size_message_is_drawn() {
    let model = fixture::model(120, 36, Theme::Colour, false);
    let mut terminal = Terminal::new(TestBackend::new(40, 10)).unwrap();
    terminal.draw(|frame| view(&model, frame)).unwrap();
    let mut terminal = Terminal::new(TestBackend::new(70, 18)).unwrap();
    terminal.draw(|frame| view(&model, frame)).unwrap();
}
