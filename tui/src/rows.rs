//! The rows of the tables in the order they are shown, and the place of the selection among them.

use std::cmp::Ordering;

use acrypto_netlink::message::{DeviceInfo, DeviceState, SessionInfo};

use crate::data::Data;
use crate::lint;

/// What devices are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// Name, numbers in it by their value.
    #[default]
    Name,
    /// State, the worst first.
    State,
    /// Share of the queue in use, the fullest first.
    Queue,
    /// Operations per second, the busiest first.
    Rate,
    /// 99th percentile of the latency, the slowest first.
    P99,
    /// Errors per second, the most first.
    Errors,
}

/// The order of the device table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// Whether the usual order is turned round.
    pub reversed: bool,
}

impl SortBy {
    const ALL: [SortBy; 6] = [Self::Name, Self::State, Self::Queue, Self::Rate, Self::P99, Self::Errors];

    /// The column's head.
    pub const fn head(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::State => "STATE",
            Self::Queue => "QUEUE",
            Self::Rate => "OP/s",
            Self::P99 => "p99",
            Self::Errors => "ERR/s",
        }
    }

    /// The one after this, round and round.
    pub fn next(self) -> Self {
        Self::ALL[(self as usize + 1) % Self::ALL.len()]
    }
}

impl Sort {
    /// `▲` when small comes first, else `▼`.
    pub fn arrow(self) -> &'static str {
        if (self.by == SortBy::Name) != self.reversed { "▲" } else { "▼" }
    }
}

/// The devices in the order shown.
pub fn devices(data: &Data, sort: Sort) -> Vec<&DeviceInfo> {
    let mut rows: Vec<&DeviceInfo> = data.devices().iter().collect();
    rows.sort_by(|a, b| {
        let order = match sort.by {
            SortBy::Name => Ordering::Equal,
            SortBy::State => rank(b.state).cmp(&rank(a.state)),
            SortBy::Queue => lint::queue_share(b).total_cmp(&lint::queue_share(a)),
            SortBy::Rate => rate(data, b).total_cmp(&rate(data, a)),
            SortBy::P99 => p99(data, b).cmp(&p99(data, a)),
            SortBy::Errors => errors(data, b).total_cmp(&errors(data, a)),
        };
        let order = order.then_with(|| natural(&a.name, &b.name)).then(a.id.cmp(&b.id));
        if sort.reversed { order.reverse() } else { order }
    });
    rows
}

/// The sessions, the busiest of the last few seconds first.
pub fn sessions(data: &Data) -> Vec<&SessionInfo> {
    let rate = |session: &SessionInfo| {
        data.session_track(session.id).map_or(0.0, |track| track.completed.per_second())
    };
    let mut rows: Vec<&SessionInfo> = data.sessions().iter().collect();
    rows.sort_by(|a, b| rate(b).total_cmp(&rate(a)).then(a.id.cmp(&b.id)));
    rows
}

fn rank(state: DeviceState) -> u8 {
    match state {
        DeviceState::Failed => 8,
        DeviceState::Broken => 7,
        DeviceState::Degraded => 6,
        DeviceState::Selftest => 5,
        DeviceState::Probation => 4,
        DeviceState::Draining => 3,
        DeviceState::Drained => 2,
        DeviceState::Gone => 1,
        DeviceState::Up => 0,
    }
}

fn rate(data: &Data, device: &DeviceInfo) -> f64 {
    data.device_track(device.id).map_or(0.0, |track| track.finished.per_second())
}

fn errors(data: &Data, device: &DeviceInfo) -> f64 {
    data.device_track(device.id).map_or(0.0, |track| track.errors.per_second())
}

fn p99(data: &Data, device: &DeviceInfo) -> u64 {
    data.device_track(device.id).and_then(|track| track.total.percentile_ns(0.99)).unwrap_or(0)
}

/// Compares names so that `sim2` comes before `sim10`.
fn natural(a: &str, b: &str) -> Ordering {
    parts(a).cmp(&parts(b)).then_with(|| a.cmp(b))
}

/// A name and the number at its end.
fn parts(name: &str) -> (&str, Option<u64>) {
    let stem = name.trim_end_matches(|character: char| character.is_ascii_digit());
    (stem, name[stem.len()..].parse().ok())
}

/// The selected row of a table. It follows its row by identity; when the row is gone, its neighbour is selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor<K> {
    key: Option<K>,
    index: usize,
    /// First row that is shown.
    pub offset: usize,
}

impl<K> Default for Cursor<K> {
    fn default() -> Self {
        Self { key: None, index: 0, offset: 0 }
    }
}

impl<K: Copy + PartialEq> Cursor<K> {
    /// The selected row's identity.
    pub fn key(&self) -> Option<K> {
        self.key
    }

    /// Where the selected row is.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Selects the row with this identity.
    pub fn select(&mut self, key: K) {
        self.key = Some(key);
    }

    /// Moves by so many rows, as far as there are rows.
    pub fn step(&mut self, keys: &[K], rows: isize) {
        let last = keys.len().saturating_sub(1);
        self.index = self.index.saturating_add_signed(rows).min(last);
        self.key = keys.get(self.index).copied();
    }

    /// Finds the row again among `keys`, and keeps it within the `visible` rows. Without a selection the first row is
    /// taken if `pick` says so; else the table stays at its start.
    pub fn settle(&mut self, keys: &[K], visible: usize, pick: bool) {
        let found = self.key.and_then(|key| keys.iter().position(|other| *other == key));
        self.index = found.unwrap_or(self.index).min(keys.len().saturating_sub(1));
        if found.is_none() && (pick || self.key.is_some()) {
            self.key = keys.get(self.index).copied();
        }
        if self.key.is_none() {
            self.index = 0;
        }
        let visible = visible.max(1);
        self.offset = self.offset.min(self.index).max((self.index + 1).saturating_sub(visible));
        self.offset = self.offset.min(keys.len().saturating_sub(visible));
    }

    /// Selects nothing and goes to the start.
    pub fn rest(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selection_follows_its_row() {
        let mut cursor = Cursor::default();
        cursor.select(7);
        cursor.settle(&[1, 7, 9], 10, true);
        assert_eq!(cursor.index(), 1);
        cursor.settle(&[7, 9, 1], 10, true);
        assert_eq!((cursor.index(), cursor.key()), (0, Some(7)));
    }

    #[test]
    fn when_the_row_is_gone_its_neighbour_is_selected() {
        let mut cursor = Cursor::default();
        cursor.select(9);
        cursor.settle(&[1, 7, 9], 10, true);
        cursor.settle(&[1, 7], 10, true);
        assert_eq!(cursor.key(), Some(7));
        cursor.settle(&[], 10, true);
        assert_eq!((cursor.index(), cursor.offset), (0, 0));
    }

    #[test]
    fn the_selected_row_stays_visible() {
        let keys: Vec<u32> = (0..100).collect();
        let mut cursor = Cursor::default();
        cursor.settle(&keys, 10, true);
        cursor.step(&keys, 50);
        cursor.settle(&keys, 10, true);
        assert_eq!(cursor.offset, 41);
        cursor.step(&keys, -5);
        cursor.settle(&keys, 10, true);
        assert_eq!(cursor.offset, 41);
        cursor.step(&keys, isize::MAX);
        cursor.settle(&keys, 10, true);
        assert_eq!((cursor.index(), cursor.offset), (99, 90));
    }

    #[test]
    fn a_table_at_rest_stays_at_its_start_when_rows_come() {
        let mut cursor: Cursor<u32> = Cursor::default();
        cursor.settle(&[1], 5, false);
        cursor.settle(&[2, 1], 5, false);
        assert_eq!((cursor.index(), cursor.key()), (0, None));
    }

    #[test]
    fn names_with_numbers_sort_by_value() {
        assert_eq!(natural("sim2", "sim10"), Ordering::Less);
        assert_eq!(natural("accel1", "soft0"), Ordering::Less);
    }
}
