//! Out of service by hand, and back into it: repair, known answers, probation. A device that broke on evidence is tried
//! again without being asked, after a pause that doubles each time; one that gave wrong bytes is not.

use std::sync::Arc;

use super::{Cause, Change, span};
use crate::clock::Nanos;
use crate::device::DeviceState;
use crate::device::fault::FaultSpec;
use crate::device::registry::{Device, Mail};
use crate::error::Error;
use crate::event::{Draft, EventKind, Severity};
use crate::shared::Shared;
use crate::sync::atomic::Ordering;

/// Shares of load that a device in probation gets, in percent, stage by stage.
const PROBATION_PERCENT: [u8; 2] = [1, 10];
/// Longest pause between two repairs that nobody asked for, in nanoseconds; so long in service, and the pause begins
/// anew.
const BACKOFF_MAX_NS: u64 = 60_000_000_000;

/// What a run of known answers is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The device was reset and wants back into service.
    Repair,
    /// The device stays in service if it passes.
    Test,
}

impl Change<'_> {
    /// Plans a repair that nobody asks for, if one may help.
    pub(super) fn plan_repair(&mut self) {
        let base = self.shared.config.repair_backoff_ns;
        let now = self.shared.now();
        if base == 0 || self.health.cause != Cause::Evidence {
            self.health.retry = None;
            return;
        }
        if self.health.backoff_ns == 0 {
            self.health.backoff_ns = base;
        }
        self.health.retry = Some(now.plus(self.health.backoff_ns));
        self.health.backoff_ns = self.health.backoff_ns.saturating_mul(2).min(BACKOFF_MAX_NS.max(base));
    }

    /// Known answers, in the state that gets no work.
    fn begin_repair(&mut self, reason: String, uid: u32) {
        self.health.errors.clear();
        self.health.missed_beats = 0;
        self.health.retry = None;
        self.health.repairs += 1;
        self.transit(DeviceState::Selftest, reason, uid);
        self.device.post(Mail::Test { uid, purpose: Purpose::Repair });
    }
}

impl Shared {
    /// Takes a device out of service by hand, or puts a fault on it that health must find out.
    pub(crate) fn break_device(
        &self,
        device: &Arc<Device>,
        fault: Option<FaultSpec>,
        uid: u32,
    ) -> Result<(), Error> {
        if let Some(spec) = fault {
            return self.put_fault_on(device, spec, uid);
        }
        self.change(device, |change| {
            let state = change.state();
            if Self::is_leaving(device) || state == DeviceState::Broken {
                return Err(Error::DeviceState { name: device.name.clone(), state, action: "break" });
            }
            change.break_off(Cause::ByHand, "broken by hand".to_owned(), uid);
            Ok(())
        })?;
        device.post(Mail::TakeBack);
        self.look_after(device);
        Ok(())
    }

    fn put_fault_on(&self, device: &Arc<Device>, spec: FaultSpec, uid: u32) -> Result<(), Error> {
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
        Ok(())
    }

    /// Clears faults and runs the known answers; the control thread takes it through probation from there.
    pub(crate) fn repair_device(&self, device: &Arc<Device>, uid: u32) -> Result<(), Error> {
        let state = device.state();
        let refused = Error::DeviceState { name: device.name.clone(), state, action: "repair" };
        if Self::is_leaving(device) || state == DeviceState::Selftest {
            return Err(refused);
        }
        self.clear_fault(device, uid);
        let is_begun = self.change(device, |change| {
            if Self::is_leaving(device) || change.state() == DeviceState::Selftest {
                return false;
            }
            (change.health.backoff_ns, change.health.repairs) = (0, 0);
            change.begin_repair("repair".to_owned(), uid);
            true
        });
        self.look_after(device);
        if is_begun { Ok(()) } else { Err(refused) }
    }

    /// The verdict of the known answers.
    pub(crate) fn selftest_ended(
        &self,
        device: &Arc<Device>,
        verdict: Result<String, String>,
        purpose: Purpose,
        uid: u32,
    ) {
        let is_broken = self.change(device, |change| match (purpose, change.state(), verdict) {
            (Purpose::Repair, DeviceState::Selftest, Ok(_)) => {
                change.health.stage = (0, self.now());
                device.probation_percent.store(PROBATION_PERCENT[0], Ordering::Relaxed);
                change.transit(DeviceState::Probation, "known answers passed".to_owned(), uid);
                false
            }
            (Purpose::Repair, DeviceState::Selftest, Err(reason)) => {
                change.transit(DeviceState::Failed, reason, uid);
                change.plan_repair();
                false
            }
            (Purpose::Test, state, Ok(figures)) => {
                change.tell(state.name(), state.name(), format!("test passed: {figures}"), uid);
                false
            }
            (Purpose::Test, state, Err(reason)) if state.is_usable() || state == DeviceState::Drained => {
                change.break_off(Cause::WrongBytes, format!("test failed: {reason}"), uid);
                true
            }
            _ => false,
        });
        if is_broken {
            device.post(Mail::TakeBack);
        }
    }

    /// What time alone changes: errors grow old, probation goes on, repairs begin, removals end. Called by the control
    /// machine.
    pub(crate) fn age_health(&self, device: &Arc<Device>) {
        let now = self.now();
        match device.state() {
            DeviceState::Draining => return self.age_leaving(device),
            DeviceState::Drained | DeviceState::Gone | DeviceState::Selftest => return,
            _ => {}
        }
        let is_tested = self.change(device, |change| {
            let window = self.config.error_budget_window_ns;
            change.health.errors.retain(|at| now.since(*at) <= window);
            match change.state() {
                DeviceState::Degraded if change.health.errors.is_empty() => {
                    let reason = format!("no error in {} s", window / 1_000_000_000);
                    change.transit(DeviceState::Up, reason, self.owner);
                }
                DeviceState::Probation => self.age_probation(change, now),
                DeviceState::Up if now.since(change.health.up_since) >= BACKOFF_MAX_NS => {
                    (change.health.backoff_ns, change.health.repairs) = (0, 0);
                }
                DeviceState::Broken | DeviceState::Failed
                    if change.health.retry.is_some_and(|at| now >= at) =>
                {
                    let pause = span(now.since(change.health.since));
                    let number = change.health.repairs + 1;
                    change.begin_repair(format!("automatic repair {number}, after {pause}"), self.owner);
                    return true;
                }
                _ => {}
            }
            false
        });
        if is_tested {
            self.look_after(device);
        }
    }

    fn age_probation(&self, change: &mut Change<'_>, now: Nanos) {
        if now.since(change.health.stage.1) < self.config.probation_stage_ns {
            return;
        }
        let next = change.health.stage.0 + 1;
        change.health.stage = (next, now);
        let percent = PROBATION_PERCENT.get(next).copied();
        change.device.probation_percent.store(percent.unwrap_or(100), Ordering::Relaxed);
        if percent.is_none() {
            change.transit(DeviceState::Up, "probation passed".to_owned(), self.owner);
        }
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
