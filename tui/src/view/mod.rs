//! The screen as a function of the model. Nothing here changes anything.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use crate::layout::{Areas, Panel, SMALLEST, Shape};
use crate::model::{Dialog, Model, Page};
use crate::theme::Role;
use pen::Pen;

mod actions;
mod ascii;
mod balancer;
mod device;
mod devices;
mod dialog;
mod events;
mod footer;
#[cfg(test)]
mod golden;
mod header;
mod help;
mod latency;
mod main_queue;
mod pen;
mod picker;
mod plot;
mod sessions;
mod tabs;
mod throughput;

/// Draws the model.
pub fn view(model: &Model, frame: &mut Frame<'_>) {
    let screen = frame.area();
    draw(model, screen, frame.buffer_mut());
}

/// How many places the help can be scrolled to.
pub(crate) fn help_lines(model: &Model) -> usize {
    help::scroll_places(model)
}

fn draw(model: &Model, screen: Rect, buffer: &mut Buffer) {
    let mut pen = Pen { buffer, theme: model.theme };
    let mut areas = model.areas();
    if (screen.width, screen.height) != model.size {
        // The terminal is ahead of the message that tells its size.
        let zoomed = (model.zoomed && model.page == Page::Main).then_some(model.focus);
        let devices = model.shown().devices().len();
        areas = crate::layout::areas(screen.width, screen.height, zoomed, model.tab, devices);
    }
    if areas.shape == Shape::TooSmall {
        let (columns, rows) = SMALLEST;
        let text = format!("too small: have {}x{}, need {columns}x{rows}", screen.width, screen.height);
        pen.text(screen, 0, 0, &text, Role::Text);
    } else {
        header::draw(&mut pen, areas.header, model);
        match model.page {
            Page::Main => main(&mut pen, &areas, model),
            Page::Device(id) => device::draw(&mut pen, areas.body, id, model),
            Page::Events => events::draw(&mut pen, areas.body, model),
        }
        if !model.is_live() && model.frozen.is_none() {
            dim(pen.buffer, areas.body);
        }
        footer::toast(&mut pen, areas.toast, model);
        footer::keys(&mut pen, areas.footer, model);
        // The messages below stay readable while a dialog is open.
        let stage = Rect { height: screen.height.saturating_sub(2), ..screen };
        match &model.dialog {
            Some(Dialog::Picker { chosen }) => picker::draw(&mut pen, stage, chosen, model),
            Some(Dialog::Menu { device, index }) => actions::menu(&mut pen, stage, device, *index),
            Some(Dialog::Confirm(confirm)) => actions::confirm(&mut pen, stage, confirm, model),
            Some(Dialog::Help { offset }) => help::draw(&mut pen, stage, *offset),
            None => {}
        }
    }
    if model.ascii {
        ascii::transliterate(buffer);
    }
}

fn main(pen: &mut Pen<'_>, areas: &Areas, model: &Model) {
    for panel in Panel::ALL {
        let Some(area) = areas.panel(panel) else { continue };
        match panel {
            Panel::MainQueue if area.height == 1 => main_queue::draw_line(pen, area, model),
            Panel::MainQueue => main_queue::draw(pen, area, model),
            Panel::Balancer if area.height == 1 => balancer::draw_line(pen, area, model),
            Panel::Balancer => balancer::draw(pen, area, model),
            Panel::Devices => devices::draw(pen, area, model),
            Panel::Throughput => throughput::draw(pen, area, model),
            Panel::Latency => latency::draw(pen, area, model),
            Panel::Sessions | Panel::Events if areas.tabs => tabs::draw(pen, area, panel, model),
            Panel::Sessions => sessions::draw(pen, area, model),
            Panel::Events => events::draw(pen, area, model),
        }
    }
}

/// Takes colour and weight from old figures, so that nobody takes them for the present.
fn dim(buffer: &mut Buffer, area: Rect) {
    let area = area.intersection(buffer.area);
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            let cell = &mut buffer[(x, y)];
            cell.fg = Color::Reset;
            cell.modifier = cell.modifier.difference(Modifier::BOLD).union(Modifier::DIM);
        }
    }
}
