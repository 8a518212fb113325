//! The first line: whose figures these are, and how old.

use ratatui::layout::Rect;

use super::pen::{Pen, columns};
use crate::format;
use crate::layout::Shape;
use crate::model::{Health, Model};
use crate::theme::Role;

/// A piece of the line; of pieces that do not fit, the one with the highest rank goes first.
struct Piece {
    text: String,
    role: Role,
    rank: u8,
    gap: u16,
}

/// Draws the first line.
pub fn draw(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let lock = if model.locked || (model.server.is_some() && !model.is_admin()) { "RO" } else { "RW" };
    let lock_role = if lock == "RO" { Role::Warn } else { Role::Label };
    let room = area.width.saturating_sub(columns(lock) + 3);
    let full = model.areas().shape == Shape::Full;
    let mut pieces = pieces(model, full);
    while width(&pieces) > room {
        let Some(worst) = (0..pieces.len()).max_by_key(|index| pieces[*index].rank) else { break };
        if pieces[worst].rank == 0 {
            break;
        }
        pieces.remove(worst);
    }
    let old = !model.is_live() && model.frozen.is_none();
    let mut x = 0;
    for piece in &pieces {
        let role = if old && piece.rank > 0 { Role::Faint } else { piece.role };
        x = pen.text(area, x + piece.gap, 0, &piece.text, role);
    }
    pen.right(area, area.width.saturating_sub(1), 0, lock, lock_role);
}

fn width(pieces: &[Piece]) -> u16 {
    pieces.iter().map(|piece| columns(&piece.text) + piece.gap).sum()
}

fn pieces(model: &Model, full: bool) -> Vec<Piece> {
    let data = model.shown();
    let (health, health_role) = health(model);
    let address_columns = if full { 23 } else { 17 };
    let address = if full { model.address.as_str() } else { model.address.trim_start_matches("unix:") };
    let mut pieces = vec![
        Piece { text: "acrypto".to_owned(), role: Role::Title, rank: 1, gap: 1 },
        Piece {
            text: format::fit_middle(address, address_columns),
            role: Role::Label,
            rank: 4,
            gap: if full { 2 } else { 1 },
        },
    ];
    if model.is_demo() {
        pieces.push(Piece { text: " DEMO ".to_owned(), role: Role::Badge, rank: 0, gap: 1 });
    }
    pieces.push(Piece { text: health, role: health_role, rank: 0, gap: if full { 2 } else { 1 } });
    if let Some(snapshot) = &data.snapshot {
        let uptime_ns = data.server_ns().unwrap_or(0);
        let label = |text: String, rank, gap| Piece { text, role: Role::Label, rank, gap };
        let figure = |text: String, rank, gap| Piece { text, role: Role::Text, rank, gap };
        pieces.push(label(format!("up {}", format::span(uptime_ns)), 5, 2));
        pieces.push(label(format!("epoch {:04x}", snapshot.server.epoch), 8, 2));
        pieces.push(figure(
            format!("{} op/s", format::count(data.runtime.completed.per_second())),
            2,
            if full { 3 } else { 2 },
        ));
        pieces.push(figure(format::bytes_rate(data.runtime.bytes.per_second()), 3, if full { 2 } else { 1 }));
        let failed = data.failed_share();
        let failed_role = if failed > 0.0 { Role::Warn } else { Role::Text };
        pieces.push(Piece {
            text: format!("err {}", format::percent(failed)),
            role: failed_role,
            rank: 7,
            gap: 2,
        });
        let p99 = data.runtime.total.percentile_ns(0.99).map_or_else(|| "-".to_owned(), format::latency);
        pieces.push(figure(format!("p99 {p99}"), 6, 2));
    }
    pieces
}

fn health(model: &Model) -> (String, Role) {
    if let Some(frozen) = &model.frozen {
        let since = format::span(model.now_ns.saturating_sub(frozen.at_ns));
        return (format!("▮▮ FROZEN {since}, {} missed", frozen.missed), Role::Warn);
    }
    match model.health() {
        Health::Live(age_ns) => (format!("● LIVE {}", format::age(age_ns)), Role::Good),
        Health::Stale(age_ns) => (format!("◐ STALE {}", format::age(age_ns)), Role::Warn),
        Health::Retry(0, attempt) => (format!("○ RETRY now #{attempt}"), Role::Bad),
        Health::Retry(in_ns, attempt) => (format!("○ RETRY in {} #{attempt}", format::age(in_ns)), Role::Bad),
        Health::Connecting => ("○ CONNECTING".to_owned(), Role::Warn),
    }
}
