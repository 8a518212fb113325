//! The failures of what a submitter carried out at once: final ones are told, the others go on with a slot.

use std::sync::Arc;

use zeroize::Zeroize;

use super::{Done, Ended, Entry, Order, Plan};
use crate::device::mount::PANICKED;
use crate::device::registry::Device;
use crate::device::{DeviceError, DirectOp};
use crate::error::{OpError, Progress};
use crate::op::{Completion, Output};
use crate::padding;
use crate::queue::slab::Held;
use crate::queue::word::State;
use crate::shared::Shared;
use crate::submit::face::FUTURE;
use crate::submit::{Body, Shape};
use crate::sync::atomic::Ordering;
use crate::worker::run::is_fault;

impl Shared {
    /// What the device failed, and can be done elsewhere, gets a slot and goes on as if it had had one from the start.
    #[cold]
    #[allow(clippy::too_many_arguments, reason = "what the run was made of")]
    pub(super) fn go_on_elsewhere<'s, E: Entry<'s>>(
        &self,
        device: &Arc<Device>,
        order: &Order<'s>,
        plan: &Plan,
        entries: &mut [E],
        done: &mut impl Done,
        results: &[Result<(), DeviceError>],
        mut on: impl FnMut(usize, u32),
    ) {
        let count = entries.len();
        let mut taken_out = 0;
        let (mut errors, mut why) = (0, "");
        let mut again = Vec::new();
        for (place, (entry, result)) in entries.iter_mut().zip(results).enumerate() {
            let Err(DeviceError::Failed { reason, progress, .. }) = *result else { continue };
            if is_fault(*result) {
                (errors, why) = (errors + 1, reason);
            }
            if !is_to_go_on(*result) {
                continue;
            }
            let place_now = place - taken_out;
            let Some(completion) = done.latest(count - taken_out).get_mut(place_now) else { continue };
            completion.data.truncate(plan.ops[place].bytes as usize);
            match self.give_slot(
                device,
                order,
                plan,
                entry,
                completion,
                (order.position + place as u32, reason),
            ) {
                Some(held) => {
                    again.push((place, held));
                    done.take_out(count - taken_out, place_now);
                    taken_out += 1;
                }
                None => {
                    completion.result = Err(OpError::Broken { attempts: 1, reason, progress });
                    device.cells.by_kind[plan.kind()].add(1);
                    device.cells.failed_ops.add(1);
                    device.cells.inline.add(1);
                    let session = order.session_of(entry);
                    session.ended.failed.add(1);
                    session.inline.add(1, 0);
                    session.tenant.inline.add(1, 0);
                }
            }
        }
        if errors > 0 {
            device.cells.errors.add(errors);
            self.device_failed(device, errors, why);
        }
        for (place, held) in again {
            on(place, held.index());
            self.requeue(held);
        }
    }

    /// A slot for an operation that has had an attempt, with what is left in its completion.
    fn give_slot<'s, E: Entry<'s>>(
        &self,
        device: &Device,
        order: &Order<'s>,
        plan: &Plan,
        entry: &mut E,
        completion: &mut Completion,
        (position, reason): (u32, &'static str),
    ) -> Option<Held<'_, Body>> {
        let session = order.session_of(entry);
        let context = match order.pinned {
            Some(context) => context.hold(1).then(|| Arc::clone(context))?,
            None => session.hold_current(1).ok()?,
        };
        let mut slot = None;
        self.slab.allocate(1, |held| slot = Some(held));
        let Some(held) = slot else {
            self.release_context(&context, 1);
            return None;
        };
        if order.face != FUTURE
            && let Some(face) = self.faces.find(order.face)
        {
            face.live.fetch_add(1, Ordering::AcqRel);
        }
        session.submitted.add(1);
        session.tenant.accepted.add(1);
        self.shards.mine().accepted.add(1);
        device.cells.taken_first.add(1);
        device.cells.started.add(1);
        device.cells.started_first.add(1);
        device.cells.finished.add(1);
        let mut request = std::mem::take(entry.request_mut());
        request.data = std::mem::take(&mut completion.data);
        request.chain = completion.chain.take().into();
        let shape =
            session.rules.shape_of(plan.shape.kind_number(), request.data.len(), request.chain.is_some());
        let mut held = held.attempted(State::Held, 1, device.id);
        self.fill(&mut held, &context, request, shape, order.face, position, self.now());
        let meta = held.meta();
        let shape = Shape(meta.shape.load(Ordering::Relaxed));
        meta.shape.store(shape.dispatched().started().0, Ordering::Relaxed);
        let body = held.body();
        body.tried.add(device.id);
        body.last_reason = reason;
        Some(held)
    }
}

/// Whether an operation with this result is tried elsewhere.
pub(super) fn is_to_go_on(result: Result<(), DeviceError>) -> bool {
    matches!(result, Err(DeviceError::Failed { source_intact: true, .. }))
}

/// Each operation's answer; one without an answer has failed, and nothing is known of its data.
#[cold]
pub(super) fn results(ops: &[DirectOp<'_>], has_panicked: bool) -> Vec<Result<(), DeviceError>> {
    let reason = if has_panicked { PANICKED } else { "no answer" };
    let none = DeviceError::Failed { reason, progress: Progress::MaybeExecuted, source_intact: false };
    ops.iter().map(|op| op.result.unwrap_or(Err(none))).collect()
}

/// Writes the failures that are final into the completions; what goes on elsewhere is not counted as ended.
#[cold]
pub(super) fn settle(
    completions: &mut [Completion],
    results: &[Result<(), DeviceError>],
    plan: &Plan,
    ended: &mut Ended,
) {
    for ((completion, result), planned) in completions.iter_mut().zip(results).zip(&plan.ops) {
        match *result {
            Ok(()) => continue,
            Err(DeviceError::DecryptionFailed) => {
                completion.data.clear();
                completion.result = Err(OpError::DecryptionFailed);
            }
            Err(DeviceError::Failed { source_intact: true, .. }) => {
                ended.ops -= 1;
                ended.bytes -= planned.bytes;
                continue;
            }
            Err(DeviceError::Failed { reason, progress, .. }) => {
                // Half done, and by a device that failed: nobody has verified it.
                completion.data.zeroize();
                completion.output = Output::none();
                completion.result = Err(OpError::Broken { attempts: 1, reason, progress });
            }
        }
        completion.source_intact = false;
        ended.failed += 1;
    }
}

/// Takes the padding off what was decrypted.
pub(super) fn unpad(
    completions: &mut [Completion],
    results: Option<&[Result<(), DeviceError>]>,
    plan: &Plan,
    ended: &mut Ended,
) {
    let block = plan.shape.algorithm().block_len();
    for (place, completion) in completions.iter_mut().enumerate() {
        let is_done = results.is_none_or(|results| results[place].is_ok());
        if is_done && !padding::unpad_pkcs7(&mut completion.data, block) {
            completion.source_intact = false;
            completion.result = Err(OpError::DecryptionFailed);
            ended.failed += 1;
        }
    }
}
