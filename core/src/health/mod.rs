//! What is believed of a device's health, and why: evidence for and against it, its repair, its way out of service.

pub(crate) mod beat;
mod budget;
mod commands;
mod known;
mod leaving;
mod repair;
pub(crate) mod selftest;
pub(crate) mod shadow;
pub(crate) mod silence;

use std::collections::VecDeque;

use crate::clock::Nanos;
use crate::device::DeviceState;
use crate::device::registry::Device;
use crate::event::{Draft, EventKind, Severity, Wakers};
use crate::shared::Shared;

pub(crate) use commands::check_shadow;
pub(crate) use known::{Asked, Probe, is_probe};
pub(crate) use leaving::Leaving;
pub(crate) use repair::Purpose;

/// What broke a device; it decides whether a repair is tried without being asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Errors, silence, a panic: it may come back by itself.
    Evidence,
    /// It gave wrong bytes: only a person may trust it again.
    WrongBytes,
    /// Somebody wished it.
    ByHand,
}

/// The evidence on one device.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) reason: String,
    pub(crate) since: Nanos,
    /// When the latest errors came, at most as many as the budget.
    errors: VecDeque<Nanos>,
    /// Stage of probation and when it began.
    stage: (usize, Nanos),
    /// Its way out of service.
    pub(crate) leaving: Option<Leaving>,
    cause: Cause,
    /// When to try a repair that nobody asked for.
    retry: Option<Nanos>,
    /// How long to wait before the next one, in nanoseconds.
    backoff_ns: u64,
    /// Repairs tried since it was last in full service.
    repairs: u32,
    /// When it was last put into full service.
    up_since: Nanos,
    /// Heartbeats in a row that were not answered.
    missed_beats: u32,
}

impl Health {
    pub(crate) fn new(now: Nanos) -> Self {
        Self {
            reason: "known answers passed".to_owned(),
            since: now,
            errors: VecDeque::new(),
            stage: (0, now),
            leaving: None,
            cause: Cause::Evidence,
            retry: None,
            backoff_ns: 0,
            repairs: 0,
            up_since: now,
            missed_beats: 0,
        }
    }
}

/// A change of one device's health, made under its lock. Events get their numbers there, in the order of what
/// happened; whoever waits for them is woken when the lock is free again.
pub(crate) struct Change<'a> {
    shared: &'a Shared,
    pub(crate) device: &'a Device,
    pub(crate) health: &'a mut Health,
    wakers: Wakers,
    is_replanned: bool,
}

impl Change<'_> {
    fn state(&self) -> DeviceState {
        self.device.state()
    }

    /// Moves the device to another state and tells it.
    fn transit(&mut self, to: DeviceState, reason: String, uid: u32) {
        let from = self.device.state();
        self.device.store_state(to);
        self.health.since = self.shared.now();
        self.health.reason.clone_from(&reason);
        if to == DeviceState::Up && from != DeviceState::Degraded {
            self.health.up_since = self.health.since;
        }
        self.is_replanned |= from != to;
        self.tell(from.name(), to.name(), reason, uid);
    }

    /// Takes the device out of service, and plans the next repair if one may help.
    fn break_off(&mut self, cause: Cause, reason: String, uid: u32) {
        self.health.cause = cause;
        self.transit(DeviceState::Broken, reason, uid);
        self.plan_repair();
    }

    fn tell(&mut self, from: &str, to: &str, reason: String, uid: u32) {
        let severity = match to {
            "broken" | "failed" => Severity::Error,
            "degraded" => Severity::Warn,
            _ => Severity::Info,
        };
        let kind = match to {
            "draining" | "drained" | "gone" => EventKind::Device,
            _ => EventKind::Health,
        };
        let draft = Draft {
            kind,
            severity,
            object: "device",
            name: self.device.name.clone(),
            from: from.to_owned(),
            to: to.to_owned(),
            reason,
            uid,
        };
        self.wakers.extend(self.shared.events.append(draft));
    }
}

impl Shared {
    /// Changes a device's health under its lock; tables and readers of events follow when it is free again.
    pub(crate) fn change<R>(&self, device: &Device, act: impl FnOnce(&mut Change<'_>) -> R) -> R {
        let (result, wakers, is_replanned) = {
            let mut health = device.health.lock();
            let mut change = Change {
                shared: self,
                device,
                health: &mut health,
                wakers: Wakers::default(),
                is_replanned: false,
            };
            let result = act(&mut change);
            (result, change.wakers, change.is_replanned)
        };
        wakers.wake();
        if is_replanned {
            self.replan();
        }
        result
    }
}

/// Nanoseconds as text for people: milliseconds below a second.
pub(crate) fn span(nanoseconds: u64) -> String {
    match nanoseconds {
        0..1_000_000 => format!("{} µs", nanoseconds / 1_000),
        1_000_000..1_000_000_000 => format!("{} ms", nanoseconds / 1_000_000),
        _ => format!("{:.1} s", nanoseconds as f64 / 1e9),
    }
}
