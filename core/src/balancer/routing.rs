//! The table as the hot path reads it: candidates resolved to devices, immutable, swapped as a whole.

use std::sync::Arc;

use super::{Rule, Table};
use crate::algorithm::Algorithm;
use crate::binding::Binding;
use crate::device::DeviceState;
use crate::device::registry::Device;
use crate::op::DeviceId;
use crate::shared::Shared;
use crate::stats::counter::{Counter, thread_number};
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
    /// All devices of the runtime, for bound operations and for those that the table does not serve.
    devices: Arc<Vec<Arc<Device>>>,
    /// Picks that the table could not serve although a usable device could.
    misses: Counter,
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
    pub(crate) fn new(table: &Table, devices: &Arc<Vec<Arc<Device>>>) -> Self {
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
        Self { lanes, devices: Arc::clone(devices), misses: Counter::default() }
    }

    fn lane(&self, algorithm: Algorithm, class: usize) -> Option<&Lane> {
        self.lanes.get(algorithm as usize * SIZE_CLASSES + class)?.as_ref()
    }

    /// Picks that the table could not serve although a usable device could.
    pub(crate) fn misses(&self) -> u64 {
        self.misses.read()
    }

    /// Whether each device that could serve an operation is full. Unlike `pick` it changes nothing.
    pub(crate) fn is_full(&self, shape: Shape, binding: Binding) -> bool {
        if !binding.is_none() {
            let bound = |device: &&Arc<Device>| binding.matches(device.numbers.0, device.numbers.1);
            match all_full(self.devices.iter().filter(bound), shape) {
                Some(is_full) => return is_full,
                // One that may go nowhere else waits.
                None if binding.is_only() => return true,
                None => {}
            }
        }
        let lane = self.lane(shape.algorithm(), size_class(shape.bytes()));
        let listed = lane.and_then(|lane| all_full(lane.candidates.iter(), shape));
        listed.or_else(|| all_full(self.devices.iter(), shape)).unwrap_or(false)
    }

    /// Picks a device for an operation that the devices in `tried` have failed already.
    #[inline]
    pub(crate) fn pick(&self, shape: Shape, tried: &Tried, binding: Binding) -> Pick<'_> {
        if !binding.is_none() {
            let bound = |device: &&Arc<Device>| binding.matches(device.numbers.0, device.numbers.1);
            match shortest(self.devices.iter().filter(bound), shape, tried) {
                Pick::None if binding.is_only() => return Pick::Full,
                Pick::None => {}
                pick => return pick,
            }
        }
        let lane = self.lane(shape.algorithm(), size_class(shape.bytes()));
        match lane.map_or(Pick::None, |lane| lane.pick(shape, tried)) {
            Pick::None => self.pick_unlisted(shape, tried),
            pick => pick,
        }
    }

    /// The table names nobody who can: a policy that errs, or one that has not seen the newest device yet.
    #[cold]
    fn pick_unlisted(&self, shape: Shape, tried: &Tried) -> Pick<'_> {
        let pick = shortest(self.devices.iter(), shape, tried);
        if !matches!(pick, Pick::None) {
            self.misses.add(1);
        }
        pick
    }
}

/// Whether those that can serve are all full; `None` if there is none.
fn all_full<'a>(devices: impl Iterator<Item = &'a Arc<Device>>, shape: Shape) -> Option<bool> {
    let mut able = devices.filter(|device| device.state().is_usable() && device.can(shape)).peekable();
    able.peek()?;
    Some(able.all(|device| device.backlog_ops() >= device.lend_max_ops))
}

/// The one with the shortest queue, of any devices.
fn shortest<'a>(devices: impl Iterator<Item = &'a Arc<Device>>, shape: Shape, tried: &Tried) -> Pick<'a> {
    let mut choice = Choice::default();
    for device in devices {
        choice.offer(device, shape, tried);
    }
    choice.end()
}

impl Lane {
    #[inline]
    fn pick(&self, shape: Shape, tried: &Tried) -> Pick<'_> {
        let count = self.candidates.len();
        let first = match self.rule {
            Rule::Shortest => thread_number(),
            Rule::Rotate => self.turn.fetch_add(1, Ordering::Relaxed),
            Rule::First => 0,
        };
        let mut choice = Choice::default();
        for offset in 0..count {
            choice.offer(&self.candidates[(first + offset) % count], shape, tried);
            if choice.best.is_some() && (self.rule != Rule::Shortest || choice.best_backlog == 0) {
                break;
            }
        }
        choice.end()
    }
}

/// The shortest queue so far, and why others were passed over.
#[derive(Default)]
struct Choice<'a> {
    best: Option<&'a Arc<Device>>,
    best_backlog: usize,
    is_full: bool,
    held_back: Option<(&'a Arc<Device>, usize)>,
}

impl<'a> Choice<'a> {
    #[inline]
    fn offer(&mut self, device: &'a Arc<Device>, shape: Shape, tried: &Tried) {
        let state = device.state();
        if !state.is_usable() || !device.can(shape) || tried.contains(device.id) {
            return;
        }
        let backlog = device.backlog_ops();
        if backlog >= device.lend_max_ops {
            self.is_full = true;
        } else if state == DeviceState::Probation && !device.admits() {
            self.held_back = Some((device, backlog));
        } else if self.best.is_none() || backlog < self.best_backlog {
            (self.best, self.best_backlog) = (Some(device), backlog);
        }
    }

    #[inline]
    fn end(self) -> Pick<'a> {
        // A device in probation is held back in favour of others, not in favour of nobody.
        let held_back = self.held_back.filter(|_| !self.is_full);
        match self.best.map(|device| (device, self.best_backlog)).or(held_back) {
            Some((device, backlog)) => Pick::Device(device, device.lend_max_ops - backlog),
            None if self.is_full => Pick::Full,
            None => Pick::None,
        }
    }
}

impl Shared {
    /// Whether a device in service can do this; one that was just added counts before there is a plan for it.
    pub(crate) fn serves(&self, algorithm: Algorithm) -> bool {
        self.devices.load().iter().any(|device| device.state().is_usable() && device.knows(algorithm))
    }
}
