//! Out of service in order: drain, and removal.

use std::sync::Arc;

use super::span;
use crate::clock::Nanos;
use crate::device::DeviceState;
use crate::device::registry::{Device, Mail};
use crate::error::Error;
use crate::shared::Shared;
use crate::sync::atomic::Ordering;

/// A device's way out of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaving {
    /// When what it still holds is taken away.
    pub(crate) deadline: Nanos,
    pub(crate) uid: u32,
    /// Whether it is removed in the end; else it stays, empty.
    pub(crate) is_removal: bool,
    /// Whether it was in probation, and goes back there.
    was_on_probation: bool,
    /// The deadline of a drain has passed and its operations were asked back.
    is_late: bool,
}

impl Shared {
    /// Begins the removal of a device; the control machine ends it.
    pub(crate) fn remove_device(
        &self,
        device: &Arc<Device>,
        deadline_ns: u64,
        uid: u32,
    ) -> Result<(), Error> {
        self.leave(device, deadline_ns, uid, true)
    }

    /// Lets a device finish what it has; it stays, and takes nothing new until it is resumed.
    pub(crate) fn drain_device(&self, device: &Arc<Device>, deadline_ns: u64, uid: u32) -> Result<(), Error> {
        self.leave(device, deadline_ns, uid, false)
    }

    fn leave(&self, device: &Arc<Device>, deadline_ns: u64, uid: u32, is_removal: bool) -> Result<(), Error> {
        self.change(device, |change| {
            let state = change.state();
            let is_removed = change.health.leaving.is_some_and(|leaving| leaving.is_removal);
            let is_allowed = if is_removal { state != DeviceState::Gone } else { state.is_usable() };
            if is_removed || !is_allowed {
                let action = if is_removal { "remove" } else { "drain" };
                return Err(Error::DeviceState { name: device.name.clone(), state, action });
            }
            change.health.leaving = Some(Leaving {
                deadline: self.now().plus(deadline_ns),
                uid,
                is_removal,
                was_on_probation: state == DeviceState::Probation,
                is_late: false,
            });
            let reason = if is_removal { "removal" } else { "drain" };
            change.transit(DeviceState::Draining, reason.to_owned(), uid);
            Ok(())
        })?;
        self.look_after(device);
        Ok(())
    }

    /// Puts a drained or draining device back into service. It was in service when it left, and nothing was done to it
    /// since.
    pub(crate) fn resume_device(&self, device: &Arc<Device>, uid: u32) -> Result<(), Error> {
        self.change(device, |change| {
            let state = change.state();
            let leaving = change.health.leaving.filter(|leaving| !leaving.is_removal);
            let is_out = matches!(state, DeviceState::Draining | DeviceState::Drained);
            let Some(leaving) = leaving.filter(|_| is_out) else {
                return Err(Error::DeviceState { name: device.name.clone(), state, action: "resume" });
            };
            change.health.leaving = None;
            if leaving.was_on_probation {
                change.health.stage = (0, self.now());
                device.probation_percent.store(1, Ordering::Relaxed);
                change.transit(DeviceState::Probation, "resumed".to_owned(), uid);
            } else {
                change.transit(DeviceState::Up, "resumed".to_owned(), uid);
            }
            Ok(())
        })?;
        self.look_after(device);
        Ok(())
    }

    /// A draining device is empty, or its time is over.
    pub(super) fn age_leaving(&self, device: &Arc<Device>) {
        let now = self.now();
        let Some(leaving) = device.health.lock().leaving else { return };
        let is_late = now >= leaving.deadline;
        if leaving.is_removal && is_late {
            self.break_lent(device);
        }
        let is_empty = self.is_empty_of_work(device);
        if !leaving.is_removal && is_late && !is_empty && !leaving.is_late {
            // What it does not finish in time is tried elsewhere.
            device.post(Mail::TakeBack);
            self.look_after(device);
        }
        let is_gone = self.change(device, |change| {
            if change.state() != DeviceState::Draining || change.health.leaving != Some(leaving) {
                return false;
            }
            if let Some(current) = &mut change.health.leaving {
                current.is_late = is_late;
            }
            let began = change.health.since;
            match (leaving.is_removal, is_empty) {
                (true, _) if is_late || is_empty => {
                    let reason = if is_late { "deadline passed" } else { "empty" };
                    change.transit(DeviceState::Gone, reason.to_owned(), leaving.uid);
                    true
                }
                (false, true) => {
                    let reason = format!("empty after {}", span(now.since(began)));
                    change.transit(DeviceState::Drained, reason, leaving.uid);
                    false
                }
                _ => false,
            }
        });
        if is_gone {
            self.unlink(device);
            self.replan();
        }
    }
}
