//! One run: operations of one shape are taken from a device's queue, carried out, and concluded.

use std::sync::Arc;

use arrayvec::ArrayVec;
use zeroize::Zeroize;

use crate::algorithm::OpKind;
use crate::buffers::scatter;
use crate::clock::Nanos;
use crate::context::Context;
use crate::device::mount::Mount;
use crate::device::registry::{Device, Exec};
use crate::device::{DeviceError, DirectOp, Handle, RUN_MAX_OPS};
use crate::error::{Error, OpError, Progress};
use crate::foreign::guarded;
use crate::health::shadow::{Compared, Sample, WRONG};
use crate::op::{DeviceId, Output};
use crate::padding;
use crate::queue::slab::Held;
use crate::queue::word::State;
use crate::route;
use crate::shared::Shared;
use crate::stats::counter::submitter_number;
use crate::submit::accept::Slots;
use crate::submit::{Body, Shape};
use crate::sync::atomic::Ordering;
use crate::worker::conclude::kind_number;

pub(super) type Results = ArrayVec<Result<(), DeviceError>, RUN_MAX_OPS>;

impl Shared {
    /// Takes one run from the queue of a direct device and carries it out on this thread. False when there was none.
    pub(crate) fn run_direct(&self, device: &Arc<Device>, exec: &mut Exec) -> bool {
        let mut slots: Slots<'_> = ArrayVec::new();
        self.take_run(device, device.run_max_ops, State::Running, &mut slots);
        if slots.is_empty() {
            return false;
        }
        self.begin_run(exec);
        let rate = self.shadow_rate(device, exec);
        if Shape(slots[0].meta().shape.load(Ordering::Relaxed)).is_parcel() {
            match slots.pop().and_then(|held| self.run_parcel(device, exec, held, rate)) {
                // One by one, as if they had been submitted that way.
                Some(ops) => slots = ops,
                None => return true,
            }
        }
        let started = self.now();
        let first_starts = mark_started(&slots);
        device.cells.started.add(slots.len() as u64);
        device.cells.started_first.add(first_starts);

        let mut results: Results = ArrayVec::new();
        let samples = if rate > 0.0 { take_samples(exec, &mut slots, rate) } else { Vec::new() };
        self.execute(device, exec, &mut slots, &mut results);
        let finished = self.now();
        self.compare_samples(device, exec, &mut slots, &mut results, samples);
        note_ran(device, slots.len() as u64, started, finished);
        self.conclude_run(device, exec, &mut slots, &results, started, finished);
        true
    }

    /// Claims operations of one shape from the device's queue, or one parcel. A device that answers later gets no parcel: its
    /// operations go back into line. True if some did.
    pub(crate) fn take_run<'a>(
        &'a self,
        device: &Device,
        max: usize,
        to: State,
        slots: &mut Slots<'a>,
    ) -> bool {
        let mut went_back = false;
        let mut shape = None;
        let mut sessions: ArrayVec<u64, RUN_MAX_OPS> = ArrayVec::new();
        while slots.len() < max.min(RUN_MAX_OPS) {
            let Some(entry) = device.ring.peek() else { break };
            let found = self.slab.find(entry).filter(|found| found.word().state() == State::Queued);
            let Some(found) = found else {
                device.ring.pop();
                continue;
            };
            let meta = found.meta();
            let this = Shape(meta.shape.load(Ordering::Relaxed));
            if this.is_parcel() {
                if shape.is_some() {
                    break;
                }
                device.ring.pop();
                match found.claim(to) {
                    Some(held) if to == State::Running => {
                        slots.push(held);
                        break;
                    }
                    Some(held) => {
                        went_back = true;
                        for held in self.unpack(held) {
                            device.cells.moved_out.add(1);
                            self.place_anew(held);
                        }
                    }
                    None => {}
                }
                continue;
            }
            if shape.is_some_and(|first: Shape| !first.runs_with(this)) {
                break;
            }
            // A run has no more sessions than the device can have open.
            if device.info.sessions_max < RUN_MAX_OPS {
                let session = meta.context.load(Ordering::Relaxed);
                if !sessions.contains(&session) {
                    if sessions.len() >= device.info.sessions_max.max(1) {
                        break;
                    }
                    sessions.push(session);
                }
            }
            device.ring.pop();
            if let Some(held) = found.claim(to) {
                shape = Some(this);
                slots.push(held);
            }
        }
        went_back
    }

    /// Carries the run out; an operation whose session could not be opened is left out.
    fn execute(&self, device: &Device, exec: &mut Exec, slots: &mut Slots<'_>, results: &mut Results) {
        let mut ops: ArrayVec<DirectOp<'_>, RUN_MAX_OPS> = ArrayVec::new();
        let mut all_go = true;
        for held in slots.iter_mut() {
            let handle = self.handle(device, exec, held.meta().context.load(Ordering::Relaxed));
            let shape = Shape(held.meta().shape.load(Ordering::Relaxed));
            let body = held.body();
            body.restore_source();
            let is_read = body.input.is_some() && scatter::prepare(body, shape, &exec.engine);
            all_go &= handle.is_ok();
            ops.push(DirectOp {
                handle: handle.unwrap_or(Handle(u32::MAX)),
                algorithm: shape.algorithm(),
                kind: shape.kind(),
                iv: &body.iv,
                aad: &body.aad,
                data: &mut body.data,
                source: if is_read { body.input.as_deref() } else { None },
                output: &mut body.output,
                chain: body.chain.as_deref_mut(),
                result: handle.err().map(Err),
            });
        }
        let Mount::Direct(engine) = &exec.engine else { return };
        let outcome = guarded(|| {
            if all_go {
                engine.execute(&mut ops);
            } else {
                for op in ops.iter_mut().filter(|op| op.result.is_none()) {
                    engine.execute(std::slice::from_mut(op));
                }
            }
        });
        // After a panic nothing is known of an operation that has no answer.
        let reason = if outcome.is_none() { "panicked" } else { "no answer" };
        let none = DeviceError::Failed { reason, progress: Progress::MaybeExecuted, source_intact: false };
        results.extend(ops.iter().map(|op| op.result.unwrap_or(Err(none))));
    }

    /// From here on, no session that is used is closed to make room, until the next run begins.
    pub(crate) fn begin_run(&self, exec: &mut Exec) {
        exec.run_began = exec.uses;
    }

    /// The handle of a context on the device, opened now if need be.
    #[inline]
    pub(crate) fn handle(&self, device: &Device, exec: &mut Exec, id: u64) -> Result<Handle, DeviceError> {
        self.open_on(device, exec, id).map(|(_, handle)| handle)
    }

    /// Where a context is open on the device, and its handle; it is opened now if need be.
    #[inline]
    pub(crate) fn open_on(
        &self,
        device: &Device,
        exec: &mut Exec,
        id: u64,
    ) -> Result<(usize, Handle), DeviceError> {
        exec.uses += 1;
        if let Some(place) = exec.sessions.find(id)
            && let Some(open) = exec.sessions.at_mut(place)
        {
            open.used = exec.uses;
            return Ok((place, open.handle));
        }
        self.open_now(device, exec, id)
    }

    #[cold]
    fn open_now(&self, device: &Device, exec: &mut Exec, id: u64) -> Result<(usize, Handle), DeviceError> {
        let failed =
            |reason| DeviceError::Failed { reason, progress: Progress::NotStarted, source_intact: true };
        let context = self.context(id).ok_or(failed("session is gone"))?;
        let part = context.part(id).ok_or(failed("session is gone"))?;
        if device.is_full_of_sessions(exec) {
            self.close_idle_session(exec);
        }
        let handle = exec.engine.open(part, context.session.id).map_err(|error| match error {
            Error::NoDevice { .. } => failed(NOT_SUPPORTED),
            _ => failed("session could not be opened"),
        })?;
        let uses = exec.uses;
        Ok((exec.sessions.insert(id, context, handle, uses), handle))
    }

    /// Closes the session that was used least lately, to make room for another. The device has none of its operations.
    pub(crate) fn close_idle_session(&self, exec: &mut Exec) {
        let idle = exec.sessions.iter().filter(|(_, open)| open.used <= exec.run_began);
        let oldest = idle.min_by_key(|(_, open)| open.used).map(|(id, _)| id);
        if let Some(handle) = oldest.and_then(|id| exec.sessions.remove(id)) {
            exec.engine.close(handle);
        }
    }

    /// The context of an operation on the device.
    pub(crate) fn context_on(&self, exec: &Exec, id: u64) -> Option<Arc<Context>> {
        match exec.sessions.get(id) {
            Some(open) => Some(Arc::clone(&open.context)),
            None => self.context(id),
        }
    }

    /// Gives the results of a sample their second opinion. What does not stand up goes back to what it was.
    fn compare_samples(
        &self,
        device: &Arc<Device>,
        exec: &mut Exec,
        slots: &mut Slots<'_>,
        results: &mut Results,
        samples: Vec<Option<Sample>>,
    ) {
        for ((held, result), sample) in slots.iter_mut().zip(results).zip(samples) {
            let Some(sample) = sample else {
                Self::note_unsampled(exec, 1);
                continue;
            };
            let context = held.meta().context.load(Ordering::Relaxed);
            let shape = Shape(held.meta().shape.load(Ordering::Relaxed));
            let body = held.body();
            let read = if body.input.is_some() { scatter::lend(body, shape) } else { None };
            let compared = Compared {
                shape,
                iv: &body.iv,
                aad: &body.aad,
                input: read.as_deref().unwrap_or(&sample.data),
                chain_before: sample.chain.as_deref(),
                data: Some(&body.data),
                output: &body.output,
                chain_after: body.chain.as_deref(),
                result: *result,
            };
            if !self.stands_up(device, exec, context, &compared) {
                match body.input {
                    Some(_) if body.route.is_none() => body.data.zeroize(),
                    _ => body.data = sample.data,
                }
                body.chain = sample.chain;
                body.output = Output::none();
                *result = Err(WRONG);
            }
        }
    }

    pub(super) fn conclude_run(
        &self,
        device: &Arc<Device>,
        exec: &mut Exec,
        slots: &mut Slots<'_>,
        results: &[Result<(), DeviceError>],
        started: Nanos,
        finished: Nanos,
    ) {
        let service_ns = finished.since(started);
        let mut tally = Tally::default();
        let mut group = SessionGroup::default();
        let mut afters: ArrayVec<After, RUN_MAX_OPS> = ArrayVec::new();
        let (mut submitted, mut weight) = (u64::MAX, 0);
        for (held, result) in slots.iter_mut().zip(results) {
            let this = held.meta().submitted.load(Ordering::Relaxed);
            if this != submitted && weight > 0 {
                record(device, submitted, weight, started, finished);
                weight = 0;
            }
            submitted = this;
            weight += 1;
            let shape = Shape(held.meta().shape.load(Ordering::Relaxed));
            let attempts = u16::from(held.word().attempt());
            let body = held.body();
            body.device = Some(device.id);
            body.attempts = body.attempts_before + attempts;
            body.queue_ns = started.0.saturating_sub(this);
            body.service_ns = service_ns;
            body.total_ns = finished.0.saturating_sub(this);
            let after = settle(body, shape, *result, device.id);
            tally.add(body, shape, *result, after);
            if matches!(after, After::Over) {
                group.add(held, self, exec);
            }
            afters.push(after);
        }
        group.settle(self, exec);
        record(device, submitted, weight, started, finished);
        device.service.record(service_ns, slots.len() as u64);
        if tally.errors == 0
            && let Some(first) = slots.first()
        {
            let shape = Shape(first.meta().shape.load(Ordering::Relaxed));
            device.rates.note_run(shape, slots.len() as u64, tally.bytes, service_ns, finished);
        }
        tally.count(device);

        let mut reason = "";
        let mut again: ArrayVec<(Held<'_, Body>, After), RUN_MAX_OPS> = ArrayVec::new();
        for ((held, result), after) in slots.drain(..).zip(results).zip(afters) {
            if let Err(DeviceError::Failed { reason: this, .. }) = result {
                reason = this;
            }
            match after {
                After::Over => self.deliver(held, &mut exec.delivery),
                after => again.push((held, after)),
            }
        }
        self.finish_delivery(&mut exec.delivery);
        if tally.errors > 0 {
            self.device_failed(device, tally.errors, reason);
        }
        for (held, after) in again {
            self.go_on(held, after);
        }
    }

    /// An operation that is not over: to another device, or to its next stage.
    pub(crate) fn go_on(&self, held: Held<'_, Body>, after: After) {
        match after {
            After::Next => self.to_next_stage(held),
            _ => self.requeue(held),
        }
    }
}

/// Notes that a run is over, and what an operation of it cost.
pub(super) fn note_ran(device: &Device, ops: u64, started: Nanos, finished: Nanos) {
    device.active_ns.store(finished.0, Ordering::Relaxed);
    device.served_by.store(submitter_number(), Ordering::Relaxed);
    device.cells.finished.add(ops);
    let cost = finished.since(started) / ops.max(1);
    let smoothed = device.op_cost_ns.load(Ordering::Relaxed);
    device.op_cost_ns.store((smoothed * 7 + cost) / 8, Ordering::Relaxed);
}

/// Copies the inputs of those that get a second opinion, before the device works on them in place.
fn take_samples(exec: &mut Exec, slots: &mut Slots<'_>, rate: f64) -> Vec<Option<Sample>> {
    let Some(shadow) = &mut exec.shadow else { return Vec::new() };
    let sample = |held: &mut Held<'_, Body>| {
        let algorithm = Shape(held.meta().shape.load(Ordering::Relaxed)).algorithm();
        shadow.draws(rate, algorithm).then(|| {
            let body = held.body();
            body.restore_source();
            let is_apart = body.input.is_some() && body.route.is_none();
            let data = if is_apart { Vec::new() } else { body.data.clone() };
            Sample { data, chain: body.chain.clone() }
        })
    };
    slots.iter_mut().map(sample).collect()
}

/// What becomes of an operation after an attempt.
#[derive(Clone, Copy)]
pub(crate) enum After {
    /// It goes to its face.
    Over,
    /// Its device failed; another one may try.
    Again,
    /// It is ready for the next stage of its route.
    Next,
}

/// Completed operations of one session, accounted for before they are handed over.
#[derive(Default)]
pub(crate) struct SessionGroup {
    pub(crate) id: u64,
    pub(crate) ops: u64,
    pub(crate) bytes: u64,
    pub(crate) failed: u64,
}

impl SessionGroup {
    /// Adds an operation that is over, after settling what was added of another context.
    #[inline]
    pub(crate) fn add(&mut self, held: &mut Held<'_, Body>, shared: &Shared, exec: &Exec) {
        let id = held.meta().context.load(Ordering::Relaxed);
        if self.id != id {
            self.settle(shared, exec);
            *self = Self { id, ..Self::default() };
        }
        self.ops += 1;
        self.bytes += Shape(held.meta().shape.load(Ordering::Relaxed)).bytes() as u64;
        self.failed += u64::from(held.body().error.is_some());
    }

    pub(crate) fn settle(&self, shared: &Shared, exec: &Exec) {
        if self.ops == 0 {
            return;
        }
        let account = |context: &Context| {
            context.session.count_ended(self.ops, self.bytes, self.failed);
            shared.release_context(context, self.ops);
        };
        match exec.sessions.get(self.id) {
            Some(open) => account(&open.context),
            // Closed here to make room for another session, while this one had operations on the device.
            None => shared.context(self.id).iter().for_each(|context| account(context)),
        }
    }
}

/// What a run adds to its device's counters.
#[derive(Default)]
pub(crate) struct Tally {
    ended: u64,
    /// Of these, in ordered sessions.
    ended_in_order: u64,
    bytes: u64,
    failed: u64,
    pub(crate) errors: u64,
    by_kind: [u64; 7],
}

impl Tally {
    pub(crate) fn add(&mut self, body: &Body, shape: Shape, result: Result<(), DeviceError>, after: After) {
        if matches!(after, After::Over) {
            self.ended += 1;
            self.ended_in_order += u64::from(shape.is_ordered());
            self.bytes += shape.bytes() as u64;
            self.failed += u64::from(body.error.is_some());
            self.by_kind[kind_number(body)] += 1;
        }
        self.errors += u64::from(is_fault(result));
    }

    pub(crate) fn count(&self, device: &Device) {
        let cells = &device.cells;
        if self.errors > 0 {
            cells.errors.add(self.errors);
        }
        if self.failed > 0 {
            cells.failed_ops.add(self.failed);
        }
        if self.ended > 0 {
            cells.bytes.add(self.bytes);
            for (cell, count) in cells.by_kind.iter().zip(self.by_kind).filter(|(_, count)| *count > 0) {
                cell.add(count);
            }
            cells.ended_in_order.add(self.ended_in_order);
            cells.completed_ops.add(self.ended - self.ended_in_order);
        }
    }
}

pub(crate) fn record(device: &Device, submitted: u64, weight: u64, started: Nanos, finished: Nanos) {
    device.queue_wait.record(started.0.saturating_sub(submitted), weight);
    device.total.record(finished.0.saturating_sub(submitted), weight);
}

/// Marks operations as begun; returns how many are begun for the first time.
pub(crate) fn mark_started(slots: &[Held<'_, Body>]) -> u64 {
    let mut first = 0;
    for held in slots {
        let meta = held.meta();
        let shape = Shape(meta.shape.load(Ordering::Relaxed));
        if !shape.is_started() {
            meta.shape.store(shape.started().0, Ordering::Relaxed);
            first += 1;
        }
    }
    first
}

/// Writes the outcome of an attempt into the body.
pub(crate) fn settle(
    body: &mut Body,
    shape: Shape,
    result: Result<(), DeviceError>,
    device: DeviceId,
) -> After {
    match result {
        Ok(()) if body.route.is_some() => {
            if route::advance(body) {
                return After::Next;
            }
            route::end(body);
        }
        Ok(()) => {
            if body.is_padded
                && shape.kind() == OpKind::Decrypt
                && !padding::unpad_pkcs7(&mut body.data, shape.algorithm().block_len())
            {
                body.source_intact = false;
                body.error = Some(OpError::DecryptionFailed);
            }
        }
        Err(DeviceError::DecryptionFailed) => {
            body.data.clear();
            body.source_intact = false;
            body.error = Some(OpError::DecryptionFailed);
        }
        Err(DeviceError::Failed { reason, progress, source_intact }) => {
            body.last_reason = reason;
            body.tried.add(device);
            if source_intact || body.input.is_some() && body.route.is_none() {
                return After::Again;
            }
            body.source_intact = false;
            body.error = Some(OpError::Broken { attempts: body.attempts, reason, progress });
            // Half done, and by a device that failed: nobody has verified it.
            body.data.zeroize();
            body.output = Output::none();
            route::give_back(body);
            route::end(body);
        }
    }
    After::Over
}

/// Reason of an attempt that a device refused because it can't serve the session; not held against it.
const NOT_SUPPORTED: &str = "session not supported";

/// Whether an attempt counts in the device's error budget.
pub(crate) fn is_fault(result: Result<(), DeviceError>) -> bool {
    matches!(result, Err(DeviceError::Failed { reason, .. }) if reason != NOT_SUPPORTED)
}
