//! Operations that a submitter carries out itself, at once: no slot, no queue, no wake-up, no atomic instruction for
//! each of them.
//!
//! It happens when nothing of equal or higher priority waits, the device that is picked is a direct one with an empty
//! queue and nobody at it, and the work is short by the device's measured rate. Nobody else ever sees these operations:
//! they are counted at all stations together when they are over. One that its device fails gets a slot after all, and
//! goes on as if it had had one from the start.

use std::cell::Cell;
use std::sync::Arc;
use std::task::Waker;

use arrayvec::ArrayVec;

use super::{Shape, Tried};
use crate::algorithm::OpKind;
use crate::balancer::routing::{Pick, Routing};
use crate::clock::Nanos;
use crate::context::Context;
use crate::device::mount::Mount;
use crate::device::registry::{Device, Exec};
use crate::device::{DeviceError, DirectOp, RUN_MAX_OPS, Run};
use crate::foreign::guarded;
use crate::op::{Completion, DeviceId, Output, Request};
use crate::padding;
use crate::rare::Rare;
use crate::session::SessionState;
use crate::shared::Shared;
use crate::stats::counter::submitter_number;
use crate::stats::timing::TIMED_OPS;
use crate::sync::Guard;
use crate::sync::atomic::{Ordering, fence};

mod faces;
mod failures;
mod here;
mod in_place;
mod plan;

pub(crate) use faces::{Done, Entry};
use failures::{is_to_go_on, results, settle, unpad};
pub(crate) use plan::Alike;
use plan::Plan;

/// Who hands in, and what becomes of what is not over at once.
#[derive(Clone, Copy)]
pub(crate) struct Order<'a> {
    pub(crate) session: &'a SessionState,
    /// The context that the caller has pinned, if it has.
    pub(crate) pinned: Option<&'a Arc<Context>>,
    pub(crate) face: u64,
    /// Place of the first in its batch.
    pub(crate) position: u32,
    /// Longest work to be carried out at once, nanoseconds.
    pub(crate) limit_ns: u64,
    /// Operations that the caller hands in, of which these are a part.
    pub(crate) count: usize,
    pub(crate) caller: Caller<'a>,
}

impl<'s> Order<'s> {
    /// The session of one of its entries.
    #[inline(always)]
    fn session_of<E: Entry<'s>>(&self, entry: &E) -> &'s SessionState {
        entry.session().map_or(self.session, |session| &session.open.state)
    }
}

/// What a submitter can do while its operations are on their way.
#[derive(Clone, Copy)]
pub(crate) enum Caller<'a> {
    /// Wait, or something else that nobody here knows.
    Thread,
    /// Come back when it is woken: it may be one of many tasks.
    Task(&'a Waker),
    /// Nothing but poll for them.
    Poller,
}

/// What came of it.
pub(crate) enum Inline {
    /// So many from the front are over, or have a slot.
    Ran(usize),
    /// None is; the device that was picked for the first, with room for so many.
    Picked(Arc<Device>, usize),
    /// None is, and they had better be carried out together with those of other tasks; the device picked, with room.
    Together(Arc<Device>, usize),
    /// None is, and none was picked.
    No,
}

/// The run token of a device that may be put to work here and now.
struct Entered<'r> {
    device: &'r Arc<Device>,
    exec: Guard<'r, Exec>,
    /// Operations that the device has room for.
    room: usize,
    /// Operations that may be carried out together, at most.
    count: usize,
    /// When the run began, if it is timed.
    started: Option<Nanos>,
}

/// What a run has brought to its end.
struct Ended {
    ops: u64,
    bytes: u64,
    failed: u64,
}

/// Tasks that submit within this time of each other, in nanoseconds, are polled one after the other.
const CROWD_NS: u64 = 20_000;
/// Samples that make a rate known.
const RATE_KNOWN: u64 = 64;

impl Shared {
    /// Carries operations out on this thread, if it may; they begin at the front of `entries`, and are of one algorithm
    /// and kind. Completions go to `done` in the order of the entries; `on` hears of the place of one that was given a slot.
    #[inline(always)]
    pub(crate) fn run_inline<'s, E: Entry<'s>>(
        &self,
        routing: &Routing,
        order: Order<'s>,
        entries: &mut [E],
        done: &mut impl Done,
        on: impl FnMut(usize, u32),
    ) -> Inline {
        let Some(first) = entries.first() else { return Inline::No };
        let Entered { device, mut exec, room, count, started } =
            match self.enter(routing, &order, first, entries.len()) {
                Ok(entered) => entered,
                Err(not_here) => return not_here,
            };
        let mut plan = Plan::new(started);
        self.plan_run(device, &mut exec, &order, &mut entries[..count], &mut plan);
        let count = plan.ops.len();
        if count == 0 {
            drop(exec);
            self.after_inline(device);
            return Inline::Picked(Arc::clone(device), room);
        }
        if let Some(results) = self.run_planned(device, &mut exec, &plan, &mut entries[..count], done) {
            self.go_on_elsewhere(device, &order, &plan, &mut entries[..count], done, &results, on);
        }
        drop(exec);
        self.after_inline(device);
        Inline::Ran(count)
    }

    /// Takes the run token of the device that is picked for the first of `count` operations, if they may be carried out here
    /// and now.
    #[inline(always)]
    fn enter<'r, 's, E: Entry<'s>>(
        &'r self,
        routing: &'r Routing,
        order: &Order<'s>,
        first: &E,
        count: usize,
    ) -> Result<Entered<'r>, Inline> {
        let session = order.session_of(first);
        if !session.is_plain || order.limit_ns == 0 || self.is_stopping() {
            return Err(Inline::No);
        }
        let Some(shape) = session.rules.rough_shape(first.request()) else { return Err(Inline::No) };
        if self.waiting.blocks(shape.priority()) || session.tenant.is_limited() {
            return Err(Inline::No);
        }
        let binding = session.binding();
        let shape = shape.flagged(!binding.is_none(), false, false);
        let Pick::Device(device, room) = routing.pick(shape, &Tried::none(), binding) else {
            return Err(Inline::No);
        };
        let picked = || Inline::Picked(Arc::clone(device), room);
        if let Caller::Task(waker) = order.caller
            && device.gains(shape)
            && self.is_one_of_many(waker)
        {
            return Err(Inline::Together(Arc::clone(device), room));
        }
        let few = match device.is_open_to_submitters() {
            true => self.how_many_here(order, routing, device, shape, binding),
            false => 0,
        };
        if few == 0 {
            return Err(picked());
        }
        let Some(mut exec) = device.exec.try_lock() else { return Err(picked()) };
        if !device.is_open_to_submitters()
            || exec.is_busy_otherwise()
            || self.shadow_rate(device, &mut exec) > 0.0
        {
            drop(exec);
            self.after_inline(device);
            return Err(picked());
        }
        let count = count.min(room).min(device.run_max_ops).min(few);
        let started = self.is_timed(device, &mut exec, shape, count).then(|| self.now());
        Ok(Entered { device, exec, room, count, started })
    }

    /// Whether a run is timed.
    #[inline(always)]
    fn is_timed(&self, device: &Device, exec: &mut Exec, shape: Shape, count: usize) -> bool {
        match self.config.statistics {
            0 => false,
            1 if count >= TIMED_OPS => true,
            1 => {
                let is_first = device.ticked.load(Ordering::Relaxed);
                if is_first {
                    device.ticked.store(false, Ordering::Relaxed);
                }
                exec.timing.is_due() || is_first || device.rates.samples(shape) < RATE_KNOWN
            }
            _ => true,
        }
    }

    /// Whether another task has submitted on this thread a moment ago, and more will before this one is polled again.
    fn is_one_of_many(&self, waker: &Waker) -> bool {
        thread_local! {
            static LAST: Cell<(usize, Nanos)> = const { Cell::new((0, Nanos(0))) };
        }
        let this = waker.data() as usize;
        let (task, time) = LAST.get();
        // One task after the other needs no clock; a crowd is known by its second.
        if task == this {
            return false;
        }
        let now = self.now();
        LAST.set((this, now));
        task != 0 && now.since(time) < CROWD_NS
    }

    /// The run token was let go of: what came in meanwhile found it taken.
    #[inline]
    fn after_inline(&self, device: &Arc<Device>) {
        fence(Ordering::SeqCst);
        if !device.ring.is_empty() || device.attention.load(Ordering::Relaxed) {
            self.help(device);
        }
        if !self.waiting.is_empty() {
            self.dispatch();
        }
    }

    /// Carries a planned run out. The results, if not all are good.
    #[inline(always)]
    fn run_planned<'s, E: Entry<'s>>(
        &self,
        device: &Arc<Device>,
        exec: &mut Exec,
        plan: &Plan,
        entries: &mut [E],
        done: &mut impl Done,
    ) -> Option<Vec<Result<(), DeviceError>>> {
        let count = entries.len();
        let (algorithm, kind) = (plan.shape.algorithm(), plan.shape.kind());
        let id = device.id;
        done.put(entries.iter_mut().map(|entry| begin(entry.request_mut(), id)));
        let latest = done.latest(count);
        if plan.is_padded && kind == OpKind::Encrypt {
            pad(latest, algorithm.block_len());
        }
        let mut ops: ArrayVec<DirectOp<'_>, RUN_MAX_OPS> = ArrayVec::new();
        let begun = entries.iter().zip(latest.iter_mut()).zip(&plan.ops);
        ops.extend(begun.map(|((entry, completion), planned)| DirectOp {
            handle: planned.handle,
            algorithm,
            kind,
            iv: &completion.iv,
            aad: &entry.request().aad,
            data: &mut completion.data,
            source: None,
            output: &mut completion.output,
            chain: completion.chain.as_deref_mut(),
            result: None,
        }));
        let results = execute(device, exec, &mut ops);
        drop(ops);
        let timed = plan.started.map(|started| (started, self.now()));
        if let Some((started, finished)) = timed {
            let service_ns = finished.since(started);
            for completion in latest.iter_mut() {
                completion.service_ns = service_ns;
                completion.total_ns = service_ns;
            }
        }
        let mut ended = Ended { ops: count as u64, bytes: plan.bytes, failed: 0 };
        if let Some(results) = &results {
            settle(latest, results, plan, &mut ended);
        }
        if plan.is_padded && kind == OpKind::Decrypt {
            unpad(latest, results.as_deref(), plan, &mut ended);
        }
        count_sessions(exec, plan, results.as_deref(), latest, ended.failed);
        self.count_inline(device, exec, plan, timed, &ended);
        results
    }

    /// Counts what is over at every station together.
    #[inline(always)]
    fn count_inline(
        &self,
        device: &Device,
        exec: &mut Exec,
        plan: &Plan,
        timed: Option<(Nanos, Nanos)>,
        ended: &Ended,
    ) {
        let cells = &device.cells;
        cells.bytes.add(ended.bytes);
        cells.by_kind[plan.kind()].add(ended.ops);
        if ended.failed > 0 {
            cells.failed_ops.add(ended.failed);
        }
        cells.inline.add(ended.ops);
        match timed {
            Some((started, finished)) => {
                self.measure_inline(device, exec, plan, started, finished, ended.ops)
            }
            None => exec.timing.pass(ended.ops),
        }
    }

    /// What a timed run tells: of itself, and if it is short, of those that were passed by since the last.
    fn measure_inline(
        &self,
        device: &Device,
        exec: &mut Exec,
        plan: &Plan,
        started: Nanos,
        finished: Nanos,
        ended_ops: u64,
    ) {
        let count = plan.count;
        let service_ns = finished.since(started);
        device.active_ns.store(finished.0, Ordering::Relaxed);
        let passed_ops = if count < TIMED_OPS { exec.timing.take_passed() } else { 0 };
        device.inline_service.record(service_ns, ended_ops + passed_ops);
        if ended_ops == count as u64 {
            device.rates.note_run(plan.shape, ended_ops, plan.bytes, service_ns, finished);
        }
        self.arrivals.note(started, plan.shape, count + passed_ops as usize);
    }
}

/// Lets the device carry a run out. Each operation's answer, if not all have succeeded.
#[inline(always)]
fn execute(device: &Device, exec: &Exec, run: &mut Run<'_>) -> Option<Vec<Result<(), DeviceError>>> {
    device.inline_ops.store(run.len(), Ordering::Relaxed);
    device.served_by.store(submitter_number(), Ordering::Relaxed);
    let outcome = match &exec.engine {
        Mount::Direct(engine) => guarded(|| engine.execute(run)),
        _ => None,
    };
    device.inline_ops.store(0, Ordering::Relaxed);
    let all_done = run.iter().all(|op| matches!(op.result, Some(Ok(()))));
    (!all_done).then(|| results(run, outcome.is_none()))
}

/// Counts what is over in its sessions and tenants, those of one session together.
#[inline(always)]
fn count_sessions(
    exec: &Exec,
    plan: &Plan,
    results: Option<&[Result<(), DeviceError>]>,
    completions: &[Completion],
    failed: u64,
) {
    let count = |place, ops, bytes| {
        if let Some(open) = exec.sessions.at(place) {
            open.count(ops, bytes);
        }
    };
    if let (None, true, 0, [first, ..]) = (results, plan.is_of_one_session, failed, &*plan.ops) {
        return count(first.place, plan.count as u64, plan.bytes);
    }
    let (mut ops, mut bytes, mut last) = (0, 0, usize::MAX);
    for (number, planned) in plan.ops.iter().enumerate() {
        if results.is_some_and(|results| is_to_go_on(results[number])) {
            continue;
        }
        if planned.place != last {
            count(last, ops, bytes);
            (ops, bytes, last) = (0, 0, planned.place);
        }
        ops += 1;
        bytes += planned.bytes;
        if failed > 0
            && completions[number].result.is_err()
            && let Some(open) = exec.sessions.at(planned.place)
        {
            open.context.session.ended.failed.add(1);
        }
    }
    count(last, ops, bytes);
}

/// A completion that has everything but its outcome.
#[inline(always)]
pub(crate) fn begin(request: &mut Request, device: DeviceId) -> Completion {
    Completion {
        result: Ok(()),
        data: std::mem::take(&mut request.data),
        output: Output::none(),
        user_data: request.user_data,
        device: Some(device),
        attempts: 1,
        queue_ns: 0,
        service_ns: 0,
        total_ns: 0,
        stage: 1,
        iv: request.iv,
        source_intact: true,
        chain: request.chain.take().into(),
        input: Rare::none(),
    }
}

#[inline(never)]
fn pad(completions: &mut [Completion], block: usize) {
    for completion in completions {
        padding::pad_pkcs7(&mut completion.data, block);
    }
}
