//! What is believed of a device's health, and why: its error budget, its repair, its removal.

pub(crate) mod selftest;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::clock::Nanos;
use crate::device::DeviceState;
use crate::device::fault::FaultSpec;
use crate::device::mount::PANICKED;
use crate::device::registry::{Device, Mail};
use crate::error::Error;
use crate::event::{Draft, EventKind, Severity};
use crate::shared::Shared;
use crate::sync::atomic::Ordering;

/// Shares of load that a device in probation gets, in percent, stage by stage.
const PROBATION_PERCENT: [u8; 2] = [1, 10];

/// The evidence on one device.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) reason: String,
    pub(crate) since: Nanos,
    /// When the latest errors came, at most as many as the budget.
    errors: VecDeque<Nanos>,
    /// Stage of probation and when it began.
    stage: (usize, Nanos),
    /// A removal under way: until when, for whom.
    removal: Option<(Nanos, u32)>,
}

impl Health {
    pub(crate) fn new(now: Nanos) -> Self {
        Self {
            reason: "known answers passed".to_owned(),
            since: now,
            errors: VecDeque::new(),
            stage: (0, now),
            removal: None,
        }
    }
}

impl Shared {
    /// Moves a device to another state, tells it, and plans anew. The caller holds the health lock.
    fn transit(&self, device: &Device, health: &mut Health, to: DeviceState, reason: String, uid: u32) {
        let from = device.state();
        device.store_state(to);
        health.since = self.now();
        health.reason.clone_from(&reason);
        let severity = match to {
            DeviceState::Broken | DeviceState::Failed => Severity::Error,
            DeviceState::Degraded => Severity::Warn,
            _ => Severity::Info,
        };
        let kind = match to {
            DeviceState::Draining | DeviceState::Drained | DeviceState::Gone => EventKind::Device,
            _ => EventKind::Health,
        };
        self.events.push(Draft {
            kind,
            severity,
            object: "device",
            name: device.name.clone(),
            from: from.name().to_owned(),
            to: to.name().to_owned(),
            reason,
            uid,
        });
    }

    /// Counts failures of a device against its budget. Called by the holder of the run token.
    pub(crate) fn device_failed(&self, device: &Arc<Device>, errors: u64, reason: &str) {
        let now = self.now();
        let budget = self.config.error_budget_ops.max(1) as usize;
        let window = self.config.error_budget_window_ns;
        {
            let mut health = device.health.lock();
            for _ in 0..errors.min(budget as u64) {
                if health.errors.len() == budget {
                    health.errors.pop_front();
                }
                health.errors.push_back(now);
            }
            health.errors.retain(|at| now.since(*at) <= window);
            let count = health.errors.len();
            let figures =
                format!("{count} errors in {} s (budget {budget}): {reason}", window / 1_000_000_000);
            match device.state() {
                DeviceState::Up | DeviceState::Degraded if count >= budget => {
                    self.transit(device, &mut health, DeviceState::Broken, figures, self.owner);
                }
                DeviceState::Up => {
                    self.transit(device, &mut health, DeviceState::Degraded, figures, self.owner);
                }
                DeviceState::Probation => {
                    let reason = format!("error in probation: {reason}");
                    self.transit(device, &mut health, DeviceState::Broken, reason, self.owner);
                }
                _ => return,
            }
        }
        if device.state() == DeviceState::Broken {
            device.post(Mail::TakeBack);
        }
        self.replan();
    }

    /// A queued device panicked: nothing it says is believed until it is repaired.
    pub(crate) fn device_panicked(&self, device: &Arc<Device>) {
        {
            let mut health = device.health.lock();
            device.due_ns.store(u64::MAX, Ordering::Relaxed);
            if !device.state().is_usable() {
                return;
            }
            self.transit(device, &mut health, DeviceState::Broken, PANICKED.to_owned(), self.owner);
        }
        device.post(Mail::TakeBack);
        self.replan();
    }

    /// Takes a device out of service by hand, or puts a fault on it that health must find out.
    pub(crate) fn break_device(
        &self,
        device: &Arc<Device>,
        fault: Option<FaultSpec>,
        uid: u32,
    ) -> Result<(), Error> {
        if let Some(spec) = fault {
            spec.check()?;
            let state = device.state();
            if Self::is_leaving(device) {
                return Err(Error::DeviceState { name: device.name.clone(), state, action: "break" });
            }
            let mode = spec.mode;
            {
                let mut row = device.fault.lock();
                row.number += 1;
                row.spec = Some(spec.clone());
                device.post(Mail::Fault(Some(spec), row.number));
            }
            self.fault_event(device, "none", mode.name(), uid);
            self.look_after(device);
            return Ok(());
        }
        {
            let mut health = device.health.lock();
            let state = device.state();
            if Self::is_leaving(device) || state == DeviceState::Broken {
                return Err(Error::DeviceState { name: device.name.clone(), state, action: "break" });
            }
            self.transit(device, &mut health, DeviceState::Broken, "broken by hand".to_owned(), uid);
        }
        device.post(Mail::TakeBack);
        self.replan();
        self.look_after(device);
        Ok(())
    }

    /// Clears faults and runs the known answers; the control thread takes it through probation from there.
    pub(crate) fn repair_device(&self, device: &Arc<Device>, uid: u32) -> Result<(), Error> {
        {
            let mut health = device.health.lock();
            let state = device.state();
            if Self::is_leaving(device) || state == DeviceState::Selftest {
                return Err(Error::DeviceState { name: device.name.clone(), state, action: "repair" });
            }
            self.clear_fault(device, uid);
            health.errors.clear();
            self.transit(device, &mut health, DeviceState::Selftest, "repair".to_owned(), uid);
        }
        device.post(Mail::Test { uid });
        self.replan();
        self.look_after(device);
        Ok(())
    }

    /// The verdict of the known answers after a repair.
    pub(crate) fn selftest_ended(&self, device: &Arc<Device>, verdict: Result<(), String>, uid: u32) {
        {
            let mut health = device.health.lock();
            if device.state() != DeviceState::Selftest {
                return;
            }
            match verdict {
                Ok(()) => {
                    health.stage = (0, self.now());
                    device.probation_percent.store(PROBATION_PERCENT[0], Ordering::Relaxed);
                    let reason = "known answers passed".to_owned();
                    self.transit(device, &mut health, DeviceState::Probation, reason, uid);
                }
                Err(reason) => self.transit(device, &mut health, DeviceState::Failed, reason, uid),
            }
        }
        self.replan();
    }

    /// What time alone changes: errors grow old, probation goes on, removals end. Called by the control thread.
    pub(crate) fn age_health(&self, device: &Arc<Device>) {
        let now = self.now();
        let mut is_changed = false;
        let mut is_gone = false;
        let removal = device.health.lock().removal;
        if device.state() == DeviceState::Draining && removal.is_some_and(|(deadline, _)| now >= deadline) {
            self.break_lent(device);
        }
        {
            let mut health = device.health.lock();
            let window = self.config.error_budget_window_ns;
            health.errors.retain(|at| now.since(*at) <= window);
            match device.state() {
                DeviceState::Degraded if health.errors.is_empty() => {
                    let reason = format!("no error in {} s", window / 1_000_000_000);
                    self.transit(device, &mut health, DeviceState::Up, reason, self.owner);
                    is_changed = true;
                }
                DeviceState::Probation if now.since(health.stage.1) >= self.config.probation_stage_ns => {
                    let next = health.stage.0 + 1;
                    health.stage = (next, now);
                    match PROBATION_PERCENT.get(next) {
                        Some(percent) => device.probation_percent.store(*percent, Ordering::Relaxed),
                        None => {
                            device.probation_percent.store(100, Ordering::Relaxed);
                            let reason = "probation passed".to_owned();
                            self.transit(device, &mut health, DeviceState::Up, reason, self.owner);
                            is_changed = true;
                        }
                    }
                }
                DeviceState::Draining => {
                    let (deadline, uid) = health.removal.unwrap_or((now, self.owner));
                    let is_late = now >= deadline;
                    if is_late || self.is_empty_of_work(device) {
                        let reason = if is_late { "deadline passed" } else { "empty" };
                        self.transit(device, &mut health, DeviceState::Gone, reason.to_owned(), uid);
                        is_gone = true;
                    }
                }
                _ => {}
            }
        }
        if is_gone {
            self.unlink(device);
        }
        if is_changed || is_gone {
            self.replan();
        }
    }

    /// Begins the removal of a device; the control thread ends it.
    pub(crate) fn remove_device(
        &self,
        device: &Arc<Device>,
        deadline_ns: u64,
        uid: u32,
    ) -> Result<(), Error> {
        {
            let mut health = device.health.lock();
            let state = device.state();
            if matches!(state, DeviceState::Draining | DeviceState::Gone) {
                return Err(Error::DeviceState { name: device.name.clone(), state, action: "remove" });
            }
            health.removal = Some((self.now().plus(deadline_ns), uid));
            self.transit(device, &mut health, DeviceState::Draining, "removal".to_owned(), uid);
        }
        self.replan();
        self.look_after(device);
        Ok(())
    }

    /// A fault came off by itself: its time is over, or it is used up.
    pub(crate) fn fault_ended(&self, device: &Device, number: u64) {
        let ended = {
            let mut row = device.fault.lock();
            // Another one may have been put on since.
            if row.number == number { row.spec.take() } else { None }
        };
        if let Some(spec) = ended {
            self.fault_event(device, spec.mode.name(), "none", self.owner);
        }
    }

    fn clear_fault(&self, device: &Device, uid: u32) {
        let cleared = {
            let mut row = device.fault.lock();
            let spec = row.spec.take();
            if spec.is_some() {
                device.post(Mail::Fault(None, row.number));
            }
            spec
        };
        if let Some(spec) = cleared {
            self.fault_event(device, spec.mode.name(), "none", uid);
        }
    }

    fn fault_event(&self, device: &Device, from: &str, to: &str, uid: u32) {
        self.events.push(Draft {
            kind: EventKind::Fault,
            severity: Severity::Warn,
            object: "device",
            name: device.name.clone(),
            from: from.to_owned(),
            to: to.to_owned(),
            reason: String::new(),
            uid,
        });
    }
}
