//! The error budget: so many failures in so long break a device. A refusal to serve a session, a wrong tag and bad
//! input do not count; they are not the device's fault.

use std::sync::Arc;

use super::Cause;
use crate::device::DeviceState;
use crate::device::mount::PANICKED;
use crate::device::registry::{Device, Mail};
use crate::shared::Shared;
use crate::sync::atomic::Ordering;

impl Shared {
    /// Counts failures of a device against its budget.
    pub(crate) fn device_failed(&self, device: &Arc<Device>, errors: u64, reason: &str) {
        let now = self.now();
        let budget = self.config.error_budget_ops.max(1) as usize;
        let window = self.config.error_budget_window_ns;
        let is_broken = self.change(device, |change| {
            let health = &mut *change.health;
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
            match change.state() {
                DeviceState::Up | DeviceState::Degraded if count >= budget => {
                    change.break_off(Cause::Evidence, figures, self.owner);
                }
                DeviceState::Up => change.transit(DeviceState::Degraded, figures, self.owner),
                DeviceState::Probation => {
                    let reason = format!("error in probation: {reason}");
                    change.break_off(Cause::Evidence, reason, self.owner);
                }
                _ => return false,
            }
            change.state() == DeviceState::Broken
        });
        if is_broken {
            device.post(Mail::TakeBack);
        }
    }

    /// Breaks a device that is in service, on evidence that needs no counting. False when it was not in service.
    pub(crate) fn device_broke(&self, device: &Arc<Device>, cause: Cause, reason: String) -> bool {
        let is_broken = self.change(device, |change| {
            let is_usable = change.state().is_usable();
            if is_usable {
                change.break_off(cause, reason, self.owner);
            }
            is_usable
        });
        if is_broken {
            device.post(Mail::TakeBack);
        }
        is_broken
    }

    /// A queued device panicked: nothing it says is believed until it is repaired.
    pub(crate) fn device_panicked(&self, device: &Arc<Device>) {
        device.due_ns.store(u64::MAX, Ordering::Relaxed);
        self.device_broke(device, Cause::Evidence, PANICKED.to_owned());
    }
}
