//! Submit n, poll n: a ring for callers that poll, without futures and wake-ups.

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use super::blocking;
use super::face::{CompletionQueue, Face, Way};
use super::in_place::{Op, Tables};
use super::inline::{Caller, Entry, Inline, Order};
use super::parcel::{self, Parcel, Spare};
use super::ready::Ready;
use crate::balancer::routing::Routing;
use crate::device::RUN_MAX_OPS;
use crate::error::Error;
use crate::op::{Completion, Refused, Request};
use crate::session::Session;
use crate::shared::Shared;
use crate::sync::atomic::Ordering;

impl Session {
    /// A burst ring with room for `capacity_ops` operations on their way or not yet polled (at least 1).
    pub fn burst(&self, capacity_ops: usize) -> Burst {
        let capacity_ops = capacity_ops.max(1);
        let face = self.open.shared.faces.register(Way::Queue(Box::new(CompletionQueue::new(capacity_ops))));
        Burst {
            session: self.clone(),
            face,
            capacity_ops,
            outstanding_ops: 0,
            refused: Vec::new(),
            ready: Ready::default(),
            spare: Spare::default(),
            routing: Cache::new(RoutingOf(Arc::clone(&self.open.shared))),
        }
    }
}

/// A burst ring. Completions come in any order; the request's `user_data` tells which is which.
///
/// Dropping the ring drops results that were not polled; operations on their way are carried out.
#[derive(Debug)]
pub struct Burst {
    session: Session,
    face: Arc<Face>,
    capacity_ops: usize,
    outstanding_ops: usize,
    refused: Vec<Refused>,
    /// Completions of what was carried out at once, or came back together.
    ready: Ready,
    spare: Spare,
    /// The balancer's table that was in force at the last submission: to see that it still is costs one load.
    routing: KeptRouting,
}

/// Where a runtime keeps its table.
#[derive(Debug)]
struct RoutingOf(Arc<Shared>);

/// The balancer's table, kept from one call to the next.
type KeptRouting = Cache<RoutingOf, Arc<Routing>>;

impl Deref for RoutingOf {
    type Target = ArcSwap<Routing>;
    fn deref(&self) -> &Self::Target {
        &self.0.routing
    }
}

impl Tables for &mut KeptRouting {
    #[inline(always)]
    fn with<R>(&mut self, call: impl FnOnce(&Routing) -> R) -> R {
        call(self.load())
    }
}

impl Burst {
    /// Operations submitted and not yet polled.
    pub fn outstanding_ops(&self) -> usize {
        self.outstanding_ops
    }

    /// Submits from the front of `requests`, as many as the ring, the main queue and the tenant have room for, and returns how
    /// many were accepted. The rest stays in `requests`; a request that can never be accepted is moved to
    /// [`Burst::refused`].
    ///
    /// Short work is carried out here and now, on this thread, where a direct device is idle; so is longer work that no other
    /// idle device could take a part of, as long as each operation of it is short ([`Config::inline_max_ns`]).
    ///
    /// [`Config::inline_max_ns`]: crate::Config::inline_max_ns
    pub fn submit(&mut self, requests: &mut Vec<Request>) -> usize {
        self.hand_in(requests)
    }

    /// As [`Burst::submit`], for requests of several sessions of the same runtime. Operations of different sessions, and
    /// hence keys, may be worked on at once: put those of one algorithm next to each other.
    pub fn submit_each(&mut self, requests: &mut Vec<(&Session, Request)>) -> usize {
        self.hand_in(requests)
    }

    /// As [`Session::call_each`](crate::Session::call_each), a little faster: what it looks up is kept from call to call.
    /// It has nothing to do with what the ring holds.
    pub fn call_each(&mut self, ops: &mut [Op]) -> usize {
        let Self { session, routing, .. } = self;
        session.open.shared.call_each(Some(session), ops, routing)
    }

    /// As [`Burst::call_each`], each in a session of its own, of this runtime.
    pub fn call_each_in(&mut self, ops: &mut [(&Session, Op)]) -> usize {
        let Self { session, routing, .. } = self;
        session.open.shared.call_each(None, ops, routing)
    }

    fn hand_in<'s, E: Entry<'s>>(&'s mut self, entries: &mut Vec<E>) -> usize {
        let Self { session: own, face, ready, spare, refused, outstanding_ops, capacity_ops, routing } = self;
        let shared = &own.open.shared;
        let mut accepted = 0;
        // Entries in front that came back for want of room.
        let mut kept = 0;
        while kept == 0 && !entries.is_empty() && *outstanding_ops < *capacity_ops {
            let room = *capacity_ops - *outstanding_ops;
            let count = entries.len().min(RUN_MAX_OPS).min(room);
            let first = entries[0].session();
            let order = Order {
                session: first.map_or(&*own.open.state, |session| &session.open.state),
                pinned: None,
                face: face.id,
                position: 0,
                limit_ns: shared.config.inline_max_ns,
                count: entries.len().min(room),
                caller: Caller::Poller,
            };
            let is_ours = first.is_none_or(|session| Arc::ptr_eq(&session.open.shared, shared));
            let done = ready.for_a_run();
            let ran = match &mut entries[..count] {
                _ if !is_ours => Inline::No,
                // One alone: the compiler knows that there is but one.
                [entry] => {
                    shared.run_inline(routing.load(), order, std::slice::from_mut(entry), done, |_, _| {})
                }
                several => shared.run_inline(routing.load(), order, several, done, |_, _| {}),
            };
            let picked = match ran {
                Inline::Ran(count) => {
                    take_front(entries, count);
                    *outstanding_ops += count;
                    accepted += count;
                    continue;
                }
                Inline::Picked(device, room) | Inline::Together(device, room) => Some((device, room)),
                Inline::No => None,
            };
            let count = entries[..count].iter().take_while(|entry| is_same(entry.session(), first)).count();
            if !is_ours {
                let error = Error::UnknownSession { id: order.session.id };
                let foreign = entries.drain(..count).map(|mut entry| std::mem::take(entry.request_mut()));
                refused.extend(foreign.map(|request| Refused { error: error.clone(), request }));
                continue;
            }
            let burst = parcel::Burst {
                session: order.session,
                face,
                picked: picked.as_ref().map(|(device, room)| (device, *room)),
                entries,
                count,
            };
            let together = shared.accept_parcel(burst, routing.load(), spare, || ready.memory());
            if together > 0 {
                *outstanding_ops += together;
                accepted += together;
                continue;
            }
            face.live.fetch_add(count as u64, Ordering::AcqRel);
            let (mut taken, mut refusals) = (0, 0);
            let mut full = Vec::new();
            let requests = entries[..count].iter_mut().map(|entry| std::mem::take(entry.request_mut()));
            shared.accept(order.session, None, requests, face.id, 0, picked, |position, result| {
                let Err(back) = result else {
                    taken += 1;
                    return;
                };
                refusals += 1;
                match back.error {
                    Error::Full { .. } | Error::TenantFull { .. } => {
                        full.push((position as usize, back.request))
                    }
                    _ => refused.push(*back),
                }
            });
            if refusals > 0 {
                face.live.fetch_sub(refusals, Ordering::AcqRel);
            }
            *outstanding_ops += taken;
            accepted += taken;
            kept = full.len();
            // What found no room comes back to the front, in its order.
            for (place, (position, request)) in full.into_iter().enumerate() {
                *entries[position].request_mut() = request;
                entries.swap(place, position);
            }
            entries.drain(kept..count);
        }
        accepted
    }

    /// Takes up to `max` completions, appends them to `completions`, and returns how many. It works for its own
    /// operations first, on this thread, when a direct device has them.
    pub fn poll(&mut self, completions: &mut Vec<Completion>, max: usize) -> usize {
        let ready = self.take_ready(completions, max);
        if ready == max || self.outstanding_ops == 0 {
            return ready;
        }
        let taken = ready + self.collect(completions, max - ready);
        if taken == max || self.outstanding_ops == 0 {
            return taken;
        }
        self.session.open.shared.help_anyone();
        taken + self.collect(completions, max - taken)
    }

    /// Takes what was handed back.
    fn collect(&mut self, completions: &mut Vec<Completion>, max: usize) -> usize {
        let Self { session, face, ready, spare, outstanding_ops, .. } = self;
        let (Way::Queue(queue), shared) = (&face.way, &session.open.shared) else { return 0 };
        let mut alone = 0;
        let give = |_, completion| {
            completions.push(completion);
            alone += 1;
        };
        let give_parcel = |mut parcel: Box<Parcel>| {
            ready.add(parcel.take_completions());
            spare.keep(parcel);
        };
        if queue.take(&shared.slab, max, give, give_parcel) > 0 {
            shared.room_again();
        }
        *outstanding_ops -= alone;
        alone + self.take_ready(completions, max - alone)
    }

    /// Takes completions that are here already.
    fn take_ready(&mut self, completions: &mut Vec<Completion>, max: usize) -> usize {
        let count = self.ready.take(completions, max);
        self.outstanding_ops -= count;
        count
    }

    /// Waits until a completion can be polled, or nothing is outstanding.
    ///
    /// # Cancel safety
    /// Safe: it takes nothing.
    pub async fn readable(&mut self) {
        std::future::poll_fn(|context| {
            let Way::Queue(queue) = &self.face.way else { return std::task::Poll::Ready(()) };
            if queue.len() > 0 || !self.ready.is_empty() || self.outstanding_ops == 0 {
                return std::task::Poll::Ready(());
            }
            self.session.open.shared.help_anyone();
            queue.waker.register(context.waker());
            if queue.len() > 0 {
                return std::task::Poll::Ready(());
            }
            self.session.open.shared.wake_for_backlog();
            std::task::Poll::Pending
        })
        .await;
    }

    /// Sleeps until a completion can be polled, nothing is outstanding, or the time is over.
    pub fn wait(&mut self, at_most: std::time::Duration) {
        let shared = Arc::clone(&self.session.open.shared);
        let deadline = shared.now().plus(at_most.as_nanos() as u64);
        let mut readable = std::pin::pin!(self.readable());
        let waker = blocking::thread_waker();
        let mut context = std::task::Context::from_waker(&waker);
        while readable.as_mut().poll(&mut context).is_pending() {
            let left = deadline.since(shared.now());
            if left == 0 {
                return;
            }
            std::thread::park_timeout(std::time::Duration::from_nanos(left));
        }
    }

    /// The requests that were refused since the last call.
    pub fn refused(&mut self) -> Vec<Refused> {
        std::mem::take(&mut self.refused)
    }
}

/// Takes the first entries out; what was in them is gone already.
#[inline]
pub(super) fn take_front<E>(entries: &mut Vec<E>, count: usize) {
    if count == entries.len() {
        entries.clear();
    } else {
        entries.drain(..count);
    }
}

fn is_same(one: Option<&Session>, other: Option<&Session>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(&one.open.state, &other.open.state),
        (None, None) => true,
        _ => false,
    }
}

impl Drop for Burst {
    fn drop(&mut self) {
        self.face.close(&self.session.open.shared.slab);
        self.session.open.shared.room_again();
        self.session.open.shared.faces.release(&self.face, 1);
    }
}
