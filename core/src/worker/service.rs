//! What the holder of a device's run token does: mail, faults, known answers, answers, runs.

use std::sync::Arc;

use crate::device::fault::FaultSpec;
use crate::device::mount::Mount;
use crate::device::registry::{Device, Exec, Mail};
use crate::device::{DeviceState, Ticket};
use crate::event::{Draft, EventKind, Severity};
use crate::foreign::guarded;
use crate::health::Purpose;
use crate::health::selftest::Selftest;
use crate::health::silence::Lent;
use crate::shared::Shared;
use crate::sync::atomic::{Ordering, fence};

impl Shared {
    /// Serves a device once, unless somebody else is at it. True if there was something to do.
    ///
    /// Work that came in while the token was held is not left behind: after letting go, whoever held it looks again.
    pub(crate) fn service(&self, device: &Arc<Device>) -> bool {
        let mut worked = false;
        loop {
            let Some(mut exec) = device.exec.try_lock() else { return worked };
            let did = self.serve(device, &mut exec);
            let is_remounted = std::mem::take(&mut exec.is_remounted);
            drop(exec);
            if is_remounted {
                self.look_after(device);
            }
            worked |= did;
            if worked {
                self.dispatch();
            }
            fence(Ordering::SeqCst);
            // What a queued device has no room for waits for its answers, not for us.
            let is_over =
                did || !device.is_direct() || device.state() == DeviceState::Gone || self.is_stopped();
            if is_over || device.ring.is_empty() {
                self.sweep_if_stopped();
                // Whoever left work here while the token was taken found nobody to see to it.
                if !device.ring.is_empty() && device.left_to_others.swap(false, Ordering::SeqCst) {
                    self.look_after(device);
                }
                return worked;
            }
        }
    }

    /// Serves a device that was direct a moment ago, on a thread that is not its owner's. If a fault has made it a
    /// queued one since, its owner is told, because it found the token taken.
    pub(crate) fn help(&self, device: &Arc<Device>) -> bool {
        let worked = self.service(device);
        if !device.is_direct() {
            self.look_after(device);
        }
        worked
    }

    fn serve(&self, device: &Arc<Device>, exec: &mut Exec) -> bool {
        let mut worked = false;
        if device.attention.swap(false, Ordering::AcqRel) {
            self.read_mail(device, exec);
            worked = true;
        }
        if let Mount::Faulted(engine) = &exec.engine
            && engine.is_spent(self.now())
        {
            let number = exec.fault_number;
            self.strip_fault(device, exec);
            self.fault_ended(device, number);
        }
        // A broken device's answers are of no use any more: its operations are elsewhere.
        let is_polled = |state: DeviceState| state.is_usable() || state == DeviceState::Draining;
        let is_asked =
            |exec: &Exec| !device.is_direct() && (is_polled(device.state()) || exec.selftest.is_some());
        if is_asked(exec) {
            worked |= self.collect(device, exec);
            if is_polled(device.state()) {
                self.judge_silence(device, exec);
            }
        }
        let mut is_given = false;
        if exec.selftest.is_some() {
            is_given |= self.go_on_testing(device, exec);
        }
        worked |= self.look_for_beat(device, exec);
        exec.probed.clear();
        if !device.state().is_usable() {
            worked |= self.evacuate(device);
        } else if device.is_direct() {
            worked |= self.run_direct(device, exec);
        } else {
            is_given |= self.hand_over(device, exec);
        }
        if exec.wants_beat {
            exec.wants_beat = false;
            is_given |= self.send_beat(device, exec);
        }
        if !device.is_direct() {
            if is_asked(exec) {
                self.note_due(device, exec, is_given);
            } else {
                device.due_ns.store(u64::MAX, Ordering::Relaxed);
            }
        }
        worked | is_given
    }

    fn read_mail(&self, device: &Arc<Device>, exec: &mut Exec) {
        let mail = std::mem::take(&mut *device.mail.lock());
        for letter in mail {
            match letter {
                Mail::Close(session) => {
                    if let Some(handle) = exec.sessions.remove(session) {
                        exec.engine.close(handle);
                    }
                    if let Some(shadow) = &mut exec.shadow {
                        shadow.forget(session);
                    }
                    self.report_held_keys(device, exec);
                }
                Mail::Return { keep_ops, mark } => self.return_queued(device, keep_ops, mark),
                Mail::TakeBack => {
                    self.take_back_lent(device);
                }
                Mail::Fault(Some(spec), number) => self.put_fault(device, exec, spec, number),
                Mail::Fault(None, _) => self.strip_fault(device, exec),
                Mail::Test { uid, purpose } => self.begin_selftest(device, exec, purpose, uid),
                Mail::Beat => exec.wants_beat = true,
            }
        }
    }

    fn begin_selftest(&self, device: &Arc<Device>, exec: &mut Exec, purpose: Purpose, uid: u32) {
        if let Some((selftest, ..)) = exec.selftest.take() {
            selftest.abandon(&mut exec.engine);
        }
        if purpose == Purpose::Repair {
            self.take_back_lent(device);
            Self::drop_beat(exec);
            let reset = exec.engine.reset();
            device.cells.in_flight.store(0, Ordering::Relaxed);
            exec.answers.clear();
            exec.lent = Lent::default();
            self.report_held_keys(device, exec);
            if let Err(error) = reset {
                let reason = format!("reset failed: {}", words(&error));
                return self.selftest_ended(device, Err(reason), purpose, uid);
            }
        }
        exec.selftest = Some((Selftest::new(&device.info, self.now()), purpose, uid));
    }

    /// Asks the next known answers. True if the device has one now that it had not before.
    fn go_on_testing(&self, device: &Arc<Device>, exec: &mut Exec) -> bool {
        if device.is_full_of_sessions(exec) {
            if device.counters().in_flight_ops > 0 {
                return false;
            }
            self.close_idle_session(exec);
        }
        let Some((selftest, purpose, uid)) = &mut exec.selftest else { return false };
        let (purpose, uid, before) = (*purpose, *uid, exec.probes);
        let verdict = selftest.step(&mut exec.engine, &mut exec.probed, &mut exec.probes, self.now());
        let Some(verdict) = verdict else { return exec.probes != before };
        if let Some((selftest, ..)) = exec.selftest.take() {
            let usual = device.answer_ns.load(Ordering::Relaxed).max(selftest.slowest_ns());
            device.answer_ns.store(usual, Ordering::Relaxed);
            selftest.abandon(&mut exec.engine);
        }
        device.active_ns.store(self.now().0, Ordering::Relaxed);
        self.selftest_ended(device, verdict, purpose, uid);
        true
    }

    /// A key that a hung library still holds is reported as such.
    pub(crate) fn report_held_keys(&self, device: &Device, exec: &mut Exec) {
        let held = exec.engine.queued().and_then(|engine| guarded(|| engine.keys_held())).unwrap_or(0);
        let before = device.keys_held.swap(held, Ordering::Relaxed);
        if held > before {
            self.events.push(Draft {
                kind: EventKind::Device,
                severity: Severity::Warn,
                object: "device",
                name: device.name.clone(),
                from: format!("{before} keys held"),
                to: format!("{held} keys held"),
                reason: "calls that have not returned may still use them".to_owned(),
                uid: self.owner,
            });
        }
    }

    fn put_fault(&self, device: &Arc<Device>, exec: &mut Exec, spec: FaultSpec, number: u64) {
        let sessions = exec.sessions.iter().map(|(_, open)| (open.handle, open.context.session.id));
        let lost = exec.engine.put_fault(spec, self.now(), sessions);
        exec.fault_number = number;
        self.take_back_lost(device, &lost);
        if device.is_direct() {
            device.store_direct(false);
            device.due_ns.store(self.now().0, Ordering::Relaxed);
            exec.is_remounted = true;
        }
    }

    /// Takes the fault off the engine; what it withheld is answered, what it lost is tried elsewhere.
    fn strip_fault(&self, device: &Arc<Device>, exec: &mut Exec) {
        let Mount::Faulted(engine) = &mut exec.engine else { return };
        let lost = engine.lift();
        self.collect(device, exec);
        exec.engine.strip_fault();
        self.take_back_lost(device, &lost);
        if matches!(exec.engine, Mount::Direct(_)) {
            device.cells.in_flight.store(0, Ordering::Relaxed);
            device.due_ns.store(u64::MAX, Ordering::Relaxed);
            device.store_direct(true);
            exec.is_remounted = true;
        }
    }

    fn take_back_lost(&self, device: &Arc<Device>, lost: &[Ticket]) {
        for ticket in lost {
            self.take_back(device, *ticket, "the answer was lost");
        }
    }
}

/// A device's own words, without its name, which stands beside them anyway.
fn words(error: &crate::error::Error) -> String {
    match error {
        crate::error::Error::Device { reason, .. } => reason.clone(),
        error => error.to_string(),
    }
}
