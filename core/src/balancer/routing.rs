//! The table as the hot path reads it: candidates resolved to devices, immutable, swapped as a whole.

use std::collections::HashMap;
use std::sync::Arc;

use super::Table;
use super::choice::{Lane, Outcome, shortest};
use super::explain::Watch;
use super::simple::SIMPLE;
use crate::algorithm::Algorithm;
use crate::binding::Binding;
use crate::device::registry::Device;
use crate::op::DeviceId;
use crate::shared::Shared;
use crate::submit::{SIZE_CLASSES, Shape, Tried, size_class};
use crate::sync::atomic::{AtomicBool, Ordering};

/// A table in force.
#[derive(Debug)]
pub(crate) struct Routing {
    lanes: Vec<Option<Lane<Arc<Device>>>>,
    /// All devices of the runtime, for bound operations and for those that the table does not serve.
    devices: Arc<Vec<Arc<Device>>>,
    /// Name of the policy that wrote the table.
    pub(crate) policy: Arc<str>,
    /// Nothing has changed since the plan: what the table cannot serve is the policy's fault.
    pub(crate) is_fresh: AtomicBool,
    watch: Arc<Watch>,
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

/// A rule's name where no rule was asked.
const BOUND: &str = "binding";
const FALLBACK: &str = "fallback";

impl Routing {
    /// No table yet, and no device.
    pub(crate) fn empty(watch: &Arc<Watch>) -> Self {
        Self::new(&Table::default(), &Arc::default(), SIMPLE.into(), watch, None)
    }

    /// Resolves a table. Where a row is as it was in `before`, turns go on.
    pub(crate) fn new(
        table: &Table,
        devices: &Arc<Vec<Arc<Device>>>,
        policy: Arc<str>,
        watch: &Arc<Watch>,
        before: Option<&Routing>,
    ) -> Self {
        let by_id: HashMap<DeviceId, &Arc<Device>> =
            devices.iter().map(|device| (device.id, device)).collect();
        let places = Algorithm::ALL.iter().flat_map(|algorithm| (0..SIZE_CLASSES).map(|c| (*algorithm, c)));
        let lanes = places
            .map(|(algorithm, class)| {
                let row = table.row(algorithm, class)?;
                let find = |id| by_id.get(id).map(|device| Arc::clone(device));
                let candidates = row.candidates.iter().filter_map(find).collect();
                let turn = before
                    .and_then(|before| before.lane(algorithm, class))
                    .filter(|lane| lane.rule == row.rule)
                    .map_or(0, |lane| lane.turn.load(Ordering::Relaxed));
                Some(Lane::new(row.rule.clone(), candidates, turn))
            })
            .collect();
        Self {
            lanes,
            devices: Arc::clone(devices),
            policy,
            is_fresh: AtomicBool::new(false),
            watch: Arc::clone(watch),
        }
    }

    fn lane(&self, algorithm: Algorithm, class: usize) -> Option<&Lane<Arc<Device>>> {
        self.lanes.get(algorithm as usize * SIZE_CLASSES + class)?.as_ref()
    }

    pub(crate) fn devices(&self) -> &[Arc<Device>] {
        &self.devices
    }

    /// Whether an operation has to wait: each device that could serve it is full, or the rule would rather wait for one
    /// that is. Unlike `pick` it changes nothing.
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
        let listed = lane.and_then(|lane| lane.waits(shape, || self.watch.now(), || self.watch.line_ops()));
        listed.or_else(|| all_full(self.devices.iter(), shape)).unwrap_or(false)
    }

    /// The devices that share operations like this.
    pub(crate) fn candidates(&self, shape: Shape) -> &[Arc<Device>] {
        let lane = self.lane(shape.algorithm(), size_class(shape.bytes()));
        lane.map_or(&**self.devices, |lane| &lane.candidates)
    }

    /// Whether anybody could still serve an operation that the devices in `tried` have failed, now or later. Unlike
    /// `pick` it changes nothing.
    pub(crate) fn is_left(&self, shape: Shape, tried: &Tried, binding: Binding) -> bool {
        let is_able = |device: &Arc<Device>| {
            device.state().is_usable() && device.can(shape) && !tried.contains(device.id)
        };
        binding.is_only() || self.devices.iter().any(is_able)
    }

    /// Whether a device that an operation is tied to is in service and can do it; of those not in `tried`.
    pub(crate) fn is_tie_in_service(&self, shape: Shape, tried: &Tried, binding: Binding) -> bool {
        self.devices.iter().any(|device| {
            binding.matches(device.numbers.0, device.numbers.1)
                && device.state().is_usable()
                && device.can(shape)
                && !tried.contains(device.id)
        })
    }

    /// Picks a device for an operation that the devices in `tried` have failed already.
    #[inline(always)]
    pub(crate) fn pick(&self, shape: Shape, tried: &Tried, binding: Binding) -> Pick<'_> {
        let is_sampled = self.watch.counts_pick();
        if !is_sampled
            && binding.is_none()
            && tried.is_empty()
            && let Some(lane) = self.lane(shape.algorithm(), size_class(shape.bytes()))
            && let Some(device) = lane.pick_at_once(shape, self.watch.spread())
        {
            return Pick::Device(device, device.lend_max_ops);
        }
        self.pick_with_care(shape, tried, binding, is_sampled)
    }

    fn pick_with_care(&self, shape: Shape, tried: &Tried, binding: Binding, is_sampled: bool) -> Pick<'_> {
        if !binding.is_none() {
            match self.pick_bound(shape, tried, binding, is_sampled) {
                Pick::None => {}
                pick => return pick,
            }
        }
        let Some(lane) = self.lane(shape.algorithm(), size_class(shape.bytes())) else {
            return self.pick_unlisted(shape, tried, is_sampled);
        };
        let noted = is_sampled.then(|| self.watch.figures(&lane.candidates, shape, tried));
        let outcome =
            lane.pick(shape, tried, self.watch.spread(), || self.watch.now(), || self.watch.line_ops());
        if let Some(figures) = noted {
            self.watch.note(&self.policy, lane.rule.name(), shape, figures, &lane.candidates, outcome);
        }
        match outcome {
            Outcome::Found { index, room, .. } => Pick::Device(&lane.candidates[index], room),
            Outcome::Full => Pick::Full,
            Outcome::None => self.pick_unlisted(shape, tried, is_sampled),
        }
    }

    fn pick_bound(&self, shape: Shape, tried: &Tried, binding: Binding, is_sampled: bool) -> Pick<'_> {
        let mut devices = self.devices.iter().enumerate();
        let mut outcome = Outcome::None;
        let mut least = usize::MAX;
        for (index, device) in devices.by_ref() {
            if !binding.matches(device.numbers.0, device.numbers.1) {
                continue;
            }
            match shortest(&self.devices, index..index + 1, 0, shape, tried) {
                Outcome::Found { room, .. } if device.backlog_ops() < least => {
                    least = device.backlog_ops();
                    outcome = Outcome::Found { index, room, why: "the session is bound to it" };
                }
                Outcome::Full if outcome == Outcome::None => outcome = Outcome::Full,
                _ => {}
            }
        }
        if outcome == Outcome::None && binding.is_only() {
            outcome = Outcome::Full;
        }
        if is_sampled && outcome != Outcome::None {
            let figures = self.watch.figures(&self.devices, shape, tried);
            self.watch.note(&self.policy, BOUND, shape, figures, &self.devices, outcome);
        }
        self.answer(outcome)
    }

    /// The table names nobody who can: a policy that errs, or one that has not seen the newest device yet.
    #[cold]
    fn pick_unlisted(&self, shape: Shape, tried: &Tried, is_sampled: bool) -> Pick<'_> {
        let all = 0..self.devices.len();
        let mut outcome = shortest(&self.devices, all, self.watch.spread(), shape, tried);
        if let Outcome::Found { why, .. } = &mut outcome {
            *why = "the table serves it with no device";
        }
        // An operation that was tried before may have come to the end of its row. A chunk may be none of its devices'
        // affair: rows do not tell those that take chunks from those that do not.
        let is_expected = !tried.is_empty() || shape.is_chunk();
        if outcome != Outcome::None && !is_expected && self.is_fresh.load(Ordering::Relaxed) {
            self.watch.misses.add(1);
        }
        if is_sampled {
            let figures = self.watch.figures(&self.devices, shape, tried);
            self.watch.note(&self.policy, FALLBACK, shape, figures, &self.devices, outcome);
        }
        self.answer(outcome)
    }

    fn answer(&self, outcome: Outcome) -> Pick<'_> {
        match outcome {
            Outcome::Found { index, room, .. } => Pick::Device(&self.devices[index], room),
            Outcome::Full => Pick::Full,
            Outcome::None => Pick::None,
        }
    }
}

/// Whether those that can serve are all full; `None` if there is none.
fn all_full<'a>(devices: impl Iterator<Item = &'a Arc<Device>>, shape: Shape) -> Option<bool> {
    let mut able = devices.filter(|device| device.state().is_usable() && device.can(shape)).peekable();
    able.peek()?;
    Some(able.all(|device| device.backlog_ops() >= device.lend_max_ops))
}

impl Shared {
    /// Whether a device in service can do this; one that was just added counts before there is a plan for it.
    pub(crate) fn serves(&self, algorithm: Algorithm) -> bool {
        self.devices.load().iter().any(|device| device.state().is_usable() && device.knows(algorithm))
    }
}
