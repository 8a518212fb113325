//! What the holder of a device's run token does: mail, known answers, answers, runs.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::run::{SessionGroup, Tally, is_fault, mark_started, record, settle, wants_another_device};
use crate::device::fault::ActiveFault;
use crate::device::registry::{Device, Engine, Exec, Mail, PANICKED, guarded};
use crate::device::{Answer, DeviceError, DeviceState, QueuedOp, Ticket};
use crate::error::{Error, Progress};
use crate::health::selftest::Selftest;
use crate::queue::slab::Held;
use crate::queue::word::State;
use crate::shared::Shared;
use crate::submit::{Body, Shape};
use crate::sync::atomic::{Ordering, fence};

/// How often a device that does not know when it will answer is asked, in nanoseconds.
pub(crate) const POLL_NS: u64 = 1_000_000;

impl Shared {
    /// Serves a device once, unless somebody else is at it. True if there was something to do.
    ///
    /// Work that came in while the token was held is not left behind: after letting go, whoever held it looks again.
    pub(crate) fn service(&self, device: &Arc<Device>) -> bool {
        let mut worked = false;
        loop {
            let Some(mut exec) = device.exec.try_lock() else { return worked };
            let did = self.serve(device, &mut exec);
            drop(exec);
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

    fn serve(&self, device: &Arc<Device>, exec: &mut Exec) -> bool {
        let mut worked = false;
        if device.attention.swap(false, Ordering::AcqRel) {
            self.read_mail(device, exec);
            worked = true;
        }
        if exec.selftest.is_some() {
            worked |= self.poll_selftest(device, exec);
        }
        if exec.fault.as_ref().is_some_and(|fault| fault.is_over(self.now())) {
            exec.fault = None;
            self.fault_ended(device);
        }
        // A broken device's answers are of no use any more: its operations are elsewhere.
        let is_polled = |state: DeviceState| state.is_usable() || state == DeviceState::Draining;
        if !device.is_direct() && is_polled(device.state()) {
            worked |= self.collect(device, exec);
        }
        if device.state().is_usable() {
            worked |=
                if device.is_direct() { self.run_direct(device, exec) } else { self.hand_over(device, exec) };
        } else {
            worked |= self.evacuate(device);
        }
        if !device.is_direct() && exec.selftest.is_none() {
            if is_polled(device.state()) {
                self.note_due(device, exec);
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
                Mail::Fault(spec) => exec.fault = spec.map(|spec| ActiveFault::new(spec, self.now())),
                Mail::Test { uid } => {
                    self.take_back_lent(device);
                    let reset = match &mut exec.engine {
                        Engine::Direct(_) => Ok(()),
                        Engine::Queued(engine) => guarded(|| engine.reset()).unwrap_or_else(|| {
                            Err(Error::Device { device: device.name.clone(), reason: PANICKED.to_owned() })
                        }),
                    };
                    device.cells.in_flight.store(0, Ordering::Relaxed);
                    exec.answers.clear();
                    match reset {
                        Ok(()) => exec.selftest = Some((Selftest::new(&device.info, self.now()), uid)),
                        Err(error) => self.selftest_ended(device, Err(error.to_string()), uid),
                    }
                }
            }
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

    /// Sends what is in a device's queue elsewhere: it is out of service. False when the queue was empty.
    pub(crate) fn evacuate(&self, device: &Device) -> bool {
        let mut worked = false;
        while let Some(entry) = device.ring.pop() {
            worked = true;
            let Some((index, word)) =
                self.slab.current(entry).filter(|(_, word)| word.state() == State::Queued)
            else {
                continue;
            };
            if let Some(held) = self.slab.claim(index, word, State::Held) {
                device.cells.moved_out.add(1);
                self.requeue(held);
            }
        }
        worked
    }

    /// Takes back what a queued device has not answered. The device may still read its input, never write to it.
    pub(crate) fn take_back_lent(&self, device: &Device) -> u64 {
        let mut count = 0;
        for (index, word, _) in self.slab.iter() {
            if word.state() != State::Lent || word.device() != device.id {
                continue;
            }
            if let Some(mut held) = self.slab.claim(index, word, State::Held) {
                device.cells.abandoned_running.add(1);
                count += 1;
                held.body().tried.add(device.id);
                held.body().last_reason = "device was taken out of service";
                self.requeue(held);
            }
        }
        count
    }

    /// Hands a run from the queue over to a queued device.
    fn hand_over(&self, device: &Arc<Device>, exec: &mut Exec) -> bool {
        let Engine::Queued(engine) = &exec.engine else { return false };
        let room = guarded(|| engine.room()).unwrap_or(0);
        // To open another session may mean to close one, which must have nothing on the device then.
        let is_crowded = exec.sessions.len() + device.run_max_ops > device.info.sessions_max;
        if is_crowded && guarded(|| engine.in_flight()).is_none_or(|in_flight| in_flight > 0) {
            return false;
        }
        let mut slots = ArrayVec::new();
        self.take_run(device, room.min(device.run_max_ops), State::Held, &mut slots);
        if slots.is_empty() {
            return false;
        }
        self.begin_run(device, exec);
        let now = self.now();
        let first_starts = mark_started(&slots);
        device.cells.started.add(slots.len() as u64);
        device.cells.started_first.add(first_starts);
        for mut held in slots.drain(..) {
            let session = held.meta().session.load(Ordering::Relaxed);
            let shape = Shape(held.meta().shape.load(Ordering::Relaxed));
            let refusal =
                match exec.fault.as_mut().and_then(|fault| fault.hit(shape.kind(), shape.bytes(), session)) {
                    Some(error) => Err(error),
                    None => self.handle(device, exec, session),
                };
            held.body().started_ns = now.0;
            match refusal {
                Err(error) => {
                    device.cells.finished.add(1);
                    self.conclude_one(device, exec, held, Err(error));
                }
                Ok(handle) => {
                    let ticket = Ticket(held.entry());
                    let body = held.body();
                    body.restore_source();
                    let source = Arc::new(std::mem::take(&mut body.data));
                    body.shared = Some(Arc::clone(&source));
                    let op = QueuedOp {
                        ticket,
                        handle,
                        algorithm: shape.algorithm(),
                        kind: shape.kind(),
                        iv: body.iv,
                        aad: body.aad.as_slice().into(),
                        source,
                        chain: body.chain.clone(),
                    };
                    match held.lend() {
                        Ok(_) => exec.ops.push(op),
                        Err(held) => {
                            device.cells.abandoned_running.add(1);
                            drop(op);
                            self.cancel_held(held);
                        }
                    }
                }
            }
        }
        device.cells.in_flight.fetch_add(exec.ops.len(), Ordering::Relaxed);
        if let Engine::Queued(engine) = &mut exec.engine
            && guarded(|| engine.submit(now, &mut exec.ops)).is_none()
        {
            self.device_panicked(device);
        }
        exec.ops.clear();
        true
    }

    /// Takes what a queued device has finished.
    fn collect(&self, device: &Arc<Device>, exec: &mut Exec) -> bool {
        let Engine::Queued(engine) = &mut exec.engine else { return false };
        let mut answers = std::mem::take(&mut exec.answers);
        if guarded(|| engine.poll(self.now(), &mut answers)).is_none() {
            self.device_panicked(device);
        }
        let worked = !answers.is_empty();
        for Answer { ticket, result } in answers.drain(..) {
            let lent = self.slab.current(ticket.0).filter(|(_, word)| word.state() == State::Lent);
            // Late, doubled or cancelled: nobody waits for it, and its memory is the device's own.
            let Some(mut held) = lent.and_then(|(index, word)| self.slab.claim(index, word, State::Held))
            else {
                continue;
            };
            device.cells.finished.add(1);
            let result = result.map(|product| {
                let body = held.body();
                match product.data {
                    Some(data) => {
                        body.shared = None;
                        body.data = data;
                    }
                    None => body.restore_source(),
                }
                body.output = product.output;
                if product.chain.is_some() {
                    body.chain = product.chain;
                }
            });
            self.conclude_one(device, exec, held, result);
        }
        exec.answers = answers;
        worked
    }

    fn note_due(&self, device: &Arc<Device>, exec: &mut Exec) {
        let Engine::Queued(engine) = &mut exec.engine else { return };
        let answers = &mut exec.answers;
        let polled = guarded(|| (engine.poll(self.now(), answers), engine.in_flight()));
        let Some((due, in_flight)) = polled else { return self.device_panicked(device) };
        // Answers that came just now are taken at once.
        let due = match (exec.answers.is_empty(), due) {
            (false, _) => 0,
            (true, Some(due)) => due.0,
            // It has work and does not know when it will answer.
            (true, None) if in_flight > 0 => self.now().plus(POLL_NS).0,
            (true, None) => u64::MAX,
        };
        device.due_ns.store(due, Ordering::Relaxed);
        device.cells.in_flight.store(in_flight, Ordering::Relaxed);
    }

    /// Concludes one attempt of a queued device.
    fn conclude_one(
        &self,
        device: &Arc<Device>,
        exec: &mut Exec,
        mut held: Held<'_, Body>,
        result: Result<(), DeviceError>,
    ) {
        let now = self.now();
        let meta = held.meta();
        let shape = Shape(meta.shape.load(Ordering::Relaxed));
        let submitted = meta.submitted.load(Ordering::Relaxed);
        let attempts = u16::from(held.word().attempt());
        let body = held.body();
        let started = crate::clock::Nanos(body.started_ns);
        body.device = Some(device.id);
        body.attempts = attempts;
        body.queue_ns = started.0.saturating_sub(submitted);
        body.service_ns = now.since(started);
        settle(body, shape, result, device.id);
        if body.error.is_some() {
            // The device's copy of a failed input is of no use to anybody.
            body.shared = None;
        }
        record(device, submitted, 1, started, now);
        device.service.record(body.service_ns, 1);
        let is_over = !wants_another_device(body, result);
        let failed = u64::from(body.error.is_some());
        let tally = Tally {
            ended: u64::from(is_over),
            bytes: shape.bytes() as u64,
            failed,
            errors: u64::from(is_fault(result)),
            kind: shape.kind_number(),
        };
        tally.count(device);
        if let (1.., Err(DeviceError::Failed { reason, .. })) = (tally.errors, result) {
            self.device_failed(device, tally.errors, reason);
        }
        if is_over {
            let id = meta.session.load(Ordering::Relaxed);
            SessionGroup { id, ops: 1, bytes: shape.bytes() as u64, failed }.settle(self, exec);
            self.deliver(held, &mut exec.delivery);
            self.finish_delivery(&mut exec.delivery);
        } else {
            self.requeue(held);
        }
    }

    /// Ends the operations still lent to a device whose removal has run out of time.
    pub(crate) fn break_lent(&self, device: &Device) {
        for (index, word, _) in self.slab.iter() {
            if word.state() == State::Lent
                && word.device() == device.id
                && let Some(held) = self.slab.claim(index, word, State::Held)
            {
                device.cells.abandoned_running.add(1);
                let attempts = u16::from(word.attempt());
                let (reason, progress) = ("device was removed", Progress::MaybeExecuted);
                self.give_up(held, crate::error::OpError::Broken { attempts, reason, progress });
            }
        }
    }

    /// Whether a device holds nothing that is still wanted.
    pub(crate) fn is_empty_of_work(&self, device: &Device) -> bool {
        device.ring.is_empty() && device.counters().in_flight_ops == 0
    }

    /// The state a device is in, for those that must not act on a stale one.
    pub(crate) fn is_leaving(device: &Device) -> bool {
        matches!(device.state(), DeviceState::Draining | DeviceState::Drained | DeviceState::Gone)
    }
}
