//! The table as the hot path reads it: candidates resolved to devices, immutable, swapped as a whole.

use std::sync::Arc;

use super::{Rule, Table};
use crate::algorithm::Algorithm;
use crate::device::DeviceState;
use crate::device::registry::Device;
use crate::op::DeviceId;
use crate::stats::counter::thread_number;
use crate::submit::{SIZE_CLASSES, Shape, Tried, size_class};
use crate::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
struct Lane {
    rule: Rule,
    candidates: Vec<Arc<Device>>,
    turn: AtomicUsize,
}

/// A table in force.
#[derive(Debug, Default)]
pub(crate) struct Routing {
    lanes: Vec<Option<Lane>>,
}

/// What came of looking for a device.
pub(crate) enum Pick<'a> {
    /// This one, with room for so many operations.
    Device(&'a Arc<Device>, usize),
    /// Each that could serve is full.
    Full,
    /// None could serve.
    None,
}

impl Routing {
    pub(crate) fn new(table: &Table, devices: &[Arc<Device>]) -> Self {
        let find = |id: &DeviceId| devices.iter().find(|device| device.id == *id).cloned();
        let lanes = Algorithm::ALL
            .iter()
            .flat_map(|algorithm| (0..SIZE_CLASSES).map(|class| table.row(*algorithm, class)))
            .map(|row| {
                row.map(|row| Lane {
                    rule: row.rule,
                    candidates: row.candidates.iter().filter_map(find).collect(),
                    turn: AtomicUsize::new(0),
                })
            })
            .collect();
        Self { lanes }
    }

    /// Whether a device could serve the algorithm at all.
    pub(crate) fn serves(&self, algorithm: Algorithm) -> bool {
        (0..SIZE_CLASSES).any(|class| {
            self.lane(algorithm, class).is_some_and(|lane| {
                lane.candidates.iter().any(|device| device.state().is_usable() && device.knows(algorithm))
            })
        })
    }

    fn lane(&self, algorithm: Algorithm, class: usize) -> Option<&Lane> {
        self.lanes.get(algorithm as usize * SIZE_CLASSES + class)?.as_ref()
    }

    /// Whether each device that could serve an operation is full. Unlike `pick` it changes nothing.
    pub(crate) fn is_full(&self, shape: Shape) -> bool {
        let Some(lane) = self.lane(shape.algorithm(), size_class(shape.bytes())) else { return false };
        let mut able = lane
            .candidates
            .iter()
            .filter(|device| device.state().is_usable() && device.can(shape.algorithm(), shape.kind()))
            .peekable();
        able.peek().is_some() && able.all(|device| device.backlog_ops() >= device.lend_max_ops)
    }

    /// Picks a device for an operation that the devices in `tried` have failed already.
    #[inline]
    pub(crate) fn pick(&self, shape: Shape, tried: &Tried) -> Pick<'_> {
        let Some(lane) = self.lane(shape.algorithm(), size_class(shape.bytes())) else { return Pick::None };
        let count = lane.candidates.len();
        let first = match lane.rule {
            Rule::Shortest => thread_number(),
            Rule::Rotate => lane.turn.fetch_add(1, Ordering::Relaxed),
            Rule::First => 0,
        };
        let (mut best, mut best_backlog) = (None, usize::MAX);
        let (mut is_full, mut held_back) = (false, None);
        for offset in 0..count {
            let device = &lane.candidates[(first + offset) % count];
            let state = device.state();
            if !state.is_usable() || tried.contains(device.id) || !device.can(shape.algorithm(), shape.kind())
            {
                continue;
            }
            let backlog = device.backlog_ops();
            if backlog >= device.lend_max_ops {
                is_full = true;
                continue;
            }
            if state == DeviceState::Probation && !device.admits() {
                held_back = Some((device, backlog));
                continue;
            }
            if backlog < best_backlog {
                (best, best_backlog) = (Some(device), backlog);
                if lane.rule != Rule::Shortest || backlog == 0 {
                    break;
                }
            }
        }
        // A device in probation is held back in favour of others, not in favour of nobody.
        if let (None, false, Some((device, backlog))) = (best, is_full, held_back) {
            (best, best_backlog) = (Some(device), backlog);
        }
        match best {
            Some(device) => Pick::Device(device, device.lend_max_ops - best_backlog),
            None if is_full => Pick::Full,
            None => Pick::None,
        }
    }
}
