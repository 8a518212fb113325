//! Keys while a dialog is open: it takes them all.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::act;
use crate::keymap::{self, Command};
use crate::message::Effect;
use crate::model::{Confirm, Dialog, MENU, Model};
use crate::view;

pub(super) fn key(model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let command = keymap::lookup(key);
    match command {
        Some(Command::Redraw) => return vec![Effect::Redraw],
        Some(Command::Suspend) => return vec![Effect::Suspend],
        Some(Command::Quit) if control => return vec![Effect::Quit],
        _ => {}
    }
    match model.dialog.take() {
        Some(Dialog::Picker { chosen }) => picker(model, chosen, command),
        Some(Dialog::Menu { device, index }) => menu(model, device, index, key, command),
        Some(Dialog::Confirm(confirm)) => confirmed(model, confirm, key),
        Some(Dialog::Help { offset }) => help(model, offset, command),
        None => vec![],
    }
}

fn picker(model: &mut Model, chosen: String, command: Option<Command>) -> Vec<Effect> {
    let names: Vec<String> = model
        .data
        .snapshot
        .iter()
        .flat_map(|snapshot| &snapshot.balancers)
        .map(|balancer| balancer.name.clone())
        .collect();
    match command {
        Some(Command::Back | Command::Quit | Command::Balancer) => vec![],
        Some(Command::Enter) => act::set_balancer(model, chosen),
        command => {
            let index = names.iter().position(|name| *name == chosen).unwrap_or(0);
            let chosen = names.get(moved(index, names.len(), command)).cloned().unwrap_or(chosen);
            act::choose(model, chosen)
        }
    }
}

fn menu(
    model: &mut Model,
    device: String,
    index: usize,
    key: &KeyEvent,
    command: Option<Command>,
) -> Vec<Effect> {
    let letter = MENU.iter().find(|(_, letter, _)| key.code == KeyCode::Char(*letter));
    match (letter, command) {
        (Some((entry, ..)), _) => act::take_entry(model, &device, *entry),
        (None, Some(Command::Back | Command::Quit | Command::Actions)) => vec![],
        (None, Some(Command::Enter)) => match MENU.get(index) {
            Some((entry, ..)) => act::take_entry(model, &device, *entry),
            None => vec![],
        },
        (None, command) => {
            let index = moved(index, MENU.len(), command);
            model.dialog = Some(Dialog::Menu { device, index });
            vec![]
        }
    }
}

fn confirmed(model: &mut Model, mut confirm: Box<Confirm>, key: &KeyEvent) -> Vec<Effect> {
    let typed_well = confirm.must_type.as_ref().is_none_or(|name| *name == confirm.typed);
    match key.code {
        KeyCode::Esc => return vec![],
        KeyCode::Enter if confirm.on_apply && typed_well => return act::ask(model, confirm.action),
        KeyCode::Enter if !confirm.on_apply => return vec![],
        KeyCode::Tab | KeyCode::BackTab | KeyCode::Left | KeyCode::Right => {
            confirm.on_apply = !confirm.on_apply
        }
        KeyCode::Backspace if confirm.must_type.is_some() => drop(confirm.typed.pop()),
        KeyCode::Char(character) => type_character(&mut confirm, character),
        _ => {}
    }
    model.dialog = Some(Dialog::Confirm(confirm));
    vec![]
}

/// Takes a typed character; once the name stands there the focus goes to the button, and leaves it when it does not.
fn type_character(confirm: &mut Confirm, character: char) {
    let Some(name) = &confirm.must_type else { return };
    if confirm.typed.chars().count() < name.chars().count() + 8 {
        confirm.typed.push(character);
    }
    confirm.on_apply = confirm.typed == *name;
}

fn help(model: &mut Model, offset: usize, command: Option<Command>) -> Vec<Effect> {
    if matches!(command, Some(Command::Back | Command::Quit | Command::Help | Command::Enter)) {
        return vec![];
    }
    let lines = view::help_lines(model);
    model.dialog = Some(Dialog::Help { offset: moved(offset, lines, command) });
    vec![]
}

/// The place a movement leads to among `len`.
fn moved(index: usize, len: usize, command: Option<Command>) -> usize {
    const PAGE: usize = 10;
    let last = len.saturating_sub(1);
    match command {
        Some(Command::Down | Command::NextPanel) => index + 1,
        Some(Command::Up | Command::PreviousPanel) => index.saturating_sub(1),
        Some(Command::PageDown) => index + PAGE,
        Some(Command::PageUp) => index.saturating_sub(PAGE),
        Some(Command::First) => 0,
        Some(Command::Last) => last,
        _ => index,
    }
    .min(last)
}
