//! Everything that happens, as one pure function: a message changes the model and gives back effects as data.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use crate::keymap;
use crate::layout::{self, Panel};
use crate::message::{Effect, Message};
use crate::model::{Health, Model, Page, Toast, Tone};

mod act;
mod command;
mod dialog;
mod link;
#[cfg(test)]
mod tests;

/// How long a message stays.
const TOAST_NS: u64 = 6_000_000_000;
/// How long an objection stays.
const TOAST_BAD_NS: u64 = 12_000_000_000;

/// Takes in a message.
pub fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    let quiet = matches!(message, Message::Tick { .. });
    // Events may come by the thousand, and change no other table.
    let only_events = matches!(message, Message::Event(_) | Message::EventsLost { .. });
    let effects = match message {
        Message::Tick { now_ns } => tick(model, now_ns),
        Message::Key(key) if model.dialog.is_some() => dialog::key(model, &key),
        Message::Key(key) => keymap::lookup(&key).map(|known| command::run(model, known)).unwrap_or_default(),
        Message::Mouse(event) => mouse(model, event),
        Message::Resize { columns, rows } => {
            model.size = (columns, rows);
            vec![]
        }
        Message::Resumed => vec![Effect::Redraw],
        Message::Connected(server) => link::connected(model, *server),
        Message::Disconnected { reason } => link::disconnected(model, reason),
        Message::Snapshot(snapshot) => link::snapshot(model, *snapshot),
        Message::PollFailed { reason } => link::poll_failed(model, reason),
        Message::Event(event) => link::event(model, *event),
        Message::EventsLost { events } => link::events_lost(model, events),
        Message::EventsEnded { reason } => link::events_ended(model, &reason),
        Message::EqualCommand { command } => {
            model.dialog_command = command;
            vec![]
        }
        Message::Done { action, command, result, took_ns } => {
            act::done(model, *action, command, result, took_ns)
        }
        Message::Terminate => vec![Effect::Quit],
    };
    if !quiet {
        model.dirty = true;
        settle(model, only_events);
    }
    effects
}

fn tick(model: &mut Model, now_ns: u64) -> Vec<Effect> {
    model.now_ns = model.now_ns.max(now_ns);
    if model.toast.as_ref().is_some_and(|toast| toast.until_ns <= model.now_ns) {
        model.toast = None;
        model.dirty = true;
    }
    let mark = header_mark(model);
    if mark != model.header_mark {
        model.header_mark = mark;
        model.dirty = true;
    }
    link::due(model)
}

/// Changes whenever the header would show another state or age.
fn header_mark(model: &Model) -> (u8, u64) {
    const TENTH_NS: u64 = 100_000_000;
    if let Some(frozen) = &model.frozen {
        return (0, model.now_ns.saturating_sub(frozen.at_ns) / (10 * TENTH_NS));
    }
    match model.health() {
        Health::Live(age_ns) => (1, age_ns / TENTH_NS),
        Health::Stale(age_ns) => (2, age_ns / TENTH_NS),
        Health::Retry(in_ns, _) => (3, in_ns / TENTH_NS),
        Health::Connecting => (4, 0),
    }
}

/// Brings selections and offsets in line with the rows there are now.
fn settle(model: &mut Model, only_events: bool) {
    let areas = model.areas();
    let visible = |panel: Panel| areas.panel(panel).map_or(1, |area| layout::visible_rows(panel, area));
    let events = match model.page {
        Page::Events => layout::visible_rows(Panel::Events, areas.body),
        _ => visible(Panel::Events),
    };
    let keys = model.event_keys();
    model.event_cursor.settle(&keys, events, false);
    if only_events {
        return;
    }
    let keys = model.device_keys();
    model.device_cursor.settle(&keys, visible(Panel::Devices), true);
    let keys = model.session_keys();
    model.session_cursor.settle(&keys, visible(Panel::Sessions), false);
}

fn mouse(model: &mut Model, event: MouseEvent) -> Vec<Effect> {
    if model.dialog.is_some() {
        return vec![];
    }
    let areas = model.areas();
    let Some(panel) = areas.panel_at(event.column, event.row) else { return vec![] };
    match event.kind {
        MouseEventKind::Down(MouseButton::Left) => {
            command::focus(model, panel);
            let row = areas.panel(panel).and_then(|area| layout::row_at(panel, area, event.row));
            if let Some(row) = row {
                command::select_row(model, panel, row);
            }
        }
        MouseEventKind::ScrollDown => command::step(model, panel, 3),
        MouseEventKind::ScrollUp => command::step(model, panel, -3),
        _ => {}
    }
    vec![]
}

fn toast(model: &mut Model, tone: Tone, text: impl Into<String>, command: impl Into<String>) {
    let stay_ns = if tone == Tone::Bad { TOAST_BAD_NS } else { TOAST_NS };
    model.toast = Some(Toast {
        tone,
        text: text.into(),
        command: command.into(),
        until_ns: model.now_ns.saturating_add(stay_ns),
    });
}
