//! Operations that are carried out where they lie, and stay there.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::failures::settle;
use super::{Ended, Entered, Order, Plan, begin, count_sessions, execute};
use crate::algorithm::{Algorithm, OpKind};
use crate::balancer::routing::Routing;
use crate::clock::Nanos;
use crate::device::registry::{Device, Exec};
use crate::device::{DeviceError, DirectOp, Handle, RUN_MAX_OPS};
use crate::op::Output;
use crate::shared::Shared;
use crate::submit::in_place::{Called, Failed, Op, Ran, asked};

#[inline(always)]
fn direct_op(op: &mut Op, handle: Handle, algorithm: Algorithm, kind: OpKind) -> DirectOp<'_> {
    let Op { request, output, .. } = op;
    *output = Output::none();
    DirectOp {
        handle,
        algorithm,
        kind,
        iv: &request.iv,
        aad: &request.aad,
        data: &mut request.data,
        source: None,
        output,
        // Nobody else's requests have one.
        chain: None,
        result: None,
    }
}

impl Shared {
    /// Carries operations out on this thread, from the front of `entries`, as many as can be carried out together.
    #[inline(always)]
    pub(in crate::submit) fn run_in_place<'s, C: Called<'s>>(
        &self,
        routing: &Routing,
        order: Order<'s>,
        entries: &mut [C],
    ) -> Ran {
        let Some(first) = entries.first() else { return Ran::default() };
        let Ok(entered) = self.enter(routing, &order, first, entries.len()) else { return Ran::default() };
        let Entered { device, mut exec, count, started, .. } = entered;
        let mut plan = Plan::new(started);
        self.plan_alike(device, &mut exec, &order, &mut entries[..count], &mut plan);
        // Padding is put on and taken off elsewhere.
        let count = if plan.is_padded { 0 } else { plan.count };
        let mut ran = Ran { count, ..Ran::default() };
        if count > 0 {
            let entries = &mut entries[..count];
            let mut run: ArrayVec<DirectOp<'_>, RUN_MAX_OPS> = ArrayVec::new();
            let (algorithm, kind) = (plan.shape.algorithm(), plan.shape.kind());
            let ops = entries.iter_mut().map(Called::op_mut);
            match &plan.ops[..] {
                [first] => run.extend(ops.map(|op| direct_op(op, first.handle, algorithm, kind))),
                each => {
                    run.extend(ops.zip(each).map(|(op, of)| direct_op(op, of.handle, algorithm, kind)));
                }
            }
            let results = execute(device, &exec, &mut run);
            drop(run);
            let timed = plan.started.map(|started| (started, self.now()));
            if let Some(results) = results {
                ran.failed = Some(self.fail_in_place(
                    device,
                    &mut exec,
                    &order,
                    &plan.in_full(),
                    timed,
                    entries,
                    &results,
                ));
            } else {
                ran.succeeded = count;
                let service_ns = timed.map_or(0, |(started, finished)| finished.since(started));
                entries.iter_mut().for_each(|entry| entry.op_mut().succeed(device.id, service_ns));
                count_sessions(&exec, &plan, None, &[], 0);
                let ended = Ended { ops: count as u64, bytes: plan.bytes, failed: 0 };
                self.count_inline(device, &mut exec, &plan, timed, &ended);
            }
        }
        drop(exec);
        self.after_inline(device);
        ran
    }

    /// Not all of a run has succeeded: tells what is over, and lets the rest go on as if it had been submitted otherwise.
    #[cold]
    #[allow(clippy::too_many_arguments, reason = "what the run was made of")]
    fn fail_in_place<'s, C: Called<'s>>(
        &self,
        device: &Arc<Device>,
        exec: &mut Exec,
        order: &Order<'s>,
        plan: &Plan,
        timed: Option<(Nanos, Nanos)>,
        entries: &mut [C],
        results: &[Result<(), DeviceError>],
    ) -> Box<Failed> {
        let asked = entries.iter().map(|entry| asked(entry.request())).collect();
        let service_ns = timed.map_or(0, |(started, finished)| finished.since(started));
        let mut over = Vec::with_capacity(entries.len());
        for entry in entries.iter_mut() {
            let output = entry.op_mut().output;
            let mut completion = begin(entry.request_mut(), device.id);
            (completion.output, completion.service_ns, completion.total_ns) =
                (output, service_ns, service_ns);
            over.push(completion);
        }
        let mut ended = Ended { ops: entries.len() as u64, bytes: plan.bytes, failed: 0 };
        settle(&mut over, results, plan, &mut ended);
        count_sessions(exec, plan, Some(results), &over, ended.failed);
        self.count_inline(device, exec, plan, timed, &ended);
        let mut elsewhere = Vec::new();
        let on = |place, slot| elsewhere.push((place, slot));
        self.go_on_elsewhere(device, order, plan, entries, &mut over, results, on);
        Box::new(Failed { asked, over, elsewhere })
    }
}
