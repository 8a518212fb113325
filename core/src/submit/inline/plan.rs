//! Which operations are carried out together: each checked, its session found on the device.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::{Entry, Order};
use crate::algorithm::OpKind;
use crate::clock::Nanos;
use crate::context::Context;
use crate::device::registry::{Device, Exec};
use crate::device::{Handle, RUN_MAX_OPS};
use crate::key::Uses;
use crate::op::Request;
use crate::session::SessionState;
use crate::shared::Shared;
use crate::submit::check::Rules;
use crate::submit::{Shape, check};
use crate::sync::atomic::Ordering;

/// One operation of a run.
#[derive(Clone, Copy)]
pub(super) struct Planned {
    pub(super) handle: Handle,
    /// Where its context is among those open on the device.
    pub(super) place: usize,
    /// Its length as it was submitted.
    pub(super) bytes: u64,
}

/// A session on the device.
struct Lookup<'s> {
    session: &'s SessionState,
    place: usize,
    handle: Handle,
    uses: Uses,
}

/// What the checks of a request look at; the next one that is like it, of its session or of one with the same rules,
/// needs none.
pub(crate) struct Alike<'s> {
    /// `None`: nothing is like it.
    kind: Option<OpKind>,
    length: usize,
    iv_len: usize,
    /// What it passed by; `None` if it took a look at more than these.
    rules: Option<(&'s Rules, Uses)>,
}

impl<'s> Alike<'s> {
    pub(crate) const NOTHING: Self = Self { kind: None, length: 0, iv_len: 0, rules: None };

    /// Of a request that has passed.
    #[inline(always)]
    pub(crate) fn of(request: &Request, rules: Option<(&'s Rules, Uses)>) -> Self {
        let kind = request.kind.filter(|_| Self::is_plain(request));
        Self { kind, length: request.data.len(), iv_len: request.iv.len(), rules }
    }

    /// Whether what passed would have passed in a session with these as well.
    #[inline(always)]
    fn holds_under(&self, rules: &Rules, uses: Uses) -> bool {
        self.rules.is_some_and(|(passed, passed_uses)| passed_uses == uses && passed.are_like(rules))
    }

    #[inline(always)]
    pub(crate) fn is_like(&self, request: &Request) -> bool {
        self.kind.is_some()
            && self.kind == request.kind
            && self.length == request.data.len()
            && self.iv_len == request.iv.len()
            && Self::is_plain(request)
    }

    #[inline(always)]
    fn is_plain(request: &Request) -> bool {
        !request.runtime_iv && request.aad.is_empty() && request.chain.is_none() && request.input.is_none()
    }
}

/// A run, checked.
pub(super) struct Plan {
    /// Of the first operation; of the others algorithm and kind are the same.
    pub(super) shape: Shape,
    /// Each of them, or the one that all others are like.
    pub(super) ops: ArrayVec<Planned, RUN_MAX_OPS>,
    pub(super) count: usize,
    pub(super) bytes: u64,
    pub(super) is_padded: bool,
    pub(super) is_of_one_session: bool,
    /// When it began, if it is timed.
    pub(super) started: Option<Nanos>,
}

impl Plan {
    /// With each of the operations.
    #[cold]
    pub(super) fn in_full(mut self) -> Self {
        if let Some(first) = self.ops.first().copied() {
            self.ops.extend(std::iter::repeat_n(first, self.count - self.ops.len()));
        }
        self
    }

    #[inline(always)]
    pub(super) fn new(started: Option<Nanos>) -> Self {
        Self {
            shape: Shape(0),
            ops: ArrayVec::new(),
            count: 0,
            bytes: 0,
            is_padded: false,
            is_of_one_session: false,
            started,
        }
    }

    /// Place of the operations' kind in counts by kind.
    pub(super) fn kind(&self) -> usize {
        usize::from(self.shape.kind_number().max(1)) - 1
    }
}

impl Shared {
    /// Checks operations from the front, as long as they can be carried out together.
    #[inline(always)]
    pub(super) fn plan_run<'s, E: Entry<'s>>(
        &self,
        device: &Device,
        exec: &mut Exec,
        order: &Order<'s>,
        entries: &mut [E],
        plan: &mut Plan,
    ) {
        self.begin_run(exec);
        let mut current: Option<Lookup<'s>> = None;
        let mut alike = Alike::NOTHING;
        for entry in entries {
            let session = order.session_of(entry);
            let looked_up = match &current {
                Some(current) if std::ptr::eq(current.session, session) => current,
                _ => {
                    // Numbers of sessions are a runtime's own.
                    if entry.session().is_some_and(|session| !std::ptr::eq(&*session.open.shared, self)) {
                        break;
                    }
                    let is_first = current.is_none();
                    plan.is_of_one_session = is_first;
                    let Some(found) = self.look_up(device, exec, session, order, is_first) else { break };
                    if !alike.holds_under(&session.rules, found.uses) {
                        alike = Alike::NOTHING;
                    }
                    current.insert(found)
                }
            };
            let request = entry.request_mut();
            if !alike.is_like(request) {
                let quick = session.rules.shape(request, looked_up.uses, self.config.op_max_bytes);
                let Some(shape) = quick.or_else(|| self.judge(exec, looked_up.place, request)) else { break };
                let is_padded = session.rules.pads && request.chain.as_ref().is_none_or(|chain| chain.last);
                if plan.ops.is_empty() {
                    plan.shape = shape;
                    plan.is_padded = is_padded;
                } else if !shape.is_like(plan.shape) || plan.is_padded != is_padded {
                    break;
                }
                alike = Alike::of(request, quick.map(|_| (&session.rules, looked_up.uses)));
                // Made for what is in the run only: what is not may yet be refused, and then comes back as it was.
                if request.runtime_iv
                    && (!E::MAY_CHANGE || self.give_iv(exec, looked_up.place, request).is_none())
                {
                    break;
                }
            }
            let bytes = request.data.len() as u64;
            plan.bytes += bytes;
            plan.ops.push(Planned { handle: looked_up.handle, place: looked_up.place, bytes });
        }
        plan.count = plan.ops.len();
    }

    /// As [`Shared::plan_run`], where most often all operations are of one session and alike: then the plan has only the
    /// first of them.
    #[inline(always)]
    pub(super) fn plan_alike<'s, E: Entry<'s>>(
        &self,
        device: &Device,
        exec: &mut Exec,
        order: &Order<'s>,
        entries: &mut [E],
        plan: &mut Plan,
    ) {
        let [first, others @ ..] = &mut *entries else { return };
        self.plan_run(device, exec, order, std::slice::from_mut(first), plan);
        if plan.count == 0 || others.is_empty() {
            return;
        }
        let session = order.session_of(first);
        let alike = Alike::of(first.request(), None);
        let is_like =
            |other: &E| std::ptr::eq(order.session_of(other), session) && alike.is_like(other.request());
        if others.iter().all(is_like) {
            plan.count += others.len();
            plan.bytes *= plan.count as u64;
        } else {
            *plan = Plan::new(plan.started);
            self.plan_run(device, exec, order, entries, plan);
        }
    }

    /// Finds a session on the device; one that is not open there yet is opened. `None` if its operations are not for this run.
    #[inline(always)]
    fn look_up<'s>(
        &self,
        device: &Device,
        exec: &mut Exec,
        session: &'s SessionState,
        order: &Order<'s>,
        is_first: bool,
    ) -> Option<Lookup<'s>> {
        if !is_first
            && (!session.is_plain
                || session.tenant.is_limited()
                || session.binding() != order.session.binding())
        {
            return None;
        }
        let number = match order.pinned {
            Some(context) => context.number,
            None => session.current_number.load(Ordering::Acquire),
        };
        let place = match exec.sessions.find_near(number, &session.place) {
            Some(place) => place,
            // To open one more could mean to close one that the run uses.
            None if !is_first && device.is_full_of_sessions(exec) => return None,
            None => self.open_inline(device, exec, session, order.pinned, number)?,
        };
        exec.uses += 1;
        let used = exec.uses;
        let open = exec.sessions.at_mut(place)?;
        open.used = used;
        Some(Lookup { session, place, handle: open.handle, uses: open.uses })
    }

    /// What the short check does not pass is judged by the long one.
    #[cold]
    fn judge(&self, exec: &Exec, place: usize, request: &Request) -> Option<Shape> {
        if request.input.is_some() {
            return None;
        }
        let context = &exec.sessions.at(place)?.context;
        let shape = check::check(self, context, request).ok()?;
        Some(shape.flagged(false, request.chain.is_some(), false))
    }

    /// Makes the iv of a request that leaves it to the runtime.
    #[cold]
    fn give_iv(&self, exec: &Exec, place: usize, request: &mut Request) -> Option<()> {
        request.iv = check::make_iv(self, &exec.sessions.at(place)?.context).ok()?;
        request.runtime_iv = false;
        Some(())
    }

    /// Opens a context on the device. It is held meanwhile.
    #[cold]
    fn open_inline(
        &self,
        device: &Device,
        exec: &mut Exec,
        session: &SessionState,
        pinned: Option<&Arc<Context>>,
        number: u64,
    ) -> Option<usize> {
        let open = |exec| self.open_on(device, exec, number).ok().map(|(place, _)| place);
        if pinned.is_some() {
            return open(exec);
        }
        let held = session.hold_current(1).ok()?;
        let opened = (held.number == number).then(|| open(exec)).flatten();
        self.release_context(&held, 1);
        opened
    }
}
