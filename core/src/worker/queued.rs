//! A queued device is given operations and asked for answers.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::run::{After, SessionGroup, Tally, is_fault, mark_started, record, settle};
use crate::buffers::{Source, scatter};
use crate::device::registry::{Device, Exec};
use crate::device::{Answer, DeviceError, Product, QueuedOp, Ticket};
use crate::foreign::guarded;
use crate::health::is_probe;
use crate::health::shadow::{Compared, WRONG};
use crate::op::Output;
use crate::queue::slab::Held;
use crate::queue::word::State;
use crate::shared::Shared;
use crate::submit::{Body, Shape};
use crate::sync::atomic::Ordering;

/// How often a device that does not know when it will answer is asked, in nanoseconds.
pub(crate) const POLL_NS: u64 = 1_000_000;

impl Shared {
    /// Hands a run from the queue over to a queued device.
    pub(crate) fn hand_over(&self, device: &Arc<Device>, exec: &mut Exec) -> bool {
        if device.ring.is_empty() {
            return false;
        }
        let now = self.now();
        let Some(engine) = exec.engine.queued() else { return false };
        let room = guarded(|| engine.room()).unwrap_or(0);
        exec.lent.offered(now, room > 0);
        // To open another session may mean to close one, which must have nothing on the device then.
        let is_crowded = exec.sessions.len() + device.run_max_ops > device.info.sessions_max;
        if is_crowded && guarded(|| engine.in_flight()).is_none_or(|in_flight| in_flight > 0) {
            return false;
        }
        let mut slots = ArrayVec::new();
        let went_back = self.take_run(device, room.min(device.run_max_ops), State::Held, &mut slots);
        if slots.is_empty() {
            return went_back;
        }
        self.begin_run(exec);
        if device.counters().in_flight_ops == 0 {
            exec.lent.begin(now);
        }
        device.active_ns.store(now.0, Ordering::Relaxed);
        let first_starts = mark_started(&slots);
        device.cells.started.add(slots.len() as u64);
        device.cells.started_first.add(first_starts);
        for mut held in slots.drain(..) {
            let context = held.meta().context.load(Ordering::Relaxed);
            let shape = Shape(held.meta().shape.load(Ordering::Relaxed));
            let opened = self.handle(device, exec, context);
            held.body().started_ns = now.0;
            match opened {
                Err(error) => {
                    device.cells.finished.add(1);
                    self.conclude_one(device, exec, held, Err(error));
                }
                Ok(handle) => {
                    let ticket = Ticket(held.entry());
                    let body = held.body();
                    body.restore_source();
                    let apart = if body.input.is_some() { scatter::lend(body, shape) } else { None };
                    let source = apart.unwrap_or_else(|| {
                        let source = Arc::new(std::mem::take(&mut body.data));
                        body.shared = Some(Arc::clone(&source));
                        source.into()
                    });
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
                        Ok(_) => {
                            self.note_lent(exec, ticket, shape.bytes(), now);
                            exec.ops.push(op);
                        }
                        Err(held) => {
                            device.cells.abandoned_running.add(1);
                            drop(op);
                            self.cancel_held(held);
                        }
                    }
                }
            }
        }
        if device.cells.in_flight.fetch_add(exec.ops.len(), Ordering::Relaxed) == 0 {
            device.rates.begins(now);
        }
        if let Some(engine) = exec.engine.queued()
            && guarded(|| engine.submit(now, &mut exec.ops)).is_none()
        {
            self.device_panicked(device);
        }
        exec.ops.clear();
        true
    }

    /// Takes what a queued device has finished.
    pub(crate) fn collect(&self, device: &Arc<Device>, exec: &mut Exec) -> bool {
        let Some(engine) = exec.engine.queued() else { return false };
        let mut answers = std::mem::take(&mut exec.answers);
        match guarded(|| engine.poll(self.now(), &mut answers)) {
            Some(due) => exec.due = due,
            None => self.device_panicked(device),
        }
        let worked = !answers.is_empty();
        let now = self.now();
        if worked {
            exec.lent.answered(now);
            device.active_ns.store(now.0, Ordering::Relaxed);
        }
        let rate = self.shadow_rate(device, exec);
        for Answer { ticket, result } in answers.drain(..) {
            if is_probe(ticket) {
                exec.probed.push(Answer { ticket, result });
                continue;
            }
            let lent = self.slab.current(ticket.0).filter(|(_, word)| word.state() == State::Lent);
            // Late, doubled or cancelled: nobody waits for it, and its memory is the device's own.
            let Some(mut held) = lent.and_then(|(index, word)| self.slab.claim(index, word, State::Held))
            else {
                continue;
            };
            device.cells.finished.add(1);
            if rate > 0.0 && !self.answer_stands_up(device, exec, &mut held, &result, rate) {
                self.conclude_one(device, exec, held, Err(WRONG));
                continue;
            }
            let result = result.map(|product| {
                let body = held.body();
                match product.data {
                    Some(data) => {
                        body.shared = None;
                        match body.input {
                            None => body.data = data,
                            Some(_) => scatter::receive(&mut body.data, data),
                        }
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

    /// Notes when the device is to be asked next. It was asked already in this round, unless it was given something
    /// since.
    pub(crate) fn note_due(&self, device: &Arc<Device>, exec: &mut Exec, is_given: bool) {
        let now = self.now();
        let Some(engine) = exec.engine.queued() else { return };
        let (answers, known) = (&mut exec.answers, exec.due);
        let polled = guarded(|| {
            let due = if is_given { engine.poll(now, answers) } else { known };
            (due, engine.in_flight())
        });
        let Some((due, in_flight)) = polled else { return self.device_panicked(device) };
        let due = match (exec.answers.is_empty(), due) {
            // Answers that came just now are taken at once.
            (false, _) => 0,
            (true, Some(due)) => due.min(self.evidence_due(device, exec)).0,
            // It has work, or takes none, and does not know until when.
            (true, None) if in_flight > 0 || !device.ring.is_empty() || exec.selftest.is_some() => {
                now.plus(POLL_NS).0
            }
            (true, None) => u64::MAX,
        };
        device.due_ns.store(due, Ordering::Relaxed);
        device.cells.in_flight.store(in_flight, Ordering::Relaxed);
        if device.keys_held.load(Ordering::Relaxed) > 0 {
            self.report_held_keys(device, exec);
        }
    }

    /// Gives an answer its second opinion, if it is one of the sample. The source is shared, and as it was.
    fn answer_stands_up(
        &self,
        device: &Arc<Device>,
        exec: &mut Exec,
        held: &mut Held<'_, Body>,
        result: &Result<Product, DeviceError>,
        rate: f64,
    ) -> bool {
        let context = held.meta().context.load(Ordering::Relaxed);
        let shape = Shape(held.meta().shape.load(Ordering::Relaxed));
        if !exec.shadow.as_mut().is_some_and(|shadow| shadow.draws(rate, shape.algorithm())) {
            Self::note_unsampled(exec, 1);
            return true;
        }
        let body = held.body();
        let apart = if body.input.is_some() { scatter::lend(body, shape) } else { None };
        let Some(input) = apart.or_else(|| body.shared.clone().map(Source::from)) else { return true };
        let (product, nothing) = (result.as_ref().ok(), Output::none());
        let compared = Compared {
            shape,
            iv: &body.iv,
            aad: &body.aad,
            input: &input,
            chain_before: body.chain.as_deref(),
            data: product.and_then(|product| product.data.as_deref()),
            output: product.map_or(&nothing, |product| &product.output),
            chain_after: product.and_then(|product| product.chain.as_deref()),
            result: result.as_ref().map(|_| ()).map_err(|error| *error),
        };
        self.stands_up(device, exec, context, &compared)
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
        body.attempts = body.attempts_before + attempts;
        body.queue_ns = started.0.saturating_sub(submitted);
        body.service_ns = now.since(started);
        body.total_ns = now.0.saturating_sub(submitted);
        let after = settle(body, shape, result, device.id);
        if body.error.is_some() {
            // The device's copy of a failed input is of no use to anybody.
            body.shared = None;
        }
        record(device, submitted, 1, started, now);
        device.service.record(body.service_ns, 1);
        if result.is_ok() {
            let usual = device.answer_ns.load(Ordering::Relaxed);
            device.answer_ns.store((usual * 7 + body.service_ns) / 8, Ordering::Relaxed);
        }
        if !is_fault(result) {
            let in_flight = device.cells.in_flight.load(Ordering::Relaxed);
            device.rates.note_one(shape, body.service_ns, in_flight, now);
        }
        let mut tally = Tally::default();
        tally.add(body, shape, result, after);
        tally.count(device);
        if let (1.., Err(DeviceError::Failed { reason, .. })) = (tally.errors, result) {
            self.device_failed(device, tally.errors, reason);
        }
        if let After::Over = after {
            let mut group = SessionGroup::default();
            group.add(&mut held, self, exec);
            group.settle(self, exec);
            self.deliver(held, &mut exec.delivery);
            self.finish_delivery(&mut exec.delivery);
        } else {
            self.go_on(held, after);
        }
    }
}
