//! What the keys of the main screen do.

use super::{act, toast};
use crate::keymap::Command;
use crate::layout::{self, Panel};
use crate::log::Line;
use crate::message::Effect;
use crate::model::{Dialog, Frozen, Model, Page, Tone, WINDOW_USUAL, WINDOWS_NS};

pub(super) fn run(model: &mut Model, command: Command) -> Vec<Effect> {
    match command {
        Command::Focus(panel) => focus(model, panel),
        Command::NextPanel => cycle(model, 1),
        Command::PreviousPanel => cycle(model, Panel::ALL.len() - 1),
        Command::Down => step(model, model.focus, 1),
        Command::Up => step(model, model.focus, -1),
        Command::First => step(model, model.focus, isize::MIN),
        Command::Last => step(model, model.focus, isize::MAX),
        Command::PageDown => step(model, model.focus, page_rows(model)),
        Command::PageUp => step(model, model.focus, -page_rows(model)),
        Command::Enter => return enter(model),
        Command::Back => back(model),
        Command::Zoom => model.zoomed = model.page == Page::Main && !model.zoomed,
        Command::Sort => model.sort.by = model.sort.by.next(),
        Command::Reverse => model.sort.reversed = !model.sort.reversed,
        Command::Actions => act::menu(model),
        Command::Balancer => return act::picker(model),
        Command::Undo => return act::undo(model),
        Command::Load => return act::load(model),
        Command::Lock => act::lock(model),
        Command::Freeze => freeze(model),
        Command::ZoomIn => model.window = model.window.saturating_sub(1),
        Command::ZoomOut => model.window = (model.window + 1).min(WINDOWS_NS.len() - 1),
        Command::ZoomAuto => model.window = WINDOW_USUAL,
        Command::Events => {
            model.page = if model.page == Page::Events { Page::Main } else { Page::Events };
            focus(model, Panel::Events);
        }
        Command::Help => model.dialog = Some(Dialog::Help { offset: 0 }),
        Command::Redraw => return vec![Effect::Redraw],
        Command::Suspend => return vec![Effect::Suspend],
        Command::Quit => return vec![Effect::Quit],
    }
    vec![]
}

/// Focuses a panel, and shows it where only one of several is shown.
pub(super) fn focus(model: &mut Model, panel: Panel) {
    model.focus = panel;
    if matches!(panel, Panel::Sessions | Panel::Events) {
        model.tab = panel;
    }
}

fn cycle(model: &mut Model, step: usize) {
    let places = Panel::ALL.len();
    let areas = model.areas();
    let mut index = model.focus as usize - 1;
    for _ in 0..places {
        index = (index + step) % places;
        let panel = Panel::ALL[index];
        let on_a_tab = areas.tabs && matches!(panel, Panel::Sessions | Panel::Events);
        if model.zoomed || on_a_tab || areas.panel(panel).is_some() {
            return focus(model, panel);
        }
    }
}

fn page_rows(model: &Model) -> isize {
    let areas = model.areas();
    let panel = list_of(model, model.focus);
    let area = if model.page == Page::Events { Some(areas.body) } else { areas.panel(panel) };
    let rows = area.map_or(1, |area| layout::visible_rows(panel, area));
    isize::try_from(rows).unwrap_or(1).max(1)
}

/// The list that the arrows move in while `panel` has the focus.
fn list_of(model: &Model, panel: Panel) -> Panel {
    match (model.page, panel) {
        (Page::Events, _) => Panel::Events,
        (Page::Main, Panel::Sessions | Panel::Events) => panel,
        _ => Panel::Devices,
    }
}

/// Moves the selection of the list that belongs to `panel`.
pub(super) fn step(model: &mut Model, panel: Panel, rows: isize) {
    match list_of(model, panel) {
        Panel::Sessions => {
            let keys = model.session_keys();
            model.session_cursor.step(&keys, rows);
        }
        Panel::Events => {
            let keys = model.event_keys();
            model.event_cursor.step(&keys, rows);
            if model.event_cursor.index() == 0 {
                model.event_cursor.rest();
            }
        }
        _ => {
            let keys = model.device_keys();
            model.device_cursor.step(&keys, rows);
            if let (Page::Device(_), Some(id)) = (model.page, model.device_cursor.key()) {
                model.page = Page::Device(id);
            }
        }
    }
}

/// Selects the `row`-th visible row.
pub(super) fn select_row(model: &mut Model, panel: Panel, row: usize) {
    match panel {
        Panel::Devices => {
            if let Some(key) = model.device_keys().get(model.device_cursor.offset + row) {
                model.device_cursor.select(*key);
            }
        }
        Panel::Sessions => {
            if let Some(key) = model.session_keys().get(model.session_cursor.offset + row) {
                model.session_cursor.select(*key);
            }
        }
        Panel::Events => {
            if let Some(key) = model.event_keys().get(model.event_cursor.offset + row) {
                model.event_cursor.select(*key);
            }
        }
        _ => {}
    }
}

fn enter(model: &mut Model) -> Vec<Effect> {
    match (model.page, model.focus) {
        (Page::Main, Panel::Balancer) => return act::picker(model),
        (Page::Events, _) | (Page::Main, Panel::Events) => jump(model),
        (Page::Main, Panel::Sessions) => toast(model, Tone::Plain, "a session's row shows all there is", ""),
        (Page::Main, _) => {
            if let Some(id) = model.device_cursor.key() {
                model.page = Page::Device(id);
            }
        }
        (Page::Device(_), _) => {}
    }
    vec![]
}

/// Goes to the device that the selected event is about.
fn jump(model: &mut Model) {
    let index = model.event_cursor.index();
    let name = model.shown_log().newest_first().nth(index).and_then(Line::device).map(str::to_owned);
    let found = name
        .as_ref()
        .and_then(|name| model.shown().devices().iter().find(|device| device.name == *name))
        .map(|device| device.id);
    match (found, name) {
        (Some(id), _) => {
            model.device_cursor.select(id);
            model.page = Page::Main;
            model.zoomed = false;
            focus(model, Panel::Devices);
        }
        (None, Some(name)) => toast(model, Tone::Plain, format!("device '{name}' is gone"), ""),
        (None, None) => toast(model, Tone::Plain, "this event is about no device", ""),
    }
}

fn back(model: &mut Model) {
    if model.page != Page::Main {
        model.page = Page::Main;
    } else if model.zoomed {
        model.zoomed = false;
    } else if model.frozen.is_some() {
        model.frozen = None;
    } else {
        model.toast = None;
    }
}

fn freeze(model: &mut Model) {
    model.frozen = match model.frozen.take() {
        Some(_) => None,
        None => Some(Box::new(Frozen {
            at_ns: model.now_ns,
            data: model.data.clone(),
            log: model.log.clone(),
            missed: 0,
        })),
    };
}
