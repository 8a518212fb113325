//! What the holder of a device's run token does: mail, faults, known answers, answers, runs.

use std::sync::Arc;

use crate::device::fault::FaultSpec;
use crate::device::mount::Mount;
use crate::device::registry::{Device, Exec, Mail};
use crate::device::{DeviceState, Ticket};
use crate::health::selftest::Selftest;
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
        if exec.selftest.is_some() {
            worked |= self.poll_selftest(device, exec);
        }
        // A broken device's answers are of no use any more: its operations are elsewhere.
        let is_polled = |state: DeviceState| state.is_usable() || state == DeviceState::Draining;
        let is_asked = !device.is_direct() && is_polled(device.state());
        if is_asked {
            worked |= self.collect(device, exec);
        }
        let mut is_given = false;
        if !device.state().is_usable() {
            worked |= self.evacuate(device);
        } else if device.is_direct() {
            worked |= self.run_direct(device, exec);
        } else {
            is_given = self.hand_over(device, exec);
            worked |= is_given;
        }
        if !device.is_direct() && exec.selftest.is_none() {
            if is_asked && is_polled(device.state()) {
                self.note_due(device, exec, is_given);
            } else {
                device.due_ns.store(u64::MAX, Ordering::Relaxed);
            }
        }
        worked
    }

    fn read_mail(&self, device: &Arc<Device>, exec: &mut Exec) {
        let mail = std::mem::take(&mut *device.mail.lock());
        for letter in mail {
            match letter {
                Mail::Close(session) => {
                    if exec.last.as_ref().is_some_and(|(id, ..)| *id == session) {
                        exec.last = None;
                    }
                    if let Some(open) = exec.sessions.remove(&session) {
                        exec.engine.close(open.handle);
                    }
                }
                Mail::TakeBack => {
                    self.take_back_lent(device);
                }
                Mail::Fault(Some(spec), number) => self.put_fault(device, exec, spec, number),
                Mail::Fault(None, _) => self.strip_fault(device, exec),
                Mail::Test { uid } => self.begin_selftest(device, exec, uid),
            }
        }
    }

    fn begin_selftest(&self, device: &Arc<Device>, exec: &mut Exec, uid: u32) {
        self.take_back_lent(device);
        let reset = exec.engine.reset();
        device.cells.in_flight.store(0, Ordering::Relaxed);
        exec.answers.clear();
        match reset {
            Ok(()) => exec.selftest = Some((Selftest::new(&device.info, self.now()), uid)),
            Err(error) => self.selftest_ended(device, Err(format!("reset failed: {}", words(&error))), uid),
        }
    }

    fn put_fault(&self, device: &Arc<Device>, exec: &mut Exec, spec: FaultSpec, number: u64) {
        let sessions = exec.sessions.values().map(|open| (open.handle, open.context.session.id));
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

    fn poll_selftest(&self, device: &Arc<Device>, exec: &mut Exec) -> bool {
        let Some((selftest, uid)) = &mut exec.selftest else { return false };
        let uid = *uid;
        let verdict = selftest.poll(&mut exec.engine, self.now());
        let due = selftest.due();
        match verdict {
            None => {
                device.due_ns.store(due.0, Ordering::Relaxed);
                false
            }
            Some(verdict) => {
                exec.selftest = None;
                device.due_ns.store(u64::MAX, Ordering::Relaxed);
                self.selftest_ended(device, verdict, uid);
                true
            }
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
