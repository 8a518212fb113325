//! Parcels on a device: carried out and handed back as one, or taken apart.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::run::{Results, note_ran, record};
use crate::clock::Nanos;
use crate::device::mount::Mount;
use crate::device::registry::{Device, Exec};
use crate::device::{DeviceError, DirectOp, RUN_MAX_OPS};
use crate::error::Progress;
use crate::foreign::guarded;
use crate::queue::slab::Held;
use crate::shared::Shared;
use crate::submit::accept::{Slots, ops_of};
use crate::submit::parcel::Parcel;
use crate::submit::{Body, Shape};
use crate::sync::atomic::Ordering;

impl Shared {
    /// The operations of a claimed slot, each with a slot of its own, claimed as well: one, or those of a parcel.
    pub(crate) fn unpack<'a>(&'a self, mut held: Held<'a, Body>) -> Slots<'a> {
        let mut slots = Slots::new();
        let Some(mut parcel) = held.body().parcel.take() else {
            slots.push(held);
            return slots;
        };
        // Whatever becomes of its operations, they are over before the parcel lets go of its context.
        let Some(context) = parcel.context.take() else { return slots };
        let (meta, face, word) = (held.meta(), held.body().face, held.word());
        let whole = Shape(meta.shape.load(Ordering::Relaxed));
        let submitted = Nanos(meta.submitted.load(Ordering::Relaxed));
        let deadline = meta.deadline.load(Ordering::Relaxed);
        slots.push(held);
        self.slab.take_reserved(parcel.reserved_slots(), |held| {
            slots.push(held.attempted(word.state(), word.attempt(), word.device()));
        });
        for (held, request) in slots.iter_mut().zip(parcel.requests(whole.kind())) {
            let shape = context.session.rules.shape_of(whole.kind_number(), request.data.len(), false);
            self.fill(held, &context, request, shape, face, 0, submitted);
            let meta = held.meta();
            meta.deadline.store(deadline, Ordering::Relaxed);
            let shape = Shape(meta.shape.load(Ordering::Relaxed)).dispatched();
            let shape = if whole.is_started() { shape.started() } else { shape };
            meta.shape.store(shape.0, Ordering::Relaxed);
        }
        slots
    }

    /// Carries a claimed parcel out. Its operations, each in a slot of its own, if they must be carried out one by one: a
    /// share of them gets a second opinion, or their session can't be opened.
    pub(super) fn run_parcel<'a>(
        &'a self,
        device: &Arc<Device>,
        exec: &mut Exec,
        mut held: Held<'a, Body>,
        shadow_rate: f64,
    ) -> Option<Slots<'a>> {
        let meta = held.meta();
        let number = meta.context.load(Ordering::Relaxed);
        let handle = match self.open_on(device, exec, number) {
            Ok((_, handle)) if shadow_rate <= 0.0 => handle,
            _ => return Some(self.unpack(held)),
        };
        let shape = Shape(meta.shape.load(Ordering::Relaxed)).started();
        let started = self.now();
        let ops = ops_of(meta) as u64;
        meta.shape.store(shape.0, Ordering::Relaxed);
        device.cells.started.add(ops);
        device.cells.started_first.add(ops);

        let Some(parcel) = &mut held.body().parcel else { return None };
        let Parcel { aads, completions, .. } = &mut **parcel;
        let mut run: ArrayVec<DirectOp<'_>, RUN_MAX_OPS> = ArrayVec::new();
        let aads = aads.iter().map(Vec::as_slice).chain(std::iter::repeat(&[][..]));
        run.extend(completions.iter_mut().zip(aads).map(|(completion, aad)| DirectOp {
            handle,
            algorithm: shape.algorithm(),
            kind: shape.kind(),
            iv: &completion.iv,
            aad,
            data: &mut completion.data,
            source: None,
            output: &mut completion.output,
            chain: None,
            result: None,
        }));
        let outcome = match &exec.engine {
            Mount::Direct(engine) => guarded(|| engine.execute(&mut run)),
            _ => None,
        };
        let finished = self.now();
        note_ran(device, ops, started, finished);
        if run.iter().all(|op| matches!(op.result, Some(Ok(())))) {
            drop(run);
            self.conclude_parcel(device, exec, held, started, finished);
            return None;
        }
        // After a panic nothing is known of an operation that has no answer.
        let reason = if outcome.is_none() { "panicked" } else { "no answer" };
        let none = DeviceError::Failed { reason, progress: Progress::MaybeExecuted, source_intact: false };
        let results: Results = run.iter().map(|op| op.result.unwrap_or(Err(none))).collect();
        drop(run);
        let outputs: ArrayVec<_, RUN_MAX_OPS> =
            completions.iter().map(|completion| completion.output).collect();
        let mut slots = self.unpack(held);
        for (held, output) in slots.iter_mut().zip(outputs) {
            held.body().output = output;
        }
        self.conclude_run(device, exec, &mut slots, &results, started, finished);
        None
    }

    /// Every operation of a parcel has succeeded: counts them, and hands them to their face.
    fn conclude_parcel(
        &self,
        device: &Arc<Device>,
        exec: &mut Exec,
        mut held: Held<'_, Body>,
        started: Nanos,
        finished: Nanos,
    ) {
        let meta = held.meta();
        let shape = Shape(meta.shape.load(Ordering::Relaxed));
        let submitted = meta.submitted.load(Ordering::Relaxed);
        let service_ns = finished.since(started);
        let Some(parcel) = &mut held.body().parcel else { return };
        parcel.times =
            (started.0.saturating_sub(submitted), service_ns, finished.0.saturating_sub(submitted));
        let (ops, bytes) = (parcel.completions.len() as u64, parcel.bytes);
        if let Some(context) = parcel.context.take() {
            context.session.count_ended(ops, bytes, 0);
            self.release_context(&context, ops);
        }
        record(device, submitted, ops, started, finished);
        device.service.record(service_ns, ops);
        device.rates.note_run(shape, ops, bytes, service_ns, finished);
        let cells = &device.cells;
        cells.bytes.add(bytes);
        cells.by_kind[usize::from(shape.kind_number().max(1)) - 1].add(ops);
        cells.completed_ops.add(ops);
        self.hand_back(held, &mut exec.delivery);
        self.finish_delivery(&mut exec.delivery);
    }
}
